//! Cutting and escaping against slow and obvious versions, and hostile bytes everywhere.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panic")]

#[path = "support/hevc.rs"]
mod support;

use std::io::Read;
use std::sync::OnceLock;

use dovi::annexb::{NalReader, find_start_code};
use dovi::au::AuReader;
use dovi::inject::inject;
use dovi::nal::{escape, split_length_prefixed, unescape};
use dovi::order::DisplayOrder;
use dovi::params::{ParamSets, Sps};
use dovi::sei::SeiNal;
use proptest::prelude::*;
use support::{FRAMES, Numbered, encode, naive_nals, plan, ty};

/// Gives at most as many bytes per read as the next size says.
struct Chunks<'a> {
    data: &'a [u8],
    sizes: std::iter::Cycle<std::vec::IntoIter<usize>>,
}

impl<'a> Chunks<'a> {
    fn new(data: &'a [u8], sizes: Vec<usize>) -> Self {
        Self { data, sizes: sizes.into_iter().cycle() }
    }
}

impl Read for Chunks<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let size = self.sizes.next().unwrap_or(1).min(buf.len()).min(self.data.len());
        buf[..size].copy_from_slice(&self.data[..size]);
        self.data = &self.data[size..];
        Ok(size)
    }
}

fn cut(source: impl Read) -> Vec<Vec<u8>> {
    let mut reader = NalReader::new(source);
    let mut nals = Vec::new();
    while let Some(nal) = reader.next_nal().unwrap() {
        nals.push(nal.to_vec());
    }
    nals
}

/// Bytes in which start codes, zeros and escapes are common.
fn dense_bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(
        prop_oneof![4 => Just(0u8), 2 => Just(1u8), 1 => Just(3u8), 3 => any::<u8>()],
        0..max,
    )
}

/// A real stream with every kind of NAL of interest, small enough to be damaged thousands of times.
fn real() -> &'static [u8] {
    static STREAM: OnceLock<Vec<u8>> = OnceLock::new();
    STREAM.get_or_init(|| encode("bframes=4:keyint=24:min-keyint=24:open-gop=1:aud=1:hash=1"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn cutting_equals_the_naive_split(
        body in dense_bytes(3000),
        zeros in 2usize..6,
        sizes in prop::collection::vec(1usize..200, 1..20),
    ) {
        let mut stream = vec![0; zeros];
        stream.push(1);
        stream.extend(body);
        let nals = cut(Chunks::new(&stream, sizes));
        prop_assert_eq!(nals, naive_nals(&stream).into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>());
    }

    #[test]
    fn scanning_equals_windows(data in dense_bytes(500), tail in prop::collection::vec(2u8.., 0..300)) {
        let mut all = tail;
        all.extend(data);
        prop_assert_eq!(find_start_code(&all), all.windows(3).position(|w| w == [0, 0, 1]));
    }

    #[test]
    fn escaping_round_trips(mut rbsp in dense_bytes(600), last in 1u8..) {
        rbsp.push(last);
        let escaped = escape(&rbsp);
        prop_assert!(escaped.windows(3).all(|w| !(w[0] == 0 && w[1] == 0 && w[2] < 3)));
        prop_assert!(escaped.last() != Some(&0));
        prop_assert_eq!(unescape(&escaped, usize::MAX), rbsp.clone());
        prop_assert_eq!(unescape(&escaped, 10), rbsp[..rbsp.len().min(10)].to_vec());
    }

    #[test]
    fn length_prefixed_never_reads_twice(data in dense_bytes(300), size in 0u8..6) {
        let total: usize = split_length_prefixed(&data, size).flatten().map(<[u8]>::len).sum();
        prop_assert!(total <= data.len());
    }

    #[test]
    fn hostile_nals_are_answered(mut nal in dense_bytes(200), ty in 0u8..64) {
        if let Some(first) = nal.first_mut() {
            *first = ty << 1;
        }
        let _ = ParamSets::new().feed(&nal);
        let _ = Sps::parse(&nal);
        prop_assert!(SeiNal::read(&nal).map_or(0, |sei| sei.messages().count()) <= nal.len());
    }

    #[test]
    fn damaged_streams_end_in_an_answer(
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        cut_at in any::<prop::sample::Index>(),
    ) {
        let mut stream = real().to_vec();
        for (at, value) in hits {
            // Most hits where they hurt: headers are in the first bytes of a NAL.
            let at = at.index(stream.len());
            let near = find_start_code(&stream[at..]).map_or(at, |next| at + next + 3 + usize::from(value % 24));
            let at = near.min(stream.len() - 1);
            stream[at] = value;
        }
        stream.truncate(cut_at.index(stream.len()) + 1);
        let rpus = Numbered::new(FRAMES);
        // Anything but a panic; what is accepted must have been counted.
        if let Ok(report) = inject(stream.as_slice(), std::io::sink(), &plan(&rpus, FRAMES), &mut |_| {}) {
            prop_assert_eq!(report.frames, FRAMES as u64);
        }
    }
}

#[test]
fn one_byte_reads_change_nothing() {
    assert_eq!(cut(Chunks::new(real(), vec![1])), naive_nals(real()));
}

#[test]
fn every_cut_of_real_parameter_sets_is_answered() {
    for nal in naive_nals(real()).into_iter().filter(|nal| matches!(ty(nal), 33 | 34)).take(2) {
        for length in 0..nal.len() {
            let _ = ParamSets::new().feed(&nal[..length]);
        }
        for bit in 0..nal.len() * 8 {
            let mut flipped = nal.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let _ = ParamSets::new().feed(&flipped);
        }
        assert_eq!(ParamSets::new().feed(nal), Ok(()));
    }
}

#[test]
fn many_tiny_nals_do_not_grow_a_unit_without_bound() {
    let mut stream = Vec::new();
    for _ in 0..100_000 {
        stream.extend([0, 0, 1, 40 << 1, 1, 0x80]);
    }
    let error = AuReader::new(stream.as_slice()).next_au().unwrap_err();
    assert!(matches!(error, dovi::au::AuError::TooLarge { picture: 0, .. }), "{error}");
}

#[test]
fn pictures_of_noise_have_bounded_order_memory() {
    use dovi::nal::NalType;
    use dovi::order::OrderError;
    use dovi::poc::Picture;
    let picture = |decode_index: u64, poc: i64, nal_type: NalType| Picture {
        poc,
        decode_index,
        cvs: 0,
        opens_cvs: decode_index == 0,
        nal_type,
        temporal_id: 0,
        output: true,
        no_output_of_prior_pics: false,
        max_num_reorder: 0,
    };
    let mut placed = Vec::new();
    // Leading pictures without end.
    let mut order = DisplayOrder::new();
    order.push(&picture(0, 0, NalType::IDR_W_RADL), &mut placed).unwrap();
    let end = (1..).find_map(|n| order.push(&picture(n, -(n as i64), NalType::RADL_N), &mut placed).err());
    assert!(matches!(end, Some(OrderError::TooManyHeld(257))), "{end:?}");
    // A picture far ahead that never gets its turn.
    let mut order = DisplayOrder::new();
    order.push(&picture(0, 0, NalType::IDR_N_LP), &mut placed).unwrap();
    order.push(&picture(1, 1 << 40, NalType(1)), &mut placed).unwrap();
    let end = (2..).find_map(|n| order.push(&picture(n, 2 * n as i64, NalType(1)), &mut placed).err());
    assert!(matches!(end, Some(OrderError::TooManyHeld(257))), "{end:?}");
}
