//! `bench`: how fast the programs are, compared with the way people do the same by hand.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use e2e::performance::{self, Case, Machine, Options, Work, work};

/// Measures dovi-fleet against other ways of doing the same work, in pairs of runs; only ratios are worth comparing.
#[derive(Parser)]
#[command(name = "bench", version)]
struct Cli {
    #[command(subcommand)]
    piece: Option<Piece>,
    /// Only this group of measurements (may be given again)
    #[arg(long, value_enum)]
    only: Vec<Case>,
    /// Small films and one pair: tries the harness, says nothing about speed
    #[arg(long)]
    quick: bool,
    /// Pairs of runs for each comparison
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=99))]
    pairs: u16,
    /// The dovi_tool to compare with; otherwise the one on PATH, or a stand-in
    #[arg(long, value_name = "PATH")]
    dovi_tool: Option<PathBuf>,
    /// Make the temporary films here (6 GB)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Put the tables between the marks of this page
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Write everything to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Piece {
    /// One piece of work by itself, for measuring it from outside
    Work {
        #[command(subcommand)]
        what: Work,
    },
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    if let Some(Piece::Work { what }) = &cli.piece {
        return work(what);
    }
    let dovi_tool = cli.dovi_tool.or_else(|| {
        let path = std::env::var_os("PATH");
        common::process::find_tool(Path::new("dovi_tool"), path.as_deref()).ok()
    });
    let machine = Machine::look(dovi_tool.as_deref());
    let options = Options {
        only: cli.only,
        quick: cli.quick,
        pairs: if cli.quick { 1 } else { cli.pairs.into() },
        dovi_tool,
        dir: cli.dir.unwrap_or_else(std::env::temp_dir),
    };
    let tables = performance::run(&options)?;
    let text = performance::to_markdown(&machine, &tables);
    if let Some(page) = &cli.page {
        performance::write_page(page, &text)?;
    }
    if let Some(file) = &cli.json {
        let json = serde_json::to_string_pretty(&performance::to_json(&machine, &tables))?;
        std::fs::write(file, json + "\n").with_context(|| format!("write {}", file.display()))?;
    }
    print!("{text}");
    Ok(())
}
