//! The model: a plain map of entries.

use crate::world::{MAP, Name, Program, World};
use std::collections::BTreeMap;

/// The model: entries with an expiry, and nothing else.
#[derive(Default)]
pub struct Plain {
    pub now: i64,
    pub key: String,
    entries: BTreeMap<(String, usize, String, u8), (i64, i64)>,
}

impl Plain {
    fn name(&self, store: usize, name: Name) -> (String, usize, String, u8) {
        (self.key.clone(), store, name.0.into(), name.1)
    }
}

impl World for Plain {
    fn get(&mut self, store: usize, name: Name) -> Option<i64> {
        self.entries
            .get(&self.name(store, name))
            .filter(|held| self.now < held.1)
            .map(|held| held.0)
    }
    fn put(&mut self, store: usize, name: Name, value: i64, ttl: Option<i64>) {
        let expires = ttl.map_or(i64::MAX, |ttl| self.now + ttl);
        self.entries.insert(self.name(store, name), (value, expires));
    }
    fn delete(&mut self, store: usize, name: Name) {
        self.entries.remove(&self.name(store, name));
    }
    fn clear(&mut self, head: Option<&str>) {
        let key = self.key.clone();
        self.entries
            .retain(|name, _| name.0 != key || name.1 != MAP || head.is_some_and(|head| name.2 != head));
    }
    fn walk(
        &mut self,
        head: Option<&str>,
        drain: bool,
        limit: usize,
        each: &mut dyn FnMut(&mut Self, String, u8, i64),
    ) {
        let mut last = None;
        for _ in 0..limit {
            let next = self.entries.iter().find(|(name, held)| {
                name.0 == self.key
                    && name.1 == MAP
                    && head.is_none_or(|head| name.2 == head)
                    && self.now < held.1
                    && last.as_ref().is_none_or(|last| *name > last)
            });
            let Some((name, &(value, _))) = next else { break };
            let name = name.clone();
            last = Some(name.clone());
            if drain {
                self.entries.remove(&name);
            }
            each(self, name.2, name.3, value);
        }
    }
    fn act(&mut self, [op, ..]: [u8; 4], _: &Program) -> bool {
        !matches!(op % 24, 19 | 20)
    }
}
