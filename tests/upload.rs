//! Uploads to a real process, `examples/upload.rs`: what they cost in memory, whom they hold up, and what is left of those
//! that fail. RWS_TEST_UPLOAD_MIB says how large the large ones are, 256 MiB unless it is set.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]
#![cfg(feature = "multipart")]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// How much more memory an upload may cost, in KiB.
const MOST: u64 = 32 * 1024;

const START: &str = "--AaB03x\r\nContent-Disposition: form-data; name=title\r\n\r\nCups\r\n\
    --AaB03x\r\nContent-Disposition: form-data; name=file; filename=large.bin\r\n\r\n";
const END: &str = "\r\n--AaB03x--\r\n";

#[test]
fn uploads_of_any_size_cost_the_same_memory() {
    let site = Site::start(&[]);
    let size = std::env::var("RWS_TEST_UPLOAD_MIB").map_or(256, |mib| mib.parse::<u64>().unwrap()) << 20;
    let idle = site.peak();
    let begin = Instant::now();
    let answer = site.post(START.as_bytes(), size, END.as_bytes());
    assert!(answer.ends_with(&format!("Cups:\nlarge.bin: {size} bytes\n")), "{answer}");
    let (form, took) = (site.peak(), begin.elapsed());
    println!("{} MiB as a form: {took:?}, {} KiB more than idle ({idle} KiB)", size >> 20, form - idle);
    site.take_away("large.bin", size);

    let begin = Instant::now();
    let answer = site.put("raw.bin", size);
    assert!(answer.ends_with(&format!("raw.bin: {size} bytes\n")), "{answer}");
    let (raw, took) = (site.peak(), begin.elapsed());
    println!("{} MiB as it is: {took:?}, {} KiB more than idle", size >> 20, raw - idle);
    site.take_away("raw.bin", size);
    assert!(form - idle < MOST && raw - idle < MOST, "{idle} KiB idle, {form} KiB, {raw} KiB");
}

#[test]
fn slow_uploads_hold_up_nobody() {
    let site = Site::start(&[("RWS_CONFIG_REACTOR_COUNT", "1")]);
    // More than the buffers of connections take: the handlers have begun to read.
    let mut slow: Vec<_> = (0..20)
        .map(|n| {
            let mut stream = site.connect();
            let length = START.len() + (4 << 20) + END.len();
            write!(stream, "{}", site.head("POST", "/", length as u64)).unwrap();
            stream.write_all(START.replace("large", &format!("large{n}")).as_bytes()).unwrap();
            io::copy(&mut io::repeat(b'x').take(2 << 20), &mut stream).unwrap();
            stream
        })
        .collect();
    site.until("the uploads have begun", || site.listed() == 20);
    for _ in 0..50 {
        let begin = Instant::now();
        assert!(site.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200"));
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }
    // One goes away; nothing of it is left.
    drop(slow.pop());
    site.until("what was begun is gone", || site.listed() == 19);
    drop(slow);
    site.until("nothing is left", || site.listed() == 0);
}

#[test]
fn what_stops_coming_is_answered_with_408() {
    let site = Site::start(&[("RWS_CONFIG_BODY_TIMEOUT", "1s")]);
    let mut stream = site.connect();
    write!(stream, "{}{START}and no more", site.head("POST", "/", 1 << 20)).unwrap();
    assert!(answer(&mut stream).starts_with("HTTP/1.1 408"));
    assert_eq!(site.listed(), 0);
}

#[test]
fn a_directory_that_is_gone_is_an_error_of_the_server_and_the_log_names_it() {
    let site = Site::start(&[]);
    fs::remove_dir(site.uploads.path()).unwrap();
    for answer in [site.post(START.as_bytes(), 10, END.as_bytes()), site.put("raw.bin", 10)] {
        assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
        assert!(
            !answer.contains("upload-") && !answer.contains("directory"),
            "that is not the client's business: {answer}"
        );
    }
    site.until("the log says why, twice", || site.said_of_uploads() == 2);
    fs::create_dir(site.uploads.path()).unwrap();
    assert!(site.put("raw.bin", 10).starts_with("HTTP/1.1 201"), "it needs no restart");
}

#[test]
fn a_disk_that_is_full_is_an_error_of_the_server_and_takes_the_next_that_fits() {
    let site = Site::start(&[]);
    let Some(_disk) = Disk::mount(site.uploads.path()) else { return };
    for answer in [site.post(START.as_bytes(), 3 << 20, END.as_bytes()), site.put("raw.bin", 3 << 20)] {
        assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
        assert_eq!(site.listed(), 0, "nothing is left");
    }
    site.until("the log says why, twice", || site.said_of_uploads() == 2);
    assert!(site.post(START.as_bytes(), 100_000, END.as_bytes()).starts_with("HTTP/1.1 201"));
}

/// A disk of 1 MiB.
struct Disk<'d>(&'d Path);

impl<'d> Disk<'d> {
    /// `None`, and a line about it, where this is not allowed.
    fn mount(place: &'d Path) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(place).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Disk(place));
        }
        eprintln!("SKIPPED: a full disk, since none can be mounted here");
        None
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn curl_uploads_forms_and_files() {
    let site = Site::start(&[]);
    let file = site.uploads.path().with_extension("curl");
    fs::write(&file, "a cup").unwrap();
    let [form, name] = [format!("file=@{};filename=../cup.txt", file.display()), file.display().to_string()];
    let url = format!("http://{}/", site.address);
    for (arguments, expected) in [
        (["-F", "title=Cups", "-F", &form, &url], "Cups:\ncup.txt: 5 bytes\n"),
        (["-s", "-S", "-T", &name, &format!("{url}raw/raw.txt")], "raw.txt: 5 bytes\n"),
        (["-s", "-S", "-F", &form, &url], "the field `title` is missing"),
    ] {
        let output = Command::new("curl").args(arguments).output().expect("curl is there");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    fs::remove_file(file).unwrap();
    assert_eq!(site.listed(), 2);
}

/// A running example, and where it puts files.
struct Site {
    process: Child,
    address: SocketAddr,
    uploads: TempDir,
    /// Its log.
    said: Arc<Mutex<Vec<String>>>,
}

impl Site {
    fn start(settings: &[(&str, &str)]) -> Self {
        let uploads = tempfile::tempdir().unwrap();
        let test = std::env::current_exe().expect("a test knows where it is");
        let target = test.parent().and_then(Path::parent).expect("it is in target/…/deps");
        let mut process = Command::new(target.join("examples/upload"))
            .env_clear()
            .envs([("RWS_CONFIG_IP", "127.0.0.1"), ("RWS_CONFIG_PORT", "0")])
            .env("UPLOAD_DIR", uploads.path())
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cargo test builds the examples");
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("it becomes ready").unwrap();
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["state"] == "ready" {
                break event["address"].as_str().and_then(|text| text.parse().ok()).expect("it says where it listens");
            }
        };
        let said = Arc::<Mutex<Vec<String>>>::default();
        let log = said.clone();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| log.lock().unwrap().push(line)));
        Site { process, address, uploads, said }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn head(&self, method: &str, target: &str, length: u64) -> String {
        format!(
            "{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\
             Content-Type: multipart/form-data; boundary=AaB03x\r\n\r\n"
        )
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        answer(&mut stream)
    }

    /// Sends a form with a file of `size` bytes.
    fn post(&self, start: &[u8], size: u64, end: &[u8]) -> String {
        let length = start.len() as u64 + size + end.len() as u64;
        self.stream(&self.head("POST", "/", length), &mut start.chain(Content::of(size)).chain(end))
    }

    /// Sends a file of `size` bytes.
    fn put(&self, name: &str, size: u64) -> String {
        self.stream(&self.head("PUT", &format!("/raw/{name}"), size), &mut Content::of(size))
    }

    fn stream(&self, head: &str, body: &mut impl Read) -> String {
        let mut stream = self.connect();
        stream.write_all(head.as_bytes()).unwrap();
        io::copy(&mut BufReader::with_capacity(1 << 18, body), &mut stream).unwrap();
        answer(&mut stream)
    }

    /// The most memory it has ever had, in KiB.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("Linux tells");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a line with the peak");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }

    /// How many files there are, those that are not finished among them.
    fn listed(&self) -> usize {
        fs::read_dir(self.uploads.path()).unwrap().count()
    }

    /// Removes a file that is as it was sent.
    fn take_away(&self, name: &str, size: u64) {
        let path = self.uploads.path().join(name);
        let (mut stored, mut sent) = (BufReader::new(fs::File::open(&path).unwrap()), Content::of(size));
        let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        loop {
            let n = stored.read(&mut left).unwrap();
            sent.read_exact(&mut right[..n]).unwrap();
            assert!(left[..n] == right[..n], "{name} is not what was sent");
            if n == 0 {
                break;
            }
        }
        fs::remove_file(path).unwrap();
    }

    /// How many lines of the log name the directory.
    fn said_of_uploads(&self) -> usize {
        let name = self.uploads.path().to_str().unwrap();
        self.said.lock().unwrap().iter().filter(|line| line.contains(name)).count()
    }

    fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < end, "{what} does not come true: {} files", self.listed());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer comes");
    text
}

/// A file that is nowhere: near-boundaries over and over, in lines of a length that fits no buffer.
struct Content {
    line: Vec<u8>,
    at: usize,
    left: u64,
}

impl Content {
    fn of(size: u64) -> Self {
        let mut line = b"\r\n--AaB03y\r\n--AaB03\r--AaB03x".to_vec();
        line.resize(4099, b'.');
        Content { line, at: 0, left: size }
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let n = (&self.line[self.at..]).read(&mut buffer[..most])?;
        self.at = (self.at + n) % self.line.len();
        self.left -= n as u64;
        Ok(n)
    }
}
