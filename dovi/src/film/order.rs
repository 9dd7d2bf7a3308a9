//! Display order of a whole film, with the timestamps as second witness.
use super::{ScanError, base_layer::Row};

/// Where time stands still or runs backwards from one frame to the next on the screen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Irregular {
    /// Frames at the very time of the frame before.
    pub(crate) equal: u64,
    /// Frames before the time of the frame before.
    pub(crate) backward: u64,
    /// Display index of the first such frame.
    pub(crate) first: Option<u64>,
}

/// Decode indices in display order: by picture order count inside each coded video sequence, the sequences one after
/// the other. Inside a sequence the timestamps must not contradict; where branches were joined, they may overlap,
/// which changes nothing about the order of the frames.
///
/// # Errors
/// Two frames with one count, or timestamps against the counts: no frame has a certain place then.
pub(crate) fn display_order(rows: &[Row]) -> Result<(Vec<u32>, Irregular), ScanError> {
    let mut order: Vec<u32> = (0u32..).take(rows.len()).collect();
    order.sort_by_key(|i| (rows[*i as usize].cvs, rows[*i as usize].poc));
    let mut irregular = Irregular::default();
    for (display, pair) in (1u64..).zip(order.windows(2)) {
        let (a, b) = (&rows[pair[0] as usize], &rows[pair[1] as usize]);
        if (a.cvs, a.poc) == (b.cvs, b.poc) {
            return Err(ScanError::Order(format!(
                "frames {} and {} (decode order) have the same picture order count",
                pair[0], pair[1]
            )));
        }
        if a.pts_ns < b.pts_ns {
            continue;
        }
        if a.pts_ns == b.pts_ns {
            irregular.equal += 1;
        } else if a.cvs != b.cvs {
            irregular.backward += 1;
        } else {
            return Err(ScanError::Order(format!(
                "frame {} (decode order) is shown before frame {}, but its timestamp {:.3} s is behind {:.3} s",
                pair[0],
                pair[1],
                a.pts_ns as f64 / 1e9,
                b.pts_ns as f64 / 1e9
            )));
        }
        irregular.first.get_or_insert(display);
    }
    Ok((order, irregular))
}
