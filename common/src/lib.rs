//! What both binaries of dovi-fleet use, and nothing else.
//!
//! | room | what lives there |
//! |---|---|
//! | [`broker`] | queues, sessions and confirmed publishing: the only user of lapin |
//! | [`job`] | messages, ids, paths, failure codes, reports and certificates: pure data |
//! | [`config`] | the embedded defaults, how they are overridden, and where each value came from |
//! | [`doctor`] | the checks of `doctor` that both programs make |
//! | [`exit`] | exit codes, and errors that say what to do |
//! | [`http`] | one bounded request and its answer: the only user of the HTTP client |
//! | [`manual`] | shell completions and man pages of a command line |
//! | [`media`] | from what a film is to what shall happen to it |
//! | [`process`] | the only place that starts other programs, and watches them |
//! | [`program`] | the outermost frame: a runtime, and an exit code whatever happens |
//! | [`share`] | leases, certificates and whole files on the network share |
//! | [`steps`] | named places at which a fault test steps in; nothing in the shipped programs |
//! | [`telemetry`] | one tracing set-up for both binaries |
//! | [`text`] | names, sizes and times for people |

pub mod broker;
pub mod config;
pub mod doctor;
pub mod exit;
pub mod http;
pub mod job;
pub mod manual;
pub mod media;
pub mod process;
pub mod program;
pub mod share;
pub mod steps;
pub mod telemetry;
pub mod text;
