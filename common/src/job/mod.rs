//! Jobs as data: what goes over the wire and what is written on the share.

mod certificate;
mod event;
mod failure;
mod id;
mod message;
mod notice;
mod path;
mod recipe;
mod report;

pub use certificate::{Certificate, Check, FileFacts, StageTime, ToolVersions};
pub use event::{EVENT_VERSION, FilmEvent, ProgressEvent, WorkerEvent};
pub use failure::{FailureClass, FailureCode, UnknownCode};
pub use id::{JobId, JobIdError};
pub use message::{Extent, JobMessage, MESSAGE_VERSION, MalformedMessage};
pub use notice::{NewFile, Notice, Occasion};
pub use path::{LibraryPath, PathError};
pub use recipe::{Encoder, FelPolicy, Mode, Recipe};
pub use report::{FailureReport, ToolReport};
