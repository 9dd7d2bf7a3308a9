//! The queue played through, again and again.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, Uniform};

use super::pace::{DRAWS, normal};
use super::{Amount, Kind, Paces};

/// Finished films of a recipe before anything is said about it.
const ENOUGH: usize = 3;
/// Films that are played at most; a longer queue is played fewer times.
const PLAYED: usize = 250_000;
const FEWEST: usize = 50;
/// From this part of a film on, its own progress says more than other films do.
const TELLING: f64 = 0.05;
/// How far such a projection is off, as a standard deviation of the logarithm.
const PROJECTION: f64 = 0.25;

/// A film that nobody works on.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// What it asks for.
    pub amount: Amount,
    /// Nobody may take it before: it waits for another try.
    pub not_before: Duration,
}

/// A film in work.
#[derive(Debug, Clone, PartialEq)]
pub struct InHand {
    /// What it asks for, if that is known.
    pub amount: Option<Amount>,
    /// How long it has been going.
    pub elapsed: Duration,
    /// Percent of the film, as its worker says.
    pub percent: f64,
    /// How long nobody goes on with it.
    pub stands: Duration,
}

/// One film at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// Whose.
    pub worker: String,
    /// What it is at.
    pub film: Option<InHand>,
    /// Whether it takes a further film after that.
    pub takes_more: bool,
    /// It takes films only after this.
    pub rests: Duration,
}

/// When the queue will be empty.
#[derive(Debug, Clone, PartialEq)]
pub enum Forecast {
    /// It is.
    Empty,
    /// Nobody works.
    NoWorker,
    /// Not enough is known: the recipe with the fewest finished films, their number, and how many it takes.
    NotYet {
        /// See [`recipe_name`](super::recipe_name).
        recipe: String,
        /// Finished films of it.
        have: usize,
        /// Films it takes.
        need: usize,
    },
    /// From now.
    Range {
        /// One end in ten is earlier.
        low: Duration,
        /// Half of them are.
        likely: Duration,
        /// One in ten is later.
        high: Duration,
        /// Finished films of these recipes that this was learned from.
        learned_from: usize,
    },
}

/// Plays the queue through with many sets of paces. The same input gives the same answer.
pub fn forecast(paces: &Paces, waiting: &[Waiting], slots: &[Slot]) -> Forecast {
    let in_hand = || slots.iter().filter_map(|s| s.film.as_ref());
    if waiting.is_empty() && in_hand().next().is_none() {
        return Forecast::Empty;
    }
    if !waiting.is_empty() && !slots.iter().any(|s| s.takes_more) {
        return Forecast::NoWorker;
    }
    let recipes: BTreeSet<&str> = waiting
        .iter()
        .map(|w| &w.amount)
        .chain(in_hand().filter_map(|f| f.amount.as_ref()))
        .map(|a| a.recipe.as_str())
        .collect();
    let fewest = recipes.iter().min_by_key(|r| paces.films(r));
    if let Some(recipe) = fewest.filter(|r| paces.films(r) < ENOUGH) {
        let (recipe, have) = ((*recipe).to_owned(), paces.films(recipe));
        return Forecast::NotYet { recipe, have, need: ENOUGH };
    }
    let mut order: Vec<&Waiting> = waiting.iter().collect();
    order.sort_by_key(|w| w.not_before);
    let mut random = SmallRng::seed_from_u64(11);
    let games = (PLAYED / order.len().max(1)).clamp(FEWEST, DRAWS);
    let mut ends: Vec<f64> =
        (0..games).map(|n| play(paces, n * DRAWS / games, &order, slots, &mut random)).collect();
    ends.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let seconds = ends[((ends.len() - 1) as f64 * share).round() as usize];
        Duration::from_secs_f64(seconds.clamp(0.0, 1e9))
    };
    let learned_from = recipes.iter().map(|r| paces.films(r)).sum();
    Forecast::Range { low: at(0.1), likely: at(0.5), high: at(0.9), learned_from }
}

/// The second at which the last film is done in one set of paces.
fn play(paces: &Paces, draw: usize, order: &[&Waiting], slots: &[Slot], random: &mut SmallRng) -> f64 {
    let workers: BTreeSet<&str> = slots.iter().map(|s| s.worker.as_str()).collect();
    let workers: Vec<&str> = workers.into_iter().collect();
    let mut game = Game { paces, draw, means: HashMap::new() };
    let mut end = 0.0_f64;
    let mut free = BinaryHeap::with_capacity(slots.len());
    for slot in slots {
        let worker = workers.binary_search(&slot.worker.as_str()).unwrap_or_default();
        let mut at = slot.rests.as_secs_f64();
        if let Some(film) = &slot.film {
            let left = film.stands.as_secs_f64() + game.rest(film, &workers, worker, random);
            end = end.max(left);
            at = at.max(left);
        }
        if slot.takes_more {
            free.push(Reverse((Second(at), worker)));
        }
    }
    for film in order {
        let Some(Reverse((Second(at), worker))) = free.pop() else { break };
        let begun = at.max(film.not_before.as_secs_f64());
        let done = begun + game.seconds(&film.amount, &workers, worker, random);
        end = end.max(done);
        free.push(Reverse((Second(done), worker)));
    }
    end
}

struct Game<'a> {
    paces: &'a Paces,
    draw: usize,
    /// By recipe, picture size and worker.
    means: HashMap<(&'a str, Option<bool>, usize), f64>,
}

impl<'a> Game<'a> {
    fn seconds(&mut self, amount: &'a Amount, workers: &[&str], worker: usize, random: &mut SmallRng) -> f64 {
        let (paces, draw) = (self.paces, self.draw);
        let key = (amount.recipe.as_str(), amount.large, worker);
        let mean = match self.means.get(&key) {
            Some(mean) => *mean,
            None => {
                let kind = Kind {
                    recipe: amount.recipe.clone(),
                    large: amount.large,
                    worker: workers[worker].to_owned(),
                };
                let mean = paces.mean(draw, paces.place(&kind), random);
                *self.means.entry(key).or_insert(mean)
            }
        };
        let units = amount.units.unwrap_or_else(|| {
            // As many units by byte as some finished film had.
            let known = paces.densities(&amount.recipe);
            let any = Uniform::new(0, known.len()).map_or(0, |u| u.sample(random));
            known.get(any).copied().unwrap_or_default() * amount.bytes as f64
        });
        units * (mean + paces.film_spread(draw) * normal(random)).exp()
    }

    fn rest(&mut self, film: &'a InHand, workers: &[&str], worker: usize, random: &mut SmallRng) -> f64 {
        let (elapsed, part) = (film.elapsed.as_secs_f64(), film.percent / 100.0);
        if part >= TELLING && part.is_finite() {
            return elapsed * (1.0 - part.min(1.0)) / part * (PROJECTION * normal(random)).exp();
        }
        let Some(amount) = &film.amount else { return 0.0 };
        // Of the ways it may go, those count in which it is not done yet.
        let ways = (0..10).map(|_| self.seconds(amount, workers, worker, random));
        let longest = ways.fold((None, 0.0_f64), |(fits, longest), way| {
            (fits.or_else(|| (way > elapsed).then_some(way)), longest.max(way))
        });
        longest.0.map_or(longest.1 / 2.0, |way| way - elapsed)
    }
}

/// Seconds in the order of time.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Second(f64);

impl Eq for Second {}

impl PartialOrd for Second {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Second {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}
