//! Schemas without a registry: those that the rules declare.
//!
//! Rule: a pipeline whose schemas come from a registry is tested without it, so its inputs are written in the schemas that
//! its rules read. One with a folder of schemas is tested with that.

use crate::config::Config;
use crate::registry::{NoSchema, Schemas};
use crate::rules::Description;
use std::sync::{Arc, Mutex, PoisonError};

/// Topic and schema, by id, from 1 on.
type Known = Vec<(String, Arc<str>)>;

/// A registry in memory.
pub(super) struct Declared(Mutex<Known>);

impl Declared {
    /// The inputs' schemas of these rules.
    pub fn new(config: &Config, description: &Description) -> Declared {
        let topic = |name: &str| config.inputs.iter().find(|input| input.name == name);
        let declared = description.inputs.iter();
        let known =
            declared.filter_map(|channel| Some((topic(&channel.name)?.topic.clone(), channel.schema.as_str().into())));
        Declared(Mutex::new(known.collect()))
    }

    fn with<R>(&self, call: impl FnOnce(&mut Known) -> R) -> R {
        // A list that only grows is whole, whoever panicked.
        call(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Schemas for Declared {
    fn by_id(&self, id: u32) -> Result<Arc<str>, NoSchema> {
        let found = self.with(|known| {
            let (_, schema) = known.get((id as usize).checked_sub(1)?)?;
            Some(schema.clone())
        });
        found.ok_or_else(|| NoSchema::Unknown(format!("the rules declare no schema with id {id}")))
    }

    fn id_for(&self, topic: &str, schema: &str) -> Result<u32, NoSchema> {
        Ok(self.with(|known| {
            let found = known.iter().position(|(of, text)| of == topic && &**text == schema);
            let at = found.unwrap_or_else(|| {
                known.push((topic.to_owned(), schema.into()));
                known.len() - 1
            });
            at as u32 + 1
        }))
    }

    fn latest(&self, topic: &str) -> Result<(u32, Arc<str>), NoSchema> {
        let found = self.with(|known| {
            let at = known.iter().rposition(|(of, _)| of == topic)?;
            Some((at as u32 + 1, known[at].1.clone()))
        });
        found.ok_or_else(|| NoSchema::Unknown(format!("the rules declare no schema for the topic {topic}")))
    }
}
