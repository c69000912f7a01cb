//! `rws completions` and `rws man`: what is written from the definition of the command line itself.

use std::io;
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use super::output::{complain, fail, finish};

pub(super) const COMPLETIONS_EXAMPLES: &str = "Examples:
  rws completions bash > /etc/bash_completion.d/rws
  rws completions zsh > \"${fpath[1]}/_rws\"
  rws completions fish > ~/.config/fish/completions/rws.fish";

pub(super) const MAN_EXAMPLES: &str = "Examples:
  rws man | man -l -
  rws man > /usr/local/share/man/man1/rws.1
  rws man probe > /usr/local/share/man/man1/rws-probe.1";

#[derive(clap::Args)]
pub(super) struct Completions {
    /// The shell that reads it
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(clap::Args)]
pub(super) struct Page {
    /// A command of rws, instead of rws itself
    command: Option<String>,
}

/// Prints the script that completes rws' command line.
pub(super) fn completions(options: &Completions, mut command: Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut command, "rws", &mut script);
    finish(&String::from_utf8_lossy(&script), ExitCode::SUCCESS)
}

/// Prints a page of the manual.
pub(super) fn man(options: &Page, mut command: Command) -> ExitCode {
    // Gives every command its full name, rws-probe.
    command.build();
    let page = match &options.command {
        None => Some(command),
        Some(name) => command.find_subcommand(name).cloned(),
    };
    match page.map(render) {
        Some(Ok(page)) => finish(&page, ExitCode::SUCCESS),
        Some(Err(error)) => fail(&error.to_string()),
        None => complain("there is no such command; see rws --help", 2),
    }
}

fn render(command: Command) -> io::Result<String> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
