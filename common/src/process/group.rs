//! Signals to a whole process group.

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// A group whose leader is our child. Dropped while armed, the group is killed: nothing outlives the future that
/// ran it, also not when that future is thrown away in the middle.
pub(super) struct Group {
    leader: Pid,
    armed: bool,
}

impl Group {
    /// The group of a child that was started as its leader.
    pub(super) fn of(leader: Pid) -> Self {
        Self { leader, armed: true }
    }

    /// Asks every member to end.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
        // A member that was stopped (SIGSTOP) sees the TERM only when it runs again.
        self.signal(Signal::CONT);
    }

    /// Makes every member stand still.
    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets every member go on.
    pub(super) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends every member.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // ESRCH (nobody left) is what we want; EPERM means that only members with other rights are left.
        if let Err(e) = kill_process_group(self.leader, signal)
            && e != rustix::io::Errno::SRCH
        {
            tracing::warn!(group = self.leader.as_raw_nonzero().get(), ?signal, error = %e, "signal not delivered");
        }
    }

    /// Whether anybody is left. The kernel does not give the number away again while a member lives, so after the
    /// leader was waited for this is still the same group.
    pub(super) fn alive(&self) -> bool {
        test_kill_process_group(self.leader).is_ok()
    }

    /// The leader was waited for and nobody is left: the number may belong to someone else now.
    pub(super) fn disarm(&mut self) {
        self.armed = false;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.armed {
            self.kill();
        }
    }
}
