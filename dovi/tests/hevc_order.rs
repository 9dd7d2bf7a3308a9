//! Display order of synthetic GOPs against sorting the whole stream, and the named errors.
#[path = "support/bits.rs"]
mod bits;
#[path = "support/gops.rs"]
mod gops;
#[path = "support/hevc.rs"]
mod support;

use dovi::au::AuReader;
use dovi::inject::inject;
use dovi::nal::NalType;
use dovi::order::{DisplayOrder, Method, OrderError, Placed};
use dovi::poc::Picture;
use gops::b_pictures;
use proptest::prelude::*;

const TRAIL: NalType = NalType(1);

fn picture(decode_index: u64, poc: i64, nal_type: NalType, opens_cvs: bool) -> Picture {
    Picture {
        poc,
        decode_index,
        cvs: 0,
        opens_cvs,
        nal_type,
        temporal_id: 0,
        output: true,
        no_output_of_prior_pics: false,
        max_num_reorder: 4,
    }
}

/// One coded video sequence: leading pictures, mini-GOPs, the order counts step in.
#[derive(Debug, Clone)]
struct Cvs {
    leading: usize,
    mini_gops: Vec<usize>,
    steps: Vec<i64>,
    first: i64,
    pyramid: bool,
}

fn cvs(step: impl Strategy<Value = i64> + Clone + 'static) -> impl Strategy<Value = Cvs> {
    (
        0usize..6,
        prop::collection::vec(1usize..17, 0..8),
        prop::collection::vec(step, 20),
        -3i64..400,
        any::<bool>(),
    )
        .prop_map(|(leading, mini_gops, steps, first, pyramid)| Cvs {
            leading,
            mini_gops,
            steps,
            first,
            pyramid,
        })
}

/// Pictures of a stream in decode order.
fn stream(sequences: &[Cvs]) -> Vec<Picture> {
    let mut pictures = Vec::new();
    for sequence in sequences {
        let mut ranks = vec![sequence.leading];
        b_pictures(0, sequence.leading, sequence.pyramid, &mut ranks);
        let mut next = sequence.leading + 1;
        for size in &sequence.mini_gops {
            ranks.push(next + size - 1);
            b_pictures(next, next + size - 1, sequence.pyramid, &mut ranks);
            next += size;
        }
        let mut pocs = vec![sequence.first];
        for rank in 1..next {
            pocs.push(pocs[rank - 1] + sequence.steps[rank % sequence.steps.len()]);
        }
        for (place, rank) in ranks.into_iter().enumerate() {
            let ty = match place {
                0 => NalType::IDR_W_RADL,
                _ if place <= sequence.leading => NalType::RADL_R,
                _ => TRAIL,
            };
            pictures.push(picture(pictures.len() as u64, pocs[rank], ty, place == 0));
        }
    }
    pictures
}

/// The truth: cut at opening pictures, sort each sequence.
fn sorted(pictures: &[Picture]) -> Vec<Placed> {
    let mut all = Vec::new();
    let mut rest = pictures;
    while !rest.is_empty() {
        let end = rest.iter().skip(1).position(|p| p.opens_cvs).map_or(rest.len(), |at| at + 1);
        let mut sequence = rest[..end].to_vec();
        sequence.sort_by_key(|p| p.poc);
        let base = all.len() as u64;
        all.extend(
            sequence
                .iter()
                .zip(base..)
                .map(|(p, display_index)| Placed { decode_index: p.decode_index, display_index }),
        );
        rest = &rest[end..];
    }
    all.sort_unstable();
    all
}

/// Places, method, and the most pictures that were held.
fn run(pictures: &[Picture]) -> Result<(Vec<Placed>, Method, usize), OrderError> {
    let mut order = DisplayOrder::new();
    let (mut placed, mut held) = (Vec::new(), 0);
    for (pushed, picture) in pictures.iter().enumerate() {
        order.push(picture, &mut placed)?;
        held = held.max(pushed + 1 - placed.len());
    }
    order.finish(&mut placed)?;
    Ok((placed, order.method(), held))
}

proptest! {
    #[test]
    fn dense_counts(sequences in prop::collection::vec(cvs(Just(1i64)), 1..12)) {
        let pictures = stream(&sequences);
        let (placed, method, held) = run(&pictures).unwrap();
        prop_assert_eq!(placed, sorted(&pictures));
        prop_assert_eq!(method, Method::Dense);
        prop_assert!(held <= 18, "held {}", held);
    }

    #[test]
    fn counts_that_step_by_two(sequences in prop::collection::vec(cvs(Just(2i64)), 1..12)) {
        let pictures = stream(&sequences);
        let (placed, _, held) = run(&pictures).unwrap();
        prop_assert_eq!(placed, sorted(&pictures));
        prop_assert!(held <= 50, "held {}", held);
    }

    #[test]
    fn counts_with_any_gaps_from_the_start(sequences in prop::collection::vec(cvs(2i64..9), 1..12)) {
        let pictures = stream(&sequences);
        let (placed, _, _) = run(&pictures).unwrap();
        prop_assert_eq!(placed, sorted(&pictures));
    }

    /// Bytes of random legal streams: IDR, CRA and BLA with leading pictures of both kinds, ends of sequence, counts
    /// that are negative, wrap, begin anywhere and step by more than one, layers, slices, changing parameter sets.
    #[test]
    fn random_legal_streams(parts in prop::collection::vec(gops::part(), 1..9), step in 1i64..4) {
        let stream = gops::write(&parts, step);
        let truth = stream.sorted();
        let (mut reader, mut order) = (AuReader::new(&stream.bytes[..]), DisplayOrder::new());
        let (mut placed, mut at) = (Vec::new(), 0);
        while let Some(unit) = reader.next_au().unwrap() {
            let (picture, meant) = (&unit.picture, &stream.pictures[at]);
            prop_assert_eq!((picture.cvs, picture.poc, picture.output), (meant.cvs, meant.poc, meant.shown), "{}", at);
            order.push(picture, &mut placed).unwrap();
            at += 1;
        }
        order.finish(&mut placed).unwrap();
        prop_assert_eq!(at, truth.len());
        prop_assert!(placed.iter().map(|p| p.decode_index).eq(0..truth.len() as u64));
        prop_assert!(placed.iter().map(|p| p.display_index).eq(truth.iter().copied()));
        prop_assert!(step == 1 || truth.len() < 2 || order.method() == Method::Generic || stream.pictures.windows(2).all(|p| p[0].cvs != p[1].cvs));

        // And through injection: every picture gets the RPU of its place.
        let rpus = support::Numbered::new(truth.len());
        let mut out = Vec::new();
        let report = inject(&stream.bytes[..], &mut out, &support::plan(&rpus, truth.len()), &mut |_| {}).unwrap();
        prop_assert_eq!(report.rpus_written, truth.len() as u64);
        let numbers: Vec<u64> = support::after_first_slices(&out)
            .iter()
            .map(|nals| nals.iter().find(|nal| support::ty(nal) == 62).map(|nal| support::number(nal)))
            .map(|number| number.expect("every picture has one"))
            .collect();
        prop_assert_eq!(numbers, truth);
    }

    /// Any counts at all: either the order of the whole-stream sort, or an error. Never a wrong order.
    #[test]
    fn no_wrong_order_is_ever_accepted(
        shape in prop::collection::vec((0i64..40, 0u8..10), 1..60),
    ) {
        let pictures: Vec<_> = shape
            .iter()
            .enumerate()
            .map(|(at, (poc, kind))| {
                let ty = match kind { 0 => NalType::IDR_W_RADL, 1 => NalType::RADL_N, _ => TRAIL };
                picture(at as u64, *poc, ty, at == 0 || *kind == 0)
            })
            .collect();
        if let Ok((placed, _, _)) = run(&pictures) {
            prop_assert_eq!(placed, sorted(&pictures));
        }
    }
}

#[test]
fn a_repeated_count_is_named() {
    let pictures =
        [picture(0, 0, NalType::IDR_N_LP, true), picture(1, 1, TRAIL, false), picture(2, 1, TRAIL, false)];
    assert_eq!(run(&pictures), Err(OrderError::Duplicate { poc: 1, first: 0, second: 2 }));
    let stepped: Vec<_> = (0..40)
        .map(|n| {
            picture(
                n,
                if n == 30 { 58 } else { 2 * n as i64 },
                if n == 0 { NalType::IDR_N_LP } else { TRAIL },
                n == 0,
            )
        })
        .collect();
    assert_eq!(run(&stepped), Err(OrderError::Duplicate { poc: 58, first: 29, second: 30 }));
}

#[test]
fn a_hole_in_dense_counts_is_named() {
    let pocs = |skip: i64| (0..60i64).map(move |n| if n >= skip { n + 1 } else { n });
    let pictures: Vec<_> = (0u64..)
        .zip(pocs(20))
        .map(|(n, poc)| picture(n, poc, if n == 0 { NalType::IDR_N_LP } else { TRAIL }, n == 0))
        .collect();
    assert_eq!(run(&pictures), Err(OrderError::Gap { missing: 20, decode_index: 36 }));
    assert_eq!(run(&pictures[..25]), Err(OrderError::Gap { missing: 20, decode_index: 24 }));
}

#[test]
fn generic_order_goes_on_across_sequences() {
    let mut sequences = vec![
        Cvs { leading: 0, mini_gops: vec![4; 10], steps: vec![2], first: 0, pyramid: true },
        Cvs { leading: 3, mini_gops: vec![4; 10], steps: vec![2], first: 0, pyramid: false },
    ];
    sequences.extend(sequences.clone());
    let pictures = stream(&sequences);
    let (placed, method, held) = run(&pictures).unwrap();
    assert_eq!((placed, method), (sorted(&pictures), Method::Generic));
    assert!((17..=24).contains(&held), "{held}");
}
