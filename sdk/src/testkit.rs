//! Tests of rules without a sandbox: a small model of the host that runs each scenario three times.
//!
//! Rule: the runs differ only in how inputs are cut into batches: into as few as possible, one by one, and at random.
//! All but the first use a new instance for each batch. After each [`Kit::run_to`], the kit asserts that the rules have
//! done the same in all runs, byte for byte.

mod host;
mod model;
mod queue;
mod record;

use crate::avro::{Datum, decode_all};
use crate::inputs::NoAnswer;
use crate::rules::Rules;
use host::{Cut, Did, Host, Service};
use queue::{At, Item};
use std::rc::Rc;

pub use record::{Input, Sent};

/// A scenario for these rules.
pub struct Kit<R: Rules> {
    hosts: [Host<R>; 3],
    offsets: Vec<u64>,
}

/// Encodes a value.
pub fn datum<T: Datum>(value: &T::Of<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    T::encode(value, &mut bytes);
    bytes
}

impl<R: Rules> Kit<R> {
    /// A scenario with these settings (a JSON object). Panics if the rules refuse them.
    pub fn new(settings: &str) -> Self {
        Kit::seeded(settings, 1)
    }

    /// Like [`Kit::new`], with another seed for the random cuts of the third run.
    pub fn seeded(settings: &str, seed: u64) -> Self {
        let host = |cut| Host::new(settings, cut);
        let hosts = [host(Cut::Whole), host(Cut::One), host(Cut::Random(seed | 1))];
        Kit {
            offsets: vec![0; hosts[0].description.inputs.len()],
            hosts,
        }
    }

    /// Sets up an external service. Its answers come `after` milliseconds of event time. Without it, the service is
    /// unavailable.
    pub fn service<Req: Datum>(
        &mut self,
        lookup: &str,
        after: i64,
        answer: impl for<'q> Fn(Req::Of<'q>) -> Result<Vec<u8>, NoAnswer> + 'static,
    ) {
        let service: Service = Rc::new(move |request| match decode_all::<Req>(request) {
            Ok(request) => answer(request),
            Err(error) => panic!("the rules wrote a request that can't be read: {error}"),
        });
        for host in &mut self.hosts {
            host.service(lookup, after, Some(service.clone()));
        }
    }

    /// Makes the service unavailable again.
    pub fn no_service(&mut self, lookup: &str) {
        for host in &mut self.hosts {
            host.service(lookup, 0, None);
        }
    }

    /// Sends an event, which is processed at its time.
    pub fn event<T: Datum>(&mut self, stream: &str, key: &str, time: i64, value: &T::Of<'_>) {
        self.input(Input {
            stream: stream.into(),
            key: key.into(),
            time,
            late: false,
            value: Some(datum::<T>(value)),
            headers: Vec::new(),
        });
    }

    /// Sends a late event. `time` is its effective time.
    pub fn late<T: Datum>(&mut self, stream: &str, key: &str, time: i64, value: &T::Of<'_>) {
        self.input(Input {
            stream: stream.into(),
            key: key.into(),
            time,
            late: true,
            value: Some(datum::<T>(value)),
            headers: Vec::new(),
        });
    }

    /// Sends any record.
    pub fn input(&mut self, input: Input) {
        let streams = &self.hosts[0].description.inputs;
        let Some(rank) = streams.iter().position(|stream| stream.name == input.stream) else {
            panic!("the rules have no stream `{}`", input.stream);
        };
        let offset = self.offsets[rank];
        self.offsets[rank] += 1;
        for host in &mut self.hosts {
            let at = At::record(input.time, rank as u16, offset);
            host.add(
                at,
                Item::Record {
                    input: input.clone(),
                    rank: rank as u16,
                    offset,
                },
            );
        }
    }

    /// Takes all steps up to and including this time.
    pub fn run_to(&mut self, time: i64) {
        for host in &mut self.hosts {
            host.run_to(time);
        }
        let [whole, others @ ..] = &self.hosts;
        for other in others {
            for (did, other_did) in whole.did.iter().zip(&other.did) {
                assert_eq!(
                    did, other_did,
                    "the rules do something else when their inputs are cut otherwise"
                );
            }
            assert_eq!(
                whole.did.len(),
                other.did.len(),
                "the rules do more when their inputs are cut otherwise"
            );
            assert_eq!(
                whole.state, other.state,
                "the state is another when the inputs are cut otherwise"
            );
        }
    }

    /// The records sent to an output since the last call, in order.
    pub fn sent<V>(&mut self, output: &str, read: impl Fn(&[u8]) -> V) -> Vec<Sent<V>> {
        let host = &mut self.hosts[0];
        let on = host
            .description
            .outputs
            .iter()
            .position(|declared| declared.name == output);
        let Some(on) = on else {
            panic!("the rules have no output `{output}`")
        };
        let from = std::mem::replace(&mut host.sent_from[on], host.did.len());
        host.did[from..]
            .iter()
            .filter_map(|did| did.sent(on as u16, &read))
            .collect()
    }

    /// The value of a counter.
    pub fn count(&self, counter: &str) -> i64 {
        let host = &self.hosts[0];
        let on = host
            .description
            .counters
            .iter()
            .position(|declared| declared == counter);
        let Some(on) = on else {
            panic!("the rules have no counter `{counter}`")
        };
        host.did.iter().map(|did| did.counted(on as u16)).sum()
    }

    /// The reasons of all rejections, in order.
    pub fn rejected(&self) -> Vec<String> {
        self.hosts[0].did.iter().filter_map(Did::rejected).collect()
    }

    /// The number of a store's entries that have not expired at a time.
    pub fn entries(&self, store: &str, now: i64) -> usize {
        let host = &self.hosts[0];
        let on = host
            .description
            .stores
            .iter()
            .position(|declared| declared.name == store);
        let Some(on) = on else {
            panic!("the rules have no store `{store}`")
        };
        host.state
            .iter()
            .filter(|((_, store, _), held)| *store == on as u16 && now < held.1)
            .count()
    }

    /// The number of timers that are set.
    pub fn timers(&self) -> usize {
        self.hosts[0].timers()
    }

    /// How many reads `reads` did not announce, or needed a second page, in the run with the largest batches.
    pub fn misses(&self) -> u64 {
        self.hosts[0].misses.get()
    }
}
