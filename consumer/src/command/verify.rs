//! `verify`: a certificate for any pair of files.

use std::sync::Arc;

use common::config::Decode;

use super::display::{Display, shown, table};
use super::{context, load_config, quiet_log, stop_on_signals};
use crate::cli::{Global, VerifyArgs};
use crate::exit::{Exit, Failure};
use crate::pipeline::{Stop, verify_pair};

pub(super) async fn run(global: &Global, args: VerifyArgs) -> Result<Exit, Failure> {
    let mut config = load_config(global, &[])?;
    quiet_log(&config, global);
    if args.decode {
        config.verify.decode = Decode::Full;
    }
    let stop = Stop::default();
    stop_on_signals(&stop)?;
    let display = Arc::new(Display::new(args.json));
    let context = context(&config, display.clone(), &stop, None);
    let worker = config.worker.display_name();
    let absolute = |p: &std::path::Path| {
        std::path::absolute(p).map_err(|e| Failure::usage(format!("{}: {e}", p.display())).because(&e))
    };
    let (source, result) = (absolute(&args.source)?, absolute(&args.result)?);
    let certificate = verify_pair(&context, &source, &result, &worker).await;
    display.clear();
    let certificate = certificate?;
    if args.json {
        println!("{}", serde_json::to_string(&certificate).unwrap_or_default());
    } else {
        println!("source  {} ({}; {})", shown(&args.source), certificate.verdict, certificate.evidence);
        println!("result  {}", shown(&args.result));
        print!("{}", table(&certificate));
        let word = if certificate.holds() { "proven" } else { "NOT PROVEN" };
        println!("{word}: {} frames, {} wrong", certificate.frames, certificate.wrong_frames);
    }
    Ok(if certificate.holds() { Exit::Ok } else { Exit::Some })
}
