//! The random decisions of a run.

use pelton_demo::traffic::Random;
use std::ops::RangeInclusive;

/// A source of random draws, decided by a seed.
#[derive(Clone, Debug)]
pub struct Dice(Random);

impl Dice {
    /// The same seed gives the same draws.
    pub fn new(seed: u64) -> Dice {
        Dice(Random::new(seed))
    }

    /// An independent source: draws from either don't affect the other.
    pub fn fork(&mut self) -> Dice {
        Dice(Random::new(self.0.number()))
    }

    /// A number below `n`, which must be positive.
    pub fn below(&mut self, n: usize) -> usize {
        self.0.below(n as u64) as usize
    }

    /// A number in the range.
    pub fn between(&mut self, range: RangeInclusive<i64>) -> i64 {
        range.start() + self.0.below((range.end() - range.start() + 1) as u64) as i64
    }

    /// True with this probability.
    pub fn chance(&mut self, share: f64) -> bool {
        self.0.chance(share)
    }

    /// One of the items.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}
