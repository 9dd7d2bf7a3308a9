//! `rescan`: queue films again that failed, and with `--force` also those that are done.

use super::Context;
use super::survey::{Again, Request, survey};
use crate::cli::RescanArgs;
use crate::exit::{Exit, Failure};

pub(super) async fn run(args: &RescanArgs, context: &Context) -> Result<Exit, Failure> {
    let request = Request {
        paths: args.paths.clone(),
        dry_run: args.dry_run,
        limit: None,
        json: args.json,
        again: if args.force { Again::Done } else { Again::Failed },
        first: true,
    };
    survey(&request, context).await
}
