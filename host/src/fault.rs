//! Faults that are put into the engine on purpose, so that tests can show that they would find them.
//!
//! Rule: a build for production has none of this. Without the feature `faults`, [`fault!`] is `false`, which the compiler removes
//! with all that follows from it. With the feature every fault is off until a test turns one on, for its own thread.

/// Whether the fault of this name is on. What each name stands for is in `tests/it/sim/faults.rs`.
macro_rules! fault {
    ($name:literal) => {
        $crate::fault::is_on($name)
    };
}
pub(crate) use fault;

#[cfg(not(feature = "faults"))]
#[inline(always)]
pub(crate) const fn is_on(_: &str) -> bool {
    false
}

#[cfg(feature = "faults")]
mod switch {
    use std::cell::Cell;

    thread_local! {
        static ON: Cell<Option<&'static str>> = const { Cell::new(None) };
        static ASKED: Cell<bool> = const { Cell::new(false) };
    }

    /// From now on this thread runs with this fault, or with none.
    pub fn turn_on(name: Option<&'static str>) {
        ON.set(name);
        ASKED.set(false);
    }

    /// Whether the code has come to the place of the fault since it was turned on.
    pub fn was_reached() -> bool {
        ASKED.get()
    }

    pub(crate) fn is_on(name: &str) -> bool {
        let on = ON.get() == Some(name);
        if on {
            ASKED.set(true);
        }
        on
    }
}

#[cfg(feature = "faults")]
pub(crate) use switch::is_on;
#[cfg(feature = "faults")]
pub use switch::{turn_on, was_reached};
