//! `config show`: every setting in force and where it came from.

use common::config::rows;

use super::Context;
use crate::cli::ConfigCommand;
use crate::exit::{Exit, Failure};
use crate::render::{Align, Output, Table, safe};

pub(super) fn run(command: &ConfigCommand, context: &Context) -> Result<Exit, Failure> {
    let ConfigCommand::Show { json } = command;
    let loaded = context.load()?;
    let mut out = Output::new(*json);
    let mut table = Table::new(&[("setting", Align::Left), ("value", Align::Left), ("from", Align::Left)]);
    for row in rows(&loaded) {
        out.object(&row)?;
        table.row(vec![row.key, safe(&row.value), safe(&row.from)]);
    }
    for line in table.lines(None) {
        out.line(&line)?;
    }
    Ok(Exit::Ok)
}
