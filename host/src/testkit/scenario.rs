//! A scenario: what happens to a pipeline and what comes of it, in JSON and in times since the start.
//!
//! Rule: what comes is said as lines, one a thing, words first: so a test reads what a file holds.

mod lines;

use super::json::{Fields, Values, meant};
use super::look::lossy;
use super::script::Which;
use super::{Setup, Stage, show_time};
use crate::config::Format;
use crate::error::Failure;
use crate::log::embedded::Owned;
use crate::record::{Millis, murmur2};
use crate::service::Answer;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

type Result<T> = std::result::Result<T, String>;

/// See the module.
pub struct Scenario {
    stage: Stage,
    values: Values,
    /// By input: fields that every value has which does not say otherwise.
    bases: BTreeMap<String, Fields>,
    /// The event time that `advance` was told last, since the start.
    advanced: Millis,
    swapped: bool,
}

fn said(failure: Failure) -> String {
    failure.to_string()
}

/// The texts of these, and which is meant: `there is no input 'x'; there are: a, b`.
fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<&str> = known.map(String::as_str).collect();
    match known.is_empty() {
        true => format!("there is no {what} '{name}': there is none at all"),
        false => format!("there is no {what} '{name}'; there are: {}", known.join(", ")),
    }
}

/// A question that waits for its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name of the lookup.
    pub lookup: String,
    /// Its URL.
    pub url: String,
}

impl Scenario {
    /// Starts the pipeline. Err: what does not fit.
    pub fn new(setup: Setup) -> Result<Scenario> {
        Ok(Scenario {
            stage: Stage::new(setup).map_err(said)?,
            values: Values::default(),
            bases: BTreeMap::new(),
            advanced: 0,
            swapped: false,
        })
    }

    /// What is below.
    pub fn stage(&mut self) -> &mut Stage {
        &mut self.stage
    }

    /// Every value of this input has these fields from now on, unless it says otherwise.
    pub fn base(&mut self, input: &str, value: &str) -> Result<()> {
        self.rank(input)?;
        let fields: Fields = serde_json::from_str(value).map_err(|why| format!("expected a JSON object: {why}"))?;
        self.bases.insert(input.to_owned(), fields);
        Ok(())
    }

    fn rank(&self, name: &str) -> Result<usize> {
        let inputs = &self.stage.setup().config.inputs;
        let found = inputs.iter().position(|input| input.name == name);
        found.ok_or_else(|| unknown("input", name, inputs.iter().map(|input| &input.name)))
    }

    /// A record comes into an input; `at`: its timestamp, and its event time unless the value has one. None: without a value.
    pub fn send(&mut self, input: &str, key: &str, at: Millis, value: Option<&str>) -> Result<()> {
        let rank = self.rank(input)?;
        let setup = self.stage.setup();
        let at = setup.start + at;
        let value = match value {
            None => None,
            Some(value) => {
                let (of, schemas) = (&setup.config.inputs[rank], setup.schemas.as_deref());
                let texts = meant(value, self.bases.get(input), &of.time, at)?;
                let declared = self.stage.wiring().inputs[rank].as_ref();
                let declared = declared.map(|(_, schema)| schema.as_str());
                let as_is = texts[0].clone();
                Some(match (self.values.input(of, schemas, declared, texts), of.format) {
                    (Ok(value), _) => value,
                    // What does not fit may come in JSON: the pipeline says what becomes of it.
                    (Err(_), Format::Json) => as_is.into_bytes(),
                    (Err(why), Format::Avro) => {
                        return Err(format!("the value does not fit the topic's schema: {why}"));
                    }
                })
            }
        };
        self.raw(rank, key.as_bytes(), at, value)
    }

    /// Any bytes come into an input.
    pub fn send_bytes(&mut self, input: &str, key: &[u8], at: Millis, value: Option<Vec<u8>>) -> Result<()> {
        let rank = self.rank(input)?;
        self.raw(rank, key, self.stage.setup().start + at, value)
    }

    fn raw(&mut self, rank: usize, key: &[u8], timestamp: Millis, value: Option<Vec<u8>>) -> Result<()> {
        let setup = self.stage.setup();
        let partition = murmur2::partition(key, setup.partitions);
        let record = Owned {
            offset: 0,
            timestamp,
            key: Some(key.to_vec()),
            value,
            headers: vec![],
        };
        let appended = self.stage.append(&setup.config.inputs[rank].topic, partition, &record);
        appended.map(|_| ()).map_err(said)
    }

    /// Event time of every input comes to `at`: what is before it is final, and done. What comes later with a time before it is
    /// late.
    pub fn advance_to(&mut self, at: Millis) -> Result<()> {
        if at < self.advanced {
            return Err(format!(
                "event time is at {} already, and does not go back",
                show_time(self.advanced)
            ));
        }
        self.advanced = at;
        let at = self.stage.setup().start + at;
        self.stage.beat(at).map_err(said)
    }

    /// Nothing comes for so long, by the clock: silent inputs become idle, as the file says.
    pub fn wait(&mut self, by: Duration) -> Result<()> {
        self.stage.advance(by).map_err(said)
    }

    /// A service answers the open questions of a lookup whose URL ends so. Err: there is none.
    pub fn reply(&mut self, lookup: &str, end: &str, answer: Answer) -> Result<()> {
        let lookups = &self.stage.setup().config.lookups;
        let found = lookups.iter().position(|known| known.name == lookup);
        let service = found.ok_or_else(|| unknown("lookup", lookup, lookups.iter().map(|known| &known.name)))?;
        let answer = match answer {
            Answer::Body(body) if lookups[service].format == Format::Avro => {
                Answer::Body(self.datum_of(lookup, &body)?)
            }
            answer => answer,
        };
        self.settle()?;
        let which = Which {
            service: Some(service as u16),
            end: end.to_owned(),
        };
        let open = self.questions()?;
        if self.stage.script().always(which, answer) == 0 {
            let open: Vec<String> = open
                .iter()
                .map(|question| format!("\n  {} {}", question.lookup, question.url))
                .collect();
            let open = if open.is_empty() {
                " none".to_owned()
            } else {
                open.concat()
            };
            return Err(format!(
                "nobody asks '{lookup}' for what ends with \"{end}\"; open questions:{open}"
            ));
        }
        // Until all of it is committed the same may be asked again.
        self.settle()?;
        self.stage.script().be_silent();
        Ok(())
    }

    fn datum_of(&self, lookup: &str, body: &[u8]) -> Result<Vec<u8>> {
        let lookups = &self.stage.wiring().rules.description().lookups;
        let declared = lookups.iter().find(|declared| declared.name == lookup);
        let declared = declared.ok_or_else(|| unknown("lookup", lookup, lookups.iter().map(|known| &known.name)))?;
        self.values.datum(&declared.reply, &lossy(body))
    }

    /// All that can be done is done, and committed.
    pub fn settle(&mut self) -> Result<()> {
        self.stage.settle().map_err(said)
    }

    /// The process is killed, with what is open, and started again.
    pub fn crash(&mut self) -> Result<()> {
        self.stage.crash();
        self.stage.start().and_then(|()| self.stage.settle()).map_err(said)
    }

    /// The process is stopped, as by SIGTERM, and started again.
    pub fn restart(&mut self) -> Result<()> {
        self.stage.stop().map_err(said)?;
        self.stage.start().and_then(|()| self.stage.settle()).map_err(said)
    }

    /// Other rules from here on, as a deploy brings them: None: the same component, or the same settings. Err: they are
    /// refused, why; the old ones run on.
    pub fn swap(&mut self, component: Option<&[u8]>, settings: Option<Value>) -> Result<()> {
        self.settle()?;
        let setup = self.stage.setup();
        let component = component.map_or_else(|| setup.component.clone(), <[u8]>::to_vec);
        let settings = settings.unwrap_or_else(|| setup.config.rules.settings.clone());
        let prepared = self.stage.prepare(&component, settings).map_err(said)?;
        self.stage.activate(prepared).map_err(said)?;
        self.swapped = true;
        self.settle()
    }

    /// Questions that wait for their replies, in the order in which they were asked.
    pub fn questions(&mut self) -> Result<Vec<Question>> {
        self.settle()?;
        let lookups = &self.stage.setup().config.lookups;
        let open = self.stage.script().open().into_iter();
        let question = open.map(|question| Question {
            lookup: lookups[usize::from(question.service)].name.clone(),
            url: lossy(&question.request),
        });
        Ok(question.collect())
    }
}
