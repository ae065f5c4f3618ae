//! Rules that misbehave, in the way that their settings say: `{"do": "..."}`.
//!
//! Rule: written on the bindings alone, without the SDK, so that it can say what the SDK never would.

wit_bindgen::generate!({ path: "../../wit", world: "rules" });

use pelton::rules::host::{self, Level, Question, Read};
use pelton::rules::types::{Action, Channel, Effect, Happening, Header, Lookup, Shape, Span, Store};
use std::hint::black_box;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

struct Odd;

export!(Odd);

/// What to do, as `describe` was told.
static DO: OnceLock<String> = OnceLock::new();

/// Calls of this instance that had an effect.
static CALLS: AtomicU32 = AtomicU32::new(0);

/// An event whose value ends so is the one that `panic-on-poison` and its like wait for.
const POISON: &[u8] = b"poison";

const BYTES: &str = r#""bytes""#;

impl Guest for Odd {
    fn describe(settings: String) -> Result<Description, String> {
        std::panic::set_hook(Box::new(|info| host::log(Level::Error, &info.to_string())));
        // {"do": "..."}: the fourth piece between quotes.
        let what = settings.split('"').nth(3).unwrap_or("echo").to_string();
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
            "too-many-names" => description.counters = (0..70_000).map(|i| i.to_string()).collect(),
            _ => {}
        }
        // A second call to an instance may not come: the host asks once.
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
            "recurse" => drop(black_box(recurse(black_box(1)))),
            "recurse-wide" => drop(black_box(recurse_wide(black_box(1)))),
            "chatter" => (0..100_000).for_each(|i| host::log(Level::Info, &format!("chatter {i}"))),
            _ => {}
        }
        if let Some(read) = odd_read(what) {
            host::get_many(&[read], &[]);
        }
        let mut effects = echo(&batch);
        if what == "read-twice" {
            effects = echo(&batch);
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
                // What no rules may do: how many calls there were.
                let start = effects.bytes.len() as u32;
                let calls = CALLS.fetch_add(1, Ordering::Relaxed).to_string();
                // An Avro length is doubled; no number of calls has 64 digits.
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
            "flood" => effects.effects.resize(10_000_000, odd),
            "flood-a-little" => effects.effects.resize(5_000, odd),
            _ => return effects,
        }
        effects.effects.push(odd);
        effects
    }
}

/// Index of the store with one value a key, in the description below.
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

/// A read that can't be answered; of the first input, of a batch of two at most.
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

/// Good manners: for each event, the stored value of its key goes to the output, and its own is stored; in one call to
/// the host. (Two events of a key in one batch: both see the state before the batch.)
fn echo(batch: &Batch) -> Effects {
    let shouts = DO.get().is_some_and(|what| what == "shout-on-poison");
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
    for (i, input) in batch.inputs.iter().enumerate() {
        let of = i as u32;
        if input.what != Happening::Event {
            continue;
        }
        let value = keep(bytes_of(input.value, &batch.bytes));
        effects.push(Effect {
            what: Action::Put,
            on: VALUES,
            of,
            at: i64::MAX,
            name: none,
            value,
        });
        if let Some(cell) = cells.next_if(|cell| cell.of == of) {
            let mut value = bytes_of(cell.value, &found.bytes).to_vec();
            if shouts && value.ends_with(POISON) {
                value.make_ascii_uppercase();
            }
            let value = keep(&value);
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

fn bytes_of(span: Span, bytes: &[u8]) -> &[u8] {
    &bytes[span.start as usize..][..span.len as usize]
}

fn run_for_ever() {
    let mut i = 0_u64;
    while black_box(true) {
        i = black_box(i + 1);
    }
}

fn eat() {
    let mut eaten = Vec::new();
    loop {
        eaten.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Deep in calls, with little on the stack in memory: the native stack ends first.
fn recurse(n: u64) -> u64 {
    if black_box(n) == 0 {
        0
    } else {
        recurse(black_box(n + 1)) + black_box(1)
    }
}

/// Deep in calls with a lot on the stack in memory, which ends first.
fn recurse_wide(n: u64) -> u64 {
    let wide = black_box([n; 512]);
    if black_box(n) == 0 {
        0
    } else {
        recurse_wide(n + 1) + black_box(wide)[7]
    }
}
