//! Where in a film the picture data of two films part: a mark per picture, far cheaper than a hash of each.
use serde::{Deserialize, Serialize};

/// The coded slices of one picture, and of all pictures up to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureMark {
    /// Bytes of its slices.
    pub bytes: u64,
    /// The first eight bytes of the [`VclHash`](crate::hash::VclHash) over all slices up to its last one. Two films with
    /// equal marks at one picture have equal slices from the beginning to there.
    pub up_to_here: u64,
}

/// How two lists of pictures in decode order compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resemblance {
    /// Pictures of equal size at the same place, or before the first and behind the last difference in size, whichever
    /// are more: the second survives a dropped picture.
    pub equal_sizes: u64,
    /// Decode index of the first picture whose slices differ; `None` if the shorter list is the beginning of the
    /// longer one.
    pub first_difference: Option<u64>,
}

impl Resemblance {
    /// Compares two films, in decode order.
    #[must_use]
    pub fn of(a: &[PictureMark], b: &[PictureMark]) -> Self {
        let same = |(x, y): &(&PictureMark, &PictureMark)| x.bytes == y.bytes;
        let aligned = a.iter().zip(b).filter(same).count();
        let head = a.iter().zip(b).take_while(same).count();
        let room = a.len().min(b.len()) - head;
        let tail = a.iter().rev().zip(b.iter().rev()).take(room).take_while(same).count();
        let first = a.iter().zip(b).position(|(x, y)| x.up_to_here != y.up_to_here);
        Self { equal_sizes: aligned.max(head + tail) as u64, first_difference: first.map(|i| i as u64) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn film(sizes: &[u64]) -> Vec<PictureMark> {
        let mut sum = 0;
        let mark = |bytes: &u64| {
            sum = sum * 31 + bytes;
            PictureMark { bytes: *bytes, up_to_here: sum }
        };
        sizes.iter().map(mark).collect()
    }

    #[test]
    fn a_dropped_picture_leaves_most_of_a_film_alike() {
        let (whole, cut) = (film(&[9, 4, 5, 6, 7, 8]), film(&[9, 4, 6, 7, 8]));
        assert_eq!(Resemblance::of(&whole, &cut), Resemblance { equal_sizes: 5, first_difference: Some(2) });
        assert_eq!(Resemblance::of(&whole, &whole), Resemblance { equal_sizes: 6, first_difference: None });
        let other = film(&[1, 2, 3, 1, 2, 3]);
        assert_eq!(
            Resemblance::of(&whole, &other),
            Resemblance { equal_sizes: 0, first_difference: Some(0) }
        );
        assert_eq!(Resemblance::of(&whole, &[]).equal_sizes, 0);
    }
}
