//! Lacing: several frames in one block (RFC 9559 section 10.3).
use std::ops::Range;

use super::ebml::vint;

/// Byte ranges of the frames in `data`, which starts right after the block's flags. `None` if the sizes do not fit.
pub(crate) fn frames(kind: u8, data: &[u8]) -> Option<Vec<Range<usize>>> {
    if kind == 0 {
        return Some(std::iter::once(0..data.len()).collect());
    }
    let count = usize::from(*data.first()?) + 1;
    let mut at = 1;
    let mut sizes = Vec::with_capacity(count);
    match kind {
        1 => {
            for _ in 1..count {
                let mut size = 0usize;
                loop {
                    let byte = *data.get(at)?;
                    at += 1;
                    size += usize::from(byte);
                    if byte != 255 {
                        break;
                    }
                }
                sizes.push(size);
            }
        }
        2 => {
            let rest = data.len() - at;
            if !rest.is_multiple_of(count) {
                return None;
            }
            sizes.resize(count - 1, rest / count);
        }
        _ => {
            let mut size = 0i64;
            for i in 1..count {
                let (value, length, _) = vint(data.get(at..)?)?;
                at += length;
                let value = i64::try_from(value).ok()?;
                // The first size is plain, the others are differences with a bias of half the range.
                size =
                    if i == 1 { value } else { size.checked_add(value - ((1i64 << (7 * length - 1)) - 1))? };
                sizes.push(usize::try_from(size).ok()?);
            }
        }
    }
    let mut ranges = Vec::with_capacity(count);
    for size in sizes {
        let end = at.checked_add(size).filter(|end| *end <= data.len())?;
        ranges.push(at..end);
        at = end;
    }
    ranges.push(at..data.len());
    Some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xiph_lace_with_a_size_over_255() {
        let mut data = vec![1, 255, 1];
        data.extend([7; 256 + 5]);
        assert_eq!(frames(1, &data), Some(vec![3..259, 259..264]));
        assert_eq!(frames(1, &data[..100]), None);
    }

    #[test]
    fn fixed_lace_must_divide() {
        assert_eq!(frames(2, &[1, 0, 0, 0, 0]), Some(vec![1..3, 3..5]));
        assert_eq!(frames(2, &[1, 0, 0, 0]), None);
    }

    /// The example of RFC 9559 section 10.3.3: frames of 800, 500 and 1000 bytes.
    #[test]
    fn ebml_lace_of_the_specification() {
        let mut data = vec![2, 0x43, 0x20, 0x5E, 0xD3];
        data.extend(vec![0; 2300]);
        assert_eq!(frames(3, &data), Some(vec![5..805, 805..1305, 1305..2305]));
        assert_eq!(frames(3, &[2, 0x43, 0x20, 0x5E, 0xD3]), None);
    }
}
