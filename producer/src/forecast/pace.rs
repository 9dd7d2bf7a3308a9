//! How fast films go: what recipe, picture size and worker each have to do with it.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand_distr::{ChiSquared, Distribution, StandardNormal};

/// Films that are looked back on, of each recipe: the latest.
const LATEST: usize = 300;
/// Sets of parts that are drawn, at most.
pub(super) const DRAWS: usize = 200;
/// Rounds before the first set is kept, and from one to the next: neighbouring sets are much alike.
const BURN_IN: usize = 100;
const THIN: usize = 5;
/// How far apart, as a factor, things are taken to be before anything is known, as standard deviations of the logarithm.
/// Recipes: anything. Picture size: the amount counts it already. Workers: an old machine has half of a new one's speed. A worker
/// with one recipe: chips and processors differ.
const SPREAD: [f64; FACTORS] = [5.0, 0.3, 0.7, 0.3];
const FACTORS: usize = 4;
/// What films do among themselves, before anything is known: the weight of so many films with this spread.
const FILM_SPREAD: f64 = 0.35;
const FILM_WEIGHT: f64 = 4.0;

/// What a film's pace depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// See [`recipe_name`](super::recipe_name).
    pub recipe: String,
    /// Whether the picture is large, if that is known.
    pub large: Option<bool>,
    /// Who does it.
    pub worker: String,
}

/// A finished film.
#[derive(Debug, Clone, PartialEq)]
pub struct Finish {
    /// What it was.
    pub kind: Kind,
    /// Its amount, see [`Amount::units`](super::Amount::units).
    pub units: f64,
    /// Bytes of the source.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
    /// When it was finished.
    pub at: jiff::Timestamp,
}

/// The parts of a pace as far as the finished films tell them.
#[derive(Debug)]
pub struct Paces {
    levels: [BTreeMap<String, usize>; FACTORS],
    centre: f64,
    draws: Vec<Draw>,
    films: BTreeMap<String, Vec<f64>>,
}

/// One set of parts that fits.
#[derive(Debug)]
struct Draw {
    parts: [Vec<f64>; FACTORS],
    film_spread: f64,
}

/// Films of one kind, summed up.
struct Cell {
    at: [usize; FACTORS],
    films: f64,
    sum: f64,
    squares: f64,
}

impl Kind {
    fn names(&self) -> [String; FACTORS] {
        let size = |large| format!("{}/{large}", self.recipe == "copy");
        [
            self.recipe.clone(),
            self.large.map_or_else(|| "?".into(), size),
            self.worker.clone(),
            format!("{}\n{}", self.worker, self.recipe),
        ]
    }
}

impl Paces {
    /// Learns from the latest films of each recipe. The same films give the same answer.
    pub fn learn(finished: &[Finish]) -> Self {
        let mut latest: Vec<&Finish> = finished.iter().collect();
        latest.sort_by(|a, b| b.at.cmp(&a.at).then(a.seconds.total_cmp(&b.seconds)));
        let mut films: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        latest.retain(|f| {
            let seen = films.entry(f.kind.recipe.clone()).or_default();
            let wanted = seen.len() < LATEST;
            if wanted {
                seen.push(f.units / f.bytes as f64);
            }
            wanted
        });
        let pace = |f: &Finish| (f.seconds / f.units).ln();
        let centre = latest.iter().map(|f| pace(f)).sum::<f64>() / latest.len().max(1) as f64;
        let mut levels: [BTreeMap<String, usize>; FACTORS] = Default::default();
        let mut cells: BTreeMap<[usize; FACTORS], Cell> = BTreeMap::new();
        for film in latest {
            let mut at = [0; FACTORS];
            for ((level, names), at) in levels.iter_mut().zip(film.kind.names()).zip(&mut at) {
                let next = level.len();
                *at = *level.entry(names).or_insert(next);
            }
            let y = pace(film) - centre;
            let cell = cells.entry(at).or_insert(Cell { at, films: 0.0, sum: 0.0, squares: 0.0 });
            cell.films += 1.0;
            cell.sum += y;
            cell.squares += y * y;
        }
        let cells: Vec<Cell> = cells.into_values().collect();
        let draws = draws(&cells, levels.each_ref().map(BTreeMap::len));
        Self { levels, centre, draws, films }
    }

    /// Finished films of this recipe that were learned from.
    pub fn films(&self, recipe: &str) -> usize {
        self.films.get(recipe).map_or(0, Vec::len)
    }

    /// Units by byte of each of them: for a film of which only the size is known.
    pub(super) fn densities(&self, recipe: &str) -> &[f64] {
        self.films.get(recipe).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn place(&self, kind: &Kind) -> Place {
        let names = kind.names();
        let mut at = [None; FACTORS];
        for ((level, name), at) in self.levels.iter().zip(&names).zip(&mut at) {
            *at = level.get(name).copied();
        }
        Place(at)
    }

    /// The logarithm of the pace of films of this kind in one set of parts. A part that nobody has seen is drawn anew, so ask
    /// once for all films of the kind.
    pub(super) fn mean(&self, draw: usize, place: Place, random: &mut SmallRng) -> f64 {
        let parts = &self.draws[draw % self.draws.len()].parts;
        let mut mean = self.centre;
        for ((parts, at), spread) in parts.iter().zip(place.0).zip(SPREAD) {
            mean += at.map_or_else(|| spread * normal(random), |at| parts[at]);
        }
        mean
    }

    /// How much films of one kind differ in one set of parts.
    pub(super) fn film_spread(&self, draw: usize) -> f64 {
        self.draws[draw % self.draws.len()].film_spread
    }
}

/// Which parts a kind has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place([Option<usize>; FACTORS]);

pub(super) fn normal(random: &mut SmallRng) -> f64 {
    StandardNormal.sample(random)
}

/// Gibbs sampling: each part is drawn from what is left for it when all the others are taken as they are.
fn draws(cells: &[Cell], sizes: [usize; FACTORS]) -> Vec<Draw> {
    let mut random = SmallRng::seed_from_u64(7);
    let mut parts = sizes.map(|n| vec![0.0; n]);
    let films: f64 = cells.iter().map(|c| c.films).sum();
    let fit = |parts: &[Vec<f64>; FACTORS], c: &Cell| -> f64 {
        parts.iter().zip(c.at).map(|(parts, at)| parts[at]).sum()
    };
    let mut variance = FILM_SPREAD * FILM_SPREAD;
    let mut kept = Vec::with_capacity(DRAWS);
    for round in 0..BURN_IN + DRAWS * THIN {
        for factor in 0..FACTORS {
            let mut left = vec![(0.0, 0.0); sizes[factor]];
            for cell in cells {
                let others = fit(&parts, cell) - parts[factor][cell.at[factor]];
                let (number, sum) = &mut left[cell.at[factor]];
                *number += cell.films;
                *sum += cell.sum - cell.films * others;
            }
            for (part, (number, sum)) in parts[factor].iter_mut().zip(left) {
                let precision = number / variance + SPREAD[factor].powi(-2);
                *part = sum / variance / precision + normal(&mut random) / precision.sqrt();
            }
        }
        let off = |c: &Cell| {
            let fit = fit(&parts, c);
            c.squares - 2.0 * fit * c.sum + c.films * fit * fit
        };
        let squares: f64 = cells.iter().map(off).sum::<f64>().max(0.0);
        let degrees = FILM_WEIGHT + films;
        let chi = ChiSquared::new(degrees).map_or(degrees, |c| c.sample(&mut random)).max(1e-3);
        variance = (FILM_WEIGHT * FILM_SPREAD * FILM_SPREAD + squares) / chi;
        if round >= BURN_IN && (round - BURN_IN).is_multiple_of(THIN) {
            kept.push(Draw { parts: parts.clone(), film_spread: variance.sqrt() });
        }
    }
    kept
}
