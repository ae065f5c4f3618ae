//! What a seed decides, draw by draw.

use pelton_demo::traffic::Random;
use std::ops::RangeInclusive;

/// See the module.
#[derive(Clone, Debug)]
pub struct Dice(Random);

impl Dice {
    /// The same seed, the same draws.
    pub fn new(seed: u64) -> Dice {
        Dice(Random::new(seed))
    }

    /// Draws of their own, which others don't move.
    pub fn fork(&mut self) -> Dice {
        Dice(Random::new(self.0.number()))
    }

    /// A number below `n`, which is above 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.0.below(n as u64) as usize
    }

    /// A number of the range.
    pub fn between(&mut self, range: RangeInclusive<i64>) -> i64 {
        range.start() + self.0.below((range.end() - range.start() + 1) as u64) as i64
    }

    /// True with this probability.
    pub fn chance(&mut self, share: f64) -> bool {
        self.0.chance(share)
    }

    /// One of them.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}
