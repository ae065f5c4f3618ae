//! Effects that leave unused fields undefined.
//!
//! Rule: the host must neither read such a span nor need it.

use crate::pelton::rules::types::{Action, Effect, Span};
use crate::{Batch, Effects, POISON, bytes_of};

/// Makes the spans that the effects don't use point anywhere.
pub fn spoil_unused(effects: &mut Effects) {
    let anywhere = Span {
        start: u32::MAX,
        len: u32::MAX,
    };
    let deletes: Vec<Effect> = effects
        .effects
        .iter()
        .filter(|effect| effect.what == Action::Put)
        .map(|put| Effect {
            what: Action::Delete,
            on: 0,
            value: anywhere,
            ..*put
        })
        .collect();
    for effect in &mut effects.effects {
        if effect.what == Action::Send {
            effect.name = anywhere;
        }
    }
    effects.effects.extend(deletes);
    effects.effects.sort_by_key(|effect| effect.of);
}

/// Rejects each poisoned event without a reason.
pub fn reject_poison(batch: &Batch, effects: &mut Effects) {
    let none = Span { start: 0, len: 0 };
    for (of, input) in batch.inputs.iter().enumerate() {
        if bytes_of(input.value, &batch.bytes).ends_with(POISON) {
            let of = of as u32;
            effects.effects.retain(|effect| effect.of != of);
            effects.effects.push(Effect {
                what: Action::Reject,
                on: 0,
                of,
                at: 0,
                name: none,
                value: none,
            });
        }
    }
    effects.effects.sort_by_key(|effect| effect.of);
}
