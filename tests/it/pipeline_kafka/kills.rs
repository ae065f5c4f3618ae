//! SIGKILL at random moments: every output comes exactly once.

use super::*;
use pelton_demo::traffic::Random;

/// The number of money events, and of kills while they are processed.
const MONEY: u64 = 200_000;
const KILLS: usize = 20;

/// The longest time until the last kill after its process has started to commit. This is usually in the middle of its
/// part.
const MIDDLE: u64 = 300;

/// One process in four is killed before it has committed anything, at most this long after its start.
const EARLY: u64 = 1_500;

#[test]
fn twenty_kills_while_200_000_money_events_go_through_lose_and_double_nothing() {
    let mut stage = Stage::new(Rig::shared(), Source::Registry);
    // The state is on disk and is flushed often. A restart continues from there.
    let sets = ["state.dir=data", "state.flush_bytes=1MiB", "workers=2"];
    let parameters = Parameters {
        users: 1_000,
        ..varied(Format::Avro, MONEY)
    };
    let mut tail = stage.tail();
    let mut random = Random::new(0x5eed);
    let mut restarts = vec![];
    let mut parts = stage.parts(parameters, KILLS + 1);
    for life in 0..KILLS {
        parts.put(&mut stage);
        tail.follow(Duration::from_millis(50));
        let begun = Instant::now();
        let mut process = stage.run(&sets);
        if life % 4 == 3 {
            tail.follow(Duration::from_millis(random.below(EARLY)));
        } else {
            tail.until(tail.records.len() + 1, PATIENCE, || process.lives());
            restarts.push(begun.elapsed());
            tail.follow(Duration::from_millis(random.below(MIDDLE)));
        }
        process.lives();
        process.kill();
    }
    parts.put(&mut stage);
    let expected = stage.expected();
    let mut process = stage.run(&sets);
    tail.until(expected.count(), PATIENCE, || process.lives());
    process.stop();
    tail.follow(Duration::from_millis(300));
    expected.check(&tail.records);
    restarts.sort();
    println!(
        "{} outputs through {KILLS} kills; from a start to its first committed output: min {:?}, median {:?}, max {:?}",
        tail.records.len(),
        restarts[0],
        restarts[restarts.len() / 2],
        restarts[restarts.len() - 1]
    );
}
