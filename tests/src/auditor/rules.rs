//! The rules of the money pipeline, as `guest-enrich` implements them.

use super::{
    Answer, Code, Enriched, Event, Millis, Money, Output, Parameters, Place, Settings, StepKey, StepWhat, Task,
    UserInfo,
};
use std::collections::{BTreeMap, BTreeSet};

/// What is known about a user. Expired entries stay in it; see [`State::alive`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The time when each money id expires.
    pub seen: BTreeMap<String, Millis>,
    /// All money types seen so far.
    pub types: BTreeSet<String>,
    /// The merged changes of the user's data.
    pub user: Option<UserInfo>,
    /// By session id: the country, and the time when it expires.
    pub sessions: BTreeMap<String, (String, Millis)>,
    /// Money that waits for its session, and the time when its timer is due.
    pub pending: BTreeMap<(String, Place), (Enriched, Millis)>,
    /// Money whose session was asked for, with its place, by the step that asked.
    pub asked: BTreeMap<StepKey, (Place, Enriched)>,
}

impl State {
    /// The state without what has expired at this time.
    pub fn alive(&self, now: Millis) -> State {
        let mut state = self.clone();
        state.seen.retain(|_, expires| now < *expires);
        state.sessions.retain(|_, (_, expires)| now < *expires);
        state
    }
}

/// The counters of the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Money that was dropped as a duplicate.
    pub duplicates: u64,
    /// Lookups of sessions without an answer, or with an unreadable one.
    pub sessions_unanswered: u64,
    /// Records of ignored kinds.
    pub ignored: u64,
    /// Sessions opened.
    pub sessions: u64,
    /// Changes of users' data.
    pub user_changes: u64,
}

pub(super) struct Rules<'a> {
    parameters: &'a Parameters,
    task: &'a Task,
    /// The timers of the money that waits for its session.
    timers: BTreeSet<StepKey>,
    /// The user of each step that has asked.
    asking: BTreeMap<StepKey, Vec<u8>>,
    pub users: BTreeMap<Vec<u8>, State>,
    pub outputs: Vec<Output>,
    pub counters: Counters,
}

impl<'a> Rules<'a> {
    pub fn new(parameters: &'a Parameters, task: &'a Task) -> Rules<'a> {
        Rules {
            timers: BTreeSet::new(),
            asking: BTreeMap::new(),
            parameters,
            task,
            users: BTreeMap::new(),
            outputs: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// The deploy that a step belongs to.
    pub fn deploy_of(&self, step: &StepKey) -> u64 {
        self.task.deploy_of(&self.parameters.deploys, step)
    }

    /// The deploy that a step belongs to, and its settings.
    fn at(&self, step: &StepKey) -> (u64, Settings) {
        let number = self.deploy_of(step);
        (number, self.parameters.settings(number))
    }

    /// Whether the rules of this step trap on the event.
    pub fn traps(&self, step: &StepKey, event: &Event) -> bool {
        let won = matches!(event, Event::Money(money) if money.kind == "win");
        won && self.at(step).1.code == Code::Fragile
    }

    /// The timer that is due next.
    pub fn next_timer(&self) -> Option<StepKey> {
        self.timers.first().cloned()
    }

    /// The session that this step has asked for.
    pub fn asked_at(&self, step: &StepKey) -> Option<String> {
        let state = self.users.get(self.asking.get(step)?)?;
        let (_, enriched) = state.asked.get(step)?;
        enriched.money.session.clone()
    }

    pub fn event(&mut self, step: &StepKey, key: &[u8], event: Event, late: bool) {
        let now = step.time;
        let (deploy, settings) = self.at(step);
        let state = self.users.entry(key.to_vec()).or_default();
        match event {
            Event::Ignored { .. } => self.counters.ignored += 1,
            Event::BirthDate { year, .. } => {
                self.counters.user_changes += 1;
                let mut user = state.user.take().unwrap_or_default();
                user.birth_year = Some(year);
                state.user = Some(settings.code.changed(user));
            }
            Event::Address { country, .. } => {
                self.counters.user_changes += 1;
                let mut user = state.user.take().unwrap_or_default();
                user.country = Some(country);
                state.user = Some(settings.code.changed(user));
            }
            Event::Session { id, country, .. } => {
                self.counters.sessions += 1;
                let expires = now.saturating_add(settings.session_ttl);
                state.sessions.insert(id.clone(), (country.clone(), expires));
                let waits = std::mem::take(&mut state.pending);
                let (released, others) = waits.into_iter().partition(|((session, _), _)| *session == id);
                state.pending = others;
                // In the order of their places.
                let released: BTreeMap<_, _> = released;
                for ((session, place), (enriched, due)) in released {
                    self.timers.remove(&missing(key, session, place, due));
                    self.send(step, key, enriched.with(Some(country.clone())), false, deploy);
                }
            }
            Event::Money(money) => self.money(step, key, money, late),
        }
    }

    fn money(&mut self, step: &StepKey, key: &[u8], money: Money, late: bool) {
        let now = step.time;
        let StepWhat::Record { rank, offset } = step.what else {
            return;
        };
        let place = Place {
            time: now,
            rank,
            offset,
        };
        let (deploy, settings) = self.at(step);
        let state = self.users.entry(key.to_vec()).or_default();
        let expires = now.saturating_add(settings.dedup_ttl);
        if state
            .seen
            .insert(money.id.clone(), expires)
            .is_some_and(|expires| now < expires)
        {
            self.counters.duplicates += 1;
            return;
        }
        let first = state.types.insert(money.kind.clone());
        let old = money.old;
        let enriched = Enriched {
            money,
            user: state.user.clone().map(|user| settings.code.reads(user)),
            session_country: None,
            first,
        };
        let Some(session) = enriched.money.session.clone() else {
            return self.send(step, key, enriched, false, deploy);
        };
        if late || old {
            state.asked.insert(step.clone(), (place, enriched));
            self.asking.insert(step.clone(), key.to_vec());
            return;
        }
        match state.sessions.get(&session).filter(|(_, expires)| now < *expires) {
            Some((country, _)) => {
                let country = country.clone();
                self.send(step, key, enriched.with(Some(country)), false, deploy);
            }
            None => {
                let due = now.saturating_add(settings.pending_ttl).max(now.saturating_add(1));
                self.timers.insert(missing(key, session.clone(), place, due));
                state.pending.insert((session, place), (enriched, due));
            }
        }
    }

    /// The session has not come, so it is looked up.
    pub fn timer(&mut self, step: &StepKey) {
        let StepWhat::SessionMissing { key, session, place } = &step.what else {
            return;
        };
        self.timers.remove(step);
        let (_, settings) = self.at(step);
        let state = self.users.entry(key.clone()).or_default();
        if let Some((mut enriched, _)) = state.pending.remove(&(session.clone(), *place)) {
            enriched.user = enriched.user.map(|user| settings.code.reads(user));
            state.asked.insert(step.clone(), (*place, enriched));
            self.asking.insert(step.clone(), key.clone());
        }
    }

    /// A reply comes right after a step, and goes to the rules of this deploy. It is dropped if nothing waits for it.
    pub fn reply(&mut self, anchor: &StepKey, asked_by: &StepKey, answer: &Answer, deploy: u64) {
        let Some(key) = self.asking.remove(asked_by) else {
            return;
        };
        let state = self.users.entry(key.clone()).or_default();
        let Some((_, enriched)) = state.asked.remove(asked_by) else {
            return;
        };
        let country = match answer {
            Answer::Absent => None,
            Answer::Unavailable => {
                self.counters.sessions_unanswered += 1;
                None
            }
            Answer::Body(body) => {
                let country = super::read::country_of(body);
                self.counters.sessions_unanswered += u64::from(country.is_none());
                country
            }
        };
        self.send(anchor, &key, enriched.with(country), true, deploy);
    }

    fn send(&mut self, step: &StepKey, key: &[u8], mut value: Enriched, looked_up: bool, deploy: u64) {
        let (step, key, timestamp) = (step.clone(), key.to_vec(), step.time);
        let settings = self.parameters.settings(deploy);
        value.money.kind.insert_str(0, &settings.label);
        value.user = value.user.map(|user| settings.code.reads(user));
        if settings.code == Code::Resident && value.session_country.is_none() {
            value.session_country = value.user.as_ref().and_then(|user| user.country.clone());
        }
        self.outputs.push(Output {
            step,
            looked_up,
            deploy,
            key,
            timestamp,
            value,
        });
    }
}

impl Code {
    /// What these rules read when the state holds this user, whichever version wrote it.
    fn reads(self, user: UserInfo) -> UserInfo {
        let changes = (self == Code::Counted).then(|| user.changes.unwrap_or(0));
        UserInfo { changes, ..user }
    }

    /// What these rules write after one more change of this user.
    fn changed(self, user: UserInfo) -> UserInfo {
        let read = self.reads(user);
        UserInfo {
            changes: read.changes.map(|changes| changes + 1),
            ..read
        }
    }
}

/// The timer of money that waits for its session.
fn missing(key: &[u8], session: String, place: Place, due: Millis) -> StepKey {
    let key = key.to_vec();
    StepKey {
        time: due,
        what: StepWhat::SessionMissing { key, session, place },
    }
}
