//! The network share: who works on which film, what is done, and how files get there whole.
//!
//! The folder `share.state_dir` is the only truth of the fleet; the broker's messages are hints. Everything here is
//! plain blocking file work (call it with `spawn_blocking`), needs no file locks and no common clock, and treats a
//! missing mount as an error of its own, never as an empty library.
//!
//! | file | holds |
//! |---|---|
//! | `state` | the folder: queued, done, failed, leases, logs |
//! | `lease`, `observer`, `keeper` | the claim on a film: renewing it, getting it, and doing so in the background |
//! | `owner` | who we are, and whether another claimant is certainly dead |
//! | `journal` | starts and ends of every attempt, to count crashes |
//! | `atomic`, `publish` | whole files or none; a final name is given once |
//! | `identity`, `replace`, `trash` | putting a file in the place of another one, which is kept for a while |
//! | `attributes` | ACLs and extended attributes of a file that is replaced |
//! | `folders` | new folders that are as open as those they are made in |
//! | `results` | the folder of results, told from an empty mount point |
//! | `space` | free bytes and reservations |
//! | `sweep`, `tidy` | removing what crashed processes left here, and what may be gone by |
//! | `leftovers` | files of an instant that stay when their maker is killed |
//! | `outbox` | what is still to be told to people and media servers |
//! | `workers` | who is there, for people |
//! | `orders` | what people told workers |

mod atomic;
mod attributes;
mod error;
mod folders;
mod identity;
mod journal;
mod keeper;
mod lease;
mod leftovers;
mod observer;
mod orders;
mod outbox;
mod owner;
mod publish;
mod replace;
mod results;
mod space;
mod state;
mod sweep;
mod tidy;
mod trash;
mod workers;

pub use atomic::{is_no_space, rename_durable, sync_dir, sync_file, write_file};
pub use attributes::{copy_acl, copy_user_attributes};
pub use error::{FileError, LeaseError, ShareError};
pub use folders::{looks_mounted, make_folders};
pub use identity::{FileIdentity, is_network};
pub use journal::{Crashes, Entry, Event, Journal};
pub use keeper::LeaseKeeper;
pub use lease::{Beat, Lease, LeaseInfo};
pub use leftovers::{looks_left_over, remove_leftover};
pub use observer::{Acquire, LeaseObserver};
pub use orders::{Cancel, Command, Order, Orders};
pub use outbox::{Outbox, OutboxEntry};
pub use owner::{Fate, Owner, fate};
pub use publish::{PublishMethod, publish_no_clobber, publish_no_clobber_by, server_time};
pub use replace::{Recovered, ReplaceError, ReplaceMethod, Replacement, probe_replace, recover};
pub use results::ResultsFolder;
pub use space::{Reservation, Reservations, SpaceError, drop_cached, free_bytes, require};
pub use state::{Counts, Folder, JobState, Listing, ShareState};
pub use sweep::Swept;
pub use trash::{Pruned, Trash, TrashFolder, TrashPlace, TrashRecord, prune_trash};
pub use workers::{Pause, PauseCause, SeenWorker, WorkerFile, WorkerInfo, WorkerState, stem as worker_stem};
