//! Rules that misbehave in the way that their settings say: `{"do": "..."}`.
//!
//! Rule: they use only the bindings, without the SDK, so that they can return what the SDK never would.

wit_bindgen::generate!({
    path: ["../../wit", "wit"],
    world: "test:odd/odd",
    generate_all,
    inline: "package test:odd;
        world odd {
            include pelton:rules/rules@0.1.0;
            import wasi:clocks/monotonic-clock@0.2.6;
        }",
});

use pelton::rules::host::{self, Level, Question, Read};
use pelton::rules::types::{Action, Channel, Effect, Happening, Header, Input, Lookup, Shape, Span, Store};
use std::hint::black_box;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use wasi::clocks::monotonic_clock;

mod careless;
mod greed;

use careless::{reject_poison, spoil_unused};
use greed::{eat, recurse, recurse_wide, run_for_ever};

struct Odd;

export!(Odd);

/// What to do, as `describe` was told.
static DO: OnceLock<String> = OnceLock::new();

/// The datum that `keep` always stores.
static DATUM: OnceLock<Vec<u8>> = OnceLock::new();

/// The number of this instance's calls that had an effect.
static CALLS: AtomicU32 = AtomicU32::new(0);

/// `panic-on-poison` and its like wait for an event whose value ends like this.
const POISON: &[u8] = b"poison";

const BYTES: &str = r#""bytes""#;

impl Guest for Odd {
    fn describe(settings: String) -> Result<Description, String> {
        std::panic::set_hook(Box::new(|info| host::log(Level::Error, &info.to_string())));
        // {"do": "...", "with": "...", "and": "..."}: every fourth piece between quotes.
        let mut pieces = settings.split('"').skip(3).step_by(4);
        let what = pieces.next().unwrap_or("echo").to_string();
        let with = pieces.next().unwrap_or("");
        let mut description = description();
        match what.as_str() {
            "refuse-settings" => return Err("no odds today".into()),
            "panic-in-describe" => panic!("describe gives up"),
            "loop-in-describe" => run_for_ever(),
            "read-in-describe" => drop(host::get_many(&[], &[])),
            "same-name-twice" => description.stores.push(description.stores[0].clone()),
            "no-name" => description.timers.push(String::new()),
            "no-schema" => description.outputs[0].schema = "no schema".into(),
            "request-no-record" => description.lookups[0].request = BYTES.into(),
            "keep" => {
                description.stores[usize::from(VALUES)].schema = text_of(with);
                let datum = unhex(pieces.next().unwrap_or(""));
                DATUM.set(datum).map_err(|_| "described twice".to_string())?;
            }
            "time" => description.timers = vec![with.into()],
            "no-lookup" => description.lookups.clear(),
            "too-many-names" => description.counters = (0..70_000).map(|i| i.to_string()).collect(),
            _ => {}
        }
        // The host describes an instance only once.
        DO.set(what).map_err(|_| "described twice".to_string())?;
        Ok(description)
    }

    fn process(batch: Batch) -> Effects {
        let what = DO.get().map_or("echo", String::as_str);
        let poisoned = batch
            .inputs
            .iter()
            .any(|input| bytes_of(input.value, &batch.bytes).ends_with(POISON));
        match what {
            "panic" => panic!("no reason at all"),
            "panic-on-poison" if poisoned => panic!("poison"),
            "loop" => run_for_ever(),
            "loop-on-poison" if poisoned => run_for_ever(),
            "eat" => eat(),
            "eat-on-poison" if poisoned => eat(),
            "clock" => drop(black_box(monotonic_clock::now())),
            "recurse" => drop(black_box(recurse(black_box(1)))),
            "recurse-wide" => drop(black_box(recurse_wide(black_box(1)))),
            "chatter" => (0..100_000).for_each(|i| host::log(Level::Info, &format!("chatter {i}"))),
            _ => {}
        }
        if let Some(read) = odd_read(what) {
            host::get_many(&[read], &[]);
        }
        let mut effects = echo(&batch);
        match what {
            "read-twice" => effects = echo(&batch),
            "keep" => effects = keep(&batch),
            "time" | "timer-past" => time(&batch, &mut effects, what == "time"),
            "ask" => ask(&batch, &mut effects),
            "spans-unused" => spoil_unused(&mut effects),
            "reject-without-reason" => reject_poison(&batch, &mut effects),
            _ => {}
        }
        let last = batch.inputs.len().saturating_sub(1);
        let Some(first) = effects.effects.first().copied() else {
            return effects;
        };
        let beyond = Span {
            start: effects.bytes.len() as u32,
            len: 1,
        };
        let mut odd = Effect {
            of: last as u32,
            ..first
        };
        match what {
            "remember" => {
                // Rules must never do this: their effects depend on how many calls there were.
                let start = effects.bytes.len() as u32;
                let calls = CALLS.fetch_add(1, Ordering::Relaxed).to_string();
                // Avro lengths are doubled. The number of calls never has 64 digits.
                effects.bytes.push(2 * calls.len() as u8);
                effects.bytes.extend(calls.bytes());
                let len = effects.bytes.len() as u32 - start;
                let value = Span { start, len };
                (odd.what, odd.on, odd.at, odd.value) = (Action::Send, 0, batch.inputs[last].time, value);
            }
            "span-beyond" => odd.value = beyond,
            "span-overflow" => {
                odd.value = Span {
                    start: u32::MAX,
                    len: u32::MAX,
                }
            }
            "input-beyond" => odd.of = batch.inputs.len() as u32,
            "input-back" if last > 0 => odd.of = 0,
            "store-unknown" => odd.on = 99,
            "entry-in-value-store" => (odd.on, odd.name) = (VALUES, Span { start: 0, len: 1 }),
            "reject-not-alone" => odd.what = Action::Reject,
            "header-of-put" => {
                let (of, none) = (effects.effects.len() as u32, Span { start: 0, len: 0 });
                effects.headers.push(Header {
                    of,
                    name: none,
                    value: none,
                });
            }
            "too-large" => {
                odd.value = Span {
                    start: effects.bytes.len() as u32,
                    len: 1 << 20,
                };
                effects.bytes.resize(effects.bytes.len() + (1 << 20), 0);
            }
            "no-datum" => {
                let start = effects.bytes.len() as u32;
                effects.bytes.push(0xff);
                let value = Span { start, len: 1 };
                (odd.what, odd.on, odd.at, odd.value) = (Action::Send, 0, batch.inputs[last].time, value);
            }
            "no-datum-kept" => {
                let start = effects.bytes.len() as u32;
                effects.bytes.push(0xff);
                odd.value = Span { start, len: 1 };
            }
            "flood" => effects.effects.resize(10_000_000, odd),
            "flood-a-little" => effects.effects.resize(5_000, odd),
            _ => return effects,
        }
        effects.effects.push(odd);
        effects
    }
}

/// The index of the store with one value for each key, in the description below.
const VALUES: u16 = 1;

fn description() -> Description {
    let channel = |name: &str| Channel {
        name: name.into(),
        schema: BYTES.into(),
    };
    let store = |name: &str, shape| Store {
        name: name.into(),
        shape,
        schema: BYTES.into(),
    };
    let record = r#"{"type": "record", "name": "Request", "fields": [{"name": "id", "type": "string"}]}"#;
    Description {
        inputs: vec![channel("in")],
        outputs: vec![channel("out")],
        stores: vec![store("entries", Shape::Map), store("values", Shape::Value)],
        lookups: vec![Lookup {
            name: "service".into(),
            request: record.into(),
            reply: BYTES.into(),
        }],
        timers: vec!["timer".into()],
        counters: vec!["inputs".into()],
    }
}

/// A read that can't be answered. It belongs to the first input, and the batch has at most two.
fn odd_read(what: &str) -> Option<Read> {
    let none = Span { start: 0, len: 0 };
    let good = Read {
        what: Question::Entry,
        store: VALUES,
        of: 0,
        entry: none,
        after: none,
        limit: 0,
    };
    Some(match what {
        "read-store-unknown" => Read { store: 99, ..good },
        "read-input-beyond" => Read { of: 2, ..good },
        "read-span-beyond" => Read {
            entry: Span { start: 0, len: 1 },
            ..good
        },
        "read-page-of-value" => Read {
            what: Question::Page,
            limit: 1,
            ..good
        },
        _ => return None,
    })
}

/// Well-behaved: for each event, sends the stored value of its key and then stores its own value, with one call to the
/// host.
fn echo(batch: &Batch) -> Effects {
    let shouts = DO.get().is_some_and(|what| what == "shout-on-poison");
    remember(batch, Some, |held| match shouts && held.ends_with(POISON) {
        true => held.to_ascii_uppercase(),
        false => held.to_vec(),
    })
}

/// For each event, sends what its key holds, after one conversion, and stores its own value, after another one, if
/// anything is left.
fn remember<'a>(
    batch: &'a Batch,
    stored: impl Fn(&'a [u8]) -> Option<&'a [u8]>,
    sent: impl Fn(&[u8]) -> Vec<u8>,
) -> Effects {
    let none = Span { start: 0, len: 0 };
    let reads: Vec<Read> = (0..batch.inputs.len() as u32)
        .map(|of| Read {
            what: Question::Entry,
            store: VALUES,
            of,
            entry: none,
            after: none,
            limit: 0,
        })
        .collect();
    let found = host::get_many(&reads, &[]);
    let mut cells = found.cells.iter().peekable();
    let mut effects = Vec::with_capacity(2 * batch.inputs.len());
    let mut bytes = Vec::with_capacity(batch.bytes.len() + found.bytes.len());
    let mut keep = |piece: &[u8]| {
        let start = bytes.len() as u32;
        bytes.extend_from_slice(piece);
        Span {
            start,
            len: piece.len() as u32,
        }
    };
    let holds = |input: &'a Input| match input.what {
        Happening::Event => stored(bytes_of(input.value, &batch.bytes)),
        _ => None,
    };
    // Rules must never do this: their effects depend on how inputs are cut into batches.
    let by_batch = DO.get().is_some_and(|what| what == "by-batch");
    for (i, input) in batch.inputs.iter().enumerate() {
        let of = i as u32;
        let cell = cells.next_if(|cell| cell.of == of);
        if input.what != Happening::Event {
            continue;
        }
        if let Some(value) = holds(input) {
            let value = keep(value);
            effects.push(Effect {
                what: Action::Put,
                on: VALUES,
                of,
                at: i64::MAX,
                name: none,
                value,
            });
        }
        // The host answers as of the start of the batch. So what an earlier event stores must be looked for first.
        let same = batch.inputs[..i].iter().filter(|other| key_of(other) == key_of(input));
        let earlier = same.filter_map(holds).next_back().filter(|_| !by_batch);
        if let Some(before) = earlier.or_else(|| cell.map(|cell| bytes_of(cell.value, &found.bytes))) {
            let value = keep(&sent(before));
            effects.push(Effect {
                what: Action::Send,
                on: 0,
                of,
                at: input.time,
                name: none,
                value,
            });
        }
    }
    Effects {
        effects,
        headers: Vec::new(),
        bytes,
    }
}

/// Like [`echo`], but it always stores the same datum, and sends whatever it finds as bytes. A value that ends in
/// "look" stores nothing.
fn keep(batch: &Batch) -> Effects {
    let datum = DATUM.get().map_or(&[][..], Vec::as_slice);
    let stored = |value: &[u8]| (!value.ends_with(b"look")).then_some(datum);
    // Avro lengths are doubled. These are shorter than 64 bytes.
    remember(batch, stored, |held| [&[2 * held.len() as u8], held].concat())
}

/// A timer a minute after each event, or long before it.
fn time(batch: &Batch, effects: &mut Effects, ahead: bool) {
    each_event(batch, effects, |_, input| Effect {
        what: Action::SetTimer,
        on: 0,
        of: 0,
        at: if ahead { input.time + 60_000 } else { 0 },
        name: Span { start: 0, len: 0 },
        value: Span { start: 0, len: 0 },
    });
}

/// A lookup for each event.
fn ask(batch: &Batch, effects: &mut Effects) {
    each_event(batch, effects, |bytes, _| {
        let start = bytes.len() as u32;
        // An Avro string of one letter.
        bytes.extend([2, b'x']);
        Effect {
            what: Action::Ask,
            on: 0,
            of: 0,
            at: 0,
            name: Span { start: 0, len: 0 },
            value: Span { start, len: 2 },
        }
    });
}

/// Adds one more effect for each event, after its other ones.
fn each_event(batch: &Batch, effects: &mut Effects, mut one: impl FnMut(&mut Vec<u8>, &Input) -> Effect) {
    for (of, input) in batch.inputs.iter().enumerate() {
        if input.what == Happening::Event {
            let effect = one(&mut effects.bytes, input);
            effects.effects.push(Effect {
                of: of as u32,
                ..effect
            });
        }
    }
    effects.effects.sort_by_key(|effect| effect.of);
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Decodes a schema. It is passed in hex, because it contains quotes.
fn text_of(hex: &str) -> String {
    String::from_utf8_lossy(&unhex(hex)).into_owned()
}

/// The place of a key in the batch. Equal keys have the same place.
fn key_of(input: &Input) -> (u32, u32) {
    (input.key.start, input.key.len)
}

fn bytes_of(span: Span, bytes: &[u8]) -> &[u8] {
    &bytes[span.start as usize..][..span.len as usize]
}
