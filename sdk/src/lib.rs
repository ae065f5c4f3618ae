//! The SDK for Pelton's rules.
#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

extern crate self as pelton_sdk;

mod arena;
pub mod avro;
mod ctx;
mod declare;
mod declared;
#[doc(hidden)]
pub mod derived;
mod entry;
mod inputs;
mod output;
mod overlay;
mod place;
mod reject;
mod rules;
#[doc(hidden)]
pub mod run;
mod settings;
mod shared;
mod store;
#[cfg(not(target_arch = "wasm32"))]
pub mod testkit;
mod walk;
#[doc(hidden)]
pub mod wire;
mod work;

pub use ctx::{Ctx, Reads};
pub use declare::Declare;
pub use entry::{Bytes, Entry, Part, Text};
pub use inputs::{Inputs, Never, NoAnswer, Replies, Timers};
pub use output::{Counter, Lookup, Output, OutputRecord};
pub use pelton_derive::{Due, Event, Reply, Settings};
pub use place::Place;
pub use reject::Reject;
pub use rules::{Outcome, Record, Rules, Step};
pub use settings::{FromSettings, Setting};
pub use store::{Drain, Map, Scan, Set, Value};
#[doc(hidden)]
pub use wit_bindgen;

/// Exports a set of rules as the component.
///
/// ```ignore
/// pelton_sdk::rules!(Enrich);
/// ```
#[macro_export]
macro_rules! rules {
    ($rules:ty) => {
        #[doc(hidden)]
        mod pelton_component {
            use super::*;

            ::std::thread_local! {
                static RUNNER: $crate::run::Slot<$rules> = const { $crate::run::Slot::new() };
            }

            struct Component;

            impl $crate::wire::Guest for Component {
                fn describe(settings: ::std::string::String) -> ::std::result::Result<$crate::wire::Description, ::std::string::String> {
                    RUNNER.with(|runner| runner.describe(&settings))
                }

                fn process(batch: $crate::wire::Batch) -> $crate::wire::Effects {
                    RUNNER.with(|runner| runner.process(&batch))
                }
            }

            #[cfg(target_arch = "wasm32")]
            $crate::wire::export!(Component with_types_in $crate::wire);
        }
    };
}
