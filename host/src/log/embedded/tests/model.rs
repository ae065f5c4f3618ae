//! Tests read-committed visibility against a simple model: a list of records, and how their transactions ended.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// The transaction with this number, or none, appends to a partition.
    Append(Option<usize>, Partition),
    /// The transaction with this number commits or aborts.
    End(usize, bool),
    /// A producer takes the id with this number again.
    Take(usize),
    /// A poll with a limit of records for each partition.
    Poll(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (prop::option::of(0..3_usize), 0..2_usize).prop_map(|(by, to)| Step::Append(by, Partition::at(to))),
        2 => (0..3_usize, any::<bool>()).prop_map(|(of, commit)| Step::End(of, commit)),
        1 => (0..3_usize).prop_map(Step::Take),
        3 => (0..4_usize).prop_map(Step::Poll),
    ];
    prop::collection::vec(step, 1..120)
}

/// One offset of a partition in the model.
#[derive(Clone, Debug)]
enum Place {
    /// A record, with the number of its transaction if it has one.
    Record(Option<usize>, String),
    Marker,
}

#[derive(Default)]
struct Model {
    partitions: [Vec<Place>; 2],
    /// How each transaction ended, or `None` while it is open.
    ends: Vec<Option<bool>>,
}

impl Model {
    fn end(&mut self, transaction: usize, commit: bool) {
        self.ends[transaction] = Some(commit);
        for partition in &mut self.partitions {
            if partition
                .iter()
                .any(|place| matches!(place, Place::Record(Some(t), _) if *t == transaction))
            {
                partition.push(Place::Marker);
            }
        }
    }

    /// The visible records, and where they end.
    fn visible(&self, partition: usize) -> (Vec<(i64, String)>, i64) {
        let mut seen = Vec::new();
        for (offset, place) in self.partitions[partition].iter().enumerate() {
            match place {
                Place::Record(Some(t), _) if self.ends[*t].is_none() => return (seen, offset as i64),
                Place::Record(Some(t), _) if self.ends[*t] == Some(false) => {}
                Place::Record(_, value) => seen.push((offset as i64, value.clone())),
                Place::Marker => {}
            }
        }
        (seen, self.partitions[partition].len() as i64)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn committed_readers_see_what_the_model_says(steps in steps()) {
        let (cluster, _) = cluster();
        let long = Duration::from_secs(3_600);
        let limit = Arc::new(Mutex::new(usize::MAX));
        let hook = limit.clone();
        cluster.set_limits(Some(Box::new(move |_| *hook.lock())));
        let mut reader = instance(&cluster, "r").reader(long).unwrap();
        reader.assign(OUT, Partition(0), Offset(0)).unwrap();
        reader.assign(OUT, Partition(1), Offset(0)).unwrap();

        let mut model = Model::default();
        let mut open: [Option<(OpenTransaction, usize)>; 3] = [None, None, None];
        let mut read = [Vec::new(), Vec::new()];
        let mut poll = |model: &Model, at_most: usize| -> std::result::Result<(), TestCaseError> {
            *limit.lock() = at_most;
            let mut arrivals = Vec::new();
            reader.poll(NOW, &mut arrivals).unwrap();
            for arrival in arrivals {
                match arrival {
                    Arrival::Records(chunk) => {
                        prop_assert!(chunk.records.len() <= at_most);
                        read[chunk.partition.index()].extend(chunk.records.iter().map(|record| {
                            let value = record.value.unwrap().of(&chunk.bytes).to_vec();
                            (record.offset.0, String::from_utf8(value).unwrap())
                        }));
                    }
                    Arrival::End { partition, offset, .. } => {
                        let (visible, end) = model.visible(partition.index());
                        prop_assert_eq!(offset.0, end);
                        prop_assert_eq!(&read[partition.index()], &visible);
                    }
                    Arrival::OutOfRange { .. } => prop_assert!(false, "out of range"),
                }
            }
            for (partition, read) in read.iter().enumerate() {
                let (visible, _) = model.visible(partition);
                prop_assert!(visible.starts_with(read), "{visible:?} {read:?}");
                prop_assert!(at_most < usize::MAX || visible.len() == read.len());
            }
            Ok(())
        };
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Append(by, to) => {
                    let value = format!("value {number}");
                    let record = NewRecord { value: Some(value.as_bytes()), ..NewRecord::default() };
                    let transaction = match by {
                        None => {
                            let appended = cluster.appending(|log| log.append("out", to, record)).unwrap();
                            prop_assert_eq!(appended.0, model.partitions[to.index()].len() as i64);
                            None
                        }
                        Some(by) => {
                            let (transaction, of) = open[by].get_or_insert_with(|| {
                                model.ends.push(None);
                                (cluster.transaction(&format!("t{by}"), long).unwrap(), model.ends.len() - 1)
                            });
                            let appended = transaction.append("out", to, record).unwrap();
                            prop_assert_eq!(appended.0, model.partitions[to.index()].len() as i64);
                            Some(*of)
                        }
                    };
                    model.partitions[to.index()].push(Place::Record(transaction, value));
                }
                Step::End(of, commit) => {
                    if let Some((transaction, of)) = open[of].take() {
                        let ended = if commit { transaction.commit() } else { transaction.abort() };
                        ended.unwrap();
                        model.end(of, commit);
                    }
                }
                Step::Take(by) => {
                    let before = open[by].take();
                    model.ends.push(None);
                    let taken = cluster.transaction(&format!("t{by}"), long).unwrap();
                    open[by] = Some((taken, model.ends.len() - 1));
                    if let Some((fenced, of)) = before {
                        model.end(of, false);
                        prop_assert!(matches!(fenced.commit(), Err(Failure::Fenced(_))));
                    }
                }
                Step::Poll(at_most) => poll(&model, at_most)?,
            }
        }
        for (transaction, of) in open.into_iter().flatten() {
            transaction.commit().unwrap();
            model.end(of, true);
        }
        poll(&model, usize::MAX)?;
    }
}
