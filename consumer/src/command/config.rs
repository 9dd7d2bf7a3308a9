//! `config show`

use common::config::{load, rows};

use crate::cli::Global;
use crate::exit::{Exit, Failure};

pub(super) fn show(global: &Global, json: bool) -> Result<Exit, Failure> {
    let rows = rows(&load(global.config.as_deref(), &global.set)?);
    let width = rows.iter().map(|r| r.key.len()).max().unwrap_or(0);
    for row in rows {
        if json {
            println!("{}", serde_json::to_string(&row).unwrap_or_default());
        } else {
            println!("{:width$} = {}  ({})", row.key, row.value, row.from);
        }
    }
    Ok(Exit::Ok)
}
