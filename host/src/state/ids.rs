//! Permanent ids for names in the rules.
//!
//! Invariant: a name gets an id once and keeps it, so every version of the rules finds what was written with it.

use super::view::{StoreIds, View};
use crate::state::meta::Names;
use crate::wit::Description;
use pelton_convert::Resolver;

/// The permanent ids of the current rules' timers and lookups, by index in their description.
#[derive(Default)]
pub struct Ids {
    pub(super) timers: Vec<u16>,
    pub(super) lookups: Vec<u16>,
}

impl Ids {
    /// Gives ids to all names in these rules, and lets the view read with their schemas.
    pub fn bind(description: &Description, names: &mut Names, view: &mut View) -> Ids {
        let ids = Ids {
            timers: description
                .timers
                .iter()
                .map(|name| Names::id(&mut names.timers, name))
                .collect(),
            lookups: description
                .lookups
                .iter()
                .map(|lookup| Names::id(&mut names.lookups, &lookup.name))
                .collect(),
        };
        let stores: Vec<StoreIds> = description
            .stores
            .iter()
            .map(|store| StoreIds {
                store: Names::id(&mut names.stores, &store.name),
                schema: Names::id(&mut names.schemas, &store.schema),
            })
            .collect();
        let mut resolvers = vec![];
        for (index, (ids, store)) in stores.iter().zip(&description.stores).enumerate() {
            for (written, schema) in names.schemas.iter().enumerate() {
                if written as u16 != ids.schema
                    && let Ok(resolver) = Resolver::new(schema, &store.schema)
                {
                    resolvers.push(((index as u16, written as u16), resolver));
                }
            }
        }
        view.misses = vec![0; stores.len()];
        view.stores = stores;
        view.resolvers = resolvers;
        ids
    }
}
