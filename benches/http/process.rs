//! Processes: the servers under test and wrk. Whatever happens, none of them outlives this one.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use crate::Result;
use crate::cases::{Kind, Program};
use crate::machine::{pin_to, ticks};
use crate::peers;

/// First arguments that make this executable something else than the load test.
const LAUNCH: &str = "@launch";
const SERVE: &str = "@serve";

/// How long a server may take to start, and to stop.
const START: Duration = Duration::from_secs(10);
const STOP: Duration = Duration::from_secs(3);
/// Requests on one connection before a measurement begins.
const WARM_UP: u64 = 2000;

/// Does what the first argument asks for, if it is one of ours.
pub(crate) fn play_role(mut arguments: impl Iterator<Item = String>) -> Option<ExitCode> {
    let role = arguments.next()?;
    let done = match role.as_str() {
        LAUNCH => launch(arguments),
        SERVE => serve(arguments),
        _ => return None,
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    })
}

/// Becomes another program, pinned to a CPU, that dies with the load test however that ends.
fn launch(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if let Ok(cpu) = arguments.next().ok_or("no CPU")?.parse() {
        pin_to(cpu)?;
    }
    let program = arguments.next().ok_or("no program")?;
    Err(Command::new(program).args(arguments).exec().into())
}

fn serve(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let peer = arguments.next().ok_or("no peer")?;
    let address = arguments.next().ok_or("no address")?.parse()?;
    peers::serve(&peer, address)
}

/// A command that runs `program` on `cpu`, or anywhere.
pub(crate) fn command(program: impl AsRef<OsStr>, cpu: Option<usize>) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(LAUNCH).arg(cpu.map_or("any".to_owned(), |cpu| cpu.to_string())).arg(program);
    command.stdin(Stdio::null());
    Ok(command)
}

/// A child that is killed when nobody holds it any more.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        Ok(Running(command.spawn()?))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Waits until it ends, for so long.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            let status = self.0.try_wait()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that answers.
pub(crate) struct Server {
    running: Running,
    pub(crate) address: SocketAddr,
    pub(crate) started_in: Duration,
    /// Where its access log goes, if it writes one.
    log: Option<File>,
}

impl Server {
    /// Starts a server and waits for its first 200.
    pub(crate) fn start(kind: &Kind, cpu: Option<usize>) -> Result<Self> {
        let address = free_address()?;
        let (mut command, log) = server_command(kind, address, cpu)?;
        let started = Instant::now();
        let mut server = Server { running: Running::spawn(&mut command)?, address, started_in: Duration::ZERO, log };
        loop {
            if let Some(status) = server.running.child().try_wait()? {
                return Err(format!("{} ended at its start: {status}", kind.name).into());
            }
            if server.warm_up_with("/demo/plaintext", "Hello, World!", 1).is_ok() {
                break;
            }
            if started.elapsed() > START {
                return Err(format!("{} did not answer with 200 within {START:?}", kind.name).into());
            }
            thread::sleep(Duration::from_micros(200));
        }
        server.started_in = started.elapsed();
        Ok(server)
    }

    /// Some requests for `path`, one after the other. Returns how many.
    pub(crate) fn warm_up(&self, path: &str, expected: &str) -> Result<u64> {
        self.warm_up_with(path, expected, WARM_UP)
    }

    fn warm_up_with(&self, path: &str, expected: &str, count: u64) -> Result<u64> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.set_nodelay(true)?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        let mut response = Vec::with_capacity(4096);
        for _ in 0..count {
            stream.write_all(request.as_bytes())?;
            response.clear();
            while !response.ends_with(expected.as_bytes()) {
                let mut room = [0; 4096];
                let read = stream.read(&mut room)?;
                if read == 0 {
                    return Err("the server closed the connection".into());
                }
                response.extend_from_slice(&room[..read]);
            }
            if !response.starts_with(b"HTTP/1.1 200 ") {
                return Err("the server answered something else than 200".into());
            }
        }
        Ok(count)
    }

    /// User and system time so far.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        times(&format!("/proc/{}/stat", self.running.0.id()), USER)
    }

    /// The most memory that was resident, in KiB.
    pub(crate) fn peak_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.running.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_ascii_whitespace().next());
        Ok(kib.ok_or("the kernel does not tell VmHWM")?.parse()?)
    }

    /// Ends it. Returns how many lines its access log has, if there is one.
    pub(crate) fn stop(mut self) -> Result<Option<u64>> {
        let Some(mut log) = self.log.take() else { return Ok(None) };
        let pid = Pid::from_child(self.running.child());
        kill_process(pid, Signal::TERM)?;
        self.running.wait(STOP)?.ok_or("the server did not stop")?;
        count_lines(&mut log).map(Some)
    }
}

fn server_command(kind: &Kind, address: SocketAddr, cpu: Option<usize>) -> Result<(Command, Option<File>)> {
    match kind.program {
        Program::Peer(peer) => {
            let mut command = command(std::env::current_exe()?, cpu)?;
            command.args([SERVE, peer, &address.to_string()]);
            Ok((command, None))
        }
        Program::Rws => {
            let mut command = command(env!("CARGO_BIN_EXE_rws"), cpu)?;
            let foreign = |name: &str| name.starts_with("RWS_CONFIG_") || name.starts_with("KUBERNETES_");
            for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(foreign)) {
                command.env_remove(name);
            }
            let log = tempfile::tempfile()?;
            command
                .args(["--ip", &address.ip().to_string(), "--port", &address.port().to_string()])
                .args(["--set", "DEMO_ROUTES=true", "--set", "LOG_FORMAT=json", "--set", "LOG_LEVEL=error"])
                .stdout(log.try_clone()?);
            Ok((command, Some(log)))
        }
    }
}

/// An address nobody listens on. Somebody could take it before the server does; then the server says so.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn count_lines(file: &mut File) -> Result<u64> {
    file.rewind()?;
    let mut buffer = vec![0; 1 << 20];
    let mut lines = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(lines),
            Ok(read) => lines += memchr::memchr_iter(b'\n', &buffer[..read]).count() as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Columns of /proc/<pid>/stat behind the program's name; each is followed by the corresponding system time.
const USER: usize = 11;
const CHILDRENS_USER: usize = 13;

/// The time of the children that have ended.
pub(crate) fn children_time() -> Result<Duration> {
    times("/proc/self/stat", CHILDRENS_USER)
}

fn times(path: &str, user: usize) -> Result<Duration> {
    let stat = fs::read_to_string(path)?;
    // The name may contain anything, but nothing behind it has a parenthesis.
    let (_, columns) = stat.rsplit_once(')').ok_or("not a process' statistics")?;
    let both = columns.split_ascii_whitespace().skip(user).take(2);
    Ok(ticks(both.map(str::parse::<u64>).sum::<std::result::Result<_, _>>()?))
}
