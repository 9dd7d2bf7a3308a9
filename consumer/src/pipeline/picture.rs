//! Whether two films show the same pictures at the same time: small decoded pictures held against each other. Pure.
//!
//! Hashes prove that the result holds what the encoder wrote; they say nothing about what the encoder was shown. Here
//! the decoded pictures of both films are compared at places spread over the film. Metadata is placed by time and order,
//! so pictures that are the source's at the same time are also the ones that the metadata was made for.

use std::ops::Range;

use crate::tools::ffmpeg::{HEIGHT, SmallFrame, WIDTH};

/// Places in a film. Slips of an encoder go on to the end, so few places find them.
const PLACES: usize = 10;
/// Pictures compared at each place: half a second.
const RUN: usize = 12;
/// How far beyond a place the source is searched for a picture that fits better, in pictures.
const REACH: usize = 6;
/// Pictures of the source that are needed for one place, at most.
pub const MOST_TIMES: usize = RUN + 2 * REACH;
/// Two times are the same: both films count in milliseconds, rounded.
const SAME_NS: i64 = 2_000_000;

// The limits were measured on pans, a zoom, a shaking camera, fades, a dark scene, noise and a test card, 640x360, encoded
// with the preset ultrafast. At crf 40 all lie inside. At crf 51 most do; a slow fade of a dark scene and single
// bright dots do not, and those are no pictures to keep. A picture may be as any within REACH of it, since poor encodes run late in fades.

/// Likeness of equal pictures in dB.
const BEST_PSNR: f64 = 99.0;
/// Least likeness in dB; measured 27 at crf 40, and 18 between two films of equal brightness.
const LEAST_PSNR: f64 = 22.0;
/// How far the average of a plane may be off, in 10 bit steps; measured 11 at crf 40, in a fade, otherwise up to 6. In the
/// wrong range a dark picture is off by about 60, and a black one all that the scene is brighter than black.
const MOST_MEAN: f64 = 16.0;
/// How far the average of a colour plane may be off, in 10 bit steps; measured 42 at crf 40, where single coloured dots lose
/// their colour, otherwise 8. A green picture is off by 512.
const MOST_COLOUR: f64 = 64.0;
/// How far the darkest and the brightest twentieth may be off, in 10 bit steps; measured 15 at crf 40, in a fade. In the
/// wrong range black is off by 55 (limited range made of limited) or 64 (full made of full).
const MOST_LEVEL: f64 = 32.0;
/// Correlation of pictures that kept their detail, and with it the ends of their range.
const FAITHFUL: f64 = 0.95;
/// A picture has structure where its samples deviate by this many steps (standard deviation).
const STRUCTURE: f64 = 24.0;
/// Least correlation of pictures with structure; measured 0.88 at crf 40, where single dots lose their light, otherwise
/// 0.99.
const LEAST_CORRELATION: f64 = 0.8;
/// Pictures of a scene that moves differ by more than this: mean square of 10 bit steps, see [`Stats::distance`].
const MOTION: f64 = 4.0;
/// Fewest pairs of pictures that say something of a shift.
const LEAST_PAIRS: f64 = 3.0;
/// Another picture fits better where its distance is below this share of the own one's. Measured with pictures in time: 0.89
/// and more at crf 40, 0.66 at crf 51. One picture off: 0.02 to 0.33 at crf 23, also in a pan of about a twelfth of a sample a
/// picture; at crf 40 0.1 to 0.4 in fast motion, while slow motion drowns in the encoder's error and shows nothing.
const BETTER: f64 = 0.5;
/// Another picture fits so much better that a single place is proof; otherwise two have to agree.
const FAR_BETTER: f64 = 0.25;

/// A stretch of a film to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Times of the source's pictures, some before and behind those that are compared; in nanoseconds, ascending.
    pub times: Vec<i64>,
    /// Those of `times` that are compared.
    pub compared: Range<usize>,
}

impl Place {
    /// The time of the first picture that is compared, in seconds.
    pub fn seconds(&self) -> f64 {
        self.times.get(self.compared.start).map_or(0.0, |t| *t as f64 / 1e9)
    }

    /// The times of the pictures that are compared.
    pub fn compared(&self) -> &[i64] {
        self.times.get(self.compared.clone()).unwrap_or_default()
    }
}

/// Places spread over a film, the first and the last pictures included. `shown` are the times of the pictures that a
/// decoder shows, in nanoseconds, ascending.
pub fn places(shown: &[i64]) -> Vec<Place> {
    let all = shown.len();
    let run = RUN.min(all);
    let count = all.div_ceil(RUN).min(PLACES);
    let last = all - run;
    let starts = (0..count).map(|n| if count > 1 { last * n / (count - 1) } else { 0 });
    let place = |start: usize| {
        let (from, to) = (start.saturating_sub(REACH), (start + run + REACH).min(all));
        Place { times: shown[from..to].to_vec(), compared: start - from..start - from + run }
    };
    starts.map(place).collect()
}

/// What the comparison of one place gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// When the place begins, in seconds.
    pub seconds: f64,
    /// Pictures compared.
    pub frames: usize,
    /// Least likeness in dB.
    pub psnr: Option<f64>,
    /// Times of pictures that the source shows and the result does not, in nanoseconds.
    pub missing: Vec<i64>,
    /// The first picture that is like none of the source around it.
    pub unlike: Option<String>,
    /// The picture moves, and that of the same time fits best by far.
    pub in_time: bool,
    /// How many pictures later the source has one that fits better, and whether by far.
    pub shift: Option<(isize, bool)>,
}

/// Compares the decoded pictures of one place. A picture that the source did not give is left out.
pub fn compare(place: &Place, source: &[SmallFrame], result: &[SmallFrame]) -> Found {
    let source: Vec<Option<Stats<'_>>> = place.times.iter().map(|t| at(source, *t).map(Stats::of)).collect();
    let mut found = Found { seconds: place.seconds(), ..Found::default() };
    let mut pairs = Vec::new();
    for i in place.compared.clone() {
        let (Some(Some(own)), Some(time)) = (source.get(i), place.times.get(i)) else { continue };
        match at(result, *time) {
            Some(shown) => pairs.push((i, own, Stats::of(shown))),
            None => found.missing.push(*time),
        }
    }
    found.frames = pairs.len();
    for (i, own, shown) in &pairs {
        let psnr = own.psnr(shown);
        found.psnr = Some(found.psnr.map_or(psnr, |least: f64| least.min(psnr)));
        if found.unlike.is_none()
            && let Some(how) = own.unlike(shown)
            && around(&source, *i)
                .all(|(_, other)| other.psnr(shown) <= psnr || other.unlike(shown).is_some())
        {
            found.unlike = Some(format!("the picture at {:.3} s {how}", own.frame.pts_ns as f64 / 1e9));
        }
    }
    shift(&source, &pairs, &mut found);
    found
}

/// What the places of a film say together.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// What is wrong, if something is.
    pub wrong: Option<String>,
    /// Pictures compared.
    pub frames: usize,
    /// Places with such pictures.
    pub places: usize,
    /// Places where the picture moves, and is in time.
    pub in_time: usize,
    /// Least likeness of a picture in dB, at most 99.
    pub psnr: f64,
}

impl Judgement {
    /// What is wrong, or the figures.
    pub fn found(&self) -> String {
        if let Some(wrong) = &self.wrong {
            return wrong.clone();
        }
        let moving = match self.in_time {
            0 => "no motion that would show a shift in time".to_owned(),
            n => format!("in time at {n} that move"),
        };
        let Self { frames, places, psnr, .. } = self;
        format!(
            "{frames} pictures at {places} places are the source's, {psnr:.1} dB and more at {WIDTH}x{HEIGHT}; {moving}"
        )
    }
}

/// Judges a film by its places.
pub fn judge(places: &[Found]) -> Judgement {
    let unlike = || places.iter().find_map(|p| p.unlike.clone());
    Judgement {
        wrong: missing(places).or_else(unlike).or_else(|| shifted(places)),
        frames: places.iter().map(|p| p.frames).sum(),
        places: places.iter().filter(|p| p.frames > 0).count(),
        in_time: places.iter().filter(|p| p.in_time).count(),
        psnr: places.iter().filter_map(|p| p.psnr).fold(BEST_PSNR, f64::min),
    }
}

fn missing(places: &[Found]) -> Option<String> {
    let count: usize = places.iter().map(|p| p.missing.len()).sum();
    let first = *places.iter().find_map(|p| p.missing.first())? as f64 / 1e9;
    Some(format!("pictures that do not come out of the decoder: {count}, the first at {first:.3} s"))
}

fn shifted(places: &[Found]) -> Option<String> {
    let shifts = || places.iter().filter_map(|p| Some((p.seconds, p.shift?)));
    let agree = |by: isize| shifts().filter(|(_, (other, _))| *other == by).count();
    let (seconds, (by, _)) = shifts().find(|(_, (by, far))| *far || agree(*by) > 1)?;
    let (n, when) = (by.unsigned_abs(), if by > 0 { "later" } else { "earlier" });
    let pictures = if n == 1 { "picture" } else { "pictures" };
    Some(format!("at {seconds:.3} s the result shows what the source shows {n} {pictures} {when}"))
}

/// Whether every picture of a place that is compared is among these.
pub fn complete(place: &Place, frames: &[SmallFrame]) -> bool {
    place.compared().iter().all(|time| at(frames, *time).is_some())
}

/// The picture shown at a time.
fn at(frames: &[SmallFrame], time: i64) -> Option<&SmallFrame> {
    let near = frames.iter().min_by_key(|f| (f.pts_ns - time).abs())?;
    ((near.pts_ns - time).abs() <= SAME_NS).then_some(near)
}

/// The source's pictures before and behind one, with their distance in pictures.
fn around<'a, 'f>(source: &'a [Option<Stats<'f>>], i: usize) -> impl Iterator<Item = (isize, &'a Stats<'f>)> {
    let reach = REACH as isize;
    let near = (-reach..=reach).filter(|by| *by != 0);
    near.filter_map(move |by| Some((by, source.get(i.checked_add_signed(by)?)?.as_ref()?)))
}

/// Holds the source's pictures before and behind against the result's. Sums over all pictures of a place: single ones may
/// be nearer to a neighbour, where a poor encode repeats what it showed before.
fn shift(source: &[Option<Stats<'_>>], pairs: &[(usize, &Stats<'_>, Stats<'_>)], found: &mut Found) {
    let mut sums = [Sum::default(); 2 * REACH + 1];
    for (i, own, shown) in pairs.iter().filter(|(_, own, _)| own.luma.deviation > STRUCTURE) {
        let own_distance = own.distance(shown);
        for (by, other) in around(source, *i).filter(|(_, other)| other.luma.deviation > STRUCTURE) {
            if let Some(sum) = REACH.checked_add_signed(by).and_then(|n| sums.get_mut(n)) {
                sum.add(own, own_distance, other, shown);
            }
        }
    }
    let moving =
        sums.iter().enumerate().filter(|(_, sum)| sum.n >= LEAST_PAIRS && sum.motion > MOTION * sum.n);
    let moving: Vec<(isize, Sum)> = moving.map(|(n, sum)| (n as isize - REACH as isize, *sum)).collect();
    let best = moving.iter().min_by(|(_, a), (_, b)| a.share().total_cmp(&b.share()));
    let Some((by, best)) = best else { return };
    found.shift = (best.share() < BETTER).then_some((*by, best.share() < FAR_BETTER));
    // What is worth more than the nearest: whether any of them is clearly another picture.
    found.in_time = best.share() >= 1.0 && moving.iter().any(|(_, sum)| sum.share() > 1.0 / BETTER);
}

/// Distances over the pictures of a place, for one neighbour of each.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    own: f64,
    other: f64,
    motion: f64,
    n: f64,
}

impl Sum {
    fn add(&mut self, own: &Stats<'_>, own_distance: f64, other: &Stats<'_>, shown: &Stats<'_>) {
        self.own += own_distance;
        self.other += other.distance(shown);
        self.motion += own.distance(other) * own.luma.deviation.powi(2);
        self.n += 1.0;
    }

    /// Below 1 the neighbours fit better than the pictures of the same time.
    fn share(&self) -> f64 {
        self.other / self.own.max(1e-9)
    }
}

/// A picture and its figures.
struct Stats<'a> {
    frame: &'a SmallFrame,
    luma: Plane,
    /// Brightness of each two by two samples, brought to average 0 and deviation 1; all 0 where it is flat.
    shape: Vec<f32>,
    chroma: [f64; 2],
    darkest: f64,
    brightest: f64,
}

impl<'a> Stats<'a> {
    fn of(frame: &'a SmallFrame) -> Self {
        let (blue, red) = frame.chroma.split_at(frame.chroma.len() / 2);
        let (darkest, brightest) = ends(&frame.luma);
        Self {
            frame,
            luma: Plane::of(&frame.luma),
            shape: shape(&frame.luma),
            chroma: [Plane::of(blue).mean, Plane::of(red).mean],
            darkest,
            brightest,
        }
    }

    /// Peak signal to noise ratio in dB, for the range from black (64) to white (940); at most 99.
    fn psnr(&self, other: &Self) -> f64 {
        let square = |(a, b): (&u16, &u16)| u64::from(a.abs_diff(*b)).pow(2);
        let sum: u64 = self.frame.luma.iter().zip(&other.frame.luma).map(square).sum();
        let mean = sum as f64 / self.frame.luma.len().max(1) as f64;
        (10.0 * (876.0f64.powi(2) / mean.max(1e-9)).log10()).min(BEST_PSNR)
    }

    /// Pearson's correlation of both pictures; 0 where one is flat.
    fn correlation(&self, other: &Self) -> f64 {
        let products: f32 = self.shape.iter().zip(&other.shape).map(|(a, b)| a * b).sum();
        f64::from(products) / self.shape.len().max(1) as f64
    }

    /// Mean square difference of both pictures after each was brought to average 0 and deviation 1. So a fade is no
    /// motion: encoders without weighted prediction show it several pictures late.
    fn distance(&self, other: &Self) -> f64 {
        2.0 * (1.0 - self.correlation(other)).max(0.0)
    }

    /// How `shown` differs from this one, if it does.
    fn unlike(&self, shown: &Self) -> Option<String> {
        let correlation = self.correlation(shown);
        // An encode that loses detail takes off the ends of the range as well.
        let most_level = if correlation > FAITHFUL { MOST_LEVEL } else { f64::INFINITY };
        for (name, want, got, most) in [
            ("brightness", self.luma.mean, shown.luma.mean, MOST_MEAN),
            ("blue difference", self.chroma[0], shown.chroma[0], MOST_COLOUR),
            ("red difference", self.chroma[1], shown.chroma[1], MOST_COLOUR),
            ("black", self.darkest, shown.darkest, most_level),
            ("white", self.brightest, shown.brightest, most_level),
        ] {
            if (want - got).abs() > most {
                return Some(format!("has {name} {got:.0} instead of {want:.0} (of 1023)"));
            }
        }
        let psnr = self.psnr(shown);
        if psnr < LEAST_PSNR {
            return Some(format!("is like its original by {psnr:.1} dB only"));
        }
        (self.luma.deviation > STRUCTURE && correlation < LEAST_CORRELATION)
            .then(|| format!("has another structure than its original (correlation {correlation:.2})"))
    }
}

/// Average and standard deviation of a plane.
struct Plane {
    mean: f64,
    deviation: f64,
}

impl Plane {
    fn of(plane: &[u16]) -> Self {
        let n = plane.len().max(1) as f64;
        let mean = plane.iter().map(|s| u64::from(*s)).sum::<u64>() as f64 / n;
        let squares = plane.iter().map(|s| u64::from(*s).pow(2)).sum::<u64>() as f64 / n;
        Self { mean, deviation: (squares - mean * mean).max(0.0).sqrt() }
    }
}

/// See [`Stats::shape`].
fn shape(luma: &[u16]) -> Vec<f32> {
    let halved: Vec<u16> = luma
        .chunks_exact(2 * WIDTH)
        .flat_map(|rows| {
            let (upper, lower) = rows.split_at(WIDTH);
            let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
            pairs.map(|(a, b)| (a.iter().sum::<u16>() + b.iter().sum::<u16>()) / 4)
        })
        .collect();
    let all = Plane::of(&halved);
    let scale = if all.deviation < 1e-3 { 0.0 } else { 1.0 / all.deviation };
    halved.iter().map(|s| ((f64::from(*s) - all.mean) * scale) as f32).collect()
}

/// Averages of the darkest and of the brightest twentieth of a plane of 10 bit samples.
fn ends(plane: &[u16]) -> (f64, f64) {
    let mut counts = [0u64; 1024];
    plane.iter().for_each(|s| counts[usize::from(*s).min(1023)] += 1);
    let part = (plane.len() as u64 / 20).max(1);
    let first = |counts: &mut dyn Iterator<Item = (usize, &u64)>| {
        let (mut left, mut sum) = (part, 0);
        for (level, count) in counts {
            let taken = left.min(*count);
            sum += taken * level as u64;
            left -= taken;
        }
        sum as f64 / (part - left).max(1) as f64
    };
    let levels = || counts.iter().enumerate();
    (first(&mut levels()), first(&mut levels().rev()))
}

#[cfg(test)]
#[path = "picture_tests.rs"]
mod tests;
