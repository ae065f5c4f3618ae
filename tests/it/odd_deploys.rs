//! Deploys the odd guest with the whole protocol, over the control topic, while the stream runs.

mod back;
mod failing;
mod hostile;
mod line;
mod pending;
mod prune;
mod stores;
