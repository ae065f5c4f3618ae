//! The pending lookups of a task: those that the rules have asked for and that are not answered yet.
//!
//! Rule: at most one lookup is pending for each (key, lookup, tag). Asking again replaces it, and the reply to the old
//! one, recognised by its id, is dropped. Pending lookups are state: they survive a restart, and are asked again after
//! it.

use crate::record::StepKey;
use crate::state::delta::Change;
use crate::state::undo::UndoMap;
use serde::{Deserialize, Serialize};
use std::ops::Bound;

/// What identifies a lookup for the rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LookupName {
    /// Key that asks.
    pub key: Box<[u8]>,
    /// Permanent id of the lookup.
    pub lookup: u16,
    /// As it was asked.
    pub tag: Box<[u8]>,
}

impl LookupName {
    /// The name of the lookup that this key asks with this tag.
    pub fn new(key: &[u8], lookup: u16, tag: &[u8]) -> LookupName {
        LookupName {
            key: key.into(),
            lookup,
            tag: tag.into(),
        }
    }

    /// The change that makes it pending.
    pub fn ask<'a>(&'a self, pending: &'a Pending) -> Change<'a> {
        Change::Ask {
            key: &self.key,
            lookup: self.lookup,
            tag: &self.tag,
            id: &pending.id,
            request: &pending.request,
        }
    }
}

/// A lookup that waits for its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Identifies this question and no other, now and in any replay: see [`id`].
    pub id: Box<[u8]>,
    /// The rendered request.
    pub request: Box<[u8]>,
}

/// The pending lookups of a task, by name and by id.
#[derive(Debug, Default)]
pub struct Lookups {
    pending: UndoMap<LookupName, Pending>,
    by_id: UndoMap<Box<[u8]>, LookupName>,
}

/// The step that asked, its number among the journaled inputs after that step, and the index of the question in it.
#[derive(Serialize, Deserialize)]
struct Id<'a>(std::borrow::Cow<'a, StepKey>, u64, u32);

/// The id of a question. It is unique in the task's history, and the same in every replay.
pub fn id(step: &StepKey, sequence: u64, index: u32) -> Box<[u8]> {
    // Encoding plain data into a growing vector can't fail.
    let bytes = postcard::to_stdvec(&Id(std::borrow::Cow::Borrowed(step), sequence, index)).expect("plain data");
    bytes.into()
}

/// Where a question was asked. Questions are in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskedBy {
    /// The step that asked.
    pub step: StepKey,
    /// Its number among the journaled inputs after that step. 0 if the step itself asked.
    pub sequence: u64,
    /// Its number among the questions of the step.
    pub index: u32,
}

/// The reverse of [`id`]. Returns `None` if it is not a valid id.
pub fn asked_by(id: &[u8]) -> Option<AskedBy> {
    let Id(step, sequence, index) = postcard::from_bytes(id).ok()?;
    Some(AskedBy {
        step: step.into_owned(),
        sequence,
        index,
    })
}

impl Lookups {
    /// Adds a question, and returns the one that it replaces.
    pub fn ask(&mut self, name: LookupName, pending: Pending) -> Option<Pending> {
        let id = pending.id.clone();
        let old = self.pending.insert(name.clone(), pending);
        // The sweep writes a pending question to the changelog again, and it keeps its id.
        if let Some(old) = old.as_ref().filter(|old| old.id != id) {
            self.by_id.remove(&old.id);
        }
        self.by_id.insert(id, name);
        old
    }

    /// The pending question with this id.
    pub fn find(&self, id: &[u8]) -> Option<(&LookupName, &Pending)> {
        let name = self.by_id.get(&id.into())?;
        Some((name, self.pending.get(name)?))
    }

    /// The pending question with this name.
    pub fn get(&self, name: &LookupName) -> Option<&Pending> {
        self.pending.get(name)
    }

    /// Removes a question.
    pub fn take(&mut self, name: &LookupName) -> Option<Pending> {
        let pending = self.pending.remove(name)?;
        self.by_id.remove(&pending.id);
        Some(pending)
    }

    /// All pending questions, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&LookupName, &Pending)> {
        self.pending.iter()
    }

    /// The questions after `cursor`, sorted by name. The sweep uses it.
    pub fn after(&self, cursor: Option<&LookupName>) -> impl Iterator<Item = (&LookupName, &Pending)> {
        let from = cursor.map_or(Bound::Unbounded, |name| Bound::Excluded(name.clone()));
        self.pending.range((from, Bound::Unbounded))
    }

    /// The questions that were pending at the last commit.
    pub fn committed(&self) -> impl Iterator<Item = (LookupName, Pending)> {
        self.pending.committed().into_iter()
    }

    /// The number of pending questions.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether none is pending.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Seals the open epoch: see [`UndoMap::seal`].
    pub fn seal(&mut self) {
        self.pending.seal();
        self.by_id.seal();
    }

    /// Commits the sealed epoch: see [`UndoMap::commit`].
    pub fn commit(&mut self) {
        self.pending.commit();
        self.by_id.commit();
    }

    /// Drops both epochs: see [`UndoMap::abort`].
    pub fn abort(&mut self) {
        self.pending.abort();
        self.by_id.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Offset, Rank};

    #[test]
    fn the_same_question_again_is_still_found() {
        let mut lookups = Lookups::default();
        let name = LookupName::new(b"u", 0, b"t");
        let id = id(&StepKey::Start, 0, 0);
        for _ in 0..2 {
            let pending = Pending {
                id: id.clone(),
                request: (*b"a").into(),
            };
            lookups.ask(name.clone(), pending);
        }
        assert_eq!(lookups.find(&id).map(|(name, _)| name), Some(&name));
    }

    #[test]
    fn asking_again_replaces() {
        let mut lookups = Lookups::default();
        let name = LookupName::new(b"u", 0, b"t");
        let step = |offset| StepKey::Record {
            time: 1,
            rank: Rank(0),
            offset,
        };
        let (first, second) = (id(&step(Offset(1)), 0, 0), id(&step(Offset(2)), 0, 0));
        assert_ne!(first, second);
        assert_ne!(first, id(&step(Offset(1)), 0, 1));
        lookups.ask(
            name.clone(),
            Pending {
                id: first.clone(),
                request: (*b"a").into(),
            },
        );
        let old = lookups.ask(
            name.clone(),
            Pending {
                id: second.clone(),
                request: (*b"b").into(),
            },
        );
        assert_eq!(old.map(|old| old.id), Some(first.clone()));
        assert!(lookups.find(&first).is_none());
        assert_eq!(lookups.find(&second).map(|(name, _)| name), Some(&name));
        lookups.abort();
        assert!(lookups.is_empty() && lookups.find(&second).is_none());
    }
}
