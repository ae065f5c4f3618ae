//! Tests of rules, without a sandbox: a small model of the host, which runs each scenario three times.
//!
//! Rule: the runs differ only in how the inputs are cut into batches: as few as possible, one at a time, and at random;
//! all but the first with a fresh instance for each. What the rules did must be the same, byte for byte, and is asserted
//! to be after each [`Kit::run_to`].

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

/// A scenario.
pub struct Kit<R: Rules> {
    hosts: [Host<R>; 3],
    offsets: Vec<u64>,
}

/// The bytes of a value.
pub fn datum<T: Datum>(value: &T::Of<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    T::encode(value, &mut bytes);
    bytes
}

impl<R: Rules> Kit<R> {
    /// With these settings, a JSON object. Panics when the rules refuse them.
    pub fn new(settings: &str) -> Self {
        Kit::seeded(settings, 1)
    }

    /// As [`Kit::new`], with another seed for where the third run cuts.
    pub fn seeded(settings: &str, seed: u64) -> Self {
        let host = |cut| Host::new(settings, cut);
        let hosts = [host(Cut::Whole), host(Cut::One), host(Cut::Random(seed | 1))];
        Kit {
            offsets: vec![0; hosts[0].description.inputs.len()],
            hosts,
        }
    }

    /// An external service: its answer to a request comes `after` milliseconds of event time. Without it: unavailable.
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

    /// The service does not answer any more.
    pub fn no_service(&mut self, lookup: &str) {
        for host in &mut self.hosts {
            host.service(lookup, 0, None);
        }
    }

    /// An event, to be taken at its time.
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

    /// A late event. `time` is where it stands in the order.
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

    /// Any record.
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

    /// Takes every step up to a time, this one included.
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

    /// What was sent to an output since it was asked for last, in order.
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

    /// What a counter stands at.
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

    /// The reasons of what was refused, in order.
    pub fn rejected(&self) -> Vec<String> {
        self.hosts[0].did.iter().filter_map(Did::rejected).collect()
    }

    /// How many entries of a store have not expired at a time.
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

    /// Timers that are set.
    pub fn timers(&self) -> usize {
        self.hosts[0].timers()
    }

    /// Reads that `reads` had not named, or that went on to a second page, in the run with the largest batches.
    pub fn misses(&self) -> u64 {
        self.hosts[0].misses.get()
    }
}
