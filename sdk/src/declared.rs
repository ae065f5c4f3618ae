//! The declarations of rules, which become their description.

use crate::wire::{self, Channel, Description};

/// The declarations.
pub(crate) struct Declared {
    pub(crate) stores: Vec<wire::Store>,
    pub(crate) outputs: Vec<Channel>,
    pub(crate) lookups: Vec<wire::Lookup>,
    pub(crate) counters: Vec<String>,
    pub(crate) inputs: Vec<Channel>,
    pub(crate) timers: &'static [&'static str],
}

impl Declared {
    pub(crate) fn description(&self) -> Description {
        Description {
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            stores: self.stores.clone(),
            lookups: self.lookups.clone(),
            timers: self.timers.iter().map(|timer| timer.to_string()).collect(),
            counters: self.counters.clone(),
        }
    }
}
