//! `amqps://` with the authority that deploy/make-ca.sh makes, and every usual way to get it wrong.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use e2e::broker::PrivateBroker;
use e2e::wait;

use crate::fleet::{Fleet, SOON};

/// Fills a folder as docs/SECURITY.md tells.
pub fn make_ca(dir: &Path, days: &str, names: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/make-ca.sh");
    let ran = Command::new(script).args(["--days", days]).arg(dir).args(names).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

pub fn is_trusted_or_explained(broker: &PrivateBroker, ca: &Path) {
    let fleet = Fleet::new(broker, "tls");
    let login = |scheme: &str, host: &str, port: u16, ca: Option<&Path>| {
        let ca = ca.map(|dir| format!("\nca_file = {:?}", dir.join("ca.pem"))).unwrap_or_default();
        fleet.configure(&format!(
            "url = \"{scheme}://{host}:{port}/tls\"\nusername = \"guest\"\npassword = \"guest\"{ca}"
        ));
    };
    let (tls, plain) = (broker.amqps_port(), broker.address().rsplit(':').next().unwrap().parse().unwrap());
    fleet.film("one");
    login("amqps", "localhost", tls, Some(ca));
    let said = fleet.produced(&["doctor"]);
    assert!(said.contains("takes the password") && said.contains("all 3 exchanges and 6 queues"), "{said}");
    fleet.produced(&["scan"]);
    fleet.work();
    assert_eq!(fleet.depths().films.ready, 0, "a whole film over TLS");

    let fails = |words: &str, hint: &str| {
        let (output, text) = fleet.producer(&["scan"]);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains(words) && text.contains(hint), "{words:?}, {hint:?}: {text}");
    };
    login("amqps", "localhost", tls, None);
    fails("not trusted here", "broker.ca_file");
    login("amqps", "127.0.0.1", tls, Some(ca));
    fails("is for another host name", "broker.url");
    login("amqps", "localhost", plain, Some(ca));
    fails("failed to speak TLS", "5671");
    login("amqp", "localhost", tls, None);
    fails("no plain AMQP", "amqps://");

    // Another authority of the same name, and a certificate of yesterday.
    let dir = tempfile::tempdir().unwrap();
    make_ca(dir.path(), "-1", &["localhost"]);
    login("amqps", "localhost", tls, Some(dir.path()));
    fails("certificate", "broker.ca_file");
    let (mut old, port) = old_server(dir.path());
    login("amqps", "localhost", port, Some(dir.path()));
    let checked =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fails("has expired", "make-ca.sh")));
    old.kill().unwrap();
    old.wait().unwrap();
    checked.unwrap();

    // Somebody who only listens.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let listening = std::thread::spawn(move || {
        let (mut stream, _) = silent.accept().unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    login("amqps", "localhost", port, Some(ca));
    fails("no answer", "hangs");
    listening.join().unwrap();
}

/// Any TLS server with the folder's certificate will do: the handshake ends before AMQP begins.
fn old_server(dir: &Path) -> (Child, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Command::new("openssl")
        .args([
            "s_server",
            "-quiet",
            "-cert",
            "broker.pem",
            "-key",
            "broker.key",
            "-accept",
            &port.to_string(),
        ])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait::until(SOON, "the TLS server", || TcpStream::connect(("127.0.0.1", port)).is_ok()).unwrap();
    (server, port)
}
