//! Checks the effects of an input before the first of them is applied.
//!
//! Rule: after this check nothing can fail. It is the same check for the live task and for a shadow.

use super::Refusal;
use crate::binding::Wiring;
use crate::metrics::DeadLetterReason;
use crate::rules::{Action, Effects};
use std::ops::Range;

/// Checks that every datum matches its schema, and that the rules don't reject the input.
pub fn check(effects: &Effects, range: Range<usize>, wiring: &Wiring) -> Result<(), Refusal> {
    for effect in &effects.effects[range] {
        let on = usize::from(effect.on);
        let (valid, what) = match effect.what {
            Action::Put => (&wiring.stores[on], "entry of a store"),
            Action::Send | Action::SendKeyed => (&wiring.outputs[on].valid, "output"),
            Action::Ask => (&wiring.lookups[on].valid, "request"),
            Action::Reject => {
                return Err(Refusal {
                    kind: DeadLetterReason::Rejected,
                    why: String::from_utf8_lossy(effect.value.of(&effects.bytes)).into_owned(),
                });
            }
            Action::Delete | Action::Clear | Action::Tombstone | Action::TombstoneKeyed => continue,
            Action::SetTimer | Action::CancelTimer | Action::Count => continue,
        };
        // Only the spans that an effect uses have been verified. The others may contain anything.
        valid.check(effect.value.of(&effects.bytes)).map_err(|e| Refusal {
            kind: DeadLetterReason::Trap,
            why: format!("the rules made an {what} that is not of its schema: {e}"),
        })?;
    }
    Ok(())
}
