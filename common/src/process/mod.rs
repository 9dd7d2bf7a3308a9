//! Running other programs: the only place in the product that starts a process.
//!
//! Nothing here knows what the programs are for. A caller builds a [`ToolCommand`], says how it is to be watched
//! with [`Supervision`], and gets an [`ExitReport`]: how it ended, how long it took, what it said last, and
//! whether it left something behind.
//!
//! | file | holds |
//! |---|---|
//! | `spec` | the command line as typed values, printable for logs |
//! | `spawner` | one thread that forks, so that the kernel's parent-death signal means "the worker died" |
//! | `supervise` | the one loop: output, end, what is left behind |
//! | `stop` | the tool's own end, or ours: TERM, grace, KILL |
//! | `stall` | telling a stuck tool from a slow one by its progress |
//! | `freeze` | standing still and going on, for tools and our own threads |
//! | `group` | signals to a whole process group |
//! | `output` | where standard output goes |
//! | `tail` | the last words on standard error, in bounded memory |
//! | `log` | the full standard error in a file, which never slows the tool down |
//! | `exit` | what came of it |
//! | `which` | where a tool is |

mod exit;
mod freeze;
mod group;
mod log;
mod output;
mod spawner;
mod spec;
mod stall;
mod stop;
mod supervise;
mod tail;
mod which;

pub use exit::{ExitReport, Outcome, SpawnError};
pub use freeze::Freeze;
pub use output::{Stdout, pipe};
pub use spec::ToolCommand;
pub use stall::{Progress, StallWatch};
pub use supervise::{Supervision, run};
pub use tail::Tail;
pub use which::{WhichError, find_tool};
