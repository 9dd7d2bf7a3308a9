//! When the queue will be empty, as a range learned from the films that are finished.
//!
//! # The method
//!
//! 1. Every certificate tells how long a film took (its stages together) and how much there was to do: megapixels in all
//!    frames for an encode, megabytes of the source for a copy. Seconds by amount is the film's *pace*.
//! 2. The logarithm of a pace is taken for a sum: what the recipe costs, what the picture size, the worker, and this worker
//!    with this recipe add to that, and what is peculiar to the film ([`Paces`]). Each part but the recipe's has a prior, so
//!    that one film of a worker moves the worker's part only a little, and a worker that nobody has seen gets a wide one.
//! 3. Gibbs sampling draws some hundred sets of these parts that fit the finished films. Few films leave the sets far apart,
//!    and that is what makes the range wide.
//! 4. For each set the whole queue is played through once: films in hand first, then the waiting ones, each to whichever
//!    worker is free first, each with a peculiarity of its own ([`forecast`]).
//! 5. The range is the middle 80 % of the ends: one in ten was earlier, one in ten later.
//!
//! What it cannot know: films that will fail, workers that will come, go or rest, and films that are queued later.
//! The tests play made-up fleets to their end and count how often the true end lies in the range.

mod amount;
mod pace;
mod queue;

pub use amount::{Amount, Finished, recipe_name};
pub use pace::{Finish, Kind, Paces};
pub use queue::{Forecast, InHand, Slot, Waiting, forecast};

#[cfg(test)]
mod tests;
