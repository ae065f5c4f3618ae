//! The odd guest through the whole protocol: deployed over the control topic while the stream runs.

mod back;
mod hostile;
mod line;
mod pending;
mod prune;
mod stores;
