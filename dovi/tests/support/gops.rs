//! Random legal streams, written bit by bit, with the place of every picture known from how they were made.

use dovi::annexb::write_nal;
use dovi::nal::NalType;
use proptest::prelude::*;

use super::bits::Bits;

/// What follows one random access picture: it, its leading pictures, and mini-GOPs of trailing ones.
#[derive(Debug, Clone)]
pub struct Part {
    /// IDR_W_RADL, IDR_N_LP, CRA, BLA_W_LP, BLA_W_RADL or BLA_N_LP.
    pub irap: u8,
    /// Ends the sequence before it.
    pub end_before: bool,
    pub leading: usize,
    /// So many of the leading pictures are RASL, where the random access picture allows it.
    pub skipped: usize,
    /// Trailing pictures up to and with each anchor.
    pub mini_gops: Vec<usize>,
    pub pyramid: bool,
    /// Where counts begin, for a picture that may begin anywhere.
    pub base: i64,
    /// Bits of `slice_pic_order_cnt_lsb` from here on, if a sequence begins here.
    pub lsb_bits: u32,
    pub extra_bits: u32,
    pub slices: usize,
    /// Every so many pictures one is not to be shown; 0 is none.
    pub hide_every: usize,
    pub delimiter: bool,
}

pub fn part() -> impl Strategy<Value = Part> {
    let shape = (0u8..6, any::<bool>(), 0usize..5, 0usize..5, prop::collection::vec(1usize..9, 0..6));
    let rest = (any::<bool>(), 0i64..2000, 7u32..17, 0u32..4, 1usize..4, 0usize..6, any::<bool>());
    (shape, rest).prop_map(
        |(
            (irap, end_before, leading, skipped, mini_gops),
            (pyramid, base, lsb_bits, extra_bits, slices, hide_every, delimiter),
        )| Part {
            irap,
            end_before,
            leading,
            skipped,
            mini_gops,
            pyramid,
            base,
            lsb_bits,
            extra_bits,
            slices,
            hide_every,
            delimiter,
        },
    )
}

/// A picture as it was meant.
#[derive(Debug, Clone, Copy)]
pub struct Meant {
    pub cvs: u64,
    pub poc: i64,
    pub shown: bool,
}

pub struct Stream {
    pub bytes: Vec<u8>,
    /// In decode order.
    pub pictures: Vec<Meant>,
}

impl Stream {
    /// Display index of each picture in decode order: the whole stream sorted.
    pub fn sorted(&self) -> Vec<u64> {
        let mut order: Vec<usize> = (0..self.pictures.len()).collect();
        order.sort_by_key(|i| (self.pictures[*i].cvs, self.pictures[*i].poc));
        let mut display = vec![0; order.len()];
        for (place, decode) in (0..).zip(order) {
            display[decode] = place;
        }
        display
    }
}

struct Writer {
    bytes: Vec<u8>,
    pictures: Vec<Meant>,
    cvs: u64,
    lsb_bits: u32,
    extra_bits: u32,
    step: i64,
}

/// All parts one after the other; counts step by `step`.
pub fn write(parts: &[Part], step: i64) -> Stream {
    let mut writer =
        Writer { bytes: Vec::new(), pictures: Vec::new(), cvs: 0, lsb_bits: 8, extra_bits: 0, step };
    let mut next = 0;
    for (at, part) in parts.iter().enumerate() {
        next = writer.part(part, at == 0, next);
    }
    Stream { bytes: writer.bytes, pictures: writer.pictures }
}

impl Writer {
    fn put(&mut self, nal: &[u8]) {
        write_nal(&mut self.bytes, nal).expect("memory takes it");
    }

    /// Gives the count of the next picture on the screen.
    fn part(&mut self, part: &Part, first: bool, next: i64) -> i64 {
        if part.end_before && !first {
            self.put(&[NalType::EOS.0 << 1, 1]);
        }
        let irap = [NalType(19), NalType(20), NalType(21), NalType(16), NalType(17), NalType(18)]
            [usize::from(part.irap)];
        let opens = first || part.end_before || irap != NalType::CRA;
        let leading = if matches!(irap.0, 20 | 18) { 0 } else { part.leading };
        let may_skip = matches!(irap.0, 21 | 16);
        if part.delimiter {
            self.put(&[35 << 1, 1, 0x50]);
        }
        let begin = if opens {
            self.cvs += u64::from(!first);
            (self.lsb_bits, self.extra_bits) = (part.lsb_bits, part.extra_bits);
            self.parameter_sets();
            let count = if irap.is_idr() { 0 } else { part.base.rem_euclid(1 << self.lsb_bits) };
            count - leading as i64 * self.step
        } else {
            next
        };
        let mut order = vec![leading];
        b_pictures(0, leading, part.pyramid, &mut order);
        let mut rank = leading + 1;
        let trailing = order.len();
        for size in &part.mini_gops {
            order.push(rank + size - 1);
            b_pictures(rank, rank + size - 1, part.pyramid, &mut order);
            rank += size;
        }
        let mut anchor = leading;
        for (place, rank) in order.iter().copied().enumerate() {
            let rasl = may_skip && rank < part.skipped.min(leading);
            let (ty, temporal_id) = match place {
                0 => (irap, 0),
                _ if place < trailing && rasl => (NalType(9), 0),
                _ if place < trailing => (NalType(7), 0),
                // Anchors may be referred to by count; what lies between them is in other layers or never referred to.
                _ if rank > anchor => (NalType(1), 0),
                _ if place % 2 == 0 => (NalType(0), 1),
                _ => (NalType(0), 0),
            };
            anchor = anchor.max(rank);
            let told = part.hide_every == 0 || place % (part.hide_every + 1) != part.hide_every;
            let meant = Meant {
                cvs: self.cvs,
                poc: begin + rank as i64 * self.step,
                shown: told && !(rasl && opens),
            };
            self.picture(meant, ty, temporal_id, told, part.slices);
        }
        begin + rank as i64 * self.step
    }

    fn parameter_sets(&mut self) {
        let mut b = Bits::default();
        b.u(4, 0).u(3, 0).u(1, 1).u(2, 0).u(1, 0).u(5, 2).u(32, 0x2000_0000).u(48, 0x9000_0000_0000).u(8, 93);
        b.ue(0).ue(1).ue(320).ue(180).u(1, 0).ue(2).ue(2).ue(u64::from(self.lsb_bits) - 4);
        b.u(1, 1).ue(5).ue(4).ue(0).ue(0).ue(3).ue(0).ue(3).ue(1).ue(1);
        b.u(1, 0).u(2, 0).u(1, 0).ue(0).u(1, 0).u(2, 0);
        b.u(1, 1).u(2, 0).u(1, 1).u(3, 5).u(1, 0).u(1, 1).u(8, 9).u(8, 16).u(8, 9);
        b.u(1, 1).ue(2).ue(2).u(4, 0).u(1, 0).u(1, 0).u(1, 0);
        self.put(&b.nal(NalType::SPS));
        let mut b = Bits::default();
        b.ue(0).ue(0).u(1, 0).u(1, 1).u(3, u64::from(self.extra_bits)).u(20, 0);
        self.put(&b.nal(NalType::PPS));
    }

    fn picture(&mut self, meant: Meant, ty: NalType, temporal_id: u8, told: bool, slices: usize) {
        for slice in 0..slices {
            let mut b = Bits::default();
            b.u(1, u64::from(slice == 0));
            if ty.is_irap() {
                b.u(1, 0);
            }
            b.ue(0);
            if slice > 0 {
                b.u(9, slice as u64);
            }
            b.u(self.extra_bits, 0).ue(if ty.is_irap() { 2 } else { 0 }).u(1, u64::from(told));
            if !ty.is_idr() {
                b.u(self.lsb_bits, meant.poc.rem_euclid(1 << self.lsb_bits) as u64);
            }
            b.u(32, 0xA5A5_0000 | self.pictures.len() as u64);
            self.put(&b.nal_at(ty, temporal_id));
        }
        self.pictures.push(meant);
    }
}

/// Ranks (in display order) of the pictures between two anchors, in decode order.
pub fn b_pictures(from: usize, to: usize, pyramid: bool, out: &mut Vec<usize>) {
    if !pyramid {
        out.extend(from..to);
    } else if from < to {
        let middle = (from + to) / 2;
        out.push(middle);
        b_pictures(from, middle, true, out);
        b_pictures(middle + 1, to, true, out);
    }
}
