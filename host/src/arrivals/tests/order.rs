//! Tests the order of steps against its definition, with random arrivals, batches, commits and aborts.

use super::*;
use proptest::prelude::*;

/// A random event of a task.
#[derive(Clone, Debug)]
enum Act {
    /// This many more records of an input arrive.
    Arrive(usize, usize),
    /// A batch of this many records is planned, and this many of them are taken.
    Batch(usize, usize),
    /// All processed records are committed.
    Commit,
    /// Everything uncommitted is dropped.
    Abort,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..2_usize, 1..6_usize).prop_map(|(rank, many)| Act::Arrive(rank, many)),
        4 => (1..8_usize, 0..8_usize).prop_map(|(planned, taken)| Act::Batch(planned, taken)),
        1 => Just(Act::Commit),
        1 => Just(Act::Abort),
    ]
}

/// A task that only takes records, from logs that are complete from the beginning.
struct Taker {
    arrivals: Arrivals,
    sources: Sources,
    logs: [Vec<(Offset, Millis)>; 2],
    taken: Vec<(Millis, Rank, Offset)>,
    committed: (Vec<InputMeta>, usize),
}

impl Taker {
    fn arrive(&mut self, rank: usize, many: usize) {
        let position = self.arrivals.position(Rank::at(rank));
        let unread = self.logs[rank].iter().filter(|(offset, _)| *offset >= position);
        let values: Vec<_> = unread.take(many).map(|(offset, time)| (*offset, *time)).collect();
        let values: Vec<_> = values.iter().map(|at| (at.0.0, at.1, at.0.0.to_le_bytes())).collect();
        let records: Vec<_> = values
            .iter()
            .map(|(at, time, value)| (*at, *time, value.as_slice()))
            .collect();
        let arrived = self
            .arrivals
            .push(chunk(Rank::at(rank), &records), &mut self.sources, WALL);
        assert!(arrived.verdicts.is_empty() && arrived.waits.is_none());
    }

    fn batch(&mut self, planned: usize, taken: usize) {
        let bound = self.arrivals.watermark();
        self.arrivals.begin_batch();
        let mut plan = vec![];
        while plan.len() < planned
            && let Some(next) = self.arrivals.peek(bound, plan.len())
            && self.arrivals.load(&next)
        {
            plan.push(next);
        }
        for next in plan.iter().take(taken) {
            let record = self.arrivals.record(next);
            assert_eq!((record.topic().rank(), record.offset()), (next.rank(), next.offset()));
            assert_eq!(record.value(), Some(next.offset().0.to_le_bytes().as_slice()));
            self.taken.push((next.time(), next.rank(), next.offset()));
            self.arrivals.take(next);
        }
    }

    fn commit(&mut self) {
        let meta = self.arrivals.meta();
        for (rank, input) in meta.iter().enumerate() {
            let position = self.arrivals.position(Rank::at(rank));
            let is_taken = |offset| self.taken.iter().any(|at| (usize::from(at.1), at.2) == (rank, offset));
            let mut arrived = self.logs[rank]
                .iter()
                .map(|at| at.0)
                .take_while(|offset| *offset < position);
            let first = arrived.find(|offset| !is_taken(*offset));
            assert_eq!(
                input.next,
                first.unwrap_or(position),
                "the first unprocessed record of input {rank}"
            );
        }
        self.committed = (meta, self.taken.len());
    }

    fn abort(&mut self) {
        self.taken.truncate(self.committed.1);
        let last = self
            .taken
            .last()
            .map(|&(time, rank, offset)| StepKey::Record { time, rank, offset });
        self.arrivals.restart(&self.committed.0, last.unwrap_or(StepKey::Start));
    }
}

/// The order by its definition.
fn expected(logs: &[Vec<(Offset, Millis)>; 2]) -> Vec<(Millis, Rank, Offset)> {
    let mut all = vec![];
    for (rank, log) in Rank::all(logs.len()).zip(logs) {
        let mut highest = NEVER;
        for (offset, time) in log {
            all.push(((*time).max(highest.saturating_sub(OUT_OF_ORDERNESS)), rank, *offset));
            highest = highest.max(*time);
        }
    }
    all.sort_unstable();
    all
}

fn log() -> impl Strategy<Value = Vec<(Offset, Millis)>> {
    prop::collection::vec((1..3_i64, 0..400_i64), 0..40).prop_map(|records| {
        let mut offset = -1;
        let place = |(gap, time)| {
            offset += gap;
            (Offset(offset), time)
        };
        records.into_iter().map(place).collect()
    })
}

proptest! {
    /// However arrivals, batches, commits and aborts interleave, and whatever is spilled, records come in the same
    /// order.
    #[test]
    fn the_order_is_a_function_of_the_logs(
        logs in (log(), log()),
        acts in prop::collection::vec(act(), 0..80),
        limit in prop::sample::select(vec![0, 30, 1 << 20]),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let inputs = [input(Format::Json), input(Format::Json)];
        let arrivals = started(&layout(&inputs, 1, limit, folder.path()));
        let (sources, logs) = (Sources::new(&inputs, None), [logs.0, logs.1]);
        let mut task = Taker { arrivals, sources, logs, taken: vec![], committed: (fresh(2), 0) };
        for act in acts {
            match act {
                Act::Arrive(rank, many) => task.arrive(rank, many),
                Act::Batch(planned, taken) => task.batch(planned, taken),
                Act::Commit => task.commit(),
                Act::Abort => task.abort(),
            }
        }
        task.arrive(0, usize::MAX);
        task.arrive(1, usize::MAX);
        let beats = task.arrivals.heartbeats_up_to(1000);
        prop_assert_eq!(beats.len(), 2);
        while !task.arrivals.is_empty() {
            task.batch(7, 7);
        }
        prop_assert_eq!(&task.taken, &expected(&task.logs));
        task.commit();
        prop_assert_eq!((task.arrivals.buffered(Rank(0)), task.arrivals.spilled(Rank(0))), (0, 0));
    }
}
