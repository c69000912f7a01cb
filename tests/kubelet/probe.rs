//! One probe, as the kubelet asks it: a new connection from the node, judged by status, connection or exit code.
//!
//! <https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#http-probes>;
//! headers, redirects and messages are those of pkg/probe/{http,tcp,exec} and pkg/kubelet/prober of Kubernetes 1.32.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::container::Container;
use crate::manifest::{self, HttpGet, Probe, Scheme};

/// No more of a body is read; what it says does not count.
const MOST_BODY: usize = 10 << 10;
const MOST_REDIRECTS: usize = 10;

/// How a probe ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Success,
    /// Counts as success, with an event.
    Warning(String),
    Failure(String),
    /// It could not even be asked; counts as nothing.
    Error(String),
}

/// Asks once.
pub(crate) fn ask(probe: &Probe, spec: &manifest::Container, ip: Ipv4Addr, container: &Container) -> Outcome {
    let timeout = Duration::from_secs(u64::from(probe.timeout_seconds));
    if let Some(get) = &probe.http_get {
        return http_get(get, spec, ip, timeout);
    }
    if let Some(tcp) = &probe.tcp_socket {
        let Some(port) = tcp.port.of(spec) else { return unknown_port(&tcp.port) };
        let address = (tcp.host.as_ref().and_then(|host| host.parse().ok()).unwrap_or(IpAddr::V4(ip)), port).into();
        return match TcpStream::connect_timeout(&address, timeout) {
            Ok(_) => Outcome::Success,
            Err(error) => Outcome::Failure(dial(address, &error)),
        };
    }
    let command = &probe.exec.as_ref().expect("a probe asks for something").command;
    match container.exec(command, timeout) {
        Ok((Some(0), _)) => Outcome::Success,
        Ok((Some(_), output)) => Outcome::Failure(output),
        Ok((None, _)) => Outcome::Failure(format!("command timed out: {command:?} timed out after {timeout:?}")),
        Err(error) => Outcome::Error(format!(
            "rpc error: code = Unknown desc = failed to exec in container: failed to start exec: OCI runtime exec \
             failed: exec failed: unable to start container process: {error}: unknown"
        )),
    }
}

fn unknown_port(port: &manifest::Port) -> Outcome {
    Outcome::Error(match port {
        manifest::Port::Name(name) => format!("strconv.Atoi: parsing {name:?}: invalid syntax"),
        manifest::Port::Number(number) => format!("invalid port number: {number}"),
    })
}

/// GET, as for a probe or a preStop hook.
pub(crate) fn http_get(get: &HttpGet, spec: &manifest::Container, ip: Ipv4Addr, timeout: Duration) -> Outcome {
    let Some(port) = get.port.of(spec) else { return unknown_port(&get.port) };
    let host = get.host.clone().unwrap_or_else(|| ip.to_string());
    let end = Instant::now() + timeout;
    let mut path = if get.path.starts_with('/') { get.path.clone() } else { format!("/{}", get.path) };
    for _ in 0..MOST_REDIRECTS {
        let Ok(address) = format!("{host}:{port}").parse::<SocketAddr>() else {
            return Outcome::Failure(format!(
                "Get \"http://{host}:{port}{path}\": dial tcp: lookup {host}: no such host"
            ));
        };
        let answer = match exchange(get, address, &path, end) {
            Ok(answer) => answer,
            Err(failure) => return failed(get.scheme, address, &path, &failure),
        };
        match answer.status {
            200..300 => return Outcome::Success,
            301 | 302 | 303 | 307 | 308 => match answer.local_redirect(&host, port) {
                Some(target) => path = target,
                None => {
                    return Outcome::Warning(format!("Probe terminated redirects, Response body: {}", answer.text));
                }
            },
            300..400 => return Outcome::Warning(format!("Probe terminated redirects, Response body: {}", answer.text)),
            status => return Outcome::Failure(format!("HTTP probe failed with statuscode: {status}")),
        }
    }
    Outcome::Failure(format!("Get \"{path}\": stopped after {MOST_REDIRECTS} redirects"))
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) text: String,
}

impl Answer {
    /// Where it redirects to, if that is on the same host and port: only then is it followed. The kubelet looks at the
    /// host alone, but another port is another probe than the tests mean.
    fn local_redirect(&self, host: &str, port: u16) -> Option<String> {
        let location = self.location.as_deref()?;
        if location.starts_with('/') && !location.starts_with("//") {
            return Some(location.to_owned());
        }
        let rest = location.strip_prefix("http://")?.strip_prefix(&format!("{host}:{port}"))?;
        rest.starts_with('/').then(|| rest.to_owned())
    }
}

/// The request of a probe.
fn exchange(probe: &HttpGet, address: SocketAddr, path: &str, end: Instant) -> io::Result<Answer> {
    let own_host = probe.http_headers.iter().find(|field| field.name.eq_ignore_ascii_case("host"));
    let host = own_host.map_or_else(|| address.to_string(), |field| field.value.clone());
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n");
    let defaults = [("User-Agent", "kube-probe/1.32"), ("Accept", "*/*")];
    let given = probe.http_headers.iter().map(|field| (field.name.as_str(), field.value.as_str()));
    let given: Vec<_> = given.filter(|(name, _)| !name.eq_ignore_ascii_case("host")).collect();
    let absent = defaults.iter().filter(|(name, _)| !given.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)));
    for (name, value) in absent.chain(&given) {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("Connection: close\r\n\r\n");
    ask_for(address, probe.scheme, &request, end, MOST_BODY)
}

/// An ordinary request on a connection of its own.
pub(crate) fn get(address: SocketAddr, path: &str, most: Duration) -> io::Result<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    ask_for(address, Scheme::Http, &request, Instant::now() + most, usize::MAX)
}

fn ask_for(address: SocketAddr, scheme: Scheme, request: &str, end: Instant, most: usize) -> io::Result<Answer> {
    let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let mut socket = Timed { socket: TcpStream::connect_timeout(&address, left)?, end };
    let bytes = match scheme {
        Scheme::Http => talk(&mut socket, request, most)?,
        Scheme::Https => {
            let mut session = tls::session(address.ip());
            session.write_tls(&mut socket)?;
            let mut first = [0; 5];
            if socket.socket.peek(&mut first)? == 5 && first == *b"HTTP/" {
                return Err(io::Error::other("http: server gave HTTP response to HTTPS client"));
            }
            talk(&mut rustls::Stream::new(&mut session, &mut socket), request, most)?
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(ErrorKind::InvalidData)?;
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut location = fields.filter(|(name, _)| name.eq_ignore_ascii_case("location")).map(|(_, value)| value.trim());
    Ok(Answer { status, location: location.next_back().map(str::to_owned), text: body.to_owned() })
}

/// Sends a request and reads as much of the answer as counts.
fn talk(stream: &mut (impl Read + Write), request: &str, most: usize) -> io::Result<Vec<u8>> {
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while bytes.len() < most {
        match stream.read(&mut buffer)? {
            0 => break,
            n => bytes.extend_from_slice(&buffer[..n]),
        }
    }
    Ok(bytes)
}

/// A connection on which everything together ends at `end`.
struct Timed {
    socket: TcpStream,
    end: Instant,
}

impl Timed {
    fn left(&self) -> Option<Duration> {
        Some(self.end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)))
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left())?;
        self.socket.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left())?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// In the words of Go's net/http.
fn failed(scheme: Scheme, address: SocketAddr, path: &str, error: &io::Error) -> Outcome {
    let scheme = if scheme == Scheme::Https { "https" } else { "http" };
    let reason = match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned()
        }
        ErrorKind::UnexpectedEof => "EOF".to_owned(),
        ErrorKind::Other | ErrorKind::InvalidData => error.to_string(),
        ErrorKind::ConnectionReset => format!("read tcp {address}: read: connection reset by peer"),
        _ => dial(address, error),
    };
    Outcome::Failure(format!("Get \"{scheme}://{address}{path}\": {reason}"))
}

fn dial(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => format!("dial tcp {address}: connect: connection refused"),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => format!("dial tcp {address}: i/o timeout"),
        _ => format!("dial tcp {address}: {error}"),
    }
}

/// TLS as a probe speaks it: no certificate is looked at.
mod tls {
    use std::net::IpAddr;
    use std::sync::Arc;

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::{CryptoProvider, ring};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};

    pub(super) fn session(address: IpAddr) -> ClientConnection {
        let provider = Arc::new(ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let blind = versions.unwrap().dangerous().with_custom_certificate_verifier(Arc::new(Blind(provider)));
        ClientConnection::new(Arc::new(blind.with_no_client_auth()), ServerName::from(address)).unwrap()
    }

    #[derive(Debug)]
    struct Blind(Arc<CryptoProvider>);

    impl ServerCertVerifier for Blind {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}
