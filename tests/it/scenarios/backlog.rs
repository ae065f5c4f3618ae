//! Backlog: more records wait for the watermark than `epoch.buffer_bytes` allows. The slowest stream is never paused.
//! Its records that are not final and don't fit wait in a scratch file.

use pelton_tests::stage::{Format, HOUR, MINUTE, SECOND, Setup, Stage, Stream, always_with, money};
use std::cell::RefCell;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

/// The number of batches of the wallet stream. They are fetched one after the other.
const ROUNDS: i64 = 12;
const A_ROUND: i64 = 8;

/// Allows this little memory for waiting records. No partition becomes idle.
fn buffer(setup: &mut Setup, bytes: usize) {
    setup.config.epoch.buffer_bytes = bytes;
    for input in &mut setup.config.inputs {
        input.idle_after = Duration::from_secs(3600);
    }
}

/// Money within the out-of-orderness of its stream, so that none is final, while the other streams are an hour ahead.
/// Event time goes back and forth, so that every chunk has early and late records.
fn a_backlog(stage: &mut Stage) {
    stage.user("u1").session("s1", "DE", 0);
    stage.flow(Stream::Session, HOUR);
    stage.flow(Stream::User, HOUR);
    for round in 0..ROUNDS {
        for number in 0..A_ROUND {
            let (user, id) = (format!("u{}", number % 3), format!("m{}", round * A_ROUND + number));
            let at = 1 + (number * ROUNDS + round * 7 % ROUNDS) * SECOND / 6;
            let payment = money(&user, &id, at);
            // The session belongs to u1. What others pay in it would wait for their own.
            stage.put(if user == "u1" { payment.session("s1") } else { payment });
        }
        stage.settle();
    }
    assert_eq!(stage.enriched(), [""; 0], "none is final");
}

/// The bytes of the wallet stream in memory and in the scratch file.
fn waiting(stage: &Stage) -> (usize, usize) {
    let status = &stage.status()[0];
    let rank = Stream::Wallet as usize;
    (status.buffered[rank] - status.spilled[rank], status.spilled[rank])
}

#[test]
fn what_is_spilled_comes_in_the_same_order() {
    let whole = RefCell::new(vec![]);
    always_with(
        |setup| buffer(setup, 32 << 20),
        |stage| {
            a_backlog(stage);
            assert_eq!(waiting(stage).1, 0);
            stage.flow_to(2 * HOUR);
            assert_eq!(stage.enriched().len() as i64, ROUNDS * A_ROUND);
            whole.replace(stage.enriched());
        },
    );
    for bytes in [0, 1000] {
        always_with(
            |setup| buffer(setup, bytes),
            |stage| {
                a_backlog(stage);
                let (memory, spilled) = waiting(stage);
                // The first chunk over the limit is the last one that stays in memory.
                let a_chunk = (memory + spilled) / ROUNDS as usize * 5 / 4;
                assert!(memory <= bytes + a_chunk, "{memory} bytes in memory, {spilled} spilled");
                stage.flow_to(MINUTE);
                assert_eq!(stage.enriched(), *whole.borrow());
                stage.flow_to(2 * HOUR);
                let (_, left) = waiting(stage);
                assert!(
                    left < spilled / 10,
                    "{left} bytes of {spilled}: more than the event that moved the clock"
                );
                assert_eq!(stage.enriched(), *whole.borrow());
            },
        );
    }
}

#[test]
fn the_metrics_say_how_much_is_spilled() {
    let mut setup = Setup::money(Format::Avro);
    buffer(&mut setup, 0);
    let mut stage = setup.start();
    a_backlog(&mut stage);
    // Gauges are set a few times a second.
    stage.advance(Duration::from_secs(1));
    let (_, spilled) = waiting(&stage);
    assert!(spilled > 0);
    let line = format!("pelton_spilled_bytes{{partition=\"0\",stream=\"wallet\"}} {spilled}");
    assert!(stage.metrics().lines().any(|said| said == line), "{line}");
}

/// The scratch file is damaged while records wait in it. They are read again from the topic, and each is processed
/// exactly once.
#[test]
fn a_scratch_file_that_fails_costs_nothing() {
    let whole = RefCell::new(None);
    for harm in [cut, scribble] {
        let folder = tempfile::tempdir().expect("a folder");
        always_with(
            |setup| {
                buffer(setup, 0);
                setup.config.state.dir = Some(folder.path().to_owned());
            },
            |stage| {
                a_backlog(stage);
                assert!(waiting(stage).1 > 0);
                harm(&scratch(folder.path()));
                stage.flow_to(MINUTE);
                let lines = stage.enriched();
                assert_eq!(lines.len() as i64, ROUNDS * A_ROUND);
                assert_eq!(*whole.borrow_mut().get_or_insert_with(|| lines.clone()), lines);
            },
        );
    }
}

/// The nameless file in this folder, which this process has open.
fn scratch(folder: &Path) -> std::fs::File {
    let open = std::fs::read_dir("/proc/self/fd").expect("the files that are open");
    let mut paths = open.filter_map(|file| Some(file.ok()?.path()));
    let path = paths.find(|path| std::fs::read_link(path).is_ok_and(|to| to.starts_with(folder)));
    let path = path.expect("a scratch file is open");
    std::fs::File::options()
        .write(true)
        .open(path)
        .expect("it can be written")
}

fn cut(file: &std::fs::File) {
    file.set_len(10).expect("it can be cut");
}

fn scribble(file: &std::fs::File) {
    let len = file.metadata().expect("its length").len();
    for at in (0..len).step_by(50) {
        file.write_all_at(b"x", at).expect("it can be written");
    }
}
