//! `doctor`: can this machine do the work?

use common::doctor::{Fleet, Options, Role, examine};

use super::{load_config, quiet_log};
use crate::cli::{DoctorArgs, Global};
use crate::doctor::{CHECKS, Machine};
use crate::exit::{Exit, Failure};

pub(super) async fn run(global: &Global, args: &DoctorArgs) -> Result<Exit, Failure> {
    let config = load_config(global, &[])?;
    quiet_log(&config, global);
    let management =
        common::doctor::management(args.management.as_deref(), args.management_password_file.as_deref())?;
    let machine = Machine::new(Fleet::new(config, Role::Worker, management));
    let DoctorArgs { json, list, fast, only, .. } = args.clone();
    examine(CHECKS, &machine, &Options { json, list, fast, only }).await
}
