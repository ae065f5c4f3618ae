//! Which version of the rules a task's next step takes, and whether it may take a step at all.
//!
//! Rules:
//! - A task that holds for a deploy takes no step of its time or a later one. That it holds is in its meta, and its answer on
//!   the control topic, in one transaction. A deploy for "now" has no time yet: a task holds from where it will be soon.
//! - A deploy takes over in front of the first step of its time or a later one, in the transaction of that step, and the
//!   journal says so. The task's meta says which deploy it took over last; nothing else decides the version of its steps.
//! - When everything before its time is final, and no reply can come, it takes over without a step: the next step is its own.
//! - A task whose deploy is withdrawn goes back before it takes another step or reply, and the journal says so.
//! - All of this comes down to one bound of the steps to be planned ([`Schedule::bound`]), so it costs a step nothing.
//!
//! A schedule decides and keeps what it decided. What follows from that for the state and for the topics is the task's work.

mod life;
mod replay;
mod stride;
#[cfg(test)]
mod tests;

pub use replay::{Preset, Replay};
pub use stride::Moment;

use crate::binding::Wiring;
use crate::deploy::protocol::Committed;
use crate::deploy::{Prepare, RulesSchedule};
use crate::record::journal::{Ending, Happening};
use crate::record::{FOREVER, Millis, Number, Offset, StepKey, VersionId};
use crate::state::meta::{Meta, Prepared};
use life::{Course, Life};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use stride::Stride;

/// The schedule of one task.
pub struct Schedule {
    /// What the control topic has told. In [`Life::Uninformed`] this may be out of date.
    rules: Arc<RulesSchedule>,
    life: Life,
    /// The deploy that it took over last.
    deployed: Number,
    /// Its promise to hold, until that deploy is decided.
    prepared: Option<Prepared>,
    /// The deploy that it refused last, so that it refuses once.
    refused: Number,
    /// Replies that are taken before the next step, in the order in which they came: one for each pending lookup at most.
    replies: VecDeque<Offered>,
    stride: Stride,
    /// The end of a journal was committed, and nobody has asked the pending questions yet.
    may_ask: bool,
}

/// The end of a lookup that was offered to a task.
#[derive(Clone, Debug)]
pub struct Offered {
    /// Id of the lookup.
    pub id: Box<[u8]>,
    /// What came of it.
    pub ending: Ending,
}

/// A version that takes over now, because the journal says so.
pub struct JournaledTakeOver {
    /// Its deploy.
    pub number: Number,
    /// The version. `None`: the control topic has never heard of it.
    pub wiring: Option<Arc<Wiring>>,
}

impl Schedule {
    /// The schedule of a task that opens; [`start_over`](Schedule::start_over) puts it where the task is committed.
    pub fn open(rules: Arc<RulesSchedule>, journal: Option<Replay>) -> Schedule {
        Schedule {
            rules,
            life: Life::open(journal),
            deployed: 0,
            prepared: None,
            refused: 0,
            replies: VecDeque::new(),
            stride: Stride::default(),
            may_ask: false,
        }
    }

    /// Goes back to what is committed. The schedule is looked at again before the next step.
    pub fn start_over(&mut self, committed: &Meta) {
        self.life.start_over(&committed.last, committed.sequence);
        self.deployed = committed.deployed;
        self.prepared = committed.prepared;
        self.refused = 0;
        self.replies.clear();
    }

    /// An epoch is committed; `follows`: the end of the journal that was followed when it was sealed.
    pub fn commit(&mut self, follows: Option<Offset>) {
        if follows.is_none() && self.life.commit_end() {
            self.may_ask = true;
        }
    }

    /// Takes what the control topic has told. Returns whether that is news; then [`settle`](Schedule::settle) must follow.
    pub fn tell(&mut self, rules: &Arc<RulesSchedule>) -> bool {
        let known = !matches!(self.life, Life::Uninformed { .. }) && Arc::ptr_eq(&self.rules, rules);
        if !known {
            self.rules = rules.clone();
        }
        !known
    }

    /// Drops the promise to hold for a deploy that is decided by now. Returns whether there was one.
    pub fn drop_promise(&mut self) -> bool {
        self.prepared
            .take_if(|held| held.number <= self.rules.decided)
            .is_some()
    }

    /// The deploy that the task is asked to hold for, if it has not answered yet.
    pub fn question(&self) -> Option<Prepare> {
        self.rules.prepare.filter(|prepare| {
            prepare.number > self.rules.decided && self.prepared.is_none() && self.refused < prepare.number
        })
    }

    /// May the task, whose last step is of the time `last`, hold for this deploy? The answer is the version that must know what
    /// is pending; none, where nothing has to be known. The error says why not.
    pub fn may_hold(&self, prepare: &Prepare, last: Millis) -> Result<Option<&Wiring>, String> {
        if self.follows_journal() {
            return Err("it follows its journal; deploy again when it is through".into());
        }
        if let Some(at) = prepare.at
            && last >= at
        {
            return Err(format!(
                "it has come to {last} already, which is not before {at}; name a later time, or none"
            ));
        }
        let wiring = self.rules.wirings.get(&prepare.version);
        Ok(wiring.filter(|_| !prepare.drop_timers).map(Arc::as_ref))
    }

    /// Promises to hold for a deploy. Where the task may choose from when, it takes the place where it will be when the deploy is
    /// decided, so that it doesn't stand still until then. Returns the position to answer with.
    pub fn hold(&mut self, prepare: &Prepare, moment: &Moment, last: Millis) -> Millis {
        let position = match prepare.at {
            Some(_) => last,
            None => last.saturating_add(self.stride.ahead(moment, last)),
        };
        self.prepared = Some(Prepared {
            number: prepare.number,
            version: prepare.version,
            until: prepare.at.unwrap_or(position.saturating_add(1)),
        });
        position
    }

    /// The task doesn't hold for this deploy.
    pub fn refuse(&mut self, deploy: Number) {
        self.refused = deploy;
    }

    /// The task knows its schedule, and has answered.
    pub fn settle(&mut self) {
        self.life.inform(self.course());
    }

    fn course(&self) -> Course {
        Course::of(&self.rules, self.deployed, self.prepared)
    }

    /// The deploy that takes over at once, because the one before it was withdrawn; once it is compiled.
    pub fn instead(&self) -> Option<(Committed, Arc<Wiring>)> {
        let Some(Course::Withdrawn { instead }) = self.life.course() else {
            return None;
        };
        self.with_wiring((*instead)?)
    }

    /// The next deploy, if nothing else bounds the steps before it: it takes over as soon as they are taken.
    pub fn approaching(&self) -> Option<Committed> {
        match self.life.course() {
            Some(Course::Approaching { next }) => Some(*next),
            _ => None,
        }
    }

    /// The next deploy, if it is compiled and takes over now. `first_step`: the time of the first step that waits; `asks`:
    /// lookups are pending.
    pub fn due(
        &self,
        watermark: Millis,
        first_step: impl FnOnce() -> Option<Millis>,
        asks: bool,
    ) -> Option<(Committed, Arc<Wiring>)> {
        let next = self.reached(watermark, first_step, asks)?;
        self.with_wiring(next)
    }

    /// The next deploy, if every step before it is taken.
    fn reached(&self, watermark: Millis, first_step: impl FnOnce() -> Option<Millis>, asks: bool) -> Option<Committed> {
        let next = self.approaching().filter(|next| next.at < watermark)?;
        // A final step before its time comes first. If there is none, all later steps are of its time: only a reply could
        // still come before it.
        let waits = match first_step().filter(|time| *time < watermark) {
            Some(time) => time < next.at,
            None => asks,
        };
        (!waits).then_some(next)
    }

    fn with_wiring(&self, deploy: Committed) -> Option<(Committed, Arc<Wiring>)> {
        let wiring = self.rules.wirings.get(&deploy.version)?;
        Some((deploy, wiring.clone()))
    }

    /// The next step is of this deploy.
    pub fn take_over(&mut self, deploy: Number) {
        self.deployed = deploy;
        self.life.take_over(self.course());
    }

    /// What the journal says of the place that is reached, after the step `last`: the next reply is offered, and a version that
    /// takes over is returned. The task takes it over and asks again.
    pub fn follow_journal(&mut self, last: &StepKey) -> Option<JournaledTakeOver> {
        let Life::ControlReader { journal, awaits } = &mut self.life else {
            return None;
        };
        *awaits = None;
        while self.replies.is_empty()
            && let Some(happening) = journal.next_after(last)
        {
            match happening {
                Happening::Reply { id, answer } => {
                    let (id, ending) = (id.clone(), answer.clone());
                    journal.give(id.clone());
                    self.replies.push_back(Offered { id, ending });
                }
                Happening::Rules { version, number } => {
                    let (version, number) = (*version, *number);
                    let wiring = self.rules.wirings.get(&version).cloned();
                    if wiring.is_none() && self.rules.knows(version) {
                        // It is being compiled.
                        *awaits = Some(version);
                        return None;
                    }
                    journal.advance();
                    return Some(JournaledTakeOver { number, wiring });
                }
            }
        }
        None
    }

    /// Stops following the journal, if nothing of it is left after the step `last`. Returns whether it did.
    pub fn end_journal(&mut self, last: &StepKey) -> bool {
        let ends = match &self.life {
            Life::ControlReader { journal, .. } => self.replies.is_empty() && journal.is_through(last),
            _ => false,
        };
        if ends {
            self.life.end_journal(self.course());
        }
        ends
    }

    /// Does the journal decide?
    pub fn follows_journal(&self) -> bool {
        self.life.journal().is_some()
    }

    /// Where the journal that decides ends.
    pub fn follows(&self) -> Option<Offset> {
        self.life.journal().map(Replay::end)
    }

    /// A journaled reply comes right after the step `last`: nothing else may come before it.
    pub fn awaits_reply(&self, last: &StepKey) -> bool {
        self.journal_bound().is_some_and(|bound| bound == last)
    }

    /// No step beyond this one may be taken, by the journal.
    pub fn journal_bound(&self) -> Option<&StepKey> {
        self.life.journal().and_then(Replay::bound)
    }

    /// Did this reply come from the journal? Says so once.
    pub fn take_given(&mut self, id: &[u8]) -> bool {
        self.life.kept_journal().is_some_and(|journal| journal.take_given(id))
    }

    /// Why the journal sends this step to the dead letters. `name` is asked only if the journal knows any such step.
    pub fn trapped_before(&self, name: impl FnOnce() -> Option<(StepKey, Option<u64>)>) -> Option<&str> {
        let journal = self.life.journal().filter(|journal| journal.has_traps())?;
        let (step, sequence) = name()?;
        journal.trap(step, sequence)
    }

    /// Returns, once, whether the end of a journal has been committed: what is pending may be asked.
    pub fn take_may_ask(&mut self) -> bool {
        std::mem::take(&mut self.may_ask)
    }

    /// Are the questions of the task answered by a journal, whose end is not committed yet?
    pub fn keeps_journal(&self) -> bool {
        self.life.keeps_journal()
    }

    /// Offers a reply. A lookup has one.
    pub fn offer(&mut self, id: Box<[u8]>, ending: Ending) {
        if !self.replies.iter().any(|known| known.id == id) {
            self.replies.push_back(Offered { id, ending });
        }
    }

    /// A reply, counted from the one that is taken next.
    pub fn reply(&self, index: usize) -> Option<&Offered> {
        self.replies.get(index)
    }

    /// Nobody waits for this reply any more.
    pub fn drop_reply(&mut self, index: usize) {
        self.replies.remove(index);
    }

    /// The next reply is taken.
    pub fn take_reply(&mut self) {
        self.replies.pop_front();
    }

    /// May a step be taken, if there is one before the bound that is final?
    pub fn may_step(&self) -> bool {
        self.life.may_step()
    }

    /// No step of this time or a later one may be taken.
    pub fn bound(&self) -> Millis {
        self.life.bound()
    }

    /// The bound, if what holds steps back there is a deploy that is not decided, or a version that is not compiled.
    pub fn held_from(&self) -> Option<Millis> {
        let bound = self.bound();
        let undecided = || self.prepared.is_some_and(|held| held.until == bound);
        (bound != FOREVER && (undecided() || self.wants().is_some())).then_some(bound)
    }

    /// The version that the task needs for its next steps and that is not compiled.
    pub fn wants(&self) -> Option<VersionId> {
        let compiled = |version: &VersionId| self.rules.wirings.contains_key(version);
        self.life.next_version().filter(|version| !compiled(version))
    }

    /// The last step is of the time `last` by now. A few times in each 100 ms.
    pub fn note_stride(&mut self, now: Duration, last: Millis) {
        self.stride.note(now, last);
    }

    /// What the control topic has told.
    pub fn rules(&self) -> &RulesSchedule {
        &self.rules
    }

    /// The deploy that the task took over last.
    pub fn deployed(&self) -> Number {
        self.deployed
    }

    /// The deploy that the task promised to hold for.
    pub fn prepared(&self) -> Option<Prepared> {
        self.prepared
    }
}
