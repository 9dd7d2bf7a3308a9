//! One HTTP request and its answer, both bounded. Blocking, with a deadline, and without a word of the URL in any error: URLs
//! and headers may be secrets.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, http};

/// Whether log lines of this target and level may show a secret: below warnings, the HTTP client prints requests with their
/// headers.
pub fn tells_secrets(target: &str, level: &tracing::Level) -> bool {
    *level > tracing::Level::WARN && target.starts_with("ureq")
}

/// A request to be sent.
#[derive(Clone)]
pub struct Request {
    method: &'static str,
    url: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    most: u64,
}

impl Request {
    /// A request without body; of the answer at most `most` bytes are taken.
    pub fn new(method: &'static str, url: impl Into<String>, most: u64) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: Vec::new(), most }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.header("Content-Type", "application/json")
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What came back, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// `200`, `404`, …
    pub status: u16,
    /// How long the server asks to be left alone, if it does, in whole seconds.
    pub retry_after: Option<Duration>,
    /// The server's clock, as it wrote it (RFC 9110 6.6.1).
    pub date: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer. No variant holds anything of the URL.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The deadline passed.
    #[error("no answer within {} s", .0.as_secs())]
    Slow(Duration),
    /// Nobody listens, no such host, or the connection broke.
    #[error("{0}")]
    Unreachable(String),
    /// The handshake failed.
    #[error("TLS: {0}")]
    Tls(String),
    /// The answer is larger than anything that is wanted.
    #[error("the answer has more than {0} bytes")]
    TooLarge(u64),
    /// Whoever listens there speaks something else.
    #[error("the answer is no HTTP, or was cut off: {0}")]
    NotHttp(String),
    /// The URL or a header cannot be sent at all.
    #[error("{0}")]
    Unusable(&'static str),
}

/// Sends requests, each within the same deadline. Cheap to clone. It follows no redirect: a token must not go to where an answer
/// points.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    timeout: Duration,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Client {
    /// Trusts `ca_pem` alone where it is given, otherwise the system's authorities.
    ///
    /// # Errors
    /// `ca_pem` is no certificate.
    pub fn new(ca_pem: Option<&str>, timeout: Duration) -> Result<Self, String> {
        let roots: Vec<CertificateDer<'_>> = match ca_pem {
            Some(pem) => {
                let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
                read.map_err(|e| e.to_string())?
            }
            // Some of a system's certificates may be odd; those that are not do.
            None => rustls_native_certs::load_native_certs().certs,
        };
        let roots: Vec<_> = roots.iter().map(|c| Certificate::from_der(c).to_owned()).collect();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .allow_non_standard_methods(true)
            .proxy(None)
            .user_agent(concat!("dovi-fleet/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.into(), timeout })
    }

    /// Sends one request and reads its answer. Blocks.
    ///
    /// # Errors
    /// [`HttpError`]; an answer of any status is none.
    pub fn send(&self, request: Request) -> Result<Answer, HttpError> {
        let mut built = http::Request::builder().method(request.method).uri(&request.url);
        for (name, value) in &request.headers {
            built = built.header(*name, value);
        }
        let begun = Instant::now();
        let sent = if request.body.is_empty() && !matches!(request.method, "POST" | "PUT") {
            let built = built.body(()).map_err(|_| HttpError::Unusable(ODD))?;
            self.agent.run(built)
        } else {
            let built = built.body(request.body).map_err(|_| HttpError::Unusable(ODD))?;
            self.agent.run(built)
        };
        let mut response = sent.map_err(|e| self.failed(e))?;
        let mut body = Vec::new();
        let reader = response.body_mut().with_config().limit(u64::MAX).reader();
        let read = reader.take(request.most.saturating_add(1)).read_to_end(&mut body);
        if let Err(e) = read {
            return Err(match begun.elapsed() >= self.timeout {
                true => HttpError::Slow(self.timeout),
                false => self.failed(e.into()),
            });
        }
        if body.len() as u64 > request.most {
            return Err(HttpError::TooLarge(request.most));
        }
        let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::trim);
        let retry_after = header("retry-after").and_then(|v| v.parse().ok()).map(Duration::from_secs);
        let date = header("date").map(str::to_owned);
        Ok(Answer { status: response.status().as_u16(), retry_after, date, body })
    }

    fn failed(&self, e: ureq::Error) -> HttpError {
        use ureq::Error as E;
        match e {
            E::Timeout(_) => HttpError::Slow(self.timeout),
            E::HostNotFound => HttpError::Unreachable("the host name has no address".into()),
            E::ConnectionFailed => HttpError::Unreachable("no connection".into()),
            E::BadUri(_) | E::Http(_) => HttpError::Unusable(ODD),
            E::Protocol(e) => HttpError::NotHttp(e.to_string()),
            E::Rustls(e) => HttpError::Tls(e.to_string()),
            E::Tls(e) => HttpError::Tls(e.to_owned()),
            E::Io(e) => self.of_stream(e),
            _ => HttpError::Unreachable("the request could not be sent".into()),
        }
    }

    fn of_stream(&self, e: io::Error) -> HttpError {
        // ureq wraps its own errors into those of a reader.
        let e = match e.downcast::<ureq::Error>() {
            Ok(inner) => return self.failed(inner),
            Err(e) => e,
        };
        match e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => HttpError::Tls(tls.to_string()),
            None if matches!(e.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
                HttpError::Slow(self.timeout)
            }
            None if e.kind() == io::ErrorKind::UnexpectedEof => HttpError::NotHttp("it ended early".into()),
            None => HttpError::Unreachable(e.to_string()),
        }
    }
}

const ODD: &str = "the URL or a header holds characters that cannot be sent";

/// `%XX` for everything but unreserved characters (RFC 3986 2.3).
pub fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers one request with these bytes, then with more of `tail` until the other side leaves. Gives what it was sent.
    fn server(says: &'static [u8], tail: &'static [u8]) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/s3cret?token=s3cret", listener.local_addr().unwrap());
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut heard = [0; 4096];
            let n = stream.read(&mut heard).unwrap();
            // Whoever has heard enough hangs up.
            let mut open = stream.write_all(says).is_ok();
            while open && !tail.is_empty() {
                open = stream.write_all(tail).is_ok();
                thread::sleep(Duration::from_millis(if tail.len() > 1 { 0 } else { 20 }));
            }
            String::from_utf8_lossy(&heard[..n]).into_owned()
        });
        (url, thread)
    }

    fn client(ms: u64) -> Client {
        Client::new(None, Duration::from_millis(ms)).unwrap()
    }

    #[test]
    fn an_answer_of_any_status_is_an_answer() {
        let says = b"HTTP/1.1 503 Busy\r\nDate: now\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}";
        let (url, server) = server(says, b"");
        let request =
            Request::new("POST", url, 100).json(&serde_json::json!({"a": 1})).header("X-Token", "t");
        let answer = client(5000).send(request).unwrap();
        let retry_after = Some(Duration::from_secs(7));
        assert_eq!(
            answer,
            Answer { status: 503, retry_after, date: Some("now".into()), body: b"{}".to_vec() }
        );
        let heard = server.join().unwrap();
        assert!(heard.starts_with("POST /s3cret?token=s3cret HTTP/1.1\r\n"), "{heard}");
        assert!(heard.to_ascii_lowercase().contains("\r\nx-token: t\r\n"), "{heard}");
    }

    #[test]
    fn redirects_are_not_followed() {
        let (url, server) =
            server(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", b"");
        assert_eq!(client(5000).send(Request::new("GET", url, 100)).unwrap().status, 302);
        server.join().unwrap();
    }

    #[test]
    fn whoever_trickles_floods_or_talks_nonsense_is_left() {
        let head = b"HTTP/1.1 200 OK\r\n\r\n";
        let flood: &[u8] = &[b'x'; 65536];
        let begun = Instant::now();
        for (says, tail, ms) in [
            (&head[..], &b"x"[..], 300),
            (head, flood, 5000),
            (b"AMQP\0\0\x09\x01", b"", 5000),
            (b"", b"x", 300),
        ] {
            let (url, server) = server(says, tail);
            let e = client(ms).send(Request::new("GET", url, 1000)).unwrap_err();
            let fits = match tail.len() {
                0 => matches!(e, HttpError::NotHttp(_)),
                1 if says.is_empty() => matches!(e, HttpError::Slow(_) | HttpError::NotHttp(_)),
                1 => matches!(e, HttpError::Slow(_)),
                _ => matches!(e, HttpError::TooLarge(1000)),
            };
            assert!(fits && !format!("{e} {e:?}").contains("s3cret"), "{e:?}");
            server.join().unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }

    #[test]
    fn no_error_holds_the_url() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for url in [
            format!("http://{free}/s3cret"),
            "http://s3cret.invalid/".into(),
            "s3cret".into(),
            "http://h/s3cret\u{7f} x".into(),
            "ftp://h/s3cret".into(),
        ] {
            let request = Request::new("GET", url, 100).header("X-Token", "s3cret");
            assert!(!format!("{request:?}").contains("s3cret"));
            let e = client(3000).send(request).unwrap_err();
            assert!(!format!("{e} {e:?}").contains("s3cret"), "{e:?}");
        }
        assert!(tells_secrets("ureq::run", &tracing::Level::DEBUG));
    }
}
