//! The effects of a step, matched by name.

use crate::binding::Wiring;
use crate::record::Millis;
use crate::rules::{Action, Effect, Header};
use crate::shadow::EffectKind;
use std::ops::Range;

/// The fields that an effect of some kind uses.
pub struct EffectFields {
    pub name: bool,
    pub value: bool,
    pub at: bool,
}

/// The fields that an effect uses, as the WIT interface says.
pub fn parts(what: Action) -> EffectFields {
    let (name, value, at) = match what {
        Action::Put => (true, true, true),
        Action::SendKeyed => (true, true, true),
        Action::Send => (false, true, true),
        Action::Tombstone => (false, false, true),
        Action::TombstoneKeyed | Action::SetTimer => (true, false, true),
        Action::Ask => (true, true, false),
        Action::Delete | Action::Clear | Action::CancelTimer => (true, false, false),
        Action::Count => (false, false, true),
        Action::Reject => (false, true, false),
    };
    EffectFields { name, value, at }
}

/// One effect.
pub struct Item<'a> {
    pub kind: EffectKind,
    what: Action,
    /// Name of the output, store, kind of timer or lookup.
    pub name: &'a str,
    /// Entry of the store, or tag.
    pub entry: &'a [u8],
    /// Number among the records to the same output.
    number: usize,
    /// Key of the record, if it differs from its input's.
    pub key: &'a [u8],
    pub at: Option<Millis>,
    pub value: Option<&'a [u8]>,
    pub schema: Option<&'a str>,
    headers: Vec<(&'a [u8], &'a [u8])>,
}

/// The effects of one side, live or shadow.
pub struct Side<'a> {
    pub wiring: &'a Wiring,
    pub effects: &'a [Effect],
    pub headers: &'a [Header],
    pub bytes: &'a [u8],
    pub range: Range<usize>,
    pub dead: &'a [u8],
}

impl Item<'_> {
    /// Identifies an effect: two effects with the same id are compared.
    pub fn id(&self) -> (EffectKind, &str, &[u8], usize) {
        (self.kind, self.name, self.entry, self.number)
    }

    /// What the effect does.
    pub fn verb(&self) -> &'static str {
        match self.what {
            Action::Put => "put",
            Action::Delete => "deleted",
            Action::Clear => "cleared",
            Action::Send | Action::SendKeyed => "sent",
            Action::Tombstone | Action::TombstoneKeyed => "tombstone",
            Action::SetTimer => "set for",
            Action::CancelTimer => "taken back",
            Action::Ask => "asked",
            Action::Count => "counted",
            Action::Reject => "refused",
        }
    }

    /// What its time means.
    pub fn name_of_time(&self) -> &'static str {
        match self.kind {
            EffectKind::State => "(expires)",
            EffectKind::Timer => "(due)",
            _ => "(timestamp)",
        }
    }

    /// Its headers, as text.
    pub fn headers(&self) -> String {
        let one = |(name, value): &(&[u8], &[u8])| format!("{}: {}", lossy(name), lossy(value));
        self.headers.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// The effects of one side. Of several writes to the same place, only the last one.
pub fn items(side: Side<'_>) -> Vec<Item<'_>> {
    let mut items: Vec<Item<'_>> = vec![];
    let description = side.wiring.rules.description();
    for index in side.range {
        let effect = &side.effects[index];
        let Some(kind) = kind(effect.what).filter(|kind| *kind != EffectKind::DeadLetter) else {
            continue;
        };
        let on = usize::from(effect.on);
        let has = parts(effect.what);
        let (name, schema) = match kind {
            EffectKind::Output => (&description.outputs[on].name, Some(&description.outputs[on].schema)),
            EffectKind::State => (&description.stores[on].name, Some(&description.stores[on].schema)),
            EffectKind::Timer => (&description.timers[on], None),
            EffectKind::Lookup => (&description.lookups[on].name, Some(&description.lookups[on].request)),
            EffectKind::DeadLetter => continue,
        };
        let given: &[u8] = if has.name { effect.name.of(side.bytes) } else { &[] };
        let (entry, key) = match kind {
            EffectKind::Output => (&b""[..], given),
            _ => (given, &b""[..]),
        };
        let of_this = |header: &&Header| header.of as usize == index;
        let headers = side.headers.iter().filter(of_this);
        let number = match kind {
            EffectKind::Output => items
                .iter()
                .filter(|item| item.kind == kind && item.name == name)
                .count(),
            // Clearing everything with a prefix is not the same as writing one entry.
            _ => usize::from(effect.what == Action::Clear),
        };
        let item = Item {
            kind,
            what: effect.what,
            name,
            entry,
            number,
            key,
            at: has.at.then_some(effect.at),
            value: has.value.then(|| effect.value.of(side.bytes)),
            schema: schema.map(String::as_str),
            headers: headers
                .map(|of| (of.name.of(side.bytes), of.value.of(side.bytes)))
                .collect(),
        };
        match items.iter_mut().find(|known| known.id() == item.id()) {
            Some(known) => *known = item,
            None => items.push(item),
        }
    }
    if !side.dead.is_empty() {
        items.push(Item {
            kind: EffectKind::DeadLetter,
            what: Action::Reject,
            name: "",
            entry: &[],
            number: 0,
            key: &[],
            at: None,
            value: Some(side.dead),
            schema: None,
            headers: vec![],
        });
    }
    items
}

/// The kind that an effect is counted as.
pub fn kind(what: Action) -> Option<EffectKind> {
    Some(match what {
        Action::Put | Action::Delete | Action::Clear => EffectKind::State,
        Action::Send | Action::SendKeyed | Action::Tombstone | Action::TombstoneKeyed => EffectKind::Output,
        Action::SetTimer | Action::CancelTimer => EffectKind::Timer,
        Action::Ask => EffectKind::Lookup,
        Action::Count => return None,
        Action::Reject => EffectKind::DeadLetter,
    })
}

/// The bytes as text, as far as they are UTF-8.
pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
