//! `doctor`: is everything there, and what to do about what is not.

use common::doctor::{Fleet, Options, Role, examine};

use super::Context;
use crate::cli::DoctorArgs;
use crate::doctor::CHECKS;
use crate::exit::{Exit, Failure};

pub(super) async fn run(args: &DoctorArgs, context: &Context) -> Result<Exit, Failure> {
    let config = context.load()?.config;
    let management =
        common::doctor::management(args.management.as_deref(), args.management_password_file.as_deref())?;
    let DoctorArgs { json, list, fast, only, .. } = args.clone();
    let options = Options { json, list, fast, only };
    examine(CHECKS, &Fleet::new(config, Role::Producer, management), &options).await
}
