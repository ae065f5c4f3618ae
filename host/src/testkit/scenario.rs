//! A scenario: what happens to a pipeline and what comes of it, in JSON and in times since the start.
//!
//! Rule: what comes is said as lines, one a thing, words first: so a test reads what a file holds.

use super::diff::word;
use super::json::{Fields, Values, at_path, meant};
use super::look::lossy;
use super::script::Which;
use super::{Cell, Letter, Setup, Stage, show_time};
use crate::config::Format;
use crate::error::Failure;
use crate::log::embedded::Owned;
use crate::murmur2;
use crate::record::{FOREVER, Millis};
use crate::rules::Shape;
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

    /// Inputs and journal, read again from their start, must come to the same. Nothing is asked where rules were swapped: those at
    /// hand then did not take all the steps.
    pub fn check_replay(&mut self) -> Result<()> {
        if self.swapped {
            return Ok(());
        }
        self.settle()?;
        let replayed = self.stage.replay(|_| {}).map_err(said)?;
        if self.stage.outcome().map_err(said)? != replayed.outcome().map_err(said)? {
            return Err(
                "the rules are not deterministic: inputs and journal, read again from their start, come to something else".into(),
            );
        }
        Ok(())
    }

    /// All that has come of it, each with its name: outputs, dead letters, stores, timers. However the inputs were cut, it is the same.
    pub fn everything(&mut self) -> Result<Vec<(String, Vec<String>)>> {
        let outputs = self.stage.setup().config.outputs.iter();
        let outputs: Vec<String> = outputs.map(|output| output.name.clone()).collect();
        let stores = &self.stage.wiring().rules.description().stores;
        let stores: Vec<String> = stores.iter().map(|store| store.name.clone()).collect();
        let mut all = vec![];
        for name in outputs {
            all.push((format!("expect {name}"), self.outputs(&name, &[])?));
        }
        all.push(("dead-letters".to_owned(), self.dead_letters()?));
        for name in stores {
            all.push((format!("state {name}"), self.state(&name)?));
        }
        all.push(("timers".to_owned(), self.timers()?));
        Ok(all)
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
        self.stage.activate(prepared);
        self.swapped = true;
        self.settle()
    }

    /// The records of an output, in order: `KEY TIME VALUE`. With paths (fields with dots between): what stands there, instead
    /// of the whole value.
    pub fn outputs(&mut self, output: &str, paths: &[&str]) -> Result<Vec<String>> {
        self.settle()?;
        let config = &self.stage.setup().config;
        let at = config.outputs.iter().position(|known| known.name == output);
        let at = at.ok_or_else(|| unknown("output", output, config.outputs.iter().map(|known| &known.name)))?;
        let mut lines = vec![];
        for sent in self.stage.sent(at).map_err(said)? {
            let Owned {
                key, value, timestamp, ..
            } = sent.record;
            let schemas = self.stage.setup().schemas.as_deref();
            let value = match value {
                None => "null".to_owned(),
                Some(value) => self.values.output(&config.outputs[at], schemas, &value)?,
            };
            let key = bytes_word(&key.unwrap_or_default());
            let time = self.since(timestamp);
            lines.push(format!("{key} {time} {}", projected(value, paths)));
        }
        Ok(lines)
    }

    fn since(&self, time: Millis) -> String {
        show_time(time - self.stage.setup().start)
    }

    /// What a store holds: `KEY VALUE`, `KEY ENTRY VALUE`, each with ` until TIME` where it is gone at some time.
    pub fn state(&mut self, store: &str) -> Result<Vec<String>> {
        self.settle()?;
        let stores = &self.stage.wiring().rules.description().stores;
        let declared = stores.iter().find(|known| known.name == store);
        let shape = declared.map(|store| store.shape);
        let shape = shape.ok_or_else(|| unknown("store", store, stores.iter().map(|known| &known.name)))?;
        let mut lines = vec![];
        for cell in self.stage.state().map_err(said)? {
            let Cell {
                key,
                store: of,
                entry,
                expires,
                schema,
                value,
            } = cell;
            if of != store {
                continue;
            }
            let mut line = bytes_word(&key);
            if shape == Shape::Map {
                line += &format!(" {}", bytes_word(&entry));
            }
            line += &format!(" {}", self.values.text(&schema, &value)?);
            if expires != FOREVER {
                line += &format!(" until {}", self.since(expires));
            }
            lines.push(line);
        }
        Ok(lines)
    }

    /// The timers that are set: `KEY TIME NAME`, in order of their times.
    pub fn timers(&mut self) -> Result<Vec<String>> {
        self.settle()?;
        let timers = self.stage.timers().map_err(said)?.into_iter();
        let line = timers.map(|timer| {
            format!(
                "{} {} {}",
                bytes_word(&timer.key),
                self.since(timer.at),
                word(&timer.name)
            )
        });
        Ok(line.collect())
    }

    /// What the rules have counted so far: `NAME NUMBER`, without those that are zero.
    pub fn counters(&mut self) -> Result<Vec<String>> {
        self.settle()?;
        let names = &self.stage.wiring().rules.description().counters;
        let counted = names.iter().map(|name| (name, self.stage.counted(name)));
        let line = counted.filter(|(_, count)| *count > 0);
        Ok(line.map(|(name, count)| format!("{} {count}", word(name))).collect())
    }

    /// What was refused: `KEY FROM "REASON"`; from: an input, a timer or a lookup.
    pub fn dead_letters(&mut self) -> Result<Vec<String>> {
        self.settle()?;
        let inputs = &self.stage.setup().config.inputs;
        let line = |letter: Letter| {
            let key = bytes_word(letter.key.as_deref().unwrap_or_default());
            let topic = letter.header("pelton.topic");
            let input = inputs
                .iter()
                .find(|input| input.topic == topic)
                .map(|input| input.name.as_str());
            let other = [letter.header("pelton.timer"), letter.header("pelton.lookup")].concat();
            format!(
                "{key} {} {}",
                word(input.unwrap_or(&other)),
                super::json::quoted(letter.reason())
            )
        };
        Ok(self.stage.dead_letters().map_err(said)?.into_iter().map(line).collect())
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

/// Bytes as a word: text where they are, else with what is no text as `\x00`.
fn bytes_word(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => word(text),
        _ => word(&bytes.escape_ascii().to_string()),
    }
}

fn projected(value: String, paths: &[&str]) -> String {
    match paths {
        [] => value,
        paths => paths
            .iter()
            .map(|path| at_path(&value, path))
            .collect::<Vec<_>>()
            .join(" "),
    }
}
