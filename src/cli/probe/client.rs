//! A client for one request: HTTP/1.1 over a socket of its own, with one limit for all the time it takes.
//!
//! It knows heads and bodies just far enough to tell a status and a short text. It follows nothing and keeps nothing.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The longest answer that is read, in bytes: many times what a probe sends.
const LONGEST: usize = 64 * 1024;
const USER_AGENT: &str = concat!("rws-probe/", env!("CARGO_PKG_VERSION"));

/// A response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Answer {
    /// As the kubelet judges an httpGet probe.
    pub(super) fn is_ok(&self) -> bool {
        (200..400).contains(&self.status)
    }
}

/// How to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    #[cfg(feature = "tls")]
    Https,
}

/// GET `path` from the first of `addresses` that takes the connection, all within `timeout`.
pub(super) fn get(scheme: Scheme, addresses: &[SocketAddr], path: &str, timeout: Duration) -> io::Result<Answer> {
    let deadline = Deadline { end: Instant::now() + timeout, timeout };
    let (address, socket) = connect(addresses, &deadline)?;
    let stream = Timed { socket, deadline };
    let request = request(address, path);
    match scheme {
        Scheme::Http => exchange(stream, &request),
        #[cfg(feature = "tls")]
        Scheme::Https => exchange(super::tls::around(stream, address.ip())?, &request).map_err(super::tls::explain),
    }
}

fn exchange(mut stream: impl Read + Write, request: &str) -> io::Result<Answer> {
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let bytes = read_answer(&mut stream)?;
    parse(&bytes).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "the answer is no HTTP/1.1"))
}

fn connect(addresses: &[SocketAddr], deadline: &Deadline) -> io::Result<(SocketAddr, TcpStream)> {
    let mut result = Err(io::Error::from(ErrorKind::AddrNotAvailable));
    for address in addresses {
        let left = deadline.left()?;
        result = TcpStream::connect_timeout(address, left).map(|socket| (*address, socket));
        if result.is_ok() {
            break;
        }
    }
    result.map_err(|error| match error.kind() {
        ErrorKind::TimedOut => deadline.passed(),
        ErrorKind::ConnectionRefused => {
            io::Error::new(error.kind(), "connection refused: nothing listens there (is it the server's port?)")
        }
        _ => error,
    })
}

fn request(address: SocketAddr, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: {USER_AGENT}\r\nAccept: text/plain\r\n\
         Connection: close\r\n\r\n"
    )
}

/// Reads until the response is complete, the peer closes, or there is too much.
fn read_answer(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    while bytes.len() < LONGEST && !is_complete(&bytes) {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A reset after the answer is the end of it.
            Err(_) if parse(&bytes).is_some() && content_length(&bytes).is_none() => break,
            Err(error) => return Err(error),
        }
    }
    if bytes.is_empty() {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "the connection was closed without an answer"));
    }
    Ok(bytes)
}

fn is_complete(bytes: &[u8]) -> bool {
    match (split(bytes), content_length(bytes)) {
        (Some((_, body)), Some(length)) => body.len() >= length,
        _ => false,
    }
}

/// The head and what follows it.
fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 4..]))
}

fn content_length(bytes: &[u8]) -> Option<usize> {
    let fields = split(bytes)?.0.lines().skip(1).filter_map(|line| line.split_once(':'));
    let mut lengths = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.next()?.1.trim().parse().ok()
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let (head, body) = split(bytes)?;
    let rest = head.strip_prefix("HTTP/1.1 ").or_else(|| head.strip_prefix("HTTP/1.0 "))?;
    let status = rest.get(..3)?.parse().ok().filter(|status| (100..600).contains(status))?;
    let body = &body[..body.len().min(content_length(bytes).unwrap_or(LONGEST))];
    Some(Answer { status, body: String::from_utf8_lossy(body).into_owned() })
}

/// The end of all patience.
struct Deadline {
    end: Instant,
    timeout: Duration,
}

impl Deadline {
    fn left(&self) -> io::Result<Duration> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.passed()) } else { Ok(left) }
    }

    fn passed(&self) -> io::Error {
        io::Error::new(ErrorKind::TimedOut, format!("no answer within {:?}", self.timeout))
    }

    /// What a system call that ran into its limit says.
    fn explain(&self, error: io::Error) -> io::Error {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => self.passed(),
            _ => error,
        }
    }
}

/// A socket whose every wait ends at the deadline.
struct Timed {
    socket: TcpStream,
    deadline: Deadline,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.deadline.left()?))?;
        self.socket.read(buffer).map_err(|error| self.deadline.explain(error))
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.deadline.left()?))?;
        self.socket.write(bytes).map_err(|error| self.deadline.explain(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use crossbeam_channel::Receiver;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_are_read_with_and_without_a_length() {
        let answer = |status, body: &str| Some(Answer { status, body: body.to_owned() });
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", answer(200, "ok")),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more", answer(200, "ok")),
            ("HTTP/1.1 503 \r\n\r\nto the end", answer(503, "to the end")),
            ("HTTP/1.0 204\r\n\r\n", answer(204, "")),
            ("HTTP/2 200\r\n\r\n", None),
            ("HTTP/1.1 2000\r\n\r\n", answer(200, "")),
            ("HTTP/1.1 099 x\r\n\r\n", None),
            ("HTTP/1.1 20\r\n\r\n", None),
            ("SSH-2.0-OpenSSH\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\n", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text.as_bytes()), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_none(bytes: Vec<u8>, length in "[0-9]{0,25}") {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            for bytes in [bytes.clone(), [head.as_bytes(), &bytes].concat()] {
                let _ = (parse(&bytes), is_complete(&bytes));
            }
        }

        #[test]
        fn an_answer_in_pieces_is_the_same(at in 0usize..45) {
            let whole = b"HTTP/1.1 503 x\r\nContent-Length: 5\r\n\r\nhello";
            let (first, second) = whole.split_at(at.min(whole.len()));
            let read = read_answer(&mut first.chain(second)).expect("no error");
            prop_assert_eq!(parse(&read), Some(Answer { status: 503, body: "hello".into() }));
        }
    }

    /// A peer that accepts, does what it is told, and is gone.
    fn peer(act: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || listener.accept().map(|(socket, _)| act(socket)));
        address
    }

    #[test]
    fn a_silent_peer_and_a_dripping_one_end_in_time() {
        let (release, released) = crossbeam_channel::bounded::<()>(0);
        let wait = |released: &Receiver<()>| {
            let released = released.clone();
            move |_socket| _ = released.recv_timeout(Duration::from_secs(20))
        };
        let silent = peer(wait(&released));
        // Each byte comes well within the limit, and all of them do not.
        let dripping = peer(|mut socket| {
            let tick = crossbeam_channel::tick(Duration::from_millis(20));
            while tick.recv().is_ok() && socket.write_all(b"x").is_ok() {}
        });
        let plain = [(Scheme::Http, silent), (Scheme::Http, dripping)];
        #[cfg(feature = "tls")]
        let cases = [plain.as_slice(), &[(Scheme::Https, peer(wait(&released)))]].concat();
        #[cfg(not(feature = "tls"))]
        let cases = plain;
        for (scheme, address) in cases {
            let start = Instant::now();
            let error = get(scheme, &[address], "/", Duration::from_millis(200)).expect_err("no answer");
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
            assert!(start.elapsed() < Duration::from_secs(10));
        }
        drop(release);
    }

    #[test]
    fn the_second_address_is_tried_and_a_refusal_explained() {
        let refused = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let there = peer(|mut socket| {
            let _ = (socket.read(&mut [0; 1024]), socket.write_all(b"HTTP/1.1 200 OK\r\n\r\nok"));
        });
        let answer = get(Scheme::Http, &[refused, there], "/", Duration::from_secs(20)).expect("an answer");
        assert_eq!(answer, Answer { status: 200, body: "ok".into() });
        let error = get(Scheme::Http, &[refused], "/", Duration::from_secs(20)).expect_err("nobody is there");
        assert!(error.to_string().contains("nothing listens"), "{error}");
    }

    #[test]
    fn a_peer_that_closes_at_once_is_told() {
        let closing = peer(|mut socket| _ = socket.read(&mut [0; 1024]));
        let error = get(Scheme::Http, &[closing], "/", Duration::from_secs(20)).expect_err("no answer");
        assert!(error.to_string().contains("without an answer"), "{error}");
    }
}
