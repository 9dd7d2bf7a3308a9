//! Counts live bytes of the program under test. libFuzzer's own limits see its corpus and the sanitizer's shadow
//! as well; this one sees nothing but what Rust code allocated since the input began.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed};

/// More live bytes than this for one input are a finding.
const LIMIT: isize = 64 << 20;

static COUNTING: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);
static PRINTED: AtomicIsize = AtomicIsize::new(0);

struct Counted;

#[global_allocator]
static HEAP: Counted = Counted;

fn add(bytes: usize) {
    if !COUNTING.load(Relaxed) {
        return;
    }
    let bytes = isize::try_from(bytes).unwrap_or(isize::MAX);
    let live = LIVE.load(Relaxed).saturating_add(bytes);
    LIVE.store(live, Relaxed);
    if live > PEAK.load(Relaxed) {
        PEAK.store(live, Relaxed);
    }
    if live > LIMIT {
        COUNTING.store(false, Relaxed);
        eprintln!("{live} bytes live, {bytes} of them asked for now: above the limit of {LIMIT}");
        eprintln!("{}", std::backtrace::Backtrace::force_capture());
        std::process::abort();
    }
}

fn take(bytes: usize) {
    if COUNTING.load(Relaxed) {
        LIVE.store(LIVE.load(Relaxed).saturating_sub_unsigned(bytes), Relaxed);
    }
}

// The targets run on one thread, so plain loads and stores count right.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        take(layout.size());
        unsafe { System.dealloc(memory, layout) }
    }

    /// Counted as if the old and the new block were there together, which is how it is when a block must move.
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size);
        take(layout.size());
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// Runs one input; aborts when it has more than 64 MiB live at any moment.
pub fn bounded(work: impl FnOnce()) {
    LIVE.store(0, Relaxed);
    COUNTING.store(true, Relaxed);
    work();
    COUNTING.store(false, Relaxed);
    let peak = PEAK.load(Relaxed);
    let printed = PRINTED.load(Relaxed);
    // Every step would fill the log.
    if peak > printed + (printed / 16).max(1024) {
        PRINTED.store(peak, Relaxed);
        eprintln!("peak live heap {} KiB", peak / 1024);
    }
}
