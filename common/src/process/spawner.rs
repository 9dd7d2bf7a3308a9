//! The one thread that forks.
//!
//! `PR_SET_PDEATHSIG` fires when the *thread* that forked dies, not the process (prctl(2)). The runtime's worker and
//! blocking threads come and go, and a tool forked on one of them would be killed with it in mid-encode. So every
//! tool is forked on a thread that lives as long as the process, and the signal then means what it should: the
//! worker itself is gone, also by `kill -9`, when no destructor runs.

use std::io;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Request {
    command: std::process::Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// Starts a command as leader of its own group, to be killed by the kernel when this process dies.
///
/// The descriptors that the command holds for its child are closed in this process before this returns.
pub(super) async fn spawn(command: std::process::Command) -> io::Result<Child> {
    let (reply, answer) = oneshot::channel();
    sender()?
        .send(Request { command, runtime: Handle::current(), reply })
        .map_err(|_| io::Error::other("the spawner thread is gone"))?;
    answer.await.map_err(|_| io::Error::other("the spawner thread gave no answer"))?
}

fn sender() -> io::Result<mpsc::Sender<Request>> {
    static SPAWNER: OnceLock<Mutex<Option<mpsc::Sender<Request>>>> = OnceLock::new();
    let mut slot = SPAWNER.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sender) = slot.as_ref() {
        return Ok(sender.clone());
    }
    let (sender, requests) = mpsc::channel();
    std::thread::Builder::new().name("spawner".into()).spawn(move || serve(&requests))?;
    *slot = Some(sender.clone());
    Ok(sender)
}

/// Ends never: the static above keeps a sender, and a panic must not take the thread (and with it every tool) away.
fn serve(requests: &mpsc::Receiver<Request>) {
    for Request { command, runtime, reply } in requests {
        let started = catch_unwind(AssertUnwindSafe(|| {
            // Waiting for the child needs the runtime of the caller, and so does dropping it.
            let _context = runtime.enter();
            if let Err(Ok(unwanted)) = reply.send(start(command)) {
                drop(unwanted); // the caller is gone: kill_on_drop
            }
        }));
        if started.is_err() {
            tracing::error!("starting a tool panicked (was the runtime shutting down?)");
        }
    }
}

#[expect(unsafe_code, reason = "pre_exec: the parent-death signal can only be set between fork and exec")]
fn start(mut command: std::process::Command) -> io::Result<Child> {
    let worker = getpid();
    command.process_group(0);
    // SAFETY: between fork and exec only async-signal-safe work is allowed. The closure makes two system calls
    // without allocation, locks or formatting.
    unsafe {
        command.pre_exec(move || die_with(worker));
    }
    let mut command = Command::from(command);
    command.kill_on_drop(true);
    command.spawn()
}

/// Runs in the child: have the kernel kill it when the worker dies; if that happened before the call, end now.
fn die_with(worker: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Some(worker) {
        return Err(io::Error::from(io::ErrorKind::Interrupted));
    }
    Ok(())
}
