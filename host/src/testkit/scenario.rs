//! A scenario: what happens to a pipeline and what results from it, in JSON and with times since the start.
//!
//! Rule: results are lines, one for each result, so that tests in Rust and scenario files compare the same text.

mod lines;
mod pipeline;

pub use pipeline::Scenario;

use super::error::Result;
use super::json::{Fields, meant};
use super::look::lossy;
use super::script::Which;
use super::show_time;
use crate::config::Format;
use crate::log::embedded::Owned;
use crate::record::{Millis, Offset, murmur2};
use crate::service::Answer;
use pipeline::unknown;
use serde_json::Value;
use std::time::Duration;

/// A question that waits for its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingLookup {
    /// The name of the lookup.
    pub lookup: String,
    /// Its URL.
    pub url: String,
}

impl Scenario {
    /// Gives every later value of this input these fields, unless it has them itself.
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

    /// Sends a record to an input. `at` is its timestamp, and its event time unless the value has one. `None` means a
    /// null value.
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
                    // JSON that does not fit the schema is sent all the same, to see what the pipeline does with it.
                    (Err(_), Format::Json) => as_is.into_bytes(),
                    (Err(why), Format::Avro) => {
                        return Err(format!("the value does not fit the topic's schema: {why}").into());
                    }
                })
            }
        };
        self.raw(rank, key.as_bytes(), at, value)
    }

    /// Sends any bytes to an input.
    pub fn send_bytes(&mut self, input: &str, key: &[u8], at: Millis, value: Option<Vec<u8>>) -> Result<()> {
        let rank = self.rank(input)?;
        self.raw(rank, key, self.stage.setup().start + at, value)
    }

    fn raw(&mut self, rank: usize, key: &[u8], timestamp: Millis, value: Option<Vec<u8>>) -> Result<()> {
        let setup = self.stage.setup();
        let partition = murmur2::partition(key, setup.topics.partitions);
        let record = Owned {
            offset: Offset::ZERO,
            timestamp,
            key: Some(key.to_vec()),
            value,
            headers: vec![],
        };
        let appended = self.stage.append(&setup.config.inputs[rank].topic, partition, &record);
        appended?;
        Ok(())
    }

    /// Advances the event time of every input to `at`. Everything before it is then final and processed. Records with
    /// an earlier time are late from then on.
    pub fn advance_to(&mut self, at: Millis) -> Result<()> {
        if at < self.advanced {
            return Err(format!(
                "event time is at {} already, and does not go back",
                show_time(self.advanced)
            )
            .into());
        }
        self.advanced = at;
        let at = self.stage.setup().start + at;
        Ok(self.stage.advance_event_time(at)?)
    }

    /// Lets this much time pass by the clock without records. Silent inputs become idle as configured.
    pub fn wait(&mut self, by: Duration) -> Result<()> {
        Ok(self.stage.advance(by)?)
    }

    /// Answers a lookup's open questions whose URL ends with `end`. Fails if there is none.
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
            return Err(format!("no open question of '{lookup}' ends with \"{end}\"; open questions:{open}").into());
        }
        // Until everything is committed, the same question may be asked again.
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

    /// Kills the process, so that everything open is lost, and starts it again.
    pub fn crash(&mut self) -> Result<()> {
        self.stage.crash();
        Ok(self.stage.start().and_then(|()| self.stage.settle())?)
    }

    /// Stops the process as SIGTERM does, and starts it again.
    pub fn restart(&mut self) -> Result<()> {
        self.stage.stop()?;
        Ok(self.stage.start().and_then(|()| self.stage.settle())?)
    }

    /// Deploys other rules. `None` keeps the component, or the settings. Fails if they are refused; then the old ones
    /// keep running.
    pub fn swap(&mut self, component: Option<&[u8]>, settings: Option<Value>) -> Result<()> {
        self.settle()?;
        let setup = self.stage.setup();
        let component = component.map_or_else(|| setup.component.clone(), <[u8]>::to_vec);
        let settings = settings.unwrap_or_else(|| setup.config.rules.settings.clone());
        let prepared = self.stage.prepare(&component, settings)?;
        self.stage.activate(prepared)?;
        self.swapped = true;
        self.settle()
    }

    /// Questions that wait for replies, in the order in which they were asked.
    pub fn questions(&mut self) -> Result<Vec<WaitingLookup>> {
        self.settle()?;
        let lookups = &self.stage.setup().config.lookups;
        let open = self.stage.script().open().into_iter();
        let question = open.map(|question| WaitingLookup {
            lookup: lookups[usize::from(question.service)].name.clone(),
            url: lossy(&question.request),
        });
        Ok(question.collect())
    }
}
