//! `scan`: walk the library, print what every film is, queue what is new.

use super::Context;
use super::survey::{Again, Request, survey};
use crate::cli::ScanArgs;
use crate::exit::{Exit, Failure};

pub(super) async fn run(args: &ScanArgs, context: &Context) -> Result<Exit, Failure> {
    let request = Request {
        paths: args.paths.clone(),
        dry_run: args.dry_run,
        limit: args.limit,
        json: args.json,
        again: Again::No,
        first: true,
    };
    survey(&request, context).await
}
