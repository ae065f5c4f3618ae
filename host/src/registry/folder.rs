//! Schemas from a folder of files `ID-TOPIC.avsc`, read once at the start.
//!
//! Rule: there is one file for each id. Schemas come only from the folder, and nothing is ever written to it.

use super::{NoSchema, Schemas};
use pelton_convert as convert;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder of schemas, in memory.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    schemas: BTreeMap<u32, FolderEntry>,
}

#[derive(Debug)]
struct FolderEntry {
    topic: String,
    text: Arc<str>,
    /// Equal for schemas that differ only in white space, the order of attributes, or documentation.
    fingerprint: u64,
}

impl Folder {
    /// Reads the whole folder. Files other than `*.avsc` are ignored.
    pub fn open(path: &Path) -> Result<Folder, NoSchema> {
        let unreadable =
            |at: &Path, error: std::io::Error| NoSchema::Invalid(format!("{} can't be read: {error}", at.display()));
        let mut schemas = BTreeMap::new();
        for file in std::fs::read_dir(path).map_err(|error| unreadable(path, error))? {
            let at = file.map_err(|error| unreadable(path, error))?.path();
            if at.extension().is_none_or(|extension| extension != "avsc") {
                continue;
            }
            let (id, topic) = id_and_topic(&at).ok_or_else(|| {
                NoSchema::Invalid(format!(
                    "{}: name it ID-TOPIC.avsc, such as 1-wallet-events.avsc",
                    at.display()
                ))
            })?;
            let text = std::fs::read_to_string(&at).map_err(|error| unreadable(&at, error))?;
            let fingerprint = convert::fingerprint(&text)
                .map_err(|error| NoSchema::Invalid(format!("{} is no Avro schema: {error}", at.display())))?;
            let entry = FolderEntry {
                topic,
                text: text.into(),
                fingerprint,
            };
            if let Some(other) = schemas.insert(id, entry) {
                let path = path.display();
                return Err(NoSchema::Invalid(format!(
                    "{path} has two schemas with the id {id}; one is {id}-{}.avsc",
                    other.topic
                )));
            }
        }
        Ok(Folder {
            path: path.into(),
            schemas,
        })
    }
}

fn id_and_topic(file: &Path) -> Option<(u32, String)> {
    let (id, topic) = file.file_stem()?.to_str()?.split_once('-')?;
    // Without this check, `+1` and `007` would be other spellings of an id.
    let number = id.parse().ok().filter(|number: &u32| number.to_string() == id)?;
    (!topic.is_empty()).then(|| (number, topic.to_string()))
}

impl Schemas for Folder {
    fn by_id(&self, id: u32) -> Result<Arc<str>, NoSchema> {
        let unknown = || NoSchema::Unknown(format!("no file {id}-TOPIC.avsc in {}", self.path.display()));
        self.schemas
            .get(&id)
            .map(|entry| Arc::clone(&entry.text))
            .ok_or_else(unknown)
    }

    fn id_for(&self, topic: &str, schema: &str) -> Result<u32, NoSchema> {
        let wanted = convert::fingerprint(schema)
            .map_err(|error| NoSchema::Invalid(format!("the schema for {topic} is no Avro schema: {error}")))?;
        let found = self
            .schemas
            .iter()
            .rev()
            .find(|(_, entry)| entry.topic == topic && entry.fingerprint == wanted);
        found.map(|(id, _)| *id).ok_or_else(|| {
            let path = self.path.display();
            NoSchema::Unknown(format!(
                "no file ID-{topic}.avsc in {path} holds the schema that is written: add it under a new id"
            ))
        })
    }

    fn latest(&self, topic: &str) -> Result<(u32, Arc<str>), NoSchema> {
        let newest = self.schemas.iter().rev().find(|(_, entry)| entry.topic == topic);
        newest
            .map(|(id, entry)| (*id, Arc::clone(&entry.text)))
            .ok_or_else(|| NoSchema::Unknown(format!("no file ID-{topic}.avsc in {}", self.path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Folder, NoSchema>) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let folder = Folder::open(dir.path());
        (dir, folder)
    }

    #[test]
    fn ids_and_topics_are_found() {
        let (_dir, folder) = folder(&[
            ("1-a.avsc", "\"string\""),
            ("2-b-c.avsc", r#"{"type": "long", "doc": "x"}"#),
            ("11-a.avsc", "\"int\""),
            ("README.md", "no schema"),
        ]);
        let folder = folder.unwrap();
        assert_eq!(&*folder.by_id(1).unwrap(), "\"string\"");
        assert_eq!(folder.latest("a").unwrap(), (11, "\"int\"".into()));
        assert_eq!(folder.id_for("a", " \"string\" "), Ok(1));
        assert_eq!(folder.id_for("b-c", r#"{"doc":"x","type":"long"}"#), Ok(2));
        assert!(matches!(folder.by_id(3), Err(NoSchema::Unknown(text)) if text.contains("no file 3-TOPIC.avsc")));
        assert!(matches!(folder.id_for("b-c", "\"string\""), Err(NoSchema::Unknown(text)) if text.contains("add it")));
        assert!(matches!(folder.latest("b"), Err(NoSchema::Unknown(_))));
        assert!(matches!(folder.id_for("a", "{"), Err(NoSchema::Invalid(_))));
    }

    #[test]
    fn what_is_doubtful_is_refused() {
        for (files, cure) in [
            (vec![("wallet.avsc", "\"int\"")], "name it ID-TOPIC.avsc"),
            (vec![("01-a.avsc", "\"int\"")], "name it ID-TOPIC.avsc"),
            (vec![("1-.avsc", "\"int\"")], "name it ID-TOPIC.avsc"),
            (
                vec![("1-a.avsc", "\"int\""), ("1-b.avsc", "\"int\"")],
                "two schemas with the id 1",
            ),
            (vec![("1-a.avsc", "{")], "is no Avro schema"),
        ] {
            let (_dir, folder) = folder(&files);
            assert!(
                matches!(&folder, Err(NoSchema::Invalid(text)) if text.contains(cure)),
                "{folder:?}"
            );
        }
        assert!(
            matches!(Folder::open(Path::new("not/there")), Err(NoSchema::Invalid(text)) if text.contains("can't be read"))
        );
    }

    #[test]
    fn the_example_holds_the_contract() {
        let folder = Folder::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/schemas")).unwrap();
        for (id, topic) in [
            (1, "wallet-events"),
            (2, "user-session-events"),
            (3, "user-events"),
            (4, "money-enriched-events"),
        ] {
            assert_eq!(folder.latest(topic).unwrap().0, id);
        }
    }
}
