//! A gate between programs and a broker, for cutting a connection at a chosen moment.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// How often a closed gate looks whether it is open again.
const STEP: Duration = Duration::from_millis(10);

/// A TCP relay on a free port. It can let nothing through in either direction, and cut what is connected.
#[derive(Debug)]
pub struct Gate {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the broker says does not reach the client; what the client says arrives.
    deaf: AtomicBool,
    /// What the client says does not reach the broker.
    mute: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
    trap: Mutex<Option<Trap>>,
}

#[derive(Debug)]
struct Trap {
    words: Vec<u8>,
    at: Hold,
}

/// What a gate holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// What the broker says; what clients say still arrives.
    Answers,
    /// What clients say.
    Requests,
}

impl Gate {
    /// Opens a gate to `to` (`host:port`).
    ///
    /// # Errors
    /// No port is free.
    pub fn open(to: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("a port for the gate")?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State::default());
        let (to, shared) = (to.to_owned(), state.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&to) else { continue };
                // Both ends of a relay that ended may stay in the list; closing them again does nothing.
                let ends = [client.try_clone(), server.try_clone()];
                shared.open.lock().unwrap_or_else(PoisonError::into_inner).extend(ends.into_iter().flatten());
                if let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) {
                    let (up, down) = (shared.clone(), shared.clone());
                    let spring = move |bytes: &[u8]| up.spring(bytes);
                    let (mute, deaf) = (shared.clone(), down);
                    thread::spawn(move || relay(from_client, server, &mute.mute, spring));
                    thread::spawn(move || relay(from_server, client, &deaf.deaf, |_| {}));
                }
            }
        });
        Ok(Self { port, state })
    }

    /// Where programs connect instead of the broker.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Closes itself in this direction as soon as a client says `words`: before they pass, if it is requests that are held.
    pub fn hold_at(&self, words: &[u8], at: Hold) {
        let trap = Trap { words: words.to_vec(), at };
        *self.state.trap.lock().unwrap_or_else(PoisonError::into_inner) = Some(trap);
    }

    /// Whether it closed itself.
    pub fn holds(&self) -> bool {
        self.state.deaf.load(Ordering::SeqCst) || self.state.mute.load(Ordering::SeqCst)
    }

    /// Lets everything through again.
    pub fn release(&self) {
        self.state.deaf.store(false, Ordering::SeqCst);
        self.state.mute.store(false, Ordering::SeqCst);
    }

    /// Cuts every connection. What was held back is lost.
    pub fn cut(&self) {
        for stream in self.state.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // Fails where it is closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl State {
    /// Looks at what a client says.
    fn spring(&self, bytes: &[u8]) {
        let mut trap = self.trap.lock().unwrap_or_else(PoisonError::into_inner);
        let sprung = trap.take_if(|t| bytes.windows(t.words.len()).any(|w| w == t.words));
        match sprung.map(|t| t.at) {
            Some(Hold::Answers) => self.deaf.store(true, Ordering::SeqCst),
            Some(Hold::Requests) => self.mute.store(true, Ordering::SeqCst),
            None => {}
        }
    }
}

fn relay(mut from: TcpStream, mut to: TcpStream, held: &AtomicBool, seen: impl Fn(&[u8])) {
    let mut buffer = [0; 65536];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        seen(&buffer[..n]);
        while held.load(Ordering::SeqCst) {
            thread::sleep(STEP);
            if to.take_error().is_err() || to.peer_addr().is_err() {
                return;
            }
        }
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    for end in [from, to] {
        let _ = end.shutdown(Shutdown::Both);
    }
}
