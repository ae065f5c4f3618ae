//! Tests that the deltas rebuild the state, whatever is written, sealed, committed and aborted.

use super::*;
use crate::record::{FOREVER, Millis, Offset, Rank, Span, StepKey};
use crate::state::lookups::Pending;
use crate::state::meta::{self, Meta};
use crate::state::{delta, rows};
use crate::wit::{Action, Description, Effect, Lookup, Shape, Store};
use proptest::prelude::*;

fn description() -> Description {
    let store = |name: &str, shape, schema: &str| Store {
        name: name.into(),
        shape,
        schema: schema.into(),
    };
    let lookup = |name: &str| Lookup {
        name: name.into(),
        request: r#""bytes""#.into(),
        reply: r#""bytes""#.into(),
    };
    Description {
        stores: vec![
            store("map", Shape::Map, r#""bytes""#),
            store("value", Shape::Value, r#""string""#),
        ],
        lookups: vec![lookup("one"), lookup("two")],
        timers: vec!["early".into(), "late".into()],
        ..Description::default()
    }
}

/// An event in the life of a task's state.
#[derive(Clone, Debug)]
enum Event {
    /// The rules change the state of a key.
    Effect {
        key: u8,
        what: Action,
        on: u16,
        tag: u8,
        len: usize,
        at: Millis,
    },
    /// The rules ask a question.
    Ask {
        key: u8,
        on: u16,
        tag: u8,
    },
    /// The next timer fires.
    Fire,
    /// The n-th pending lookup gets its reply.
    Reply(usize),
    /// Rules take over that declare only the first of everything, and then the old ones again.
    Undeclare,
    /// Event time advances.
    Wait(Millis),
    Seal,
    Commit,
    Abort,
}

fn event() -> impl Strategy<Value = Event> {
    let what = prop::sample::select(vec![
        Action::Put,
        Action::Put,
        Action::Put,
        Action::Delete,
        Action::Clear,
        Action::SetTimer,
        Action::SetTimer,
        Action::CancelTimer,
    ]);
    let effect = (0..4_u8, what, 0..2_u16, 0..4_u8, 0..200_usize, 0..60_i64);
    prop_oneof![
        20 => effect.prop_map(|(key, what, on, tag, len, at)| Event::Effect { key, what, on, tag, len, at }),
        3 => (0..4_u8, 0..2_u16, 0..3_u8).prop_map(|(key, on, tag)| Event::Ask { key, on, tag }),
        3 => Just(Event::Fire),
        2 => (0..3_usize).prop_map(Event::Reply),
        1 => Just(Event::Undeclare),
        3 => (0..20_i64).prop_map(Event::Wait),
        3 => Just(Event::Seal),
        3 => Just(Event::Commit),
        1 => Just(Event::Abort),
    ]
}

type Records = Vec<Vec<u8>>;

/// A delta in the changelog.
struct Logged {
    position: Offset,
    last: Millis,
    records: Records,
}

/// A task's state with its changelog.
struct World {
    state: TaskState,
    log: Vec<Logged>,
    sealed: Option<(Logged, Meta, SealedDelta)>,
    committed: Meta,
    /// The end of the changelog.
    end: Offset,
    now: Millis,
    questions: u32,
}

impl World {
    fn new() -> World {
        let mut state = TaskState::default();
        state.open(&[]).unwrap();
        state.bind(&description());
        let committed = Meta {
            fingerprint: 1,
            inputs: vec![],
            last: StepKey::Start,
            sequence: 0,
            version: [0; 32],
            deployed: 1,
            prepared: None,
            sweep: vec![],
            follows: None,
            round: Offset(0),
        };
        World {
            state,
            log: vec![],
            sealed: None,
            committed,
            end: Offset(0),
            now: 0,
            questions: 0,
        }
    }

    fn input(&mut self, key: u8) {
        self.state.begin_batch();
        self.state.add_input(rows::hash(&[key]), &[key], self.now);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Effect {
                key,
                what,
                on,
                tag,
                len,
                at,
            } => self.effect(key, what, on, tag, len, at),
            Event::Ask { key, on, tag } => {
                self.input(key);
                self.questions += 1;
                let pending = Pending {
                    id: self.questions.to_be_bytes().into(),
                    request: vec![tag; 30].into(),
                };
                let name = self.state.lookup_of(EffectTarget { input: 0, on }, &[tag]);
                self.state.ask(name, pending);
            }
            Event::Fire => {
                if let Some(due) = self.state.timers().first().cloned() {
                    self.state.take_timer(&due);
                }
            }
            Event::Reply(number) => {
                let name = self.state.lookups().iter().map(|(name, _)| name.clone()).nth(number);
                if let Some(name) = name {
                    self.state.take_lookup(&name);
                }
            }
            Event::Undeclare => {
                let mut fewer = description();
                fewer.timers.truncate(1);
                fewer.lookups.truncate(1);
                self.state.drop_undeclared(&fewer);
                assert_eq!(self.state.accepts(&fewer), Ok(()));
                self.state.bind(&fewer);
                self.state.bind(&description());
            }
            Event::Wait(millis) => self.now += millis,
            Event::Seal => self.seal(),
            Event::Commit => self.commit(),
            Event::Abort => {
                self.sealed = None;
                self.state.abort();
                self.state.bind(&description());
                self.now = self.committed.last.time().max(0);
            }
        }
    }

    fn effect(&mut self, key: u8, what: Action, on: u16, tag: u8, len: usize, at: Millis) {
        self.input(key);
        let map = on == 0;
        let entry: &[u8] = match what {
            Action::Put | Action::Delete if !map => &[],
            Action::Clear if !map => return,
            Action::Clear => &[tag][..usize::from(tag % 2)],
            _ => &[tag],
        };
        let mut bytes = entry.to_vec();
        bytes.resize(entry.len() + len, tag);
        let span = |start: usize, end: usize| Span {
            start: start as u32,
            len: (end - start) as u32,
        };
        let effect = Effect {
            of: 0,
            what,
            on,
            name: span(0, entry.len()),
            value: span(entry.len(), bytes.len()),
            at: if at == 0 { FOREVER } else { self.now + at },
        };
        self.state.apply(&effect, &bytes);
    }

    fn seal(&mut self) {
        if self.sealed.is_some() {
            return;
        }
        let mut meta = self.committed.clone();
        meta.last = StepKey::Record {
            time: self.now,
            rank: Rank(0),
            offset: Offset(0),
        };
        let mut records = vec![];
        let delta = self
            .state
            .seal(&mut meta, self.end, |record| records.push(record.to_vec()));
        assert_eq!(delta.bytes as usize, records.iter().map(Vec::len).sum::<usize>());
        let logged = Logged {
            position: self.end,
            last: self.now,
            records,
        };
        self.sealed = Some((logged, meta, delta));
    }

    fn commit(&mut self) {
        let Some((logged, meta, delta)) = self.sealed.take() else {
            return;
        };
        self.state.commit(logged.last);
        self.committed = meta;
        self.end = Offset(self.end.0 + logged.records.len() as i64);
        self.log.push(logged);
        if let Some(start) = delta.complete {
            // The log before the round is not needed.
            self.log.retain(|logged| logged.position >= start);
        }
    }

    /// The state that the committed deltas rebuild.
    fn rebuilt(&self) -> TaskState {
        let mut state = TaskState::default();
        for logged in &self.log {
            replay(&mut state, &logged.records, logged.last);
        }
        state
    }

    /// Checks the invariant.
    fn check(&mut self) {
        let mut rebuilt = self.rebuilt();
        if self.log.is_empty() {
            rebuilt.bookkeeping.names = self.state.committed.names.clone();
        }
        assert_eq!(rebuilt.bookkeeping.names, self.state.committed.names);
        let stored: Records = self
            .state
            .committed_snapshot(&self.committed)
            .records()
            .map(<[u8]>::to_vec)
            .collect();
        let mut beside = TaskState::default();
        replay(&mut beside, &stored, 0);
        same_pending(&beside, &rebuilt);

        if let Some((logged, ..)) = &self.sealed {
            replay(&mut rebuilt, &logged.records, logged.last);
        }
        let open: Records = self.state.delta.records().map(<[u8]>::to_vec).collect();
        replay(&mut rebuilt, &open, self.now);
        same_pending(&rebuilt, &self.state);
        // The names of the open epoch are only written when it is sealed.
        rebuilt.bookkeeping.names = self.state.bookkeeping.names.clone();
        assert_eq!(rebuilt.dump(self.now), self.state.dump(self.now));
    }
}

fn replay(state: &mut TaskState, records: &Records, last: Millis) {
    for change in records.iter().flat_map(|record| delta::read(record)) {
        state.replay(change.unwrap()).unwrap();
    }
    state.settle(last);
}

#[track_caller]
fn same_pending(one: &TaskState, other: &TaskState) {
    assert!(one.timers().iter().eq(other.timers().iter()));
    assert!(one.lookups().iter().eq(other.lookups().iter()));
}

proptest! {
    #[test]
    fn the_deltas_rebuild_the_state(events in prop::collection::vec(event(), 0..120)) {
        let mut world = World::new();
        for event in events {
            world.happen(event);
            world.check();
        }
    }
}

#[test]
fn an_effect_is_read_only_as_far_as_it_goes() {
    // A guest may leave the fields that an effect does not use in any state.
    let wild = Span {
        start: u32::MAX,
        len: u32::MAX,
    };
    let mut state = TaskState::default();
    state.bind(&description());
    state.add_input(rows::hash(b"k"), b"k", 0);
    for what in [Action::Delete, Action::Clear, Action::SetTimer, Action::CancelTimer] {
        let effect = Effect {
            of: 0,
            what,
            on: 0,
            name: Span::default(),
            value: wild,
            at: 1,
        };
        state.apply(&effect, &[]);
    }
    assert_eq!(state.timers().len(), 0);
}

#[test]
fn other_hashes_are_refused() {
    let mut state = TaskState::default();
    state.bookkeeping.names.hash = "fnv".into();
    let why = state.open(&[]).unwrap_err().to_string();
    assert!(why.contains("'fnv'") && why.contains(rows::HASH), "{why}");
}

#[test]
#[should_panic(expected = "without a delta")]
fn what_was_written_is_not_committed_without_its_delta() {
    let mut state = TaskState::default();
    state.bind(&description());
    state.add_input(rows::hash(b"k"), b"k", 0);
    state.put(EffectTarget { input: 0, on: 1 }, b"", b"v", FOREVER);
    state.settle(0);
}

#[test]
fn an_unreadable_sweep_starts_the_round_again() {
    let mut state = TaskState::default();
    state.open(b"?").unwrap();
    assert_eq!(
        state.bookkeeping.sweep,
        meta::decode(&meta::encode(&state.bookkeeping.sweep)).unwrap()
    );
    assert_eq!(state.bookkeeping.sweep, Default::default());
}
