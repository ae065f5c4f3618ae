//! The schemas that the rules declare, as a replacement for a registry.
//!
//! Rule: if a pipeline uses a registry, its tests write inputs with the schemas that its rules read. If it uses a
//! folder of schemas, its tests use the folder.

use crate::config::Config;
use crate::registry::{NoSchema, Schemas};
use crate::rules::Description;
use parking_lot::Mutex;
use std::sync::Arc;

/// Topics and their schemas. An id is the index plus 1.
type Known = Vec<(String, Arc<str>)>;

/// A registry in memory.
pub(super) struct DeclaredSchemas(Mutex<Known>);

impl DeclaredSchemas {
    /// The schemas of the rules' inputs.
    pub fn new(config: &Config, description: &Description) -> DeclaredSchemas {
        let topic = |name: &str| config.inputs.iter().find(|input| input.name == name);
        let declared = description.inputs.iter();
        let known =
            declared.filter_map(|channel| Some((topic(&channel.name)?.topic.clone(), channel.schema.as_str().into())));
        DeclaredSchemas(Mutex::new(known.collect()))
    }

    fn with<R>(&self, call: impl FnOnce(&mut Known) -> R) -> R {
        call(&mut self.0.lock())
    }
}

impl Schemas for DeclaredSchemas {
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
