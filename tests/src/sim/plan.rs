//! Everything that is decided before a run begins: settings, traffic, and how rough the world is.

use super::acts::{self, Act};
use super::dice::Dice;
use super::traffic::{self, Arrival, Shape};
use super::versions::FILES;
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
    /// How many inputs a deploy may cost, and of how many.
    pub budget: (usize, u64),
    /// By instance: how often a compilation gets its turn when it could. If there are fewer, they repeat.
    pub compiles: Vec<f64>,
    /// By instance: how often the thread of the control topic gets its turn when it could.
    pub carries: Vec<f64>,
    /// How often a supervisor gets its turn when it could.
    pub supervises: f64,
    /// How often a changelog that is to be cut is cut, when it could be.
    pub cuts: f64,
    /// How often a question that a restore asks the cluster takes long to answer.
    pub slow_cluster: f64,
    /// How often a question that a restore asks the disk takes long to answer.
    pub slow_disk: f64,
    /// How often it takes long to wipe what is stored.
    pub slow_wipes: f64,
    /// The instances start this long after the first record.
    pub starts_late: Millis,
    /// The deploys, in order.
    pub acts: Vec<Act>,
    /// By rank: whether tasks that have never committed begin at the end of the input.
    pub latest: [bool; 3],
    /// The longest time for which a process is frozen.
    pub longest_freeze: Millis,
    /// The longest time for which a worker is stuck.
    pub longest_stuck: Millis,
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
    /// A row of some of a process's stored tasks is damaged.
    pub damage: f64,
    /// The share of questions to the cluster that get no answer.
    pub silence: f64,
    /// The share of slow wipes of a disk during which the group considers the instance dead.
    pub unheard: f64,
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
            budget: (20, 10_000),
            compiles: vec![0.5],
            carries: vec![1.0],
            supervises: 1.0,
            cuts: 1.0,
            slow_cluster: 0.0,
            slow_disk: 0.0,
            slow_wipes: 0.0,
            starts_late: 0,
            acts: vec![],
            instances: (0..dice.between(1..=2)).map(|_| dice.between(1..=2) as usize).collect(),
            latest: [false; 3],
            longest_freeze: 15_000,
            longest_stuck: 100_000,
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
                damage: 0.0,
                silence: 0.0,
                unheard: 0.0,
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
        plan.acts = acts::deploys(dice, shape.span, grain);
        plan.deploy(dice);
        plan.chaos.fuses = rough(dice, 0.01);
        plan
    }

    /// Decides how slow the instances are with deploys.
    fn deploy(&mut self, dice: &mut Dice) {
        self.compiles = (0..3).map(|_| dice.pick(&[1.0, 0.3, 0.02])).collect();
        self.carries = (0..3).map(|_| dice.pick(&[1.0, 1.0, 0.1, 0.03])).collect();
        self.deploy_limit = Duration::from_millis(dice.pick(&[500, 5_000, 60_000, 60_000, 60_000]));
        if dice.chance(0.2) {
            self.files = vec![dice.below(FILES.end), dice.below(FILES.end)];
        }
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
        let dice = &mut Dice::new(seed ^ 0x0057_a75e);
        let (mut plan, span, grain) = Plan::restless(seed, dice, &[5_000, 30_000, 120_000]);
        if dice.chance(0.3) {
            plan.restores_badly(dice);
        }
        if dice.chance(0.3) {
            let acts = acts::deploys(dice, span, grain);
            plan.deploys_too(acts, dice);
        }
        plan
    }

    /// Most disks are damaged and slow, and the group considers instances dead, above all those that wait for a disk. So
    /// restores are abandoned while they wipe what is stored, and others of the same task overtake them. If there is only
    /// one instance, the task always comes back to the same disk.
    fn restores_badly(&mut self, dice: &mut Dice) {
        self.instances.truncate(dice.pick(&[1, 1, 2, 3]));
        self.disk = true;
        (self.slow_disk, self.slow_wipes) = (0.1, 0.5);
        self.flush_bytes = 1;
        self.chaos = Chaos {
            kills: 0.0005,
            evictions: 0.003,
            damage: 0.02,
            unheard: 0.5,
            looks: self.chaos.looks,
            ..Chaos::default()
        };
    }

    /// The plan of a seed with unrest and shadows.
    pub fn with_shadows(seed: u64) -> Plan {
        let dice = &mut Dice::new(seed ^ 0x5bad_0e55);
        let (mut plan, span, grain) = Plan::restless(seed, dice, &[30_000, 120_000]);
        let acts = acts::shadows(dice, span, grain);
        plan.deploys_too(acts, dice);
        plan.deploys_soon(dice);
        if dice.chance(0.5) {
            // A task that moves ends its shadow.
            plan.chaos = Chaos {
                kills: plan.chaos.kills / 5.0,
                stops: plan.chaos.stops / 5.0,
                evictions: plan.chaos.evictions / 5.0,
                fences: 0.0,
                fuses: 0.0,
                ..plan.chaos
            };
        }
        plan
    }

    /// The plan of a seed with unrest and with deploys that trap more often than their budget allows.
    pub fn with_withdrawals(seed: u64) -> Plan {
        let dice = &mut Dice::new(seed ^ 0x0017_d2a3);
        let (mut plan, span, grain) = Plan::restless(seed, dice, &[30_000, 120_000]);
        let acts = acts::withdrawals(dice, span, grain);
        plan.deploys_too(acts, dice);
        plan.deploys_soon(dice);
        plan.budget = (
            dice.pick(&[1, 2, 5, 20]),
            dice.pick(&[10, 1_000_000, 1_000_000, 1_000_000]),
        );
        plan
    }

    /// Adds deploys. Inputs start at their start then, so that it is known what a deploy must have done.
    fn deploys_too(&mut self, acts: Vec<Act>, dice: &mut Dice) {
        self.acts = acts;
        self.deploy(dice);
        self.latest = [false; 3];
        self.chaos.fuses = rarely(dice, 0.005);
    }

    /// Makes the instances fast enough that most deploys are committed while there is traffic.
    fn deploys_soon(&mut self, dice: &mut Dice) {
        self.compiles = (0..3).map(|_| dice.pick(&[1.0, 0.3])).collect();
        self.carries = (0..3).map(|_| dice.pick(&[1.0, 1.0, 0.1])).collect();
        self.deploy_limit = Duration::from_millis(dice.pick(&[5_000, 60_000, 60_000, 60_000]));
    }

    /// A plan with unrest, the milliseconds over which its records arrive, and of what their times are multiples.
    fn restless(seed: u64, dice: &mut Dice, spans: &[Millis]) -> (Plan, Millis, Millis) {
        let mut plan = Plan::of(seed);
        let shape = Shape {
            format: plan.format,
            partitions: plan.partitions,
            empty: i32::from(dice.chance(0.1)),
            records: dice.between(30..=200) as usize,
            users: dice.between(2..=6) as usize,
            span: dice.pick(spans),
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
            kills: rarely(dice, 0.003),
            stops: dice.pick(&[0.001, 0.005]),
            evictions: rarely(dice, 0.005),
            fences: rarely(dice, 0.003),
            freezes: rarely(dice, 0.003),
            stuck: rarely(dice, 0.002),
            silence: rarely(dice, 0.2),
            damage: rarely(dice, 0.002),
            ..plan.chaos
        };
        plan.cuts = dice.pick(&[1.0, 0.1, 0.01]);
        plan.supervises = dice.pick(&[1.0, 1.0, 0.05]);
        plan.slow_cluster = dice.pick(&[0.0, 0.05]);
        plan.slow_disk = dice.pick(&[0.0, 0.1, 0.3]);
        plan.slow_wipes = plan.slow_disk * 3.0;
        plan.starts_late = dice.pick(&[0, shape.span / 4]);
        // An instance that is busy counts only a part of the time that passes.
        plan.longest_stuck = dice.pick(&[100_000, 10_000_000]);
        (plan, shape.span, shape.grain)
    }

    /// Whether the run is repeated from its inputs and its journal.
    pub fn is_replayed(&self) -> bool {
        !self.acts.is_empty() && self.seed.is_multiple_of(4)
    }
}

/// How often something goes wrong in a run with unrest: this often, less often, or never.
fn rarely(dice: &mut Dice, share: f64) -> f64 {
    dice.pick(&[0.0, share / 5.0, share])
}
