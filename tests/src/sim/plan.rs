//! What is decided before a run begins: settings, traffic, and how rough the world is.

use super::dice::Dice;
use super::rules::TTLS;
use super::traffic::{self, Arrival, Shape};
use crate::auditor::{Format, Millis};
use std::time::Duration;

/// See the module.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides everything else.
    pub seed: u64,
    /// Of all topics.
    pub format: Format,
    /// Of each input.
    pub partitions: i32,
    /// Of the output.
    pub output_partitions: i32,
    /// By rank.
    pub out_of_orderness: [Millis; 3],
    /// See the config.
    pub max_ahead: Millis,
    /// By rank: the topic has append time.
    pub append_time: [bool; 3],
    /// See the config.
    pub idle_after: Duration,
    /// Inputs in one call.
    pub batch: usize,
    /// See the config.
    pub epoch: Duration,
    /// See the config.
    pub epoch_bytes: usize,
    /// See the config.
    pub buffer_bytes: usize,
    /// See the config.
    pub flush_bytes: u64,
    /// Index of the rules' settings.
    pub ttls: usize,
    /// Number of workers of each instance.
    pub instances: Vec<usize>,
    /// Instances have a disk.
    pub disk: bool,
    /// The service says the same whenever it is asked.
    pub steady: bool,
    /// How rough the world is.
    pub chaos: Chaos,
    /// What arrives, in order.
    pub traffic: Vec<Arrival>,
}

/// How often things go wrong: by transactional call, by fetch, or by step of the world.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chaos {
    /// Share of the transactional calls that do not go well.
    pub fates: f64,
    /// Share of the commits whose outcome takes its time.
    pub slow: f64,
    /// Share of the fetches that are cut short.
    pub fetches: f64,
    /// A process is killed.
    pub kills: f64,
    /// An instance leaves in order.
    pub stops: f64,
    /// An instance is thought dead.
    pub evictions: f64,
    /// The coordinator takes a member for a second one of its name, and fences it.
    pub fences: f64,
    /// An instance stands still for a while.
    pub freezes: f64,
    /// A disk becomes full, or has room again.
    pub full_disks: f64,
    /// Share of the records that an aborted transaction stands before.
    pub aborted_inputs: f64,
    /// Somebody looks at the committed state.
    pub looks: f64,
}

impl Plan {
    /// Of a seed.
    pub fn of(seed: u64) -> Plan {
        let dice = &mut Dice::new(seed);
        let rough = |dice: &mut Dice, share: f64| dice.pick(&[0.0, 0.0, share / 5.0, share]);
        let format = dice.pick(&[Format::Avro, Format::Json]);
        let partitions = dice.between(2..=4) as i32;
        let max_ahead = dice.pick(&[3_600_000, 5_000]);
        let shape = Shape {
            format,
            partitions,
            empty: i32::from(dice.chance(0.2)),
            records: dice.between(30..=300) as usize,
            users: dice.between(2..=8) as usize,
            span: dice.pick(&[500, 5_000, 20_000, 60_000]),
            phases: dice.pick(&[0, 0, 1, 3, 6]),
            disorder: dice.pick(&[0, 100, 5_000, 20_000]),
            grain: dice.pick(&[1, 100, 1_000]),
            late: dice.pick(&[0.0, 0.05, 0.2]),
            bad: dice.pick(&[0.0, 0.03, 0.15]),
            ahead: max_ahead,
            closing: None,
        };
        let out_of_orderness = dice.pick(&[0, 1_000, 5_000, 20_000]);
        let mut plan = Plan {
            seed,
            format,
            partitions,
            output_partitions: dice.between(1..=4) as i32,
            out_of_orderness: [
                out_of_orderness,
                out_of_orderness,
                dice.pick(&[out_of_orderness, 2_000]),
            ],
            max_ahead,
            append_time: [dice.chance(0.3), dice.chance(0.3), dice.chance(0.3)],
            idle_after: Duration::from_millis(dice.pick(&[200, 1_000, 5_000])),
            batch: dice.pick(&[1, 2, 7, 64, 512]),
            epoch: Duration::from_millis(dice.pick(&[1, 10, 50, 200])),
            epoch_bytes: dice.pick(&[1, 1_000, 16 << 20]),
            buffer_bytes: dice.pick(&[1, 1_000, 32 << 20]),
            flush_bytes: dice.pick(&[1, 1_000, 10_000, 1 << 30]),
            ttls: dice.below(TTLS.len()),
            instances: (0..dice.between(1..=2)).map(|_| dice.between(1..=2) as usize).collect(),
            disk: dice.chance(0.7),
            steady: false,
            chaos: Chaos {
                fates: rough(dice, 0.4),
                slow: rough(dice, 0.5),
                fetches: rough(dice, 0.5),
                kills: rough(dice, 0.005),
                stops: rough(dice, 0.005),
                evictions: rough(dice, 0.005),
                fences: 0.0,
                freezes: rough(dice, 0.003),
                full_disks: rough(dice, 0.002),
                aborted_inputs: rough(dice, 0.3),
                looks: 0.01,
            },
            traffic: traffic::make(&shape, dice),
        };
        plan.chaos.fences = rough(dice, 0.005);
        plan
    }
}
