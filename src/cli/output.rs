//! What the commands write: texts for stdout, colours on a terminal only, and no panic when nobody reads on.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use anstream::AutoStream;
use clap::builder::styling::{AnsiColor, Style};

/// What is wrong.
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();

/// `text` in a style. Whether it is shown so is decided when it is written.
pub(super) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Writes `text` to stdout and ends with `code`. Colours go to a terminal only, and not if NO_COLOR is set.
/// A reader who has seen enough (`| head -1`) is no failure; a full disk is.
pub(super) fn finish(text: &str, code: ExitCode) -> ExitCode {
    let mut stdout = AutoStream::auto(io::stdout().lock());
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            warn(&format!("{} cannot write to stdout: {error}", styled(BAD, "error:")));
            ExitCode::FAILURE
        }
        _ => code,
    }
}

/// Writes a line to stderr.
pub(super) fn warn(line: &str) {
    // Whoever closed stderr does not want to know.
    let _ = writeln!(AutoStream::auto(io::stderr().lock()), "{line}");
}
