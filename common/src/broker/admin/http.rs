//! One request over HTTP/1.0, which is all that the management API needs: the answer comes in one piece and ends with the
//! connection. Blocking, with a deadline.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::endpoint::Endpoint;

/// Far more than any answer has; whoever listens there cannot fill this program's memory.
const MOST: u64 = 16_000_000;

/// A request's way: address, trust and deadline.
pub(super) struct Wire {
    tls: Option<Arc<ClientConfig>>,
    timeout: Duration,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// The server's clock, as it wrote it (RFC 9110 6.6.1).
    pub date: Option<String>,
}

/// A stream that gives up at its deadline, however slowly the other side trickles.
struct Timed {
    stream: TcpStream,
    end: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Duration> {
        match self.end.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(into)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Wire {
    /// Trusts `ca_pem` alone where it is given, otherwise the system's authorities.
    pub fn new(tls: bool, ca_pem: Option<&str>, timeout: Duration) -> Result<Self, String> {
        let tls = if tls { Some(Arc::new(trust(ca_pem)?)) } else { None };
        Ok(Self { tls, timeout })
    }

    /// Sends one request.
    pub fn exchange(&self, to: &Endpoint, head: &str, body: &[u8]) -> io::Result<Answer> {
        let end = Instant::now() + self.timeout;
        let mut stream = Timed { stream: connect(to, self.timeout)?, end };
        match &self.tls {
            None => {
                stream.write_all(&[head.as_bytes(), body].concat())?;
                answer(&mut stream)
            }
            Some(config) => {
                let name = ServerName::try_from(to.host.clone()).map_err(io::Error::other)?;
                let connection = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
                let mut stream = StreamOwned::new(connection, stream);
                stream.write_all(&[head.as_bytes(), body].concat())?;
                answer(&mut stream)
            }
        }
    }
}

/// Tries every address of the host.
fn connect(to: &Endpoint, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for address in (to.host.as_str(), to.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = e,
        }
    }
    Err(last)
}

fn trust(ca_pem: Option<&str>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match ca_pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate =
                    certificate.map_err(|e| format!("broker.ca_file is no certificate: {e}"))?;
                roots.add(certificate).map_err(|e| format!("broker.ca_file is no certificate: {e}"))?;
            }
        }
        // Some of a system's certificates may be odd; those that are not do.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|e| e.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn answer(from: &mut impl Read) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    match from.take(MOST).read_to_end(&mut bytes) {
        Ok(_) => {}
        // TLS without its own goodbye; the length below tells whether all of it came.
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {}
        Err(e) => return Err(e),
    }
    parse(&bytes)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is no HTTP, or was cut off"))
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let header = |name: &str| {
        let fields = head.split("\r\n").skip(1).filter_map(|l| l.split_once(':'));
        fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_owned()).next()
    };
    let mut body = &bytes[end + 4..];
    if let Some(length) = header("content-length") {
        body = body.get(..length.parse().ok()?)?;
    }
    Some(Answer { status, body: body.to_vec(), date: header("date") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_cut_ones_refused() {
        let whole = b"HTTP/1.1 201 Created\r\ndate: now\r\nContent-Length: 2\r\n\r\n{}";
        let created = Answer { status: 201, body: b"{}".to_vec(), date: Some("now".into()) };
        assert_eq!(parse(whole), Some(created));
        let empty = Answer { status: 204, body: Vec::new(), date: None };
        assert_eq!(parse(b"HTTP/1.0 204 No Content\r\n\r\n"), Some(empty));
        for cut in [&whole[..whole.len() - 1], b"HTTP/1.1 200 OK\r\n", b"AMQP\0\0\x09\x01", b""] {
            assert_eq!(parse(cut), None);
        }
    }

    #[test]
    fn whoever_trickles_is_left_at_the_deadline() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let to = Endpoint::parse(&format!("http://a@127.0.0.1:{port}")).unwrap();
        let wire = Wire::new(false, None, Duration::from_millis(300)).unwrap();
        let started = Instant::now();
        let e = wire.exchange(&to, "GET / HTTP/1.0\r\n\r\n", b"").unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
        assert!(matches!(e.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{e:?}");
        server.join().unwrap();
    }
}
