//! Everything that is decided before a run begins: settings, traffic, and how rough the world is.

use super::dice::Dice;
use super::traffic::{self, Arrival, START, Shape};
use super::versions::{DEPLOYED, FILES};
use crate::auditor::{Format, Millis};
use std::time::Duration;

/// The plan of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// It decides everything else.
    pub seed: u64,
    /// The format of all topics.
    pub format: Format,
    /// The number of partitions of each input.
    pub partitions: i32,
    /// The number of partitions of the output.
    pub output_partitions: i32,
    /// By rank.
    pub out_of_orderness: [Millis; 3],
    /// `max_ahead` in the config.
    pub max_ahead: Millis,
    /// By rank: whether the topic has append time.
    pub append_time: [bool; 3],
    /// `idle_after` in the config.
    pub idle_after: Duration,
    /// The number of inputs in one call.
    pub batch: usize,
    /// `epoch.interval` in the config.
    pub epoch: Duration,
    /// `epoch.bytes` in the config.
    pub epoch_bytes: usize,
    /// `epoch.buffer_bytes` in the config.
    pub buffer_bytes: usize,
    /// `state.flush_bytes` in the config.
    pub flush_bytes: u64,
    /// The versions in the files of the instances. If there are fewer, they repeat.
    pub files: Vec<usize>,
    /// The number of workers of each instance.
    pub instances: Vec<usize>,
    /// `rules.deploy_limit` in the config.
    pub deploy_limit: Duration,
    /// By instance: how often a compilation gets its turn when it could. If there are fewer, they repeat.
    pub compiles: Vec<f64>,
    /// By instance: how often the thread of the control topic gets its turn when it could.
    pub carries: Vec<f64>,
    /// The deploys, in order.
    pub acts: Vec<Act>,
    /// By rank: whether tasks that have never committed begin at the end of the input.
    pub latest: [bool; 3],
    /// The longest time for which a process is frozen.
    pub longest_freeze: Millis,
    /// Whether instances have a disk.
    pub disk: bool,
    /// Whether the service always gives the same answer to the same question.
    pub steady: bool,
    /// How rough the world is.
    pub chaos: Chaos,
    /// The records that arrive, in order.
    pub traffic: Vec<Arrival>,
}

/// How often things go wrong: for each transactional call, for each fetch, or for each step of the world.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chaos {
    /// The share of transactional calls that fail.
    pub fates: f64,
    /// The share of commits whose outcome is delayed.
    pub slow: f64,
    /// The share of fetches that are cut short.
    pub fetches: f64,
    /// A process is killed.
    pub kills: f64,
    /// An instance leaves in an orderly way.
    pub stops: f64,
    /// The group considers an instance dead.
    pub evictions: f64,
    /// The coordinator takes a member for a second one with the same name, and fences it.
    pub fences: f64,
    /// An instance is frozen for a while.
    pub freezes: f64,
    /// One of an instance's workers is stuck for a while.
    pub stuck: f64,
    /// A disk becomes full, or has room again.
    pub full_disks: f64,
    /// The share of records that come after an aborted transaction.
    pub aborted_inputs: f64,
    /// The committed state is checked.
    pub looks: f64,
    /// A process will die within one of its next calls to the log.
    pub fuses: f64,
}

/// How long an author waits before it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dawdle {
    /// For this many turns.
    Turns(usize),
    /// Until the open deploy is decided, so that the author comes too late.
    UntilDecided,
}

/// One deploy.
#[derive(Clone, Debug)]
pub struct Act {
    /// When it begins, in milliseconds since the start.
    pub at: Millis,
    /// What is deployed.
    pub which: Which,
    /// The time from which it applies. `None` means now.
    pub from: Option<Millis>,
    /// The wait between reading and writing.
    pub dawdles: Dawdle,
    /// The author dies in the call after this number of calls. The flag says whether that call is still made.
    pub dies: Option<(usize, bool)>,
    /// An instance that the version does not fit while the deploy is under way.
    pub refused_by: Option<usize>,
}

/// What an author deploys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// A version.
    Version(usize),
    /// The component that runs, with one of the other settings.
    Settings(usize),
    /// The previous version.
    Back,
    /// Nothing: the deploy under way is cancelled.
    Cancel,
}

impl Plan {
    /// The plan of a seed.
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
            files: vec![dice.below(FILES.end)],
            deploy_limit: Duration::from_secs(60),
            compiles: vec![0.5],
            carries: vec![1.0],
            acts: vec![],
            instances: (0..dice.between(1..=2)).map(|_| dice.between(1..=2) as usize).collect(),
            latest: [false; 3],
            longest_freeze: 15_000,
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
                stuck: 0.0,
                full_disks: rough(dice, 0.002),
                aborted_inputs: rough(dice, 0.3),
                looks: 0.01,
                fuses: 0.0,
            },
            traffic: traffic::make(&shape, dice),
        };
        plan.chaos.fences = rough(dice, 0.005);
        plan
    }

    /// The plan of a seed with deploys. There is less traffic, and more goes wrong around the deploys.
    pub fn with_deploys(seed: u64) -> Plan {
        let mut plan = Plan::of(seed);
        // Different draws from those of the plan without deploys.
        let dice = &mut Dice::new(seed ^ 0xde91_0135);
        let rough = |dice: &mut Dice, share: f64| dice.pick(&[0.0, 0.0, share / 5.0, share]);
        let grain = dice.pick(&[1, 100, 1_000, 1_000]);
        let shape = Shape {
            format: plan.format,
            partitions: plan.partitions,
            empty: i32::from(dice.chance(0.1)),
            records: dice.between(30..=120) as usize,
            users: dice.between(2..=6) as usize,
            span: dice.pick(&[2_000, 10_000, 30_000]),
            phases: dice.pick(&[0, 0, 3]),
            disorder: dice.pick(&[0, 100, 5_000]),
            grain,
            late: dice.pick(&[0.0, 0.05, 0.2]),
            bad: dice.pick(&[0.0, 0.05]),
            ahead: plan.max_ahead,
            closing: None,
        };
        let out_of_orderness = dice.pick(&[0, 500, 2_000]);
        plan.out_of_orderness = [out_of_orderness; 3];
        plan.traffic = traffic::make(&shape, dice);
        plan.instances = (0..dice.between(1..=3)).map(|_| dice.between(1..=2) as usize).collect();
        plan.deploy(dice, shape.span, grain);
        plan.chaos.fuses = rough(dice, 0.01);
        plan.can_be_replayed();
        plan
    }

    /// Adds deploys of other versions, at times that are multiples of `grain`.
    fn deploy(&mut self, dice: &mut Dice, span: Millis, grain: Millis) {
        self.compiles = (0..3).map(|_| dice.pick(&[1.0, 0.3, 0.02])).collect();
        self.carries = (0..3).map(|_| dice.pick(&[1.0, 1.0, 0.1, 0.03])).collect();
        self.deploy_limit = Duration::from_millis(dice.pick(&[500, 5_000, 60_000, 60_000, 60_000]));
        if dice.chance(0.2) {
            self.files = vec![dice.below(FILES.end), dice.below(FILES.end)];
        }
        self.acts = acts(dice, span, grain);
    }

    fn can_be_replayed(&mut self) {
        if self.is_replayed() {
            // A replay happens after its inputs, whose append times are lost. So are the gaps that the run itself has
            // drawn.
            self.append_time = [false; 3];
            self.chaos.aborted_inputs = 0.0;
        }
    }

    /// The plan of a seed with unrest. Instances join and leave all the time, workers are stuck for longer than the
    /// deadlines, and processes are frozen for minutes. Changelogs are cut while they are read, and inputs begin at
    /// their end.
    pub fn with_unrest(seed: u64) -> Plan {
        let mut plan = Plan::of(seed);
        // Different draws from those of the other plans.
        let dice = &mut Dice::new(seed ^ 0x0057_a75e);
        let rough = |dice: &mut Dice, share: f64| dice.pick(&[0.0, share / 5.0, share]);
        let shape = Shape {
            format: plan.format,
            partitions: plan.partitions,
            empty: i32::from(dice.chance(0.1)),
            records: dice.between(30..=200) as usize,
            users: dice.between(2..=6) as usize,
            span: dice.pick(&[5_000, 30_000, 120_000]),
            phases: dice.pick(&[0, 0, 3]),
            disorder: dice.pick(&[0, 100, 5_000]),
            grain: dice.pick(&[1, 1_000]),
            late: dice.pick(&[0.0, 0.05]),
            bad: dice.pick(&[0.0, 0.05]),
            ahead: plan.max_ahead,
            closing: None,
        };
        plan.traffic = traffic::make(&shape, dice);
        plan.instances = (0..dice.between(2..=3)).map(|_| dice.between(1..=2) as usize).collect();
        plan.latest = [0; 3].map(|_| dice.chance(0.2));
        plan.longest_freeze = dice.pick(&[15_000, 180_000]);
        plan.disk = dice.chance(0.8);
        plan.epoch = Duration::from_millis(dice.pick(&[1, 10, 50]));
        plan.flush_bytes = dice.pick(&[1, 1_000]);
        plan.chaos = Chaos {
            kills: rough(dice, 0.003),
            stops: dice.pick(&[0.001, 0.005]),
            evictions: rough(dice, 0.005),
            fences: rough(dice, 0.003),
            freezes: rough(dice, 0.003),
            stuck: rough(dice, 0.002),
            ..plan.chaos
        };
        if dice.chance(0.3) {
            plan.deploy(dice, shape.span, shape.grain);
            plan.latest = [false; 3];
            plan.chaos.fuses = rough(dice, 0.005);
            plan.can_be_replayed();
        }
        plan
    }

    /// Whether the run is repeated from its inputs and its journal.
    pub fn is_replayed(&self) -> bool {
        !self.acts.is_empty() && self.seed.is_multiple_of(4)
    }
}

/// Deploys within this many milliseconds, at times that are multiples of `grain` like those of the events.
fn acts(dice: &mut Dice, span: Millis, grain: Millis) -> Vec<Act> {
    let mut acts = vec![];
    for _ in 0..dice.pick(&[1, 1, 2, 2, 3, 5]) {
        let at = dice.between(0..=span);
        let act = Act {
            at,
            which: match dice.below(6) {
                0 => Which::Back,
                1 => Which::Settings(dice.below(16)),
                _ => Which::Version(dice.between(DEPLOYED.start as i64..=DEPLOYED.end as i64 - 1) as usize),
            },
            from: dice.chance(0.6).then(|| {
                let from = START + at + dice.between(-3_000..=span / 2);
                from.div_euclid(grain) * grain
            }),
            dawdles: Dawdle::Turns(dice.pick(&[0, 0, 5, 30])),
            dies: dice.chance(0.2).then(|| (dice.below(12), dice.chance(0.5))),
            refused_by: dice.chance(0.1).then(|| dice.below(3)),
        };
        if dice.chance(0.2) {
            // Another author at the same time.
            let other = dice.between(DEPLOYED.start as i64..=DEPLOYED.end as i64 - 1) as usize;
            acts.push(Act {
                which: Which::Version(other),
                refused_by: None,
                ..act.clone()
            });
        }
        if dice.chance(0.3) {
            acts.push(Act {
                at: at + dice.between(0..=3_000),
                which: Which::Cancel,
                from: None,
                dawdles: dice.pick(&[Dawdle::Turns(0), Dawdle::Turns(20), Dawdle::UntilDecided]),
                dies: None,
                refused_by: None,
            });
        }
        acts.push(act);
    }
    acts.sort_by_key(|act| act.at);
    acts
}
