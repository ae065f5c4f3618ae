//! The settings that decide what must happen.

use super::step::Millis;

/// The format of the values in the topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Byte 0, the schema's id, and the Avro datum.
    Avro,
    /// A JSON object.
    Json,
}

/// The settings in the pipeline's file. Times are in milliseconds.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// The format of the inputs.
    pub format: Format,
    /// By rank.
    pub out_of_orderness: Vec<Millis>,
    /// By rank. Only for topics with append time.
    pub max_ahead: Vec<Millis>,
    /// How long a money id is remembered, to drop duplicates.
    pub dedup_ttl: Millis,
    /// How long a session is remembered.
    pub session_ttl: Millis,
    /// How long money waits for its session before the session is looked up.
    pub pending_ttl: Millis,
    /// Written before each money type in the outputs.
    pub label: String,
    /// Which rules run.
    pub code: Code,
    /// The committed deploys after the first one. The first one is described by the fields above.
    pub deploys: Vec<Deployed>,
}

/// A deploy that applies from a time on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// Its number.
    pub number: u64,
    /// Steps of this time or later belong to it.
    pub at: Millis,
    /// The settings of its rules.
    pub settings: Settings,
    /// Which of the withdrawals took it back, counted from 0. `None` if it was not withdrawn.
    pub withdrawn: Option<usize>,
}

/// The settings of the rules. The fields are those of [`Parameters`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How long a money id is remembered, to drop duplicates.
    pub dedup_ttl: Millis,
    /// How long a session is remembered.
    pub session_ttl: Millis,
    /// How long money waits for its session before the session is looked up.
    pub pending_ttl: Millis,
    /// Written before each money type in the outputs.
    pub label: String,
    /// Which rules run.
    pub code: Code,
}

/// The rules: those of `guest-enrich`, or a version with an addition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Code {
    /// The rules as they are in the repository.
    #[default]
    Plain,
    /// Counts how often a user's data has changed, in the state and in the outputs. Data that other versions wrote has
    /// the count 0.
    Counted,
    /// Money without a known session gets the country that its user lives in.
    Resident,
    /// Traps on money that was won.
    Fragile,
}

impl Parameters {
    /// The settings of a deploy's rules.
    pub fn settings(&self, deploy: u64) -> Settings {
        let its = self.deploys.iter().find(|known| known.number == deploy);
        its.map_or_else(|| self.first(), |deploy| deploy.settings.clone())
    }

    fn first(&self) -> Settings {
        Settings {
            dedup_ttl: self.dedup_ttl,
            session_ttl: self.session_ttl,
            pending_ttl: self.pending_ttl,
            label: self.label.clone(),
            code: self.code,
        }
    }
}

impl Default for Parameters {
    /// The settings in the pipeline's own file.
    fn default() -> Parameters {
        Parameters {
            format: Format::Avro,
            out_of_orderness: vec![20_000; 3],
            max_ahead: vec![Millis::MAX; 3],
            dedup_ttl: 60_000,
            session_ttl: 86_400_000,
            pending_ttl: 3_600_000,
            label: String::new(),
            code: Code::Plain,
            deploys: vec![],
        }
    }
}
