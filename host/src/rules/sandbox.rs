//! A sandbox: one instance of the rules, with its limits.
//!
//! Rule: a call either returns effects or traps. After a trap, the sandbox is dead. State is inside only during a call.

use super::compiled::{Rules, SharedRules};
use super::inside::Inside;
use super::{Batch, Description, Effects, Found, Read, RulesError, Trap, TrapKind};
use crate::wit::{self, StateReader};
use std::sync::Arc;
use wasmtime::Store;

/// One instance of rules. `S` is its view of state.
pub struct Sandbox<S: StateReader> {
    store: Store<Inside>,
    rules: wit::Exports,
    /// Keeps the clock for time limits running.
    compiled: Arc<SharedRules>,
    dead: bool,
    state: std::marker::PhantomData<S>,
}

impl<S: StateReader> Sandbox<S> {
    /// Makes an instance and describes it, so that it is ready for batches.
    pub fn new(rules: &Rules) -> Result<Self, Trap> {
        let compiled = rules.0.clone();
        let mut store = open::<S>(&compiled);
        let instance = match compiled.pre.instantiate(&mut store) {
            Ok(instance) => instance,
            Err(error) => return Err(store.data_mut().trap(error)),
        };
        let rules = match wit::Exports::new(&mut store, &instance) {
            Ok(rules) => rules,
            Err(error) => return Err(store.data_mut().trap(error)),
        };
        match rules.describe(&mut store, &compiled.settings) {
            // The description was checked when the rules were compiled, and the same settings give the same one.
            Ok(Ok(_)) => Ok(Sandbox {
                store,
                rules,
                compiled,
                dead: false,
                state: std::marker::PhantomData,
            }),
            Ok(Err(text)) => Err(Trap::new(
                TrapKind::Other,
                format_args!("describe has refused settings that it had accepted: {text}"),
            )),
            Err(error) => Err(store.data_mut().trap(error)),
        }
    }

    /// Processes a batch. `state` answers its reads, and is given back even if it traps. `patience` multiplies the time
    /// limit. The effects are unchecked: [`verify`](super::verify()) them.
    pub fn process(&mut self, batch: &Batch, state: &mut S, patience: u32) -> Result<Effects, Trap> {
        if self.dead {
            return Err(Trap::new(
                TrapKind::Dead,
                "this sandbox has trapped before; make a new one",
            ));
        }
        let inputs = batch.inputs.len();
        self.store
            .set_epoch_deadline(self.compiled.limits.ticks(inputs, patience));
        let inside = self.store.data_mut();
        inside.begin(inputs);
        inside.exchange(state);
        let result = self.rules.process(&mut self.store, batch);
        let inside = self.store.data_mut();
        inside.exchange(state);
        inside.end_call();
        result.map_err(|error| {
            self.dead = true;
            self.store.data_mut().trap(error)
        })
    }
}

/// Starts the rules for the first time, and gets all that is only known by running them.
pub(super) fn describe(compiled: &SharedRules) -> Result<Description, RulesError> {
    let mut store = open::<Nothing>(compiled);
    let instance = match compiled.pre.instantiate(&mut store) {
        Ok(instance) => instance,
        Err(error) => return Err(RulesError::Start(store.data_mut().trap(error))),
    };
    let rules =
        wit::Exports::new(&mut store, &instance).map_err(|error| RulesError::ExportType(format!("{error:#}")))?;
    match rules.describe(&mut store, &compiled.settings) {
        Ok(Ok(description)) => Ok(description),
        Ok(Err(text)) => Err(RulesError::Settings(text)),
        Err(error) => Err(RulesError::Start(store.data_mut().trap(error))),
    }
}

/// A store with the limits for `describe`.
fn open<S: StateReader>(compiled: &SharedRules) -> Store<Inside> {
    let inside = Inside::new::<S>(compiled.description.clone(), compiled.version, compiled.limits.memory);
    let mut store = Store::new(&compiled.clock.engine, inside);
    store.limiter(|inside| inside);
    store.set_hostcall_fuel(compiled.limits.memory);
    store.set_epoch_deadline(compiled.limits.ticks(1, 1));
    store
}

/// The state while no batch is processed.
#[derive(Default)]
struct Nothing;

impl StateReader for Nothing {
    fn get_many(&mut self, _: &[Read], _: &[u8]) -> Result<Found, String> {
        Err("there is no state".into())
    }
}
