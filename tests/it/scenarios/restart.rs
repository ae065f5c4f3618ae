//! A restart continues from the last commit: from the changelog alone, or from what is still on disk.

use pelton::config::{Config, OnDataLoss};
use pelton::error::Failure;
use pelton::log::embedded::PartitionOffsets;
use pelton::record::{Offset, Partition, Stay};
use pelton::store::LocalStore;
use pelton::store::memory::Disk;
use pelton_tests::stage::{Format, HOUR, MINUTE, SECOND, Setup, Stage, Stream, always, always_with, money};

/// Work that is pending when the process ends, and its results after the restart.
fn something_of_everything(stage: &mut Stage) {
    stage.user("u1").birth_date("2000", 0);
    stage.user("u1").session("known", "NO", 0);
    stage.user("u1").money("m1", SECOND);
    stage.put(money("u1", "waits", 2 * SECOND).session("s1"));
    stage.put(money("u2", "waits-long", 2 * SECOND).session("s2"));
    stage.put(money("u2", "asks", 3 * SECOND).session("s3").old());
    stage.user("u1").money("read", MINUTE + 10 * SECOND);
    stage.flow_to(MINUTE);
}

fn the_rest(stage: &mut Stage) {
    // It is still a duplicate, still not the first, and the session is still known.
    stage.user("u1").money("m1", MINUTE);
    stage.user("u1").money("m2", MINUTE);
    stage.put(money("u1", "m3", MINUTE).session("known"));
    stage.user("u1").session("s1", "DE", MINUTE + SECOND);
    stage.flow_to(HOUR);
    stage.reply_country("s3", "SE");
    stage.flow_to(2 * HOUR);
    stage.reply_country("s2", "FI");
    assert_eq!(
        stage.enriched(),
        [
            "m1 first user 2000/-",
            "m2 user 2000/-",
            "m3 user 2000/- session NO",
            "waits user 2000/- session DE",
            "read user 2000/-",
            "asks session SE",
            "waits-long first session FI",
        ]
    );
    assert_eq!(stage.dead_letters(), []);
}

#[test]
fn after_a_stop() {
    always(|stage| {
        something_of_everything(stage);
        let state = stage.state();
        stage.restart();
        assert_eq!(stage.state(), state);
        the_rest(stage);
    });
}

#[test]
fn after_a_crash_from_the_changelog_alone() {
    always(|stage| {
        something_of_everything(stage);
        stage.crash();
        stage.start();
        the_rest(stage);
    });
}

/// SIGTERM commits the open epoch.
#[test]
fn a_stop_commits() {
    let mut stage = Setup::money(Format::Avro).start();
    stage.settle();
    stage.user("u1").money("m1", 0);
    for stream in Stream::ALL {
        stage.flow(stream, SECOND);
    }
    for _ in 0..4 {
        stage.turn().expect("it runs");
    }
    assert_eq!(stage.enriched(), [""; 0], "it is open");
    stage.stop();
    assert_eq!(stage.enriched(), ["m1 first"]);
}

/// Gives the pipeline a disk that is flushed often.
fn with_disk(setup: &mut Setup) -> Disk {
    let disk = Disk::new();
    setup.disk = Some(disk.clone());
    setup.config.state.flush_bytes = 1;
    disk
}

/// Makes enough changes for at least one flush: 400 KiB, while the state has 200 KiB including its free pages.
fn churn(stage: &mut Stage, from: i64) {
    for round in 0..20 {
        stage
            .user("long")
            .address(&format!("{round:010000}"), from + round * SECOND);
        for user in 0..5 {
            let at = from + round * SECOND;
            stage.put(money(&format!("u{user}"), &format!("c{user}-{at}"), at).session(&format!("s{user}-{round}")));
            stage
                .user(&format!("u{user}"))
                .session(&format!("s{user}-{round}"), "DE", at);
        }
        stage.flow_to(from + round * SECOND + 1);
    }
}

#[test]
fn from_a_store() {
    let mut setup = Setup::money(Format::Avro);
    let disk = with_disk(&mut setup);
    let mut stage = setup.start();
    churn(&mut stage, 0);
    let outputs = stage.enriched().len();
    assert_eq!(outputs, 100);
    let (state, stamp) = (
        stage.state(),
        disk.store()
            .open(Partition(0), Stay(1))
            .expect("a disk")
            .expect("it was flushed"),
    );
    stage.crash();
    // Nothing before the stamp is needed. Once it is deleted, only the disk has it.
    stage
        .cluster
        .truncate("money-changelog", Partition(0), stamp.offset)
        .expect("cut");
    stage.start();
    churn(&mut stage, MINUTE);
    assert_eq!(stage.enriched().len(), 200);
    assert!(
        stage.enriched()[outputs..].iter().all(|line| !line.contains("first")),
        "the types are remembered"
    );
    assert!(!state.is_empty());
}

/// A disk that lost its last writes. Whichever of the unflushed writes survive, a replay on top of them gives the same
/// state.
#[test]
fn from_a_store_that_lost_its_tail() {
    let run = |lose: &mut dyn FnMut(usize, usize) -> usize| {
        let mut setup = Setup::money(Format::Avro);
        let disk = with_disk(&mut setup);
        let mut stage = setup.start();
        for round in 0..12 {
            churn(&mut stage, round * MINUTE);
            stage.crash_keeping(&mut |writes| lose(round as usize, writes));
            stage.start();
        }
        stage.settle();
        stage.stop();
        assert!(
            disk.store().open(Partition(0), Stay(1)).expect("a disk").is_some(),
            "it was flushed"
        );
        stage
    };
    let whole = run(&mut |_, writes| writes);
    for keep in [0, 1, 3, 7, 20] {
        let torn = run(&mut |round, writes| (keep * (round + 1)).min(writes));
        assert_eq!(torn.enriched(), whole.enriched());
        assert_eq!(torn.state(), whole.state());
    }
}

/// The same in the middle of a flush.
#[test]
fn a_crash_at_any_turn_of_a_flush() {
    for turns in 0..60 {
        let mut setup = Setup::money(Format::Json);
        let disk = with_disk(&mut setup);
        let mut stage = setup.start();
        stage.settle();
        for user in 0..40 {
            stage.put(money(&format!("u{user}"), "m1", user).kind("A"));
            stage.user("long").address(&format!("{user:010000}"), user);
        }
        for stream in Stream::ALL {
            stage.flow(stream, MINUTE);
        }
        for _ in 0..turns {
            stage.pass(std::time::Duration::from_millis(5));
            stage.turn().expect("it runs");
        }
        stage.crash_keeping(&mut |writes| writes / 2);
        stage.start();
        for user in 0..40 {
            stage.put(money(&format!("u{user}"), "m2", MINUTE + user).kind("A"));
        }
        stage.flow_to(2 * MINUTE);
        let lines = stage.enriched();
        let count = |line: &str| lines.iter().filter(|known| *known == line).count();
        assert_eq!(
            (lines.len(), count("m1 first"), count("m2")),
            (80, 40, 40),
            "{turns} turns"
        );
        assert!(
            disk.store().open(Partition(0), Stay(1)).expect("a disk").is_some(),
            "it was flushed"
        );
    }
}

/// Local state of another cluster is not used. It is wiped and restored from the changelog.
#[test]
fn a_disk_of_another_cluster() {
    let mut setup = Setup::money(Format::Avro);
    let disk = with_disk(&mut setup);
    let mut other = setup.start();
    churn(&mut other, 0);
    other.stop();
    let mut setup = Setup::money(Format::Avro);
    setup.cluster = "another".to_owned();
    setup.disk = Some(disk);
    let mut stage = setup.start();
    stage.put(money("u1", "m1", 0).session("s1-0"));
    stage.flow_to(MINUTE);
    assert_eq!(stage.enriched(), [""; 0], "no session is known here");
    assert_eq!(stage.stores("u2"), [""; 0]);
}

// ---- what only a human can decide

fn fatal(stage: &mut Stage) -> String {
    match stage.try_settle() {
        Err(Failure::Fatal(why)) => why,
        other => panic!("it goes on: {other:?}"),
    }
}

/// Three money events. Retention removes two of them before they are read.
fn lost_two(change: impl Fn(&mut Setup)) -> Stage {
    let mut setup = Setup::money(Format::Avro);
    change(&mut setup);
    let mut stage = setup.start();
    stage.user("u1").money("m0", 0);
    stage.flow_to(SECOND);
    stage.stop();
    let offsets = ["m1", "m2", "m3"].map(|id| stage.user("u1").money(id, 30 * SECOND));
    stage
        .cluster
        .truncate("wallet-events", Partition(0), offsets[2])
        .expect("retention");
    stage.start();
    stage
}

/// Retention has removed what was not read. By default the instance stops and says what to do, and nothing is committed
/// beyond.
#[test]
fn data_loss_stops() {
    let mut stage = lost_two(|_| {});
    let why = fatal(&mut stage);
    assert!(
        why.contains("wallet-events/0") && why.contains("on_data_loss = \"skip\""),
        "{why}"
    );
    assert_eq!(stage.enriched(), ["m0 first"]);
    // A human decides to continue.
    stage.reconfigure(|config| config.inputs[2].on_data_loss = OnDataLoss::Skip);
    stage.start();
    stage.flow_to(MINUTE);
    assert_eq!(stage.enriched(), ["m0 first", "m3"]);
}

#[test]
fn data_loss_is_skipped() {
    let mut stage = lost_two(|setup| setup.config.inputs[2].on_data_loss = OnDataLoss::Skip);
    stage.flow_to(MINUTE);
    assert_eq!(stage.enriched(), ["m0 first", "m3"]);
    stage.restart();
    stage.user("u1").money("m4", MINUTE);
    stage.flow_to(2 * MINUTE);
    assert_eq!(stage.enriched(), ["m0 first", "m3", "m4"]);
}

/// A configuration that would change results is refused. The old one still works.
#[test]
fn a_changed_configuration() {
    let mut stage = Setup::money(Format::Avro).start();
    something_of_everything(&mut stage);
    let changes: [fn(&mut Config); 3] = [
        |config| config.inputs[1].out_of_orderness += 1,
        |config| config.inputs[1].max_ahead = HOUR,
        |config| config.inputs.swap(0, 1),
    ];
    for change in changes {
        stage.stop();
        let mut before = None;
        stage.reconfigure(|config| {
            before = Some(config.clone());
            change(config);
        });
        stage.start();
        let why = fatal(&mut stage);
        assert!(
            why.contains("another configuration") && why.contains("put the old one back"),
            "{why}"
        );
        stage.reconfigure(|config| *config = before.expect("kept"));
        stage.start();
        stage.settle();
    }
    the_rest(&mut stage);
}

/// Settings that don't influence results may change.
#[test]
fn a_harmless_change_of_configuration() {
    let mut stage = Setup::money(Format::Avro).start();
    something_of_everything(&mut stage);
    stage.stop();
    stage.reconfigure(|config| {
        config.rules.batch = 3;
        config.epoch.interval *= 2;
        config.inputs[0].idle_after *= 2;
    });
    stage.start();
    the_rest(&mut stage);
}

/// If the changelog was emptied, or created again, the pipeline doesn't silently start from nothing.
#[test]
fn an_emptied_changelog() {
    for anew in [false, true] {
        let mut stage = Setup::money(Format::Avro).start();
        something_of_everything(&mut stage);
        let outputs = stage.enriched();
        stage.stop();
        if anew {
            stage.cluster.delete_topic("money-changelog");
            stage
                .cluster
                .create_topic("money-changelog", 1, &[])
                .expect("a new topic");
        } else {
            let PartitionOffsets { end, .. } = stage.cluster.offsets("money-changelog", Partition(0)).expect("a topic");
            stage
                .cluster
                .truncate("money-changelog", Partition(0), end)
                .expect("cut");
        }
        stage.start();
        let why = fatal(&mut stage);
        assert!(
            why.contains("money-changelog") && why.contains("delete the group's offsets"),
            "{why}"
        );
        assert_eq!(stage.enriched(), outputs);
    }
}

/// The changelog is cut while the pipeline runs, and the rest of it is enough.
#[test]
fn the_changelog_is_cut() {
    always_with(
        |setup| setup.config.epoch.interval /= 5,
        |stage| {
            for round in 0..10 {
                churn(stage, round * MINUTE);
            }
            let PartitionOffsets { start, end, .. } =
                stage.cluster.offsets("money-changelog", Partition(0)).expect("a topic");
            assert!(start > Offset::ZERO, "nothing was cut of {end}");
            let state = stage.state();
            stage.crash();
            stage.start();
            stage.settle();
            assert_eq!(stage.state(), state);
            assert_eq!(stage.enriched().len(), 1000);
        },
    );
}
