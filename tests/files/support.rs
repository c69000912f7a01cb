//! What the tests of static files share: a directory with something secret beside it, the binary that serves it, and
//! a client that sends any bytes and keeps what comes back as it came.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::process::{self, PATIENCE, Setup};

/// What no answer may ever contain: it is in files outside the root, and in files within it that are hidden.
pub(crate) const SECRET: &str = "marker-of-what-nobody-may-see";

/// Starts the binary as somebody who may not read everything. Through a descriptor, since the path to the binary may be
/// closed to others.
pub(crate) const AS_NOBODY: &str =
    "exec 9<\"$RWS\"; exec setpriv --reuid=65534 --regid=65534 --clear-groups /proc/self/fd/9";

/// When everything in a tree was written unless it says otherwise: 2023-11-14 22:13:20.
pub(crate) const WRITTEN: u64 = 1_700_000_000;

/// A directory `root`, whose siblings are secret.
pub(crate) struct Tree {
    dir: TempDir,
}

impl Tree {
    pub(crate) fn new() -> Tree {
        let tree = Tree { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(tree.root()).unwrap();
        fs::create_dir(tree.outside().join("other")).unwrap();
        for name in ["secret.txt", "secret", "index.html", "other/secret.txt", "other/file", "other/index.html"] {
            fs::write(tree.outside().join(name), SECRET).unwrap();
        }
        tree
    }

    /// The directory that holds the root.
    pub(crate) fn outside(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.outside().join("root")
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Tree {
        self.write_at(name, content, WRITTEN)
    }

    /// The same, last modified `seconds` after 1970.
    pub(crate) fn write_at(&self, name: &str, content: impl AsRef<[u8]>, seconds: u64) -> &Tree {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        self
    }

    pub(crate) fn link(&self, target: impl AsRef<Path>, name: &str) -> &Tree {
        symlink(target, self.root().join(name)).unwrap();
        self
    }

    /// The binary, about to serve the root.
    pub(crate) fn served(&self, settings: &[(&str, &str)]) -> Setup {
        let root = self.root();
        process::rws(&[&[("STATIC_DIR", root.to_str().unwrap())], settings].concat())
    }
}

/// Bytes that say where they are, so that none can stand for another: every eight are the number of their place.
pub(crate) fn numbered(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    for line in 0..length.div_ceil(8) {
        // By hand, since a debug build formats some millions of numbers for seconds.
        bytes.extend([24, 20, 16, 12, 8, 4, 0].map(|shift| b"0123456789abcdef"[line >> shift & 15]));
        bytes.push(b'\n');
    }
    bytes.truncate(length);
    bytes
}

/// A response as it came.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The value of a field that must not occur more than once.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().skip(1).filter_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        let value = values.next();
        assert_eq!(values.next(), None, "{name} twice in {}", self.head);
        value
    }

    pub(crate) fn length(&self) -> Option<u64> {
        self.field("content-length").map(|value| value.parse().unwrap())
    }

    /// Whether the secret is anywhere in it.
    pub(crate) fn tells(&self) -> bool {
        contains(&self.body, SECRET.as_bytes()) || self.head.contains(SECRET)
    }
}

pub(crate) fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

/// A connection on which every wait ends at some time.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: BufReader<S>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Client {
        Client::try_new(address).unwrap()
    }

    pub(crate) fn try_new(address: SocketAddr) -> io::Result<Client> {
        Ok(Client::over(connected(address)?))
    }
}

/// A socket on which every wait ends at some time.
pub(crate) fn connected(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn over(stream: S) -> Client<S> {
        Client { stream: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())?;
        self.stream.get_mut().flush()
    }

    /// One request with these fields, and the response to it.
    pub(crate) fn ask(&mut self, method: &str, target: &str, fields: &[(&str, &str)]) -> io::Result<Reply> {
        self.send(request(method, target.as_bytes(), fields))?;
        self.reply(method)
    }

    pub(crate) fn get(&mut self, target: &str) -> io::Result<Reply> {
        self.ask("GET", target, &[])
    }

    /// The response to a request with this method.
    pub(crate) fn reply(&mut self, method: &str) -> io::Result<Reply> {
        let head = self.head()?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no response: {head:?}")))?;
        let mut reply = Reply { status, head, body: Vec::new() };
        if method != "HEAD" && status != 304 {
            let length = reply.length().ok_or_else(|| io::Error::other(format!("no length: {}", reply.head)))?;
            reply.body.resize(length as usize, 0);
            self.stream.read_exact(&mut reply.body)?;
        }
        Ok(reply)
    }

    /// The head of a response.
    pub(crate) fn head(&mut self) -> io::Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if self.stream.read_until(b'\n', &mut head)? == 0 {
                let text = format!("closed in the head {}", head.escape_ascii());
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
        }
        String::from_utf8(head).map_err(io::Error::other)
    }
}

/// The bytes of a request.
pub(crate) fn request(method: &str, target: &[u8], fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = [method.as_bytes(), b" ", target, b" HTTP/1.1\r\nHost: x\r\n"].concat();
    for (name, value) in fields {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// The parts of a multipart/byteranges body: what Content-Range says of each, and its bytes. Panics unless every
/// byte of the body has its place in the framing of RFC 9110 section 14.6 and RFC 2046 section 5.1.1.
pub(crate) fn parts(content_type: &str, body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let delimiter = format!("\r\n--{boundary}");
    // The line break before the first delimiter belongs to it, and may be missing at the very start.
    let body = [if body.starts_with(b"\r\n") { &b""[..] } else { &b"\r\n"[..] }, body].concat();
    let mut rest = body.strip_prefix(delimiter.as_bytes()).unwrap();
    let mut parts = Vec::new();
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = part.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&part[..end]).unwrap();
        let range = head.lines().find_map(|line| line.strip_prefix("Content-Range: ")).unwrap();
        assert!(head.lines().any(|line| line.starts_with("Content-Type: ")), "{head}");
        let content = &part[end + 4..];
        let length = range_length(range);
        parts.push((range.to_owned(), content[..length].to_vec()));
        rest = content[length..].strip_prefix(delimiter.as_bytes()).unwrap();
    }
    assert_eq!(rest, b"--\r\n");
    parts
}

/// How many bytes `bytes first-last/length` are.
fn range_length(content_range: &str) -> usize {
    let range = content_range.strip_prefix("bytes ").and_then(|rest| rest.split('/').next()).unwrap();
    let (first, last) = range.split_once('-').unwrap();
    last.parse::<usize>().unwrap() - first.parse::<usize>().unwrap() + 1
}
