//! Permanent ids of what rules name.
//!
//! Rule: an id is given once, to a name, and stays its own; so what was written under it is found by every version.

use super::Wiring;
use super::view::{StoreIds, View};
use crate::meta::Names;

/// By the indices of the description.
#[derive(Default)]
pub struct Ids {
    /// Kinds of timers.
    pub timers: Vec<u16>,
    /// Lookups.
    pub lookups: Vec<u16>,
}

impl Ids {
    /// Gives ids to everything that these rules name, and lets the view read by their schemas.
    pub fn bind(wiring: &Wiring, names: &mut Names, view: &mut View) -> Ids {
        let description = wiring.rules.description();
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
                    && let Ok(resolver) = crate::convert::Resolver::new(schema, &store.schema)
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
