//! Declarations of what rules use. The description of the rules is made from them.
//!
//! Rule: a store, output, lookup or counter contains its index in the description.

use crate::avro::Datum;
use crate::declared::Declared;
use crate::entry::{Entry, Part};
use crate::inputs::{Answers, Named};
use crate::output::{Counter, Lookup, Output};
use crate::store::{Map, Set, Value};
use crate::wire::{self, Channel, Shape};

/// Declares what rules use. The names are those in the pipeline's file. A store's name identifies it across versions.
pub struct Declare {
    pub(crate) declared: Declared,
    /// For each lookup: how its variant of `Reply` encodes the tag, and whether the lookup was declared.
    tags: Vec<(String, bool)>,
    errors: Vec<String>,
}

impl Declare {
    /// For rules with these streams, lookups and kinds of timers.
    pub(crate) fn new(streams: &[Named], lookups: &[Answers], timers: &'static [&'static str]) -> Self {
        let tag = |write: fn(&mut String)| {
            let mut tag = String::new();
            write(&mut tag);
            (tag, false)
        };
        Declare {
            tags: lookups.iter().map(|lookup| tag(lookup.tag)).collect(),
            declared: Declared {
                stores: Vec::new(),
                outputs: Vec::new(),
                lookups: lookups
                    .iter()
                    .map(|lookup| wire::Lookup {
                        name: lookup.name.into(),
                        request: String::new(),
                        reply: lookup.schema.into(),
                    })
                    .collect(),
                counters: Vec::new(),
                inputs: streams
                    .iter()
                    .map(|stream| Channel {
                        name: stream.name.into(),
                        schema: stream.schema.into(),
                    })
                    .collect(),
                timers,
            },
            errors: Vec::new(),
        }
    }

    /// Declares a store with one value for each key.
    pub fn value<T: Datum>(&mut self, name: &str) -> Value<T> {
        Value::new(self.store(name, Shape::Value, T::SCHEMA))
    }

    /// Declares a store with entries for each key, each with a value.
    pub fn map<E: Entry, T: Datum>(&mut self, name: &str) -> Map<E, T> {
        Map::new(self.store(name, Shape::Map, T::SCHEMA))
    }

    /// Declares a store with entries for each key, without values.
    pub fn set<E: Entry>(&mut self, name: &str) -> Set<E> {
        Set::new(self.store(name, Shape::Map, <() as Datum>::SCHEMA))
    }

    /// Declares an output stream.
    pub fn output<T: Datum>(&mut self, name: &str) -> Output<T> {
        if self.declared.outputs.iter().any(|output| output.name == name) {
            self.errors.push(format!("output `{name}` is declared twice"));
        }
        self.declared.outputs.push(Channel {
            name: name.into(),
            schema: T::SCHEMA.into(),
        });
        Output::new(index(&self.declared.outputs))
    }

    /// Declares an external service. Its replies come to the variant of `Reply` with this name.
    pub fn lookup<Tag: Entry, Req: Datum>(&mut self, name: &str) -> Lookup<Tag, Req> {
        let Some(at) = self.declared.lookups.iter().position(|lookup| lookup.name == name) else {
            self.errors.push(format!(
                "lookup `{name}` has no variant in the enum that derives `Reply`"
            ));
            return Lookup::new(0);
        };
        let mut tag = String::new();
        <Tag::Of<'static> as Part>::shape(&mut tag);
        if self.tags[at].0 != tag {
            let reply = &self.tags[at].0;
            self.errors.push(format!(
                "lookup `{name}` is asked with a tag {tag}, but its variant of `Reply` has {reply}"
            ));
        }
        if std::mem::replace(&mut self.tags[at].1, true) {
            self.errors.push(format!("lookup `{name}` is declared twice"));
        }
        self.declared.lookups[at].request = Req::SCHEMA.into();
        Lookup::new(at as u16)
    }

    /// Declares a counter.
    pub fn counter(&mut self, name: &str) -> Counter {
        if self.declared.counters.iter().any(|counter| counter == name) {
            self.errors.push(format!("counter `{name}` is declared twice"));
        }
        self.declared.counters.push(name.into());
        Counter::new(index(&self.declared.counters))
    }

    fn store(&mut self, name: &str, shape: Shape, schema: &str) -> u16 {
        if self.declared.stores.iter().any(|store| store.name == name) {
            self.errors.push(format!("store `{name}` is declared twice"));
        }
        self.declared.stores.push(wire::Store {
            name: name.into(),
            shape,
            schema: schema.into(),
        });
        index(&self.declared.stores)
    }

    /// The declarations, or everything that is wrong with them.
    pub(crate) fn finish(mut self) -> Result<Declared, String> {
        for (lookup, (_, declared)) in self.declared.lookups.iter().zip(&self.tags) {
            if !declared {
                let name = &lookup.name;
                self.errors.push(format!(
                    "`Reply` has a variant for lookup `{name}`, which is not declared"
                ));
            }
        }
        if self.errors.is_empty() {
            Ok(self.declared)
        } else {
            Err(self.errors.join("; "))
        }
    }
}

/// Index of the last item. More than 65,536 are not realistic, and the host refuses them.
fn index<T>(list: &[T]) -> u16 {
    (list.len() - 1) as u16
}
