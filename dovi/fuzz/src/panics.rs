//! Which panics are findings.

/// Crates whose panics `dovi::rpu` turns into errors, by the folder name of their sources.
const SHIELDED: [&str; 3] = ["/dolby_vision-", "/bitvec_helpers-", "/bitstream-io-"];

/// Ends the process at every panic that does not come from a shielded crate, also where somebody would catch it. Those
/// of a shielded crate unwind; if nobody catches one, libFuzzer ends the process.
pub fn watch_panics() {
    std::panic::set_hook(Box::new(|info| {
        let shielded = info.location().is_some_and(|l| SHIELDED.iter().any(|name| l.file().contains(name)));
        if !shielded {
            eprintln!("{info}\n{}", std::backtrace::Backtrace::force_capture());
            std::process::abort();
        }
    }));
}
