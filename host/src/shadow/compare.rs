//! Compares what the live rules and the shadow have done in the same step.
//!
//! Rules:
//! - Effects are matched by name: the n-th record to an output, an entry of a store, a timer or a lookup by its tag. Of
//!   several writes in a step, only the last counts.
//! - Datums are compared as bytes. If the bytes or the schemas differ, they are compared as values of the live schema.
//! - Most steps have the same effects. Then only bytes are compared, and nothing is allocated.

mod items;

use super::fields::{differing, field, short};
use super::tape::{Tape, TapedInput};
use super::trial::Trial;
use crate::binding::Wiring;
use crate::log::Topics;
use crate::record::{FOREVER, Partition, StepKey};
use crate::rules::Effect;
use crate::shadow::{Counts, Difference, EffectKind, FieldDifference, Origin, ShadowReport, Trapped};
use crate::state::meta::Names;
use crate::step::{self, StepEffects, StepInput};
use items::{Item, Side, items, kind, lossy};
use pelton_convert::{JsonWriter, Resolver, iso};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// A step of the shadow. A record's handle is its index on the tape. The mark is the index of the live step at this
/// place, if there is one.
pub type ShadowStep = step::PlannedStep<usize, Option<usize>>;

/// Maximum number of reported differences of a task. With ten fields of two values with 200 characters each, a report
/// has at most 40 KiB, which fits into a record of the control topic.
const TOLD: usize = 10;

/// Maximum number of reported reasons of traps.
const REASONS: usize = 10;

/// A step that the shadow has taken.
#[derive(Clone, Copy)]
pub struct Taken<'a> {
    pub planned: &'a ShadowStep,
    /// The steps of the live rules.
    pub tape: &'a Tape,
    /// The names of timers and lookups, by permanent id.
    pub names: &'a Names,
}

/// How an effect of the shadow differs from that of the live rules.
#[derive(Clone, Copy)]
enum How {
    Different,
    /// The shadow does not have it.
    Missing,
    /// Only the shadow has it.
    Extra,
}

/// The comparison of one task's steps.
pub struct Comparison {
    pub report: ShadowReport,
    pub live: Arc<Wiring>,
    shadow: Arc<Wiring>,
    task: Partition,
    topics: Topics,
    /// For each index of the shadow: the index of the live rules with the same name and schema.
    outputs: Vec<Option<u16>>,
    stores: Vec<Option<u16>>,
    timers: Vec<Option<u16>>,
    lookups: Vec<Option<u16>>,
    /// Conversions between different schemas of the shadow and the live rules. `None` if no values can be converted.
    resolvers: BTreeMap<(String, String), Option<Resolver>>,
    writers: BTreeMap<String, Option<JsonWriter>>,
}

impl Comparison {
    /// Compares a shadow with the rules that are live when it begins.
    pub fn new(task: Partition, trial: &Trial, live: Arc<Wiring>) -> Comparison {
        let (old, new) = (live.rules.description(), trial.plan.wiring.rules.description());
        let place = |at: Option<usize>| at.map(|at| at as u16);
        let mut notes = vec![];
        let mut note = |what: &str, name: &str, old: Option<&String>, new: &String| {
            if old.is_some_and(|old| old != new) {
                notes.push(format!(
                    "{what} '{name}': the schemas differ; values are compared in the live one"
                ));
            }
        };
        for new in &new.outputs {
            let same = old.outputs.iter().find(|old| old.name == new.name);
            note("output", &new.name, same.map(|old| &old.schema), &new.schema);
        }
        for new in &new.stores {
            let same = old.stores.iter().find(|old| old.name == new.name);
            note("store", &new.name, same.map(|old| &old.schema), &new.schema);
        }
        for new in &new.lookups {
            let same = old.lookups.iter().find(|old| old.name == new.name);
            note("lookup", &new.name, same.map(|old| &old.request), &new.request);
        }
        Comparison {
            report: ShadowReport {
                instance: trial.plan.instance.clone(),
                duration: trial.plan.duration,
                notes,
                ..ShadowReport::default()
            },
            task,
            topics: trial.plan.layout.topics.clone(),
            outputs: new
                .outputs
                .iter()
                .map(|of| place(old.outputs.iter().position(|known| known == of)))
                .collect(),
            stores: new
                .stores
                .iter()
                .map(|of| place(old.stores.iter().position(|known| known == of)))
                .collect(),
            timers: new
                .timers
                .iter()
                .map(|of| place(old.timers.iter().position(|known| known == of)))
                .collect(),
            lookups: new
                .lookups
                .iter()
                .map(|of| {
                    place(
                        old.lookups
                            .iter()
                            .position(|known| known.name == of.name && known.request == of.request),
                    )
                })
                .collect(),
            shadow: trial.plan.wiring.clone(),
            live,
            resolvers: BTreeMap::new(),
            writers: BTreeMap::new(),
        }
    }

    /// Compares a step.
    pub fn step(&mut self, taken: Taken<'_>, made: &StepEffects<'_>) {
        let Taken { planned, tape, .. } = taken;
        let seen = &mut self.report.seen;
        let (mut theirs, mut dead) = (0..0, &b""[..]);
        if let Some(step) = planned.mark.map(|live| &tape.steps[live]) {
            seen.steps += 1;
            seen.records += u64::from(matches!(step.what, TapedInput::Record { .. }));
            theirs = step.effects.start as usize..step.effects.end as usize;
            dead = step.dead.of(&tape.bytes);
        }
        self.report.to = self.report.to.max(Some(planned.time));
        let (live, shadow) = (&tape.effects[theirs.clone()], &made.effects.effects[made.range.clone()]);
        let plain = tape.headers.is_empty() && made.effects.headers.is_empty();
        if plain && dead == refusal(planned) && live.len() == shadow.len() {
            let pairs = || live.iter().zip(shadow);
            if pairs().all(|(live, shadow)| self.alike((live, &tape.bytes), (shadow, &made.effects.bytes))) {
                for effect in shadow {
                    if let Some(kind) = kind(effect.what) {
                        self.report.seen.of(kind).same += 1;
                    }
                }
                self.report.seen.dead_letters.same += u64::from(!dead.is_empty());
                return;
            }
        }
        self.differ(taken, theirs, made);
    }

    /// Whether the effects are the same, byte for byte.
    fn alike(&self, live: (&Effect, &[u8]), shadow: (&Effect, &[u8])) -> bool {
        let on = usize::from(shadow.0.on);
        let place = match kind(shadow.0.what) {
            Some(EffectKind::Output) => self.outputs[on],
            Some(EffectKind::State) => self.stores[on],
            Some(EffectKind::Timer) => self.timers[on],
            Some(EffectKind::Lookup) => self.lookups[on],
            // Counters are not compared.
            Some(EffectKind::DeadLetter) | None => return live.0.what == shadow.0.what,
        };
        let has = items::parts(shadow.0.what);
        live.0.what == shadow.0.what
            && place == Some(live.0.on)
            && (!has.at || live.0.at == shadow.0.at)
            && (!has.name || live.0.name.of(live.1) == shadow.0.name.of(shadow.1))
            && (!has.value || live.0.value.of(live.1) == shadow.0.value.of(shadow.1))
    }

    fn differ(&mut self, taken: Taken<'_>, theirs: Range<usize>, made: &StepEffects<'_>) {
        let Taken { planned, tape, .. } = taken;
        let (live, shadow) = (self.live.clone(), self.shadow.clone());
        let dead = planned
            .mark
            .map_or(&b""[..], |live| tape.steps[live].dead.of(&tape.bytes));
        let old = items(Side {
            wiring: &live,
            effects: &tape.effects,
            headers: &tape.headers,
            bytes: &tape.bytes,
            range: theirs,
            dead,
        });
        let new = items(Side {
            wiring: &shadow,
            effects: &made.effects.effects,
            headers: &made.effects.headers,
            bytes: &made.effects.bytes,
            range: made.range.clone(),
            dead: refusal(planned),
        });
        for one in &old {
            let other = new.iter().find(|other| other.id() == one.id());
            match other {
                Some(other) => {
                    let fields = self.fields(one, other);
                    match fields.is_empty() {
                        true => self.report.seen.of(one.kind).same += 1,
                        false => self.note(How::Different, one, fields, taken),
                    }
                }
                None => {
                    let text = self.text(one);
                    let fields = vec![field("", Some(&text), None)];
                    self.note(How::Missing, one, fields, taken);
                }
            }
        }
        for one in new.iter().filter(|one| old.iter().all(|other| other.id() != one.id())) {
            let text = self.text(one);
            let fields = vec![field("", None, Some(&text))];
            self.note(How::Extra, one, fields, taken);
        }
    }

    /// The fields in which two effects differ.
    fn fields(&mut self, live: &Item<'_>, shadow: &Item<'_>) -> Vec<FieldDifference> {
        let mut fields = vec![];
        let mut differ = |name: &str, live: String, shadow: String| {
            if live != shadow {
                fields.push(field(name, Some(&live), Some(&shadow)));
            }
        };
        differ("(what)", live.verb().into(), shadow.verb().into());
        differ("(key)", lossy(live.key), lossy(shadow.key));
        differ("(headers)", live.headers(), shadow.headers());
        if let (Some(live_at), Some(shadow_at)) = (live.at, shadow.at) {
            differ(live.name_of_time(), moment(live_at), moment(shadow_at));
        }
        if live.schema == shadow.schema && live.value == shadow.value {
            return fields;
        }
        let (one, other) = (self.text(live), self.resolved(live, shadow));
        differing("", &one, &other, &mut fields);
        fields
    }

    /// An effect's value as JSON, or as text if it has no schema.
    fn text(&mut self, item: &Item<'_>) -> String {
        match (item.value, item.schema) {
            (Some(value), Some(schema)) => self.json(schema, value),
            (Some(value), None) => lossy(value),
            (None, _) => match item.at {
                Some(at) => format!("{} {}", item.verb(), moment(at)),
                None => item.verb().to_owned(),
            },
        }
    }

    /// The shadow's value as JSON, converted to the live schema.
    fn resolved(&mut self, live: &Item<'_>, shadow: &Item<'_>) -> String {
        let (Some(value), Some(writer), Some(reader)) = (shadow.value, shadow.schema, live.schema) else {
            return self.text(shadow);
        };
        if writer == reader {
            return self.json(reader, value);
        }
        let pair = (writer.to_owned(), reader.to_owned());
        let resolver = self
            .resolvers
            .entry(pair)
            .or_insert_with(|| Resolver::new(writer, reader).ok());
        let mut resolved = vec![];
        let fits = resolver
            .as_ref()
            .is_some_and(|resolver| resolver.convert(value, &mut resolved).is_ok());
        match fits {
            true => self.json(reader, &resolved),
            false => self.json(writer, value),
        }
    }

    fn json(&mut self, schema: &str, datum: &[u8]) -> String {
        if !self.writers.contains_key(schema) {
            self.writers.insert(schema.to_owned(), JsonWriter::new(schema).ok());
        }
        let mut text = vec![];
        match self.writers.get(schema).and_then(Option::as_ref) {
            Some(writer) if writer.convert(datum, &mut text).is_ok() => lossy(&text),
            _ => format!("{} bytes, hash {:016x}", datum.len(), crate::state::rows::hash(datum)),
        }
    }

    fn note(&mut self, how: How, item: &Item<'_>, fields: Vec<FieldDifference>, taken: Taken<'_>) {
        let counts: &mut Counts = self.report.seen.of(item.kind);
        let (count, how) = match how {
            How::Different => (&mut counts.different, "different"),
            How::Missing => (&mut counts.missing, "missing"),
            How::Extra => (&mut counts.extra, "extra"),
        };
        *count += 1;
        if self.report.differences.len() < TOLD {
            let difference = Difference {
                kind: item.kind,
                how: how.to_owned(),
                name: item.name.to_owned(),
                entry: short(&lossy(item.entry)),
                input: self.origin(taken),
                fields,
            };
            self.report.differences.push(difference);
        }
    }

    /// Counts a trap of the shadow's rules on a single input.
    pub fn trapped(&mut self, taken: Taken<'_>, why: &str) {
        self.report.seen.traps += 1;
        if let Some(known) = self.report.traps.iter_mut().find(|known| known.reason == why) {
            known.count += 1;
        } else if self.report.traps.len() < REASONS {
            let first = self.origin(taken);
            self.report.traps.push(Trapped {
                reason: why.to_owned(),
                count: 1,
                first,
            });
        }
    }

    fn origin(&self, taken: Taken<'_>) -> Origin {
        let Taken { planned, tape, names } = taken;
        let live = planned.mark.map(|live| &tape.steps[live].what);
        let mut origin = Origin {
            partition: self.task,
            key: short(&lossy(key(planned, tape))),
            time: planned.time,
            ..Origin::default()
        };
        let name = |names: &[String], id: u16| names.get(usize::from(id)).cloned().unwrap_or_default();
        match (live, &planned.what) {
            (Some(TapedInput::Record { rank, offset, .. }), _) => {
                origin.what = "record".into();
                origin.topic = self.topics.get(usize::from(*rank)).cloned();
                origin.offset = Some(*offset);
            }
            (Some(TapedInput::Timer { kind, .. }), _) | (_, StepInput::Timer(StepKey::Timer { kind, .. })) => {
                origin.what = format!("timer {}", name(&names.timers, *kind));
            }
            (Some(TapedInput::Reply { lookup, .. }), _) => {
                origin.what = format!("reply of {}", name(&names.lookups, *lookup));
            }
            (_, StepInput::Reply { name: lookup, .. }) => {
                origin.what = format!("no reply of {}", name(&names.lookups, lookup.lookup));
            }
            _ => {}
        }
        origin
    }
}

/// The key of a step.
fn key<'a>(planned: &'a ShadowStep, tape: &'a Tape) -> &'a [u8] {
    match (&planned.what, planned.mark) {
        (StepInput::Timer(StepKey::Timer { key, .. }), _) => key,
        (StepInput::Reply { name, .. }, _) => &name.key,
        (_, Some(live)) => tape.steps[live].key.of(&tape.bytes),
        _ => &[],
    }
}

/// Why the shadow refuses an input. Empty if it does not.
fn refusal(planned: &ShadowStep) -> &[u8] {
    planned.refused.as_ref().map_or(&[], |refusal| refusal.why.as_bytes())
}

fn moment(at: i64) -> String {
    match at {
        FOREVER => "never".into(),
        at => iso(at),
    }
}
