//! Parameters of the traffic. The defaults are the benchmark's workload.

/// Milliseconds, either since 1970 or as a duration.
pub type Millis = i64;

/// The encoding of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Byte 0, schema id, Avro datum.
    Avro,
    /// A JSON object.
    Json,
}

/// Parameters of the traffic. Shares are relative to the number of money events, and times are in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// The same seed gives the same traffic.
    pub seed: u64,
    /// The encoding of values.
    pub format: Format,
    /// Number of money events, without repetitions.
    pub money: u64,
    /// Number of users.
    pub users: u32,
    /// How unevenly money is spread among users: Zipf's exponent.
    pub zipf: f64,
    /// Number of partitions of each topic.
    pub partitions: i32,
    /// When the traffic begins.
    pub start: Millis,
    /// How long it lasts.
    pub span: Millis,
    /// Maximum difference between an event's arrival and its event time.
    pub disorder: Millis,
    /// How many money events a user has between two sessions, on average.
    pub money_per_session: f64,
    /// Share of the sessions that come after their first money.
    pub sessions_after_money: f64,
    /// How long after it, at most.
    pub session_delay: Millis,
    /// Share of money without a session.
    pub without_session: f64,
    /// Share of money whose session never comes.
    pub session_never: f64,
    /// Number of users' changes for each money event.
    pub user_changes: f64,
    /// Share of money that is repeated within `duplicate_delay`.
    pub duplicates: f64,
    /// Must be well below the rules' TTL minus the disorder.
    pub duplicate_delay: Millis,
    /// Share of money that is repeated after the rules have forgotten it, 90 to 120 s later.
    pub duplicates_after_ttl: f64,
    /// Share of money that is 30 to 90 s late.
    pub late: f64,
    /// Share of money that is marked as old.
    pub old: f64,
    /// Share of each kind of events that the rules ignore.
    pub ignored: f64,
    /// How long after the end each partition of each topic gets an ignored record, so that no record waits for the
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
    /// Traffic with everything that can happen.
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
