//! Reads input records: their event times when they arrive, and their datums for the rules.
//!
//! Rule: the event time is read with the writer's schema, so the order never depends on the rules. The reasons why a
//! record can't be read are made here, and are meant for people.

use crate::config::{Format, InputConfig, TimeSource};
use crate::log::InputRecord;
use crate::record::{Millis, Rank};
use crate::registry::{NoSchema, Schemas};
use pelton_convert::{AvroTime, Incompatible, JsonReader, JsonTime, Resolver, Unreadable};
use std::sync::Arc;
use thiserror::Error;

/// The inputs of a pipeline as one worker reads them, with compiled converters by schema id.
pub struct Sources {
    schemas: Option<Arc<dyn Schemas>>,
    inputs: Vec<Source>,
}

struct Source {
    format: Format,
    time: TimeSource,
    json_time: Option<JsonTime>,
    /// Usually a handful, so they are searched from the last used one on. There is no limit for them: producers use a
    /// limited number of schemas, and forgetting one could make a waiting record unreadable.
    writers: Vec<WriterSchema>,
    recent: usize,
}

struct WriterSchema {
    id: u32,
    text: Arc<str>,
    time: Option<Result<AvroTime, Incompatible>>,
}

/// Why a record has no event time.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NoTime {
    /// It can't be read, as the log alone shows. Contains the reason.
    #[error("{0}")]
    Unreadable(String),
    /// The registry has no schema with this id. This must be journaled, because the registry may have it later.
    #[error("the registry knows no schema with id {0}")]
    UnknownSchema(u32),
    /// The registry is not available now, so the record and all after it must wait. Contains the reason.
    #[error("{0}")]
    Wait(String),
}

/// Why a value has no schema id.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NoSchemaId {
    /// It ends within the id.
    #[error("the value is too short for a schema id")]
    TooShort,
    /// It has no bytes.
    #[error("the value is empty")]
    Empty,
    /// It begins with another byte than 0.
    #[error("the value begins with byte {0}, not with 0 and a schema id")]
    OtherStart(u8),
}

/// Why a value can't be converted to the schema that the rules want.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ReadError {
    /// It does not say its schema.
    #[error(transparent)]
    NoSchemaId(#[from] NoSchemaId),
    /// Its schema can't be had.
    #[error(transparent)]
    NoSchema(#[from] NoTime),
    /// The rules' schema can't read what this one writes.
    #[error("schema {0}: {1}")]
    Incompatible(u32, Incompatible),
    /// It is not a value of its schema.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl Sources {
    /// The sources of a pipeline's inputs, by rank.
    pub fn new(inputs: &[InputConfig], schemas: Option<Arc<dyn Schemas>>) -> Sources {
        let inputs = inputs
            .iter()
            .map(|input| Source {
                format: input.format,
                time: input.time.clone(),
                json_time: match (&input.format, &input.time) {
                    (Format::Json, TimeSource::Field(field)) => Some(JsonTime::new(field)),
                    _ => None,
                },
                writers: Vec::new(),
                recent: 0,
            })
            .collect();
        Sources { schemas, inputs }
    }

    /// The event time of a record. Fails if it has no key, if it has no value although the time is a field of it, or if
    /// it can't be decoded up to the time.
    #[inline]
    pub fn time(&mut self, record: InputRecord<'_>) -> Result<Millis, NoTime> {
        let source = &mut self.inputs[usize::from(record.topic())];
        if record.key().is_none() {
            return Err(NoTime::Unreadable("the record has no key".into()));
        }
        let value = record.value();
        // The schema is learned when the record arrives, even if its time does not need it, so that it is known when
        // the rules need it.
        let avro = match (value, source.format) {
            (Some(value), Format::Avro) => {
                let (id, datum) = split(value).map_err(|why| NoTime::Unreadable(why.to_string()))?;
                Some((source.learn(id, self.schemas.as_deref())?, datum))
            }
            _ => None,
        };
        match (&source.time, value) {
            (TimeSource::Timestamp, _) if record.timestamp() < 0 => {
                Err(NoTime::Unreadable("the record has no timestamp".into()))
            }
            (TimeSource::Timestamp, _) => Ok(record.timestamp()),
            (TimeSource::Field(field), None) => Err(NoTime::Unreadable(format!(
                "the record has no value, and its time is the value's field '{field}'"
            ))),
            (TimeSource::Field(field), Some(value)) => match (avro, &source.json_time) {
                (Some((writer, datum)), _) => source.writers[writer].time(field, datum),
                (None, Some(time)) => time.of(value).map_err(|e| NoTime::Unreadable(e.to_string())),
                (None, None) => Err(NoTime::Unreadable("the input has no format".into())),
            },
        }
    }

    /// The text of the schema that a value was written with.
    fn writer(&mut self, rank: Rank, id: u32) -> Result<Arc<str>, NoTime> {
        let source = &mut self.inputs[usize::from(rank)];
        let writer = source.learn(id, self.schemas.as_deref())?;
        Ok(source.writers[writer].text.clone())
    }
}

impl Source {
    /// The index of a writer's schema. Asks the registry once for each id.
    #[inline]
    fn learn(&mut self, id: u32, schemas: Option<&dyn Schemas>) -> Result<usize, NoTime> {
        if let Some(recent) = self.writers.get(self.recent)
            && recent.id == id
        {
            return Ok(self.recent);
        }
        if let Some(known) = self.writers.iter().position(|writer| writer.id == id) {
            self.recent = known;
            return Ok(known);
        }
        let Some(schemas) = schemas else {
            return Err(NoTime::Unreadable(
                "the input is Avro, and the config names no registry".into(),
            ));
        };
        match schemas.by_id(id) {
            Ok(text) => {
                self.writers.push(WriterSchema { id, text, time: None });
                self.recent = self.writers.len() - 1;
                Ok(self.recent)
            }
            Err(NoSchema::Unknown(_)) => Err(NoTime::UnknownSchema(id)),
            Err(NoSchema::Unavailable(why)) => Err(NoTime::Wait(why)),
            Err(NoSchema::Invalid(why)) => Err(NoTime::Unreadable(why)),
        }
    }
}

impl WriterSchema {
    #[inline]
    fn time(&mut self, field: &str, datum: &[u8]) -> Result<Millis, NoTime> {
        let text = &self.text;
        let program = self.time.get_or_insert_with(|| AvroTime::new(text, field));
        match program {
            Ok(time) => time.of(datum).map_err(|e| NoTime::Unreadable(e.to_string())),
            Err(why) => Err(NoTime::Unreadable(format!("schema {}: {why}", self.id))),
        }
    }
}

/// Splits a value into the schema id and the datum. It begins with byte 0.
fn split(value: &[u8]) -> Result<(u32, &[u8]), NoSchemaId> {
    match value {
        [0, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        [0, ..] => Err(NoSchemaId::TooShort),
        [] => Err(NoSchemaId::Empty),
        [first, ..] => Err(NoSchemaId::OtherStart(*first)),
    }
}

/// Converts values to the rules' reader schemas, for one version of the rules, by rank.
pub struct Readers {
    readers: Vec<InputReader>,
}

struct InputReader {
    /// The schema that the rules want, or `None` if they don't read this input.
    schema: Option<String>,
    json: Option<JsonReader>,
    /// By schema id. At most [`RESOLVERS`].
    resolvers: Vec<(u32, Result<Resolver, Incompatible>)>,
    recent: usize,
}

/// How many compiled conversions are kept for an input, with some KB each. A topic's producers use a handful of
/// schemas. Above this number, all are dropped and compiled again when needed, which takes about 100 us.
const RESOLVERS: usize = 256;

impl Readers {
    /// `schemas` are those that the rules declare for the inputs, by rank.
    pub fn new(inputs: &[InputConfig], schemas: Vec<Option<String>>) -> Result<Readers, Incompatible> {
        let mut readers = vec![];
        for (input, schema) in inputs.iter().zip(schemas) {
            let json = match (&schema, input.format) {
                (Some(schema), Format::Json) => Some(JsonReader::new(schema)?),
                _ => None,
            };
            readers.push(InputReader {
                schema,
                json,
                resolvers: Vec::new(),
                recent: 0,
            });
        }
        Ok(Readers { readers })
    }

    /// Appends the datum of a value, in the rules' schema.
    #[inline]
    pub fn read(
        &mut self,
        sources: &mut Sources,
        rank: Rank,
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let reader = &mut self.readers[usize::from(rank)];
        if let Some(json) = &reader.json {
            return Ok(json.convert(value, out)?);
        }
        let (id, datum) = split(value)?;
        if reader.resolvers.get(reader.recent).is_none_or(|recent| recent.0 != id) {
            reader.recent = match reader.resolvers.iter().position(|known| known.0 == id) {
                Some(known) => known,
                None => {
                    let writer = sources.writer(rank, id)?;
                    let schema = reader.schema.as_deref().unwrap_or(&writer);
                    let made = Resolver::new(&writer, schema);
                    if reader.resolvers.len() >= RESOLVERS {
                        reader.resolvers.clear();
                    }
                    reader.resolvers.push((id, made));
                    reader.resolvers.len() - 1
                }
            };
        }
        let resolver = &reader.resolvers[reader.recent].1;
        match resolver {
            Ok(resolver) if resolver.is_identity() => {
                out.extend_from_slice(datum);
                Ok(())
            }
            Ok(resolver) => Ok(resolver.convert(datum, out)?),
            Err(why) => Err(ReadError::Incompatible(id, why.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{OnDataLoss, StartAt};
    use std::time::Duration;

    /// A registry in which every id is the same schema.
    struct Ints;

    impl Schemas for Ints {
        fn by_id(&self, _: u32) -> Result<Arc<str>, NoSchema> {
            Ok("\"int\"".into())
        }

        fn id_for(&self, _: &str, _: &str) -> Result<u32, NoSchema> {
            Ok(1)
        }

        fn latest(&self, _: &str) -> Result<(u32, Arc<str>), NoSchema> {
            Ok((1, "\"int\"".into()))
        }
    }

    #[test]
    fn a_topic_of_many_schemas_keeps_few_conversions() {
        let inputs = [InputConfig {
            name: "events".into(),
            topic: "events".into(),
            format: Format::Avro,
            time: TimeSource::Timestamp,
            out_of_orderness: 0,
            max_ahead: 0,
            idle_after: Duration::ZERO,
            start: StartAt::Earliest,
            on_data_loss: OnDataLoss::Stop,
        }];
        let mut sources = Sources::new(&inputs, Some(Arc::new(Ints)));
        let mut readers = Readers::new(&inputs, vec![Some("\"long\"".into())]).expect("a schema");
        for id in (0..2 * RESOLVERS as u32).chain(0..10) {
            let [a, b, c, d] = id.to_be_bytes();
            let mut datum = vec![];
            readers
                .read(&mut sources, Rank(0), &[0, a, b, c, d, 6], &mut datum)
                .expect("an int is read as a long");
            assert_eq!(datum, [6]);
            assert!(readers.readers[0].resolvers.len() <= RESOLVERS);
        }
    }
}
