//! What traffic to make. The defaults are the benchmark's workload.

use super::{Format, Millis};

/// What traffic to make. Shares are of the money events; times are milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// The same seed, the same traffic.
    pub seed: u64,
    /// How values are written.
    pub format: Format,
    /// Money events, without duplicates.
    pub money: u64,
    /// Users.
    pub users: u32,
    /// How uneven money is among users: Zipf's exponent.
    pub zipf: f64,
    /// Partitions of each topic.
    pub partitions: i32,
    /// When the traffic begins.
    pub start: Millis,
    /// How long it lasts.
    pub span: Millis,
    /// How far an event's time is behind its arrival, at most.
    pub disorder: Millis,
    /// Money events of a user between two of its sessions, on average.
    pub money_per_session: f64,
    /// Share of the sessions that come after their first money.
    pub sessions_after_money: f64,
    /// By how much, at most.
    pub session_delay: Millis,
    /// Share without a session.
    pub without_session: f64,
    /// Share whose session never comes.
    pub session_never: f64,
    /// Changes of users, for each money event.
    pub user_changes: f64,
    /// Share that comes twice within `duplicate_delay`.
    pub duplicates: f64,
    /// See `duplicates`; well below the rules' TTL less the disorder.
    pub duplicate_delay: Millis,
    /// Share that comes again when the rules have forgotten it: 90 to 120 s later.
    pub duplicates_after_ttl: f64,
    /// Share that comes 30 to 90 s behind its time.
    pub late: f64,
    /// Share that is marked as old.
    pub old: f64,
    /// Share of each ignored kind.
    pub ignored: f64,
    /// At the end each partition of each topic gets an ignored record so much later, so that nothing waits for the
    /// clock.
    pub closing: Option<Millis>,
}

impl Default for Parameters {
    /// The benchmark's workload.
    fn default() -> Parameters {
        Parameters {
            seed: 1,
            format: Format::Avro,
            money: 1_000_000,
            users: 200_000,
            zipf: 0.8,
            partitions: 4,
            start: 1_608_076_800_000,
            span: 3_600_000,
            disorder: 5_000,
            money_per_session: 10.0,
            sessions_after_money: 0.03,
            session_delay: 15_000,
            without_session: 0.02,
            session_never: 0.0,
            user_changes: 0.1,
            duplicates: 0.01,
            duplicate_delay: 20_000,
            duplicates_after_ttl: 0.0,
            late: 0.0,
            old: 0.0,
            ignored: 0.0,
            closing: Some(3_600_000),
        }
    }
}

impl Parameters {
    /// A little of everything.
    pub fn varied() -> Parameters {
        Parameters {
            session_never: 0.005,
            duplicates_after_ttl: 0.002,
            late: 0.005,
            old: 0.005,
            ignored: 0.02,
            ..Parameters::default()
        }
    }
}
