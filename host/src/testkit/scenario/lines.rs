//! The results of a scenario as lines. Each begins with its key.

use super::super::diff::word;
use super::super::error::Result;
use super::super::json::{Values, at_path, quoted};
use super::super::{DeadLetter, DumpedEntry, differences, show_time};
use super::pipeline::{Scenario, unknown};
use crate::log::embedded::Owned;
use crate::record::{FOREVER, Millis};
use crate::rules::Shape;
use std::collections::BTreeMap;

impl Scenario {
    /// The records of an output, in order: `KEY TIME VALUE`. With paths (fields separated by dots), only the values
    /// there.
    pub fn outputs(&mut self, output: &str, paths: &[&str]) -> Result<Vec<String>> {
        self.settle()?;
        let config = &self.stage.setup().config;
        let at = config.outputs.iter().position(|known| known.name == output);
        let at = at.ok_or_else(|| unknown("output", output, config.outputs.iter().map(|known| &known.name)))?;
        let mut lines = vec![];
        for sent in self.stage.sent(at)? {
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

    /// The content of a store: `KEY VALUE` or `KEY ENTRY VALUE`, with ` until TIME` if it expires.
    pub fn state(&mut self, store: &str) -> Result<Vec<String>> {
        self.settle()?;
        let stores = &self.stage.wiring().rules.description().stores;
        let declared = stores.iter().find(|known| known.name == store);
        let shape = declared.map(|store| store.shape);
        let shape = shape.ok_or_else(|| unknown("store", store, stores.iter().map(|known| &known.name)))?;
        let mut lines = vec![];
        for cell in self.stage.state()? {
            let DumpedEntry {
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

    /// The timers that are set, sorted by time: `KEY TIME NAME`.
    pub fn timers(&mut self) -> Result<Vec<String>> {
        self.settle()?;
        let timers = self.stage.timers()?.into_iter();
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

    /// The rules' counters that are not zero: `NAME NUMBER`.
    pub fn counters(&mut self) -> Result<Vec<String>> {
        self.settle()?;
        let names = &self.stage.wiring().rules.description().counters;
        let counted = names.iter().map(|name| (name, self.stage.counted(name)));
        let line = counted.filter(|(_, count)| *count > 0);
        Ok(line.map(|(name, count)| format!("{} {count}", word(name))).collect())
    }

    /// The refused inputs: `KEY FROM "REASON"`, where FROM is an input, a timer or a lookup.
    pub fn dead_letters(&mut self) -> Result<Vec<String>> {
        self.settle()?;
        let inputs = &self.stage.setup().config.inputs;
        let line = |letter: DeadLetter| {
            let key = bytes_word(letter.key.as_deref().unwrap_or_default());
            let topic = letter.header("pelton.topic");
            let input = inputs
                .iter()
                .find(|input| input.topic == topic)
                .map(|input| input.name.as_str());
            let other = [letter.header("pelton.timer"), letter.header("pelton.lookup")].concat();
            format!("{key} {} {}", word(input.unwrap_or(&other)), quoted(letter.reason()))
        };
        Ok(self.stage.dead_letters()?.into_iter().map(line).collect())
    }

    /// Checks that a replay of the inputs and the journal from the start gives the same results. After a swap it checks
    /// nothing, because the current rules have not taken all the steps.
    pub fn check_replay(&mut self) -> Result<()> {
        if self.swapped {
            return Ok(());
        }
        let came = self.everything()?;
        let replayed = self.stage.replay(|_| {})?;
        let same = self.stage.outcome()? == replayed.outcome()?;
        let mut again = Scenario {
            stage: replayed,
            values: Values::default(),
            bases: BTreeMap::new(),
            advanced: 0,
            swapped: false,
        };
        let what =
            "the rules are not deterministic: inputs and journal, read again from their start, come to something else";
        for ((name, came), (_, again)) in came.iter().zip(&again.everything()?) {
            if let Some(text) = differences(came, again) {
                return Err(format!("{what} (+)\n{name}\n{}", text.trim_end()).into());
            }
        }
        if same { Ok(()) } else { Err(what.into()) }
    }

    /// All results, each list with its name: outputs, dead letters, stores, timers. They must not depend on how the
    /// inputs were cut.
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
}

/// Bytes as a word: as text if possible, with other bytes as `\x00`.
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
