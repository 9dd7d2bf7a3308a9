//! Made-up fleets, played to their end: does the true end lie in the range?

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, StandardNormal, Uniform};

use super::*;

/// A world with a truth of its own.
struct World {
    random: SmallRng,
    film_spread: f64,
    /// One film in ten is of a kind that takes so much longer: the model knows of no such thing.
    grain: f64,
    workers: Vec<(String, f64)>,
}

impl World {
    fn new(seed: u64, workers: usize, film_spread: f64, grain: f64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let speed = |random: &mut SmallRng| (0.4 * gauss(random)).exp();
        let workers = (0..workers).map(|n| (format!("vm{n}"), speed(&mut random))).collect();
        Self { random, film_spread, grain, workers }
    }

    fn amount(&mut self) -> Amount {
        let minutes = Uniform::new(80.0, 160.0).unwrap().sample(&mut self.random);
        let large = Uniform::new(0, 4).unwrap().sample(&mut self.random) > 0;
        let pixels = if large { 8.3 } else { 2.1 };
        let units = Some(minutes * 60.0 * 24.0 * pixels);
        let bytes = (minutes * 4e8) as u64;
        Amount { recipe: "x265 slow".into(), large: Some(large), units, bytes }
    }

    /// About four frames of 2160p a second.
    fn seconds(&mut self, amount: &Amount, worker: usize) -> f64 {
        let rare = Uniform::new(0.0, 1.0).unwrap().sample(&mut self.random) < 0.1;
        let grain = if rare { self.grain } else { 1.0 };
        let film = (self.film_spread * gauss(&mut self.random)).exp();
        amount.units.unwrap() * 0.03 * self.workers[worker].1 * film * grain
    }

    fn history(&mut self, films: usize) -> Vec<Finish> {
        (0..films)
            .map(|n| {
                let (amount, worker) = (self.amount(), n % self.workers.len());
                let seconds = self.seconds(&amount, worker);
                let worker = self.workers[worker].0.clone();
                Finish {
                    kind: Kind { recipe: amount.recipe, large: amount.large, worker },
                    units: amount.units.unwrap(),
                    bytes: amount.bytes,
                    seconds,
                    at: jiff::Timestamp::UNIX_EPOCH,
                }
            })
            .collect()
    }

    /// The true end of a queue in which every film goes to whoever is free first.
    fn truth(&mut self, queue: &[Waiting]) -> f64 {
        let mut free = vec![0.0_f64; self.workers.len()];
        for film in queue {
            let next = (0..free.len()).min_by(|a, b| free[*a].total_cmp(&free[*b])).unwrap();
            free[next] += self.seconds(&film.amount, next);
        }
        free.into_iter().fold(0.0, f64::max)
    }

    fn slots(&self) -> Vec<Slot> {
        let slot = |name: &String| Slot {
            worker: name.clone(),
            film: None,
            takes_more: true,
            rests: Duration::ZERO,
        };
        self.workers.iter().map(|(name, _)| slot(name)).collect()
    }
}

fn gauss(random: &mut SmallRng) -> f64 {
    StandardNormal.sample(random)
}

fn waiting(amount: Amount) -> Waiting {
    Waiting { amount, not_before: Duration::ZERO }
}

/// How often the true end lies in the range, in percent, and the middle one of upper by lower end.
fn coverage(finished: usize, queued: usize, workers: usize, film_spread: f64, grain: f64) -> (f64, f64) {
    const WORLDS: u64 = 60;
    let (mut inside, mut widths) = (0, Vec::new());
    for seed in 0..WORLDS {
        let mut world = World::new(seed, workers, film_spread, grain);
        let history = world.history(finished);
        let queue: Vec<Waiting> = (0..queued).map(|_| waiting(world.amount())).collect();
        let Forecast::Range { low, high, .. } = forecast(&Paces::learn(&history), &queue, &world.slots())
        else {
            panic!("{finished} films are enough")
        };
        let (low, high, truth) = (low.as_secs_f64(), high.as_secs_f64(), world.truth(&queue));
        inside += u64::from((low..=high).contains(&truth));
        widths.push(high / low);
    }
    widths.sort_by(f64::total_cmp);
    (inside as f64 * 100.0 / WORLDS as f64, widths[widths.len() / 2])
}

#[test]
fn the_true_end_lies_in_the_range_about_four_times_in_five() {
    // Finished films, films in the queue, workers, spread of the films, what one film in ten takes longer.
    let cases = [
        (3, 1, 1, 0.3, 1.0),
        (3, 20, 1, 0.3, 1.0),
        (10, 1, 3, 0.3, 1.0),
        (10, 30, 3, 0.3, 1.0),
        (40, 10, 3, 0.15, 1.0),
        (40, 100, 3, 0.5, 1.0),
        (100, 30, 8, 0.3, 1.0),
        (40, 30, 3, 0.3, 2.5),
    ];
    for (finished, queued, workers, spread, grain) in cases {
        let (percent, width) = coverage(finished, queued, workers, spread, grain);
        println!(
            "| {finished} | {queued} | {workers} | {spread} | {} | {percent:.0} % | {width:.2} |",
            if grain > 1.0 { "yes" } else { "no" }
        );
        assert!(
            (68.0..=97.0).contains(&percent),
            "{finished} {queued} {workers} {spread} {grain}: {percent}"
        );
    }
}

#[test]
fn more_finished_films_make_the_range_narrower() {
    let width = |finished| coverage(finished, 50, 2, 0.3, 1.0).1;
    let (few, more, many) = (width(3), width(20), width(200));
    assert!(few > more && more > many && many < 1.2, "{few} {more} {many}");
}

#[test]
fn too_few_films_are_said_to_be_too_few() {
    let mut world = World::new(1, 2, 0.3, 1.0);
    let queue = vec![waiting(world.amount())];
    let slots = world.slots();
    let at = |finished: &[Finish]| forecast(&Paces::learn(finished), &queue, &slots);
    assert_eq!(at(&[]), Forecast::NotYet { recipe: "x265 slow".into(), have: 0, need: 3 });
    let history = world.history(3);
    assert!(matches!(at(&history[..2]), Forecast::NotYet { have: 2, .. }));
    assert!(matches!(at(&history), Forecast::Range { learned_from: 3, .. }));
    let other = Amount { recipe: "copy".into(), ..queue[0].amount.clone() };
    let both = [queue[0].clone(), waiting(other)];
    let mixed = forecast(&Paces::learn(&history), &both, &slots);
    assert_eq!(mixed, Forecast::NotYet { recipe: "copy".into(), have: 0, need: 3 });
    assert_eq!(forecast(&Paces::learn(&[]), &[], &slots), Forecast::Empty);
    assert_eq!(forecast(&Paces::learn(&history), &queue, &[]), Forecast::NoWorker);
    let last = [Slot { takes_more: false, ..slots[0].clone() }];
    assert_eq!(forecast(&Paces::learn(&history), &queue, &last), Forecast::NoWorker);
}

fn likely(f: &Forecast) -> f64 {
    match f {
        Forecast::Range { likely, .. } => likely.as_secs_f64(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_slow_worker_and_a_film_in_hand_and_a_rest_count() {
    let mut world = World::new(3, 2, 0.1, 1.0);
    world.workers[0].1 = 1.0;
    world.workers[1].1 = 4.0;
    let history = world.history(60);
    let paces = Paces::learn(&history);
    let queue = vec![waiting(world.amount())];
    let slots = world.slots();
    let (fast, slow) =
        (likely(&forecast(&paces, &queue, &slots[..1])), likely(&forecast(&paces, &queue, &slots[1..])));
    assert!((3.0..5.0).contains(&(slow / fast)), "{slow} {fast}");

    let hour = Duration::from_secs(3600);
    let rests = [Slot { rests: hour, ..slots[0].clone() }];
    assert!((likely(&forecast(&paces, &queue, &rests)) - fast - 3600.0).abs() < 0.1 * fast);
    let late = [Waiting { not_before: hour, ..queue[0].clone() }];
    assert!((likely(&forecast(&paces, &late, &slots[..1])) - fast - 3600.0).abs() < 0.1 * fast);

    // Three quarters of a film in three hours: one more.
    let film = InHand { amount: None, elapsed: 3 * hour, percent: 75.0, stands: Duration::ZERO };
    let busy = [Slot { film: Some(film), ..slots[0].clone() }];
    assert!((likely(&forecast(&paces, &[], &busy)) - 3600.0).abs() < 300.0);
    let film = InHand { amount: None, elapsed: 3 * hour, percent: 75.0, stands: hour };
    let still = [Slot { film: Some(film), ..slots[0].clone() }];
    assert!((likely(&forecast(&paces, &[], &still)) - 7200.0).abs() < 300.0);
    // Just begun: what other films took.
    let begun = InHand {
        amount: Some(queue[0].amount.clone()),
        elapsed: Duration::ZERO,
        percent: 0.5,
        stands: Duration::ZERO,
    };
    let busy = [Slot { film: Some(begun), ..slots[0].clone() }];
    assert!((likely(&forecast(&paces, &[], &busy)) / fast - 1.0).abs() < 0.1);
}

#[test]
fn a_film_of_which_only_the_size_is_known_is_taken_by_its_size() {
    let mut world = World::new(5, 1, 0.1, 1.0);
    let paces = Paces::learn(&world.history(60));
    let known = world.amount();
    let unknown = Amount { units: None, large: None, ..known.clone() };
    let of = |amount| likely(&forecast(&paces, &[waiting(amount)], &world.slots()));
    assert!((0.3..3.0).contains(&(of(unknown) / of(known))));
}

#[test]
fn nonsense_from_the_share_breaks_nothing() {
    let mut world = World::new(6, 1, 0.1, 1.0);
    let mut history = world.history(5);
    history[0].seconds = 1e300;
    history[1].units = 1e-300;
    let film =
        InHand { amount: None, elapsed: Duration::from_secs(10), percent: f64::NAN, stands: Duration::ZERO };
    let busy = [Slot { film: Some(film), ..world.slots().remove(0) }];
    let mut amount = world.amount();
    amount.units = Some(f64::MAX);
    let Forecast::Range { high, .. } = forecast(&Paces::learn(&history), &[waiting(amount)], &busy) else {
        panic!("three good films are there")
    };
    assert!(high <= Duration::from_secs(1_000_000_000));
}
