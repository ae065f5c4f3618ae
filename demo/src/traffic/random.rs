//! A random generator with a seed. The same seed gives the same traffic on every machine.

/// The mixing function of SplitMix64: every bit of the input affects every bit of the output.
pub fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A small generator (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Random {
        Random(mix(seed))
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `n`, which is above 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.number()) * u128::from(n)) >> 64) as u64
    }

    /// Returns true with this probability.
    pub fn chance(&mut self, share: f64) -> bool {
        ((self.number() >> 11) as f64) < share * (1_u64 << 53) as f64
    }
}

/// Zipf's law: number k is drawn with weight 1 / (k + 1)^exponent. A draw takes one look-up (Vose's alias method).
#[derive(Clone, Debug)]
pub struct Zipf {
    /// For each number, a threshold and an alias. A draw up to the threshold gives the number, and otherwise the alias.
    slots: Vec<(u32, u32)>,
}

impl Zipf {
    /// A distribution of the numbers below `n`, which is above 0.
    pub fn new(n: u32, exponent: f64) -> Zipf {
        let weights: Vec<f64> = (0..n).map(|k| f64::from(k + 1).powf(-exponent)).collect();
        let scale = f64::from(n) / weights.iter().sum::<f64>();
        let mut shares: Vec<f64> = weights.iter().map(|weight| weight * scale).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) = (0..n).partition(|k| shares[*k as usize] < 1.0);
        let mut slots: Vec<(u32, u32)> = (0..n).map(|k| (u32::MAX, k)).collect();
        while let (Some(&low), Some(&high)) = (small.last(), large.last()) {
            small.pop();
            slots[low as usize] = ((shares[low as usize] * f64::from(u32::MAX)) as u32, high);
            shares[high as usize] -= 1.0 - shares[low as usize];
            if shares[high as usize] < 1.0 {
                large.pop();
                small.push(high);
            }
        }
        Zipf { slots }
    }

    /// Draws a number.
    pub fn draw(&self, random: &mut Random) -> u32 {
        let at = random.below(self.slots.len() as u64) as u32;
        let (share, alias) = self.slots[at as usize];
        if random.number() as u32 <= share { at } else { alias }
    }
}
