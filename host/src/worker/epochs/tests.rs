//! Tests the phases of an epoch, with a scripted producer.

use super::*;

/// Ends each transaction as told. It can be renewed at the second attempt.
struct Scripted {
    outcome: Option<Outcome>,
    renewals: u32,
}

impl Producer for Scripted {
    fn submit(&mut self, _: Transaction) {}

    fn outcome(&mut self, _: Duration) -> Option<(Transaction, Outcome)> {
        Some((Transaction::default(), self.outcome.take()?))
    }

    fn renew(&mut self) -> Result<()> {
        self.renewals += 1;
        match self.renewals {
            1 => Err(Failure::Retry("not yet".into())),
            _ => Ok(()),
        }
    }
}

const PACE: config::EpochConfig = config::EpochConfig {
    interval: Duration::from_millis(50),
    bytes: 1000,
    buffer_bytes: 0,
    transaction_timeout: Duration::from_secs(10),
};

fn at(millis: u64) -> Now {
    Now {
        mono: Duration::from_millis(millis),
        wall: 0,
    }
}

/// One epoch is being committed, and will end like this. Another one has been open since 0 ms.
fn two(outcome: Option<Outcome>) -> Epochs {
    let mut epochs = Epochs::new(Box::new(Scripted { outcome, renewals: 0 }), TopicIx(0), PACE, 1);
    epochs.phase = CommitPhase::Committing(CommittingEpoch {
        tasks: BTreeSet::from([Partition(7)]),
        questions: vec![],
        drops_open: false,
        sealed_at: Duration::ZERO,
    });
    epochs.open().touched.insert(Partition(7));
    epochs.note_opened(at(0));
    epochs
}

#[test]
fn an_epoch_is_sealed_only_when_the_one_before_is_decided() {
    let mut epochs = two(Some(Outcome::Committed(vec![])));
    assert!(!epochs.is_due(at(100_000), true) && !epochs.is_settled());
    assert_eq!(epochs.wait(at(0), Duration::from_secs(1)), OUTCOME_WITHIN);
    let decided = epochs.decided().expect("it has ended");
    assert!(!decided.epoch.drops_open);
    assert!(epochs.decided().is_none(), "it ends once");
    assert!(epochs.is_due(at(100_000), false) && epochs.is_due(at(1), true));
    assert!(
        !epochs.is_due(at(199), false),
        "a busy worker's epoch stays open four times as long"
    );
    epochs.note_idle();
    assert!(epochs.is_due(at(50), false));
    assert!(!epochs.is_settled(), "something is open");
    epochs.drop_open();
    assert!(epochs.is_settled());
}

#[test]
fn an_open_epoch_that_can_not_be_used_is_dropped_after_the_one_before_it() {
    let mut epochs = two(None);
    assert!(epochs.takes_steps());
    assert!(!epochs.void_open(), "not yet");
    assert!(!epochs.takes_steps());
    assert!(epochs.decided().is_none());
    let mut epochs = two(Some(Outcome::Aborted("the gate".into())));
    assert!(!epochs.void_open());
    assert!(epochs.decided().is_some_and(|decided| decided.epoch.drops_open));
    assert!(epochs.void_open(), "nothing is being committed any more");
}

#[test]
fn nothing_is_sealed_in_doubt() {
    let mut epochs = two(Some(Outcome::Ambiguous("no answer".into())));
    assert!(epochs.decided().is_some());
    for renewed in [false, true] {
        assert!(epochs.is_in_doubt() && !epochs.is_due(at(100_000), true) && !epochs.is_settled());
        assert_eq!(epochs.renew().ok(), Some(renewed));
    }
    assert!(
        !epochs.is_in_doubt() && epochs.is_settled(),
        "the open epoch is dropped"
    );
}

#[test]
fn after_several_failures_nothing_is_sealed_for_a_while_unless_a_task_must_close() {
    let mut epochs = two(Some(Outcome::Aborted("too large".into())));
    assert!(epochs.decided().is_some());
    for _ in 0..4 {
        epochs.note_failed("too large", at(1000));
    }
    assert!(!epochs.is_due(at(1049), false) && epochs.is_backing_off(at(1049)));
    assert!(epochs.is_due(at(1049), true), "a task must close");
    assert_eq!(
        epochs.wait(at(1000), Duration::from_secs(1)),
        Duration::from_millis(50),
        "and the worker does not spin"
    );
    assert!(epochs.is_due(at(1050), false) && !epochs.is_backing_off(at(1050)));
}

#[test]
fn a_commit_without_an_answer_is_told() {
    let epochs = two(None);
    assert_eq!(epochs.uncommitted(at(4_999)), None);
    let uncommitted = epochs.uncommitted(at(5_000)).expect("that is too long");
    assert_eq!((uncommitted.since, uncommitted.epochs), (-5_000, 1));
}
