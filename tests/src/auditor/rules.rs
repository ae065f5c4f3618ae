//! The rules of the money pipeline: RULES, sentence by sentence.

use super::{
    Answer, Enriched, Event, Millis, Money, Output, Parameters, Place, Settings, StepKey, StepWhat, UserInfo, deploys,
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
            },
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
        let timers = self.users.iter().flat_map(|(key, state)| {
            state.pending.iter().map(|((session, place), (_, due))| StepKey {
                time: *due,
                what: StepWhat::SessionMissing {
                    key: key.clone(),
                    session: session.clone(),
                    place: *place,
                },
            })
        });
        timers.min()
    }

    /// The session that this step has asked for.
    pub fn asked_at(&self, step: &StepKey) -> Option<String> {
        let asked = self.users.values().find_map(|state| state.asked.get(step));
        asked.and_then(|(_, enriched)| enriched.money.session.clone())
    }

    pub fn event(&mut self, step: &StepKey, key: &[u8], event: Event, late: bool) {
        let now = step.time;
        let (deploy, settings) = self.at(now);
        let state = self.users.entry(key.to_vec()).or_default();
        match event {
            Event::Ignored { .. } => self.counters.ignored += 1,
            Event::BirthDate { year, .. } => {
                self.counters.user_changes += 1;
                state.user.get_or_insert_default().birth_year = Some(year);
            }
            Event::Address { country, .. } => {
                self.counters.user_changes += 1;
                state.user.get_or_insert_default().country = Some(country);
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
                for (_, (enriched, _)) in released {
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
            user: state.user.clone(),
            session_country: None,
            first,
        };
        let Some(session) = enriched.money.session.clone() else {
            return self.send(step, key, enriched, false, deploy);
        };
        if late || old {
            state.asked.insert(step.clone(), (place, enriched));
            return;
        }
        match state.sessions.get(&session).filter(|(_, expires)| now < *expires) {
            Some((country, _)) => {
                let country = country.clone();
                self.send(step, key, enriched.with(Some(country)), false, deploy);
            }
            None => {
                let due = now.saturating_add(settings.pending_ttl).max(now.saturating_add(1));
                state.pending.insert((session, place), (enriched, due));
            }
        }
    }

    /// The session has not come: it is asked for.
    pub fn timer(&mut self, step: &StepKey) {
        let StepWhat::SessionMissing { key, session, place } = &step.what else {
            return;
        };
        let state = self.users.entry(key.clone()).or_default();
        if let Some((enriched, _)) = state.pending.remove(&(session.clone(), *place)) {
            state.asked.insert(step.clone(), (*place, enriched));
        }
    }

    /// A reply comes right behind a step, to the rules of this deploy. One that nobody waits for is dropped.
    pub fn reply(&mut self, anchor: &StepKey, asked_by: &StepKey, answer: &Answer, deploy: u64) {
        let asked = self
            .users
            .iter_mut()
            .find_map(|(key, state)| Some((key.clone(), state.asked.remove(asked_by)?)));
        let Some((key, (_, enriched))) = asked else { return };
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
        value.money.kind.insert_str(0, &self.settings(deploy).label);
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
