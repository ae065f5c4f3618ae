//! The rules of the money pipeline: RULES, sentence by sentence.

use super::{
    Answer, Code, Enriched, Event, Millis, Money, Output, Parameters, Place, Settings, StepKey, StepWhat, UserInfo,
    deploys,
};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a user. What has expired stays in it; see [`State::alive`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// By money id: when it expires.
    pub seen: BTreeMap<String, Millis>,
    /// Money types seen ever.
    pub types: BTreeSet<String>,
    /// The merge of the changes.
    pub user: Option<UserInfo>,
    /// By session id: the country, and when it expires.
    pub sessions: BTreeMap<String, (String, Millis)>,
    /// Money that waits for its session, and when its timer is due.
    pub pending: BTreeMap<(String, Place), (Enriched, Millis)>,
    /// Money whose session was asked for, by the step that asked: where it came, and what.
    pub asked: BTreeMap<StepKey, (Place, Enriched)>,
}

impl State {
    /// Without what is expired at this time.
    pub fn alive(&self, now: Millis) -> State {
        let mut state = self.clone();
        state.seen.retain(|_, expires| now < *expires);
        state.sessions.retain(|_, (_, expires)| now < *expires);
        state
    }
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Money that was dropped.
    pub duplicates: u64,
    /// Sessions without an answer, or with one that can't be read.
    pub sessions_unanswered: u64,
    /// Records of ignored kinds.
    pub ignored: u64,
    /// Sessions opened.
    pub sessions: u64,
    /// Changes of users.
    pub user_changes: u64,
}

pub(super) struct Rules<'a> {
    parameters: &'a Parameters,
    /// Those of the first deploy.
    first: Settings,
    /// Of the money that waits for its session.
    timers: BTreeSet<StepKey>,
    /// The user of each step that has asked.
    asking: BTreeMap<StepKey, Vec<u8>>,
    pub users: BTreeMap<Vec<u8>, State>,
    pub outputs: Vec<Output>,
    pub counters: Counters,
}

impl Rules<'_> {
    pub fn new(parameters: &Parameters) -> Rules<'_> {
        Rules {
            first: Settings {
                dedup_ttl: parameters.dedup_ttl,
                session_ttl: parameters.session_ttl,
                pending_ttl: parameters.pending_ttl,
                label: parameters.label.clone(),
                code: parameters.code,
            },
            timers: BTreeSet::new(),
            asking: BTreeMap::new(),
            parameters,
            users: BTreeMap::new(),
            outputs: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// What a step of this time goes by: the deploy, and its settings.
    fn at(&self, time: Millis) -> (u64, Settings) {
        let number = deploys::of(&self.parameters.deploys, time);
        (number, self.settings(number))
    }

    fn settings(&self, number: u64) -> Settings {
        let its = self.parameters.deploys.iter().find(|deploy| deploy.number == number);
        its.map_or(&self.first, |deploy| &deploy.settings).clone()
    }

    /// The timer that is due first.
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
        let (deploy, settings) = self.at(now);
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
        let (deploy, settings) = self.at(now);
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

    /// The session has not come: it is asked for.
    pub fn timer(&mut self, step: &StepKey) {
        let StepWhat::SessionMissing { key, session, place } = &step.what else {
            return;
        };
        self.timers.remove(step);
        let (_, settings) = self.at(step.time);
        let state = self.users.entry(key.clone()).or_default();
        if let Some((mut enriched, _)) = state.pending.remove(&(session.clone(), *place)) {
            enriched.user = enriched.user.map(|user| settings.code.reads(user));
            state.asked.insert(step.clone(), (*place, enriched));
            self.asking.insert(step.clone(), key.clone());
        }
    }

    /// A reply comes right behind a step, to the rules of this deploy. One that nobody waits for is dropped.
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
        let settings = self.settings(deploy);
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
    /// What these rules read where a user stands, whoever wrote it.
    fn reads(self, user: UserInfo) -> UserInfo {
        let changes = (self == Code::Counted).then(|| user.changes.unwrap_or(0));
        UserInfo { changes, ..user }
    }

    /// The same, changed once more.
    fn changed(self, user: UserInfo) -> UserInfo {
        let read = self.reads(user);
        UserInfo {
            changes: read.changes.map(|changes| changes + 1),
            ..read
        }
    }
}

/// The timer of money that waits.
fn missing(key: &[u8], session: String, place: Place, due: Millis) -> StepKey {
    let key = key.to_vec();
    StepKey {
        time: due,
        what: StepWhat::SessionMissing { key, session, place },
    }
}
