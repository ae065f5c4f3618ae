//! The result is always the same, because results depend only on the logs and the journal.

use pelton_tests::auditor::Format;
use pelton_tests::sim::{Chaos, Output, Plan, Shape, World, records, results};
use std::time::Duration;

/// The seeds of each property.
const SEEDS: std::ops::Range<u64> = 0..12;

/// A calm plan without idleness. The closing records make everything before them final.
fn calm(seed: u64) -> Plan {
    let format = if seed.is_multiple_of(2) {
        Format::Avro
    } else {
        Format::Json
    };
    let mut plan = Plan::of(seed);
    let shape = Shape {
        format,
        partitions: plan.partitions,
        empty: 0,
        records: 200,
        users: 6,
        span: 30_000,
        phases: [0, 3][seed as usize % 2],
        disorder: [0, 5_000, 20_000][seed as usize % 3],
        grain: [1, 1_000][seed as usize % 2],
        late: 0.1,
        bad: 0.05,
        // Too far ahead for every clock of the run.
        ahead: 40 * 86_400_000,
        closing: Some(2 * 3_600_000),
    };
    plan.traffic = records(&shape, seed);
    Plan {
        format,
        max_ahead: 86_400_000,
        idle_after: Duration::from_secs(600),
        steady: true,
        chaos: Chaos::default(),
        instances: vec![1],
        batch: 64,
        ..plan
    }
}

/// Runs the world, and takes its outputs.
fn run(mut world: World) -> (World, Vec<Output>) {
    let seed = world.plan.seed;
    world.run().unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    let outputs = results(&world).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    (world, outputs)
}

/// What must be equal even if the replies come at other places: the outputs of steps in their order with all bytes, and
/// the outputs of replies by their bytes alone.
fn without_journal(outputs: &[Output]) -> (Vec<Output>, Vec<Output>) {
    let (mut looked_up, by_steps): (Vec<_>, Vec<_>) = outputs.iter().cloned().partition(|output| output.looked_up);
    looked_up.iter_mut().for_each(|output| output.timestamp = 0);
    looked_up.sort();
    (by_steps, looked_up)
}

#[test]
fn bursts_batches_workers_instances_and_kills_change_nothing() {
    for seed in SEEDS {
        let plan = calm(seed);
        let (_, first) = run(World::new(plan.clone()));
        assert!(first.len() > 20, "seed {seed}: {} outputs only", first.len());
        let first = without_journal(&first);
        let mut burst = plan.clone();
        burst.traffic.iter_mut().for_each(|arrival| arrival.at = 0);
        let batch = |batch| Plan { batch, ..plan.clone() };
        let instances = |instances: &[usize]| Plan {
            instances: instances.to_vec(),
            ..plan.clone()
        };
        let rough = Plan {
            chaos: Chaos {
                kills: 0.002,
                fates: 0.1,
                slow: 0.3,
                fetches: 0.3,
                ..Chaos::default()
            },
            ..instances(&[2, 1])
        };
        for (what, plan) in [
            ("one burst", burst.clone()),
            ("one at a time", batch(1)),
            ("seven at a time", batch(7)),
            ("512 at a time", batch(512)),
            ("two workers", instances(&[2])),
            ("two instances", instances(&[1, 1])),
            ("kills", rough.clone()),
            (
                "a burst and kills",
                Plan {
                    traffic: burst.traffic,
                    ..rough
                },
            ),
        ] {
            let (_, other) = run(World::new(plan));
            assert_eq!(without_journal(&other), first, "seed {seed}, {what}");
        }
    }
}

/// A rough run with idleness, verdicts and replies at odd places. Then its journal is followed from the start.
#[test]
fn a_replay_of_the_journal_gives_the_same_bytes() {
    for seed in SEEDS {
        let mut plan = Plan::of(1_000 + seed);
        // A replay happens after its inputs, so their append times are lost.
        plan.append_time = [false; 3];
        // Its offsets are those of the original only without the gaps that a run draws itself.
        plan.chaos.aborted_inputs = 0.0;
        let (original, first) = run(World::new(plan.clone()));
        let doubts = Chaos {
            fates: 0.3,
            slow: 0.5,
            ..Chaos::default()
        };
        let kills = Chaos { kills: 0.01, ..doubts };
        for (batch, instances, chaos) in [
            (1, vec![1], Chaos::default()),
            (7, vec![2], Chaos::default()),
            (512, vec![1, 1], Chaos::default()),
            (64, vec![2], doubts),
            (2, vec![1, 1], kills),
        ] {
            let again = Plan {
                batch,
                instances: instances.clone(),
                chaos,
                ..plan.clone()
            };
            let (_, outputs) = run(World::replay(&original, again));
            assert_eq!(
                outputs, first,
                "seed {seed}, {batch} at a time, {instances:?}, {chaos:?}"
            );
        }
    }
}
