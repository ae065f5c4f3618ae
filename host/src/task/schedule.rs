//! Decides which version of the rules a task's next step takes, and whether the task may take a step at all.
//!
//! Rules:
//! - A task that holds for a deploy takes no step of the deploy's time or later. The promise to hold is in its meta,
//!   and its answer is on the control topic, both in one transaction. A deploy for "now" has no time yet. For such a
//!   deploy a task holds from where it will be soon.
//! - A deploy takes over before the first step of its time or later, in the transaction of that step, and this is
//!   journaled. The task's meta says which deploy it took over last. Nothing else decides which version its steps take.
//! - When every step before the deploy's time is taken and no reply can come, the deploy takes over without a step.
//! - A task whose deploy is withdrawn goes back before it takes another step or reply, and this is journaled.
//! - All of this is expressed as one bound for the steps that are planned ([`Schedule::bound`]), so it costs nothing
//!   per step.
//!
//! A schedule only decides, and remembers its decisions. The task applies them to its state and to the topics.

mod held;
mod life;
mod replay;
mod speed;
#[cfg(test)]
mod tests;

pub use held::CantHold;
pub use replay::{Preset, Replay};
pub use speed::Moment;

use crate::binding::Wiring;
use crate::deploy::protocol::Committed;
use crate::deploy::{Prepare, RulesSchedule};
use crate::record::journal::{JournalInput, LookupEnding};
use crate::record::{FOREVER, Millis, Number, Offset, StepKey, VersionId};
use crate::state::meta::{Meta, PreparedDeploy};
use life::{Course, Life};
use speed::EventTimeSpeed;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// The schedule of one task.
pub struct Schedule {
    /// What the control topic says. In [`Life::Uninformed`] this may be out of date.
    rules: Arc<RulesSchedule>,
    life: Life,
    /// The last deploy that it took over.
    deployed: Number,
    /// Its promise to hold for a deploy, until that deploy is decided.
    prepared: Option<PreparedDeploy>,
    /// The last deploy that it refused. It is kept so that each deploy is refused only once.
    refused: Number,
    /// Replies that are taken before the next step, in the order of their arrival. At most one for each pending lookup.
    replies: VecDeque<Offered>,
    speed: EventTimeSpeed,
    /// The end of a journal was committed, and the pending questions have not been asked yet.
    may_ask: bool,
}

/// The result of a lookup that was offered to a task.
#[derive(Clone, Debug)]
pub struct Offered {
    /// Id of the lookup.
    pub id: Box<[u8]>,
    /// The result.
    pub ending: LookupEnding,
}

/// A take-over that the journal demands here.
pub struct JournaledTakeOver {
    /// Its deploy.
    pub number: Number,
    /// The version. `None` if the control topic doesn't know it.
    pub wiring: Option<Arc<Wiring>>,
}

impl Schedule {
    /// The schedule of a task that opens. [`start_over`](Schedule::start_over) then puts it where the task is
    /// committed.
    pub fn open(rules: Arc<RulesSchedule>, journal: Option<Replay>) -> Schedule {
        Schedule {
            rules,
            life: Life::open(journal),
            deployed: 0,
            prepared: None,
            refused: 0,
            replies: VecDeque::new(),
            speed: EventTimeSpeed::default(),
            may_ask: false,
        }
    }

    /// Goes back to what is committed. The task must be told its schedule again before its next step.
    pub fn start_over(&mut self, committed: &Meta) {
        self.life.start_over(&committed.last, committed.sequence);
        self.deployed = committed.deployed;
        self.prepared = committed.prepared;
        self.refused = 0;
        self.replies.clear();
    }

    /// An epoch is committed. `follows` is the end of the journal that was followed when the epoch was sealed.
    pub fn commit(&mut self, follows: Option<Offset>) {
        if follows.is_none() && self.life.commit_end() {
            self.may_ask = true;
        }
    }

    /// Takes what the control topic says. Returns whether that is news. If so, [`settle`](Schedule::settle) must
    /// follow.
    pub fn update(&mut self, rules: &Arc<RulesSchedule>) -> bool {
        let known = !matches!(self.life, Life::Uninformed { .. }) && Arc::ptr_eq(&self.rules, rules);
        if !known {
            self.rules = rules.clone();
        }
        !known
    }

    /// Drops the promise to hold for a deploy that has been decided. Returns whether there was one.
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

    /// Whether the task may hold for this deploy. `last` is the time of its last step. Returns the version that must
    /// know everything that is pending, or `None` if it need not. The error says why the task may not hold.
    pub fn may_hold(&self, prepare: &Prepare, last: Millis) -> Result<Option<&Wiring>, CantHold> {
        if self.follows_journal() {
            return Err(CantHold::FollowsJournal);
        }
        if let Some(at) = prepare.at
            && last >= at
        {
            return Err(CantHold::Passed { last, at });
        }
        let wiring = self.rules.wirings.get(&prepare.version);
        Ok(wiring.filter(|_| !prepare.drop_timers).map(Arc::as_ref))
    }

    /// Promises to hold for a deploy, and returns the position to answer with. If the task may choose the position, it
    /// takes the place where it will be when the deploy is decided, so that it need not stop until then.
    pub fn hold(&mut self, prepare: &Prepare, moment: &Moment, last: Millis) -> Millis {
        let position = match prepare.at {
            Some(_) => last,
            None => last.saturating_add(self.speed.look_ahead(moment, last)),
        };
        self.prepared = Some(PreparedDeploy {
            number: prepare.number,
            version: prepare.version,
            until: prepare.at.unwrap_or(position.saturating_add(1)),
        });
        position
    }

    /// Notes that the task doesn't hold for this deploy.
    pub fn refuse(&mut self, deploy: Number) {
        self.refused = deploy;
    }

    /// The task now knows its schedule, and has answered.
    pub fn settle(&mut self) {
        self.life.inform(self.course());
    }

    fn course(&self) -> Course {
        Course::of(&self.rules, self.deployed, self.prepared)
    }

    /// The deploy that takes over at once because the one before it was withdrawn. `None` until it is compiled.
    pub fn replacement(&self) -> Option<(Committed, Arc<Wiring>)> {
        let Some(Course::Withdrawn { replacement: instead }) = self.life.course() else {
            return None;
        };
        self.with_wiring((*instead)?)
    }

    /// The next deploy, if nothing else bounds the steps before it. It takes over as soon as they are taken.
    pub fn approaching(&self) -> Option<Committed> {
        match self.life.course() {
            Some(Course::Approaching { next }) => Some(*next),
            _ => None,
        }
    }

    /// The next deploy, if it is compiled and takes over now. `first_step` is the time of the first step that waits.
    /// `asks` says that lookups are pending.
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
        // A final step before the deploy's time comes first. If the first final step is of its time or later, nothing
        // can come before the deploy. If there is no final step, a reply still can.
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

    /// The next step belongs to this deploy.
    pub fn take_over(&mut self, deploy: Number) {
        self.deployed = deploy;
        self.life.take_over(self.course());
    }

    /// Does what the journal says for the place after the step `last`. It offers the next reply, or returns a version
    /// that takes over. The task then takes over and calls this again.
    pub fn follow_journal(&mut self, last: &StepKey) -> Option<JournaledTakeOver> {
        let Life::ControlReader { journal, awaits } = &mut self.life else {
            return None;
        };
        *awaits = None;
        while self.replies.is_empty()
            && let Some(happening) = journal.next_after(last)
        {
            match happening {
                JournalInput::Reply { id, answer } => {
                    let (id, ending) = (id.clone(), answer.clone());
                    journal.give(id.clone());
                    self.replies.push_back(Offered { id, ending });
                }
                JournalInput::Rules { version, number } => {
                    let (version, number) = (*version, *number);
                    let wiring = self.rules.wirings.get(&version).cloned();
                    if wiring.is_none() && self.rules.knows(version) {
                        // The version is being compiled.
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

    /// Stops following the journal, if nothing of it is left after the step `last`. Returns whether it stopped.
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

    /// Whether a journal is being followed.
    pub fn follows_journal(&self) -> bool {
        self.life.journal().is_some()
    }

    /// Where the journal that is followed ends.
    pub fn follows(&self) -> Option<Offset> {
        self.life.journal().map(Replay::end)
    }

    /// Whether a journaled reply comes right after the step `last`. Nothing else may come before it.
    pub fn awaits_reply(&self, last: &StepKey) -> bool {
        self.journal_bound().is_some_and(|bound| bound == last)
    }

    /// The last step that the journal allows for now.
    pub fn journal_bound(&self) -> Option<&StepKey> {
        self.life.journal().and_then(Replay::bound)
    }

    /// Whether this reply came from the journal. Answers yes only once.
    pub fn take_given(&mut self, id: &[u8]) -> bool {
        self.life.kept_journal().is_some_and(|journal| journal.take_given(id))
    }

    /// The reason why the journal sends this step to the dead letters. `name` is called only if the journal knows of
    /// any such step.
    pub fn trapped_before(&self, name: impl FnOnce() -> Option<(StepKey, Option<u64>)>) -> Option<&str> {
        let journal = self.life.journal().filter(|journal| journal.has_traps())?;
        let (step, sequence) = name()?;
        journal.trap(step, sequence)
    }

    /// Returns, once, whether the end of a journal has been committed. Then the pending questions may be asked.
    pub fn take_may_ask(&mut self) -> bool {
        std::mem::take(&mut self.may_ask)
    }

    /// Whether a journal answers the task's questions. That is so until the journal's end is committed.
    pub fn keeps_journal(&self) -> bool {
        self.life.keeps_journal()
    }

    /// Offers a reply. Each lookup has only one.
    pub fn offer(&mut self, id: Box<[u8]>, ending: LookupEnding) {
        if !self.replies.iter().any(|known| known.id == id) {
            self.replies.push_back(Offered { id, ending });
        }
    }

    /// A pending reply. Index 0 is the one that is taken next.
    pub fn reply(&self, index: usize) -> Option<&Offered> {
        self.replies.get(index)
    }

    /// Drops a reply that nobody waits for any more.
    pub fn drop_reply(&mut self, index: usize) {
        self.replies.remove(index);
    }

    /// Removes the next reply, because it is taken.
    pub fn take_reply(&mut self) {
        self.replies.pop_front();
    }

    /// Whether a step may be taken, provided there is a final one before the bound.
    pub fn may_step(&self) -> bool {
        self.life.may_step()
    }

    /// No step of this time or later may be taken.
    pub fn bound(&self) -> Millis {
        self.life.bound()
    }

    /// The bound, if the steps there are held back by a deploy that is not decided, or by a version that is not
    /// compiled.
    pub fn held_from(&self) -> Option<Millis> {
        let bound = self.bound();
        let undecided = || self.prepared.is_some_and(|held| held.until == bound);
        (bound != FOREVER && (undecided() || self.wants().is_some())).then_some(bound)
    }

    /// The version that the task needs for its next steps, if it is not compiled.
    pub fn wants(&self) -> Option<VersionId> {
        let compiled = |version: &VersionId| self.rules.wirings.contains_key(version);
        self.life.next_version().filter(|version| !compiled(version))
    }

    /// Notes that the last step is now of the time `last`. Called a few times in each 100 ms.
    pub fn note_speed(&mut self, now: Duration, last: Millis) {
        self.speed.note(now, last);
    }

    /// What the control topic says.
    pub fn rules(&self) -> &RulesSchedule {
        &self.rules
    }

    /// The last deploy that the task took over.
    pub fn deployed(&self) -> Number {
        self.deployed
    }

    /// The deploy that the task has promised to hold for.
    pub fn prepared(&self) -> Option<PreparedDeploy> {
        self.prepared
    }
}
