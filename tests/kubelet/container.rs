//! A container: the rws binary as the first process of a process namespace, without capabilities, on a root file system
//! that holds the C library and nothing else, like the image that the Dockerfile makes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::node::{eventually, which};

/// Where the image has the binary, which is also its entry point.
const ENTRYPOINT: &str = "/usr/local/bin/rws";

/// What a container is made of.
pub(crate) struct Recipe {
    /// The process that holds the pod's network namespace.
    pub(crate) sandbox: u32,
    /// An empty directory for the root file system.
    pub(crate) root: PathBuf,
    pub(crate) environment: BTreeMap<String, String>,
    /// Directories and files of the node, and where they are mounted.
    pub(crate) mounts: Vec<(PathBuf, String)>,
    pub(crate) read_only: bool,
    pub(crate) command: Vec<String>,
    pub(crate) args: Vec<String>,
    /// How long the entry point does something else before it becomes the program.
    pub(crate) start_takes: Duration,
}

/// What a process in the container wrote, and on which stream.
pub(crate) type Log = Arc<Mutex<Vec<(Stream, String)>>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// A container that runs, or ran.
pub(crate) struct Container {
    pub(crate) log: Log,
    /// Says the exit code once, after everything was logged.
    pub(crate) exited: Receiver<i32>,
    /// A shell outside, whose only child is the container's first process, and which ends as that does: 128 + n if a
    /// signal ended it.
    parent: u32,
    ended: OwnedFd,
    start_takes: Duration,
    environment: BTreeMap<String, String>,
    termination_log: PathBuf,
}

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("RWS_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_rws").into(), PathBuf::from)
}

/// Which file of the image a command is, if any: there is only one.
fn program(name: &str) -> Result<&'static str, String> {
    match name {
        "rws" | ENTRYPOINT => Ok(ENTRYPOINT),
        path if path.starts_with('/') => Err(format!("exec: {path:?}: stat {path}: no such file or directory")),
        name => Err(format!("exec: {name:?}: executable file not found in $PATH")),
    }
}

impl Container {
    /// Starts it; the error is what a container runtime says.
    pub(crate) fn start(recipe: &Recipe) -> Result<Self, String> {
        let command = match recipe.command.split_first() {
            None => vec![ENTRYPOINT.to_owned()],
            Some((first, rest)) => [&[program(first)?.to_owned()], rest].concat(),
        };
        fs::create_dir_all(&recipe.root).unwrap();
        let termination_log = recipe.root.with_extension("termination-log");
        fs::write(&termination_log, "").unwrap();

        let mut child = Command::new(which("nsenter").unwrap());
        child.args(["-t", &recipe.sandbox.to_string(), "-n", "unshare", "--mount", "--pid"]);
        child.args(["sh", "-c", &script(recipe, &termination_log), "sh"]);
        child.args(command).args(&recipe.args).env_clear().envs(&recipe.environment);
        let mut child = child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();

        let log = Log::default();
        let stdout = follow(child.stdout.take().unwrap(), Stream::Stdout, &log);
        let stderr = follow(child.stderr.take().unwrap(), Stream::Stderr, &log);
        let parent = child.id();
        let over = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        let (code, exited) = bounded(1);
        let container = Container {
            log,
            exited,
            parent,
            ended: over,
            start_takes: recipe.start_takes,
            environment: recipe.environment.clone(),
            termination_log,
        };
        assert!(eventually(|| container.has_begun()), "the container was not started");
        thread::spawn(move || {
            let status = child.wait().unwrap();
            [stdout, stderr].into_iter().for_each(|reader| reader.join().unwrap());
            let _ = code.send(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
        });
        Ok(container)
    }

    /// Whether the first process is the program already, or has been.
    fn has_begun(&self) -> bool {
        if !self.start_takes.is_zero() {
            return self.first_process().is_some();
        }
        const BEFORE: [&str; 4] = ["sh", "chroot", ".init", "setpriv"];
        let name = self.first_process().and_then(|first| fs::read_to_string(format!("/proc/{first}/comm")).ok());
        name.map_or_else(|| self.ends_within(Duration::ZERO), |name| !BEFORE.contains(&name.trim()))
    }

    fn first_process(&self) -> Option<i32> {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.parent)).ok()?;
        children.trim().parse().ok()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended in the meantime.
        if let Some(first) = self.first_process().and_then(Pid::from_raw) {
            let _ = kill_process(first, signal);
        }
    }

    /// Whether it ends within this time.
    pub(crate) fn ends_within(&self, time: Duration) -> bool {
        let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
        poll(&mut [PollFd::new(&self.ended, PollFlags::IN)], Some(&time)).unwrap() > 0
    }

    /// What it left in /dev/termination-log.
    pub(crate) fn last_message(&self) -> String {
        fs::read_to_string(&self.termination_log).unwrap()
    }

    /// Runs a command in the container, as for `kubectl exec` and exec probes: exit code and output, or what the container
    /// runtime says when there is no such program.
    pub(crate) fn exec(&self, command: &[String], most: Duration) -> Result<(Option<i32>, String), String> {
        let (first, rest) = command.split_first().ok_or("no command")?;
        let program = program(first)?;
        let target = self.first_process().ok_or("container not running")?.to_string();
        let mut child = Command::new(which("nsenter").unwrap());
        child.args(["-t", &target, "-m", "-n", "-p", "-r", "-w", program]).args(rest);
        child.env_clear().envs(&self.environment).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.spawn().map_err(|error| error.to_string())?;
        let log = Log::default();
        let readers = [
            follow(child.stdout.take().unwrap(), Stream::Stdout, &log),
            follow(child.stderr.take().unwrap(), Stream::Stderr, &log),
        ];
        let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        let most = Timespec { tv_sec: most.as_secs() as i64, tv_nsec: i64::from(most.subsec_nanos()) };
        let in_time = poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&most)).unwrap() > 0;
        if !in_time {
            let _ = child.kill();
        }
        let status = child.wait().unwrap();
        if in_time {
            readers.into_iter().for_each(|reader| reader.join().unwrap());
        }
        let lines: Vec<String> = log.lock().unwrap().iter().map(|(_, line)| line.clone()).collect();
        Ok((status.code().filter(|_| in_time), lines.join("\n")))
    }
}

fn follow(pipe: impl Read + Send + 'static, stream: Stream, log: &Log) -> thread::JoinHandle<()> {
    let log = log.clone();
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            log.lock().unwrap().push((stream, String::from_utf8_lossy(&line).into_owned()));
        }
    })
}

/// Makes the root file system and ends as the program. Its environment is the container's already.
fn script(recipe: &Recipe, termination_log: &Path) -> String {
    let quoted = |path: &Path| format!("'{}'", path.display());
    let root = quoted(&recipe.root);
    let mut lines = vec![
        // What the shell outside says of how the container ended is not the container's.
        "exec 3>&2 2> /dev/null".to_owned(),
        // The subshell is what is forked first, so it is the first process of the namespace.
        "( set -e; exec 2>&3 3>&-".to_owned(),
        format!("mount -t tmpfs -o mode=755 root {root}"),
        format!("cd {root}"),
        "mkdir -p usr/local/bin usr/lib usr/lib64 proc dev etc srv tmp".into(),
        "ln -s usr/lib lib; ln -s usr/lib64 lib64".into(),
        "for file in usr/local/bin/rws .init dev/null dev/zero dev/urandom dev/termination-log; do : > $file; done"
            .into(),
        format!("mount --bind {} usr/local/bin/rws", quoted(&binary())),
        format!("mount --bind {} .init", quoted(&which("setpriv").unwrap())),
        "for place in /usr/lib /usr/lib64 /dev/null /dev/zero /dev/urandom; do \
           if [ -e $place ]; then mount --rbind $place .$place; fi; done"
            .into(),
        format!("mount --bind {} dev/termination-log", quoted(termination_log)),
        "mount -t proc proc proc".into(),
    ];
    for (from, to) in &recipe.mounts {
        let (from, to) = (quoted(from), quoted(Path::new(&format!(".{to}"))));
        let make = format!("if [ -d {from} ]; then mkdir -p {to}; else mkdir -p $(dirname {to}); : > {to}; fi");
        lines.push(format!("{make}; mount --bind {from} {to}"));
    }
    if recipe.read_only {
        lines.push(format!("mount -o remount,bind,ro {root}"));
    }
    lines.push("cd /".into());
    if !recipe.start_takes.is_zero() {
        lines.push(format!("sleep {}", recipe.start_takes.as_secs_f64()));
    }
    lines.push(format!("exec chroot {root} /.init --bounding-set=-all --inh-caps=-all --no-new-privs \"$@\" )"));
    lines.push("exit $?".into());
    lines.join("\n")
}
