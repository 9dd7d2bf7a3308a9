//! A real HTTP server for tests: it writes down what it is sent, and answers as it is told.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// One request and what it was answered.
#[derive(Debug, Clone)]
pub struct Heard {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers by their names in small letters.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: String,
    /// The status that it got.
    pub status: u16,
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// One more header line, if any.
    pub header: String,
    /// The body.
    pub body: String,
    /// How long it takes.
    pub after: Duration,
}

impl Reply {
    /// With this status and nothing else.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// 200 with a body.
    pub fn body(body: impl Into<String>) -> Self {
        Self { status: 200, body: body.into(), ..Self::default() }
    }
}

/// Decides by the request and by how often the same method and path were asked for before.
type Rule = dyn Fn(&Heard, usize) -> Reply + Send + Sync;

/// Listens until the test ends.
#[derive(Clone)]
pub struct Listener {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Listener {
    /// On a free port, answering by `rule`.
    ///
    /// # Errors
    /// No port.
    pub fn start(rule: impl Fn(&Heard, usize) -> Reply + Send + Sync + 'static) -> Result<Self> {
        Self::start_at("127.0.0.1:0", rule)
    }

    /// On this address.
    ///
    /// # Errors
    /// It is taken.
    pub fn start_at(
        address: &str,
        rule: impl Fn(&Heard, usize) -> Reply + Send + Sync + 'static,
    ) -> Result<Self> {
        let socket = TcpListener::bind(address).context("a port for a listener")?;
        let listener = Self { address: socket.local_addr()?, heard: Arc::default() };
        let (heard, rule): (_, Arc<Rule>) = (listener.heard.clone(), Arc::new(rule));
        thread::spawn(move || {
            for stream in socket.incoming().flatten() {
                let (heard, rule) = (heard.clone(), rule.clone());
                // A client that hangs up is that client's affair.
                thread::spawn(move || drop(answer(stream, &heard, &rule)));
            }
        });
        Ok(listener)
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub fn all(&self) -> Vec<Heard> {
        lock(&self.heard).clone()
    }

    /// Those that were answered with a 2xx and whose path begins like this.
    pub fn taken(&self, path: &str) -> Vec<Heard> {
        let taken = |h: &Heard| (200..300).contains(&h.status) && h.path.starts_with(path);
        self.all().into_iter().filter(taken).collect()
    }
}

fn lock(heard: &Mutex<Vec<Heard>>) -> MutexGuard<'_, Vec<Heard>> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(stream: TcpStream, all: &Mutex<Vec<Heard>>, rule: &Arc<Rule>) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (method, path) =
        (words.next().context("a method")?.to_owned(), words.next().context("a path")?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length: u64 = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = String::new();
    reader.take(length).read_to_string(&mut body)?;
    let mut heard = Heard { method, path, headers, body, status: 0 };
    let reply = {
        let mut all = lock(all);
        let before = all.iter().filter(|h| h.method == heard.method && h.path == heard.path).count();
        let reply = rule(&heard, before);
        heard.status = reply.status;
        all.push(heard);
        reply
    };
    thread::sleep(reply.after);
    let mut stream = stream;
    let Reply { status, body, header, .. } = reply;
    let header = if header.is_empty() { header } else { format!("{header}\r\n") };
    let head =
        format!("HTTP/1.1 {status} X\r\n{header}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    Ok(())
}
