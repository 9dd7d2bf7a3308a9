//! Bytes that went through the disks, by the kernel's count for this process and all programs that it waited for
//! (`/proc/self/io`, proc(5)). What came from the page cache is not in it.

/// Bytes read from and written to storage, since this process began.
pub(super) fn through_disks() -> Option<(u64, u64)> {
    parse(&std::fs::read_to_string("/proc/self/io").ok()?)
}

fn parse(text: &str) -> Option<(u64, u64)> {
    let figure = |name: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().parse().ok()
    };
    Some((figure("read_bytes")?, figure("write_bytes")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_own_lines_are_read() {
        let text = "rchar: 9\nwchar: 8\nsyscr: 7\nsyscw: 6\nread_bytes: 5\nwrite_bytes: 4\ncancelled_write_bytes: 3\n";
        assert_eq!(parse(text), Some((5, 4)));
        assert_eq!(parse(""), None);
    }
}
