//! One worker's way to the broker, which can be cut without either side hearing of it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::tool;

/// How long a pump waits for bytes before it looks whether the link is cut.
const LOOK: Duration = Duration::from_millis(100);

/// A way that can be cut. Everything on it passes a relay, since the broker listens on loopback only.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
    namespace: Option<Namespace>,
}

#[derive(Debug, Default)]
struct Shared {
    silent: AtomicBool,
    over: AtomicBool,
}

impl Link {
    /// Opens a way to `broker`: a network namespace behind a virtual cable where this user may make one, otherwise a relay
    /// alone, which can fall silent.
    ///
    /// # Errors
    /// There is no port left.
    pub fn open(broker: SocketAddr) -> Result<Self> {
        let namespace = Namespace::make().ok();
        let host = namespace.as_ref().map_or(Ipv4Addr::LOCALHOST, |n| n.host);
        let listener = TcpListener::bind((host, 0)).context("open the relay")?;
        let (address, shared) = (listener.local_addr()?, Arc::<Shared>::default());
        let link = Self { address, shared: shared.clone(), namespace };
        thread::spawn(move || serve(&listener, broker, &shared));
        Ok(link)
    }

    /// Where the worker finds the broker.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How the link is cut, for people.
    pub fn means(&self) -> &'static str {
        match self.namespace {
            Some(_) => "a network namespace whose cable is pulled",
            None => "a relay that falls silent (no right to make network namespaces)",
        }
    }

    /// Starts a command on the far side.
    pub fn command(&self) -> Option<Command> {
        let namespace = self.namespace.as_ref()?;
        let mut command = tool::command("nsenter");
        command.arg(format!("--net=/run/netns/{}", namespace.name)).arg("--");
        Some(command)
    }

    /// From now on nothing passes, and nobody is told.
    ///
    /// # Errors
    /// The cable cannot be pulled.
    pub fn cut(&self) -> Result<()> {
        self.set(true)
    }

    /// Whatever still waits passes again.
    ///
    /// # Errors
    /// The cable cannot be put back.
    pub fn mend(&self) -> Result<()> {
        self.set(false)
    }

    fn set(&self, cut: bool) -> Result<()> {
        match &self.namespace {
            Some(namespace) => ip(&["link", "set", &namespace.device, if cut { "down" } else { "up" }]),
            None => {
                self.shared.silent.store(cut, Ordering::SeqCst);
                Ok(())
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the listener up, so that it sees the end.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

fn serve(listener: &TcpListener, broker: SocketAddr, shared: &Arc<Shared>) {
    for near in listener.incoming() {
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        // A broker that is down refuses; so does the relay then, by closing.
        let (Ok(near), Ok(far)) = (near, TcpStream::connect(broker)) else { continue };
        let (Ok(near_back), Ok(far_back)) = (near.try_clone(), far.try_clone()) else { continue };
        for (from, to) in [(near, far_back), (far, near_back)] {
            let shared = shared.clone();
            thread::spawn(move || pump(from, to, &shared));
        }
    }
}

/// Carries bytes one way until one side ends or the run is over.
fn pump(mut from: TcpStream, mut to: TcpStream, shared: &Shared) {
    let mut buffer = [0; 16 << 10];
    let timed = from.set_read_timeout(Some(LOOK));
    while timed.is_ok() && !shared.over.load(Ordering::SeqCst) {
        if shared.silent.load(Ordering::SeqCst) {
            thread::sleep(LOOK);
            continue;
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) if to.write_all(&buffer[..n]).is_err() => break,
            Ok(_) => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    // The other direction ends with it; a socket that is closed already cannot be closed again.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// A network of two ends: one here, one in a namespace.
#[derive(Debug)]
struct Namespace {
    name: String,
    device: String,
    host: Ipv4Addr,
}

impl Namespace {
    fn make() -> Result<Self> {
        let pid = std::process::id();
        let (name, device) = (format!("dovi-soak-{pid}"), format!("dovi{pid}"));
        ip(&["netns", "add", &name])?;
        // From here on the drop tidies up.
        let mut made = Self { name, device, host: Ipv4Addr::LOCALHOST };
        let peer = format!("{}p", made.device);
        ip(&["link", "add", &made.device, "type", "veth", "peer", "name", &peer, "netns", &made.name])?;
        // 198.18.0.0/15 is set aside for such tests (RFC 2544).
        let net = (0..64u32).map(|n| ((pid + n) % 0x7fff) * 4);
        for at in net {
            let address = |n: u32| Ipv4Addr::from_bits(Ipv4Addr::new(198, 18, 0, 0).to_bits() + at + n);
            if ip(&["address", "add", &format!("{}/30", address(1)), "dev", &made.device]).is_ok() {
                made.host = address(1);
                ip(&["-n", &made.name, "address", "add", &format!("{}/30", address(2)), "dev", &peer])?;
                ip(&["-n", &made.name, "link", "set", "lo", "up"])?;
                ip(&["-n", &made.name, "link", "set", &peer, "up"])?;
                ip(&["link", "set", &made.device, "up"])?;
                return Ok(made);
            }
        }
        bail!("no free network")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The cable goes with either end.
        let _ = ip(&["link", "delete", &self.device]);
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

fn ip(args: &[&str]) -> Result<()> {
    tool::run(tool::command("ip").args(args)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a program that repeats what it hears.
    #[test]
    fn a_relay_falls_silent_and_goes_on() {
        let echo = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = echo.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = echo.accept().unwrap();
            let mut byte = [0];
            while stream.read_exact(&mut byte).is_ok() {
                stream.write_all(&byte).unwrap();
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shared = Arc::<Shared>::default();
        let link = Link { address: listener.local_addr().unwrap(), shared: shared.clone(), namespace: None };
        thread::spawn(move || serve(&listener, address, &shared));

        let mut stream = TcpStream::connect(link.address()).unwrap();
        let mut ask = |byte: u8, wait: u64| {
            stream.set_read_timeout(Some(Duration::from_millis(wait))).unwrap();
            stream.write_all(&[byte]).unwrap();
            let mut answer = [0];
            stream.read_exact(&mut answer).map(|()| answer[0])
        };
        assert_eq!(ask(7, 10_000).unwrap(), 7);
        link.cut().unwrap();
        // A pump that was reading when the link was cut may let one more pass.
        while ask(8, 300).is_ok() {}
        link.mend().unwrap();
        assert_eq!(ask(9, 10_000).unwrap(), 8, "what was held back comes now");
    }
}
