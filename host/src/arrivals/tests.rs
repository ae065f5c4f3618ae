mod order;

use super::*;
use crate::binding::InputLayout;
use crate::config::{Format, InputConfig, OnDataLoss, StartAt, TimeSource};
use crate::log::Fetched;
use crate::record::{Span, TopicIx};
use crate::registry::{NoSchema, Schemas};
use parking_lot::Mutex;

const OUT_OF_ORDERNESS: Millis = 20;
const IDLE_AFTER: Duration = Duration::from_secs(30);
const WALL: Millis = 1_000_000;

fn input(format: Format) -> InputConfig {
    InputConfig {
        name: "events".into(),
        topic: "events".into(),
        format,
        time: TimeSource::Timestamp,
        out_of_orderness: OUT_OF_ORDERNESS,
        max_ahead: 1000,
        idle_after: IDLE_AFTER,
        start: StartAt::Earliest,
        on_data_loss: OnDataLoss::Stop,
    }
}

fn layout(inputs: &[InputConfig], partitions: i32, buffer_bytes: usize, scratch: &std::path::Path) -> Arc<Layout> {
    Arc::new(Layout {
        topics: inputs.iter().map(|input| input.topic.clone()).collect(),
        inputs: inputs
            .iter()
            .map(|input| InputLayout {
                out_of_orderness: input.out_of_orderness,
                max_ahead: input.max_ahead,
                idle_after: input.idle_after,
                on_data_loss: input.on_data_loss,
            })
            .collect(),
        outputs: TopicIx::at(inputs.len()),
        changelog: TopicIx(0),
        journal: TopicIx(0),
        dead_letters: TopicIx(0),
        control: TopicIx(0),
        partitions,
        fingerprint: 0,
        buffer_bytes,
        scratch: scratch.into(),
    })
}

/// The meta of inputs that were never read.
fn fresh(inputs: usize) -> Vec<InputMeta> {
    let meta = InputMeta {
        next: Offset(0),
        clock: crate::record::watermark::PartitionClock::START,
        heartbeats: vec![],
        verdicts: vec![],
        read: Offset(0),
    };
    vec![meta; inputs]
}

fn started(layout: &Arc<Layout>) -> Arrivals {
    let mut arrivals = Arrivals::new(Partition(0), layout.clone());
    arrivals.restart(&fresh(layout.inputs.len()), StepKey::Start);
    arrivals
}

/// A chunk of records with these offsets, timestamps and values.
fn chunk(rank: Rank, records: &[(i64, Millis, &[u8])]) -> Chunk {
    let mut chunk = Chunk {
        topic: rank.topic(),
        ..Chunk::default()
    };
    for (offset, timestamp, value) in records {
        let key = Some(Span::append(&mut chunk.bytes, b"key"));
        let value = Some(Span::append(&mut chunk.bytes, value));
        chunk.records.push(Fetched {
            offset: Offset(*offset),
            timestamp: *timestamp,
            append_time: false,
            key,
            value,
            headers: 0..0,
        });
    }
    chunk
}

/// Takes everything that is final, and returns the offsets.
fn drain(arrivals: &mut Arrivals) -> Vec<i64> {
    let mut taken = vec![];
    arrivals.begin_batch();
    while let Some(next) = arrivals.peek(arrivals.watermark(), 0) {
        assert!(arrivals.load(&next), "nothing is spilled");
        taken.push(next.offset().0);
        arrivals.take(&next);
    }
    taken
}

/// A registry that has only these ids, or that does not answer.
#[derive(Default)]
struct Registry(Mutex<Option<Vec<u32>>>);

impl Schemas for Registry {
    fn by_id(&self, id: u32) -> std::result::Result<Arc<str>, NoSchema> {
        match &*self.0.lock() {
            None => Err(NoSchema::Unavailable("it is away".into())),
            Some(known) if known.contains(&id) => Ok("\"int\"".into()),
            Some(_) => Err(NoSchema::Unknown(format!("no {id}"))),
        }
    }

    fn id_for(&self, _: &str, _: &str) -> std::result::Result<u32, NoSchema> {
        Err(NoSchema::Unknown("not asked".into()))
    }

    fn latest(&self, _: &str) -> std::result::Result<(u32, Arc<str>), NoSchema> {
        Err(NoSchema::Unknown("not asked".into()))
    }
}

impl Registry {
    fn knows(&self, ids: &[u32]) {
        *self.0.lock() = Some(ids.to_vec());
    }
}

/// An Avro input with its registry, which is away.
fn avro() -> (Arc<Registry>, Sources, Arrivals, Arc<Layout>) {
    let registry = Arc::new(Registry::default());
    let inputs = [input(Format::Avro)];
    let sources = Sources::new(&inputs, Some(registry.clone()));
    let layout = layout(&inputs, 1, 1 << 20, &std::env::temp_dir());
    let arrivals = started(&layout);
    (registry, sources, arrivals, layout)
}

/// A value with schema 1, and one with schema 2.
const ONE: &[u8] = &[0, 0, 0, 0, 1, 4];
const TWO: &[u8] = &[0, 0, 0, 0, 2, 4];

#[test]
fn a_schema_that_nobody_can_tell_holds_its_partition_back() {
    let (registry, mut sources, mut arrivals, _) = avro();
    registry.knows(&[1]);
    let _ = arrivals.push(chunk(Rank(0), &[(0, 100, ONE)]), &mut sources, WALL);
    arrivals.prove_end(Rank(0), Offset(1), Duration::ZERO);
    *registry.0.lock() = None;
    let arrived = arrivals.push(
        chunk(Rank(0), &[(1, 101, ONE), (2, 102, TWO), (3, 103, ONE)]),
        &mut sources,
        WALL,
    );
    assert_eq!(arrived.waits.map(|why| why.to_string()).as_deref(), Some("it is away"));
    assert_eq!(
        (arrivals.position(Rank(0)), arrivals.len()),
        (Offset(2), 2),
        "the first of them has arrived"
    );
    let arrived = arrivals.push(chunk(Rank(0), &[(4, 300, ONE)]), &mut sources, WALL);
    assert!(arrived.waits.is_none(), "it waits behind the others");
    assert!(arrivals.waits_for_schema() && arrivals.holds_back(Rank(0)));

    // An input with waiting records is not silent, and not at its end.
    arrivals.prove_end(Rank(0), Offset(5), IDLE_AFTER);
    let demand = Demand {
        timer: None,
        takeover: None,
        until: Millis::MAX,
    };
    assert_eq!(arrivals.idle_heartbeats(IDLE_AFTER, &demand), []);
    assert_eq!(arrivals.position(Rank(0)), Offset(2));

    let arrived = arrivals.retry(Rank(0), &mut sources, WALL).expect("it waits");
    assert!(arrived.waits.is_some() && arrivals.waits_for_schema());
    registry.knows(&[1, 2]);
    while let Some(arrived) = arrivals.retry(Rank(0), &mut sources, WALL) {
        assert!(arrived.waits.is_none());
    }
    assert!(!arrivals.waits_for_schema() && !arrivals.holds_back(Rank(0)));
    assert_eq!(drain(&mut arrivals), [0, 1, 2, 3]);
    assert_eq!(arrivals.position(Rank(0)), Offset(5));
}

#[test]
fn a_verdict_is_given_once_and_outlives_a_restart() {
    let (registry, mut sources, mut arrivals, layout) = avro();
    registry.knows(&[1]);
    let records = [(0, 100, ONE), (1, 101, TWO), (2, WALL + 1001, ONE)];
    let arrived = arrivals.push(chunk(Rank(0), &records), &mut sources, WALL);
    let verdicts = [
        (Offset(1), Verdict::UnknownSchema(2)),
        (Offset(2), Verdict::TooFarAhead),
    ];
    assert_eq!(arrived.verdicts, verdicts);
    let meta = arrivals.meta();
    assert_eq!(meta[0].verdicts, verdicts);

    // Now the registry has both schemas.
    registry.knows(&[1, 2]);
    let mut arrivals = Arrivals::new(Partition(0), layout);
    arrivals.restart(&meta, StepKey::Start);
    let arrived = arrivals.push(chunk(Rank(0), &records), &mut sources, WALL + 5000);
    assert_eq!(arrived.verdicts, []);
    let beats = arrivals.heartbeats_up_to(200);
    assert_eq!(beats.len(), 1);
    let waiting: Vec<_> = (0..3).filter_map(|nth| arrivals.peek(200, nth)).collect();
    let judged: Vec<_> = waiting
        .iter()
        .map(|waiting| (waiting.offset(), arrivals.verdict(waiting).cloned()))
        .collect();
    // An unreadable record gets the watermark at its place as effective time.
    assert_eq!(
        judged,
        [
            (Offset(1), Some(verdicts[0].1.clone())),
            (Offset(2), Some(verdicts[1].1.clone())),
            (Offset(0), None)
        ]
    );
}

#[test]
fn heartbeats_of_silence_free_what_waits() {
    let inputs = [input(Format::Json), input(Format::Json)];
    let mut arrivals = started(&layout(&inputs, 1, 1 << 20, &std::env::temp_dir()));
    let mut sources = Sources::new(&inputs, None);
    let _ = arrivals.push(chunk(Rank(0), &[(0, 100, b"x")]), &mut sources, WALL);
    let _ = arrivals.push(chunk(Rank(1), &[(0, 500, b"x")]), &mut sources, WALL);
    let demand = Demand {
        timer: None,
        takeover: None,
        until: Millis::MAX,
    };
    let at = |seconds| Duration::from_secs(seconds);
    let prove = |arrivals: &mut Arrivals, now| {
        arrivals.prove_end(Rank(0), Offset(1), now);
        arrivals.prove_end(Rank(1), Offset(1), now);
    };
    prove(&mut arrivals, at(0));
    assert_eq!(
        arrivals.idle_heartbeats(at(29), &demand),
        [],
        "not silent for long enough"
    );
    prove(&mut arrivals, at(30));
    let beat = |rank, time| Heartbeat {
        rank,
        position: Offset(1),
        time,
    };
    assert_eq!(
        arrivals.idle_heartbeats(at(30), &demand),
        [beat(Rank(0), 480)],
        "the highest watermark leads"
    );
    assert_eq!(drain(&mut arrivals), [0]);
    prove(&mut arrivals, at(31));
    assert_eq!(
        arrivals.idle_heartbeats(at(31), &demand),
        [beat(Rank(0), 1480), beat(Rank(1), 1480)]
    );
    assert_eq!(drain(&mut arrivals), [0]);
    prove(&mut arrivals, at(33));
    assert_eq!(arrivals.idle_heartbeats(at(33), &demand), [], "nothing waits");
    assert_eq!(arrivals.meta()[0].heartbeats, [(Offset(1), 1480)]);
}

#[test]
fn only_an_input_that_is_ahead_is_paused_for_its_bytes() {
    let inputs = [input(Format::Json), input(Format::Json)];
    let mut arrivals = started(&layout(&inputs, 1, 10, &std::env::temp_dir()));
    let mut sources = Sources::new(&inputs, None);
    let _ = arrivals.push(chunk(Rank(0), &[(0, 500, &[0; 20])]), &mut sources, WALL);
    let _ = arrivals.push(chunk(Rank(1), &[(0, 100, &[0; 20])]), &mut sources, WALL);
    assert!(arrivals.holds_back(Rank(0)) && !arrivals.holds_back(Rank(1)));
    let _ = arrivals.push(chunk(Rank(1), &[(1, 900, &[0; 20])]), &mut sources, WALL);
    assert!(!arrivals.holds_back(Rank(0)) && arrivals.holds_back(Rank(1)));
    assert_eq!(
        (arrivals.buffered(Rank(1)), arrivals.spilled(Rank(1))),
        (46, 0),
        "it is paused instead of spilled"
    );
    let _ = arrivals.push(chunk(Rank(0), &[(1, 501, &[0; 20])]), &mut sources, WALL);
    assert_eq!(
        (arrivals.buffered(Rank(0)), arrivals.spilled(Rank(0))),
        (46, 23),
        "the slowest goes on, and is spilled"
    );
}

#[test]
fn keys_of_another_partition_are_counted() {
    let inputs = [input(Format::Json)];
    let mut sources = Sources::new(&inputs, None);
    let own = murmur2::partition(b"key", 4);
    for (partition, foreign) in [(own, 0), (Partition((own.0 + 1) % 4), 1)] {
        let mut arrivals = Arrivals::new(partition, layout(&inputs, 4, 1 << 20, &std::env::temp_dir()));
        arrivals.restart(&fresh(1), StepKey::Start);
        let arrived = arrivals.push(chunk(Rank(0), &[(0, 1, b"x")]), &mut sources, WALL);
        assert_eq!(arrived.foreign, foreign);
    }
}

#[test]
#[should_panic(expected = "records are processed in their order")]
fn a_record_is_not_taken_before_its_turn() {
    let inputs = [input(Format::Json)];
    let mut arrivals = started(&layout(&inputs, 1, 1 << 20, &std::env::temp_dir()));
    let mut sources = Sources::new(&inputs, None);
    let _ = arrivals.push(
        chunk(Rank(0), &[(0, 1, b"x"), (1, 2, b"x"), (2, 100, b"x")]),
        &mut sources,
        WALL,
    );
    let second = arrivals.peek(50, 1).expect("two are final");
    arrivals.take(&second);
}
