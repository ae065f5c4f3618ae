//! One value of each kind in each format.
//!
//! Rule: a value never changes, because the fixture has its bytes.

use pelton::deploy::protocol::shadow::{ShadowDeploy, ShadowRecord};
use pelton::deploy::protocol::{
    ControlRecord, Decision, Declarations, DeclaredStore, Deploy, DeployProgress, DeployStage,
};
use pelton::record::encoding::{CONTROL, DELTA, Encoding, JOURNAL, META};
use pelton::record::journal::{JournalEntry, JournalInput, LookupEnding, Verdict};
use pelton::record::watermark::PartitionClock;
use pelton::record::{FOREVER, Offset, Partition, Rank, StepKey, StoreEntry};
use pelton::shadow::{
    Counts, Difference, EffectKind, FieldDifference, Origin, Seen, ShadowReport, ShadowState, Trapped,
};
use pelton::state::delta::{self, Change, Delta};
use pelton::state::meta::{self, InputMeta, Meta, Names, PreparedDeploy};
use std::sync::Arc;

/// Whether bytes have the same meaning as those of a sample.
type Means = dyn Fn(&[u8]) -> bool;

/// A value in its format.
pub struct Sample {
    pub name: String,
    /// `None` if its version is not the first byte.
    pub format: Option<Encoding>,
    pub bytes: Vec<u8>,
    pub means: Box<Means>,
}

fn sample(
    name: String,
    format: impl Into<Option<Encoding>>,
    bytes: Vec<u8>,
    means: impl Fn(&[u8]) -> bool + 'static,
) -> Sample {
    Sample {
        name,
        format: format.into(),
        bytes,
        means: Box::new(means),
    }
}

fn timer() -> StepKey {
    StepKey::Timer {
        time: -7,
        key: (*b"a key").into(),
        kind: 300,
        tag: (*b"a tag").into(),
    }
}

fn record() -> StepKey {
    StepKey::Record {
        time: 1_608_076_800_000,
        rank: Rank(2),
        offset: Offset(1_000_000),
    }
}

fn journal() -> Vec<JournalEntry> {
    let reply = |answer| JournalInput::Reply {
        id: (*b"a question").into(),
        answer,
    };
    let after = |anchor, sequence, what| JournalEntry::After { anchor, sequence, what };
    vec![
        JournalEntry::Heartbeat {
            rank: Rank(2),
            position: Offset(10),
            time: -5,
        },
        JournalEntry::Verdict {
            rank: Rank(0),
            offset: Offset(3),
            verdict: Verdict::TooFarAhead,
        },
        JournalEntry::Verdict {
            rank: Rank(1),
            offset: Offset(4),
            verdict: Verdict::UnknownSchema(900),
        },
        after(record(), 0, reply(LookupEnding::Body(b"{}".to_vec()))),
        after(timer(), 1, reply(LookupEnding::Absent)),
        after(timer(), 2, reply(LookupEnding::Unavailable)),
        after(
            StepKey::Start,
            0,
            JournalInput::Rules {
                version: [3; 32],
                number: 2,
            },
        ),
        JournalEntry::Trapped {
            step: timer(),
            sequence: None,
            version: [1; 32],
            reason: "unreachable".into(),
        },
        JournalEntry::Trapped {
            step: record(),
            sequence: Some(3),
            version: [1; 32],
            reason: "too long".into(),
        },
    ]
}

fn meta() -> Meta {
    Meta {
        fingerprint: 0x0123_4567_89ab_cdef,
        inputs: vec![
            InputMeta {
                next: Offset(12),
                clock: PartitionClock {
                    highest: 1_608_076_800_000,
                    heartbeat: -6,
                },
                heartbeats: vec![(Offset(12), -3), (Offset(20), 1_608_076_800_000)],
                verdicts: vec![
                    (Offset(13), Verdict::TooFarAhead),
                    (Offset(14), Verdict::UnknownSchema(7)),
                ],
                read: Offset(30),
            },
            InputMeta {
                next: Offset(0),
                clock: PartitionClock::START,
                heartbeats: vec![],
                verdicts: vec![],
                read: Offset(0),
            },
        ],
        last: timer(),
        sequence: 4,
        version: [2; 32],
        deployed: 3,
        prepared: Some(PreparedDeploy {
            number: 4,
            version: [5; 32],
            until: 1_608_076_900_000,
        }),
        sweep: vec![1, 2, 3],
        follows: Some(Offset(77)),
        round: Offset(66),
    }
}

fn names() -> Names {
    Names {
        hash: "a hash".into(),
        stores: vec!["seen".into(), "user".into()],
        timers: vec!["missing".into()],
        lookups: vec!["session".into()],
        schemas: vec!["\"string\"".into(), "\"long\"".into()],
    }
}

fn a_deploy() -> Deploy {
    Deploy {
        number: 2,
        nonce: [9; 16],
        version: [8; 32],
        component: [7; 32],
        bytes: 123_456,
        settings: "{\"a\":1}".into(),
        at: Some(-1),
        one_way: true,
        drop_timers: false,
        author: "somebody".into(),
        written: 1_608_076_800_000,
        declared: Arc::new(Declarations {
            inputs: vec![("wallet".into(), "\"string\"".into())],
            outputs: vec![("enriched".into(), "\"long\"".into())],
            stores: vec![DeclaredStore {
                name: "seen".into(),
                map: true,
                schema: "\"int\"".into(),
            }],
            lookups: vec![("session".into(), "\"null\"".into())],
            timers: vec!["missing".into()],
        }),
    }
}

fn control() -> Vec<ControlRecord> {
    let decision = |decision| ControlRecord::Decision { number: 2, decision };
    let progress = |stage| DeployProgress {
        stage,
        tasks: vec![Partition(0), Partition(3)],
    };
    let now = Deploy { at: None, ..a_deploy() };
    let begin = ShadowDeploy {
        deploy: a_deploy(),
        duration: 60_000,
    };
    vec![
        ControlRecord::Deploy(a_deploy()),
        ControlRecord::Deploy(now),
        decision(Decision::Commit(-9)),
        decision(Decision::Cancel("why".into())),
        decision(Decision::Withdraw("why".into())),
        ControlRecord::Answer {
            number: 2,
            task: Partition(3),
            position: 44,
        },
        ControlRecord::Report {
            number: 2,
            instance: "a".into(),
            report: progress(DeployStage::Fetched),
        },
        ControlRecord::Report {
            number: 2,
            instance: "a".into(),
            report: progress(DeployStage::Ready),
        },
        ControlRecord::Taken {
            task: Partition(3),
            number: 2,
        },
        ControlRecord::Pruned { number: 1 },
        ControlRecord::Shadow(ShadowRecord::Begin(begin)),
        ControlRecord::Shadow(ShadowRecord::Over(1, "why".into())),
        ControlRecord::Shadow(ShadowRecord::Progress(1, "a".into(), progress(DeployStage::Ready))),
        ControlRecord::Shadow(ShadowRecord::Seen(1, Partition(3), b"{}".to_vec())),
    ]
}

fn report() -> ShadowReport {
    let counts = |from| Counts {
        same: from,
        different: from + 1,
        missing: from + 2,
        extra: from + 3,
    };
    let origin = Origin {
        what: "record".into(),
        topic: Some("wallet-events".into()),
        partition: Partition(1),
        offset: Some(Offset(5)),
        key: "a key".into(),
        time: 1_608_076_800_000,
    };
    let difference = |kind| Difference {
        kind,
        how: "different".into(),
        name: "enriched".into(),
        entry: "m1".into(),
        input: origin.clone(),
        fields: vec![FieldDifference {
            path: "money.id".into(),
            live: Some("1".into()),
            shadow: None,
        }],
    };
    let kinds = [
        EffectKind::Output,
        EffectKind::State,
        EffectKind::Timer,
        EffectKind::Lookup,
        EffectKind::DeadLetter,
    ];
    ShadowReport {
        format: 0,
        instance: "a".into(),
        standing: ShadowState::Through,
        why: Some("why".into()),
        from: Some(1),
        to: Some(2),
        duration: 3,
        seen: Seen {
            steps: 1,
            records: 2,
            outputs: counts(10),
            state: counts(20),
            timers: counts(30),
            lookups: counts(40),
            dead_letters: counts(50),
            unanswered: 3,
            traps: 4,
            live_nanos: 5,
            live_inputs: 6,
            shadow_nanos: 7,
            shadow_inputs: 8,
        },
        differences: kinds.into_iter().map(difference).collect(),
        traps: vec![Trapped {
            reason: "unreachable".into(),
            count: 2,
            first: origin.clone(),
        }],
        notes: vec!["a note".into()],
    }
}

/// The same key several times in a row, each form of a time, empty and longer strings.
fn changes() -> Vec<Change<'static>> {
    let put = |key, expires| Change::Put {
        key,
        store: 1,
        entry: b"an entry",
        cell: StoreEntry {
            schema: 300,
            expires,
            value: &[7; 200],
        },
    };
    vec![
        Change::Meta(b"a meta"),
        Change::Names(b"names"),
        put(b"k1", FOREVER),
        put(b"k1", 1_608_076_800_000),
        put(b"k2", i64::MIN),
        Change::Delete {
            key: b"k2",
            store: 2,
            entry: b"",
        },
        Change::SetTimer {
            key: b"k2",
            at: -1,
            kind: 3,
            tag: b"a tag",
        },
        Change::CancelTimer {
            key: b"k3",
            at: i64::MAX - 1,
            kind: 3,
            tag: b"",
        },
        Change::Ask {
            key: b"k3",
            lookup: 4,
            tag: b"a tag",
            id: b"an id",
            request: b"GET x",
        },
        Change::Answered {
            key: b"k4",
            lookup: 4,
            tag: b"a tag",
        },
    ]
}

/// One of each kind.
pub fn samples() -> Vec<Sample> {
    let mut samples = vec![];
    for entry in journal() {
        let mut bytes = vec![];
        entry.encode(&mut bytes);
        let name = format!("journal {}", samples.len());
        samples.push(sample(name, JOURNAL, bytes, move |bytes| {
            JournalEntry::decode(bytes).as_ref() == Ok(&entry)
        }));
    }
    for record in control() {
        let name = format!("control {}", samples.len());
        let (bytes, own) = (record.value(), [6; 16]);
        samples.push(sample(format!("{name} key"), None, record.key(&own), {
            let record = record.clone();
            move |bytes| record.key(&own) == bytes
        }));
        samples.push(sample(name, CONTROL, bytes, move |bytes| {
            ControlRecord::decode(bytes).as_ref() == Ok(&record)
        }));
    }
    samples.push(sample("meta".into(), META, meta::encode(&meta()), |bytes| {
        meta::decode(bytes).as_ref() == Ok(&meta())
    }));
    samples.push(sample("names".into(), META, meta::encode(&names()), |bytes| {
        meta::decode(bytes).as_ref() == Ok(&names())
    }));
    let json = serde_json::to_vec(&report()).expect("a report is JSON");
    samples.push(sample("shadow's report".into(), None, json, |bytes| {
        serde_json::from_slice::<ShadowReport>(bytes).is_ok_and(|read| read == report())
    }));
    let mut delta = Delta::new();
    changes().into_iter().for_each(|change| delta.push(change));
    let one: Vec<&[u8]> = delta.records().collect();
    let [bytes] = one[..] else {
        panic!("a delta of one record")
    };
    samples.push(sample("delta".into(), DELTA, bytes.to_vec(), |bytes| {
        let read: Result<Vec<Change<'_>>, _> = delta::read(bytes).collect();
        read.is_ok_and(|read| read == changes())
    }));
    samples
}
