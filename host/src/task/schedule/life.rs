//! The states of a task's life: what decides its next step, and whether it may take one at all.
//!
//! ```text
//!                 opens, or starts over after a dropped epoch (from every state)
//!                                        |
//!                                        v
//!                                 +-------------+
//!                                 | Uninformed  |  no step
//!                                 +-------------+
//!                     schedule, and |         | schedule, and
//!                  there is a journal         | no journal
//!                                   v         |
//!   +------------+            +-------------+ |
//!   |  Awaiting  |<---------->|  Following  | |  journaled steps
//!   +------------+  version   +-------------+ |
//!      no step      missing         |         |
//!                 or compiled   end |         |
//!                                   v         v
//!                    +-----------------------------------+
//!                    |             Scheduled             |<--+  another schedule,
//!                    |  Running      every final step    |   |  or a take-over
//!                    |  Approaching  up to the next one  |---+
//!                    |  Holding      up to a promise     |
//!                    |  Withdrawn    no step             |
//!                    +-----------------------------------+
//! ```
//!
//! Rules:
//! - Only a task that follows its journal waits for a version that the journal names, and only its end lets it out.
//! - The end of a journal counts once it is committed. Until then the journal is kept: a task that starts over follows it again.
//! - Which course a scheduled task takes is a function of the schedule, of the deploy that it took over last and of the promise
//!   that it gave ([`Course::of`]). Nobody sets it.

use super::replay::Replay;
use crate::deploy::RulesSchedule;
use crate::deploy::protocol::{self, Committed};
use crate::record::{FOREVER, Millis, NEVER, Number, StepKey, VersionId};
use crate::state::meta::Prepared;

/// What decides a task's next step.
#[derive(Debug)]
pub enum Life {
    /// It has not been told its schedule since it opened or started over. It takes no step: a deploy may have been withdrawn.
    Uninformed {
        /// The journal that it will follow.
        journal: Option<Box<Replay>>,
    },
    /// The journal decides: it says which version takes over where, and what each reply was.
    ControlReader {
        /// What is left of it.
        journal: Box<Replay>,
        /// The version that takes over here, while it is being compiled: no step until then.
        awaits: Option<VersionId>,
    },
    /// The schedule decides.
    Scheduled {
        /// Which steps it may take.
        course: Course,
        /// The journal whose end is not committed yet.
        ended: Option<Box<Replay>>,
    },
}

/// Which steps a scheduled task may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Every step that is final.
    Running,
    /// Every step before the time of the next deploy, which takes over there.
    Approaching {
        /// The next deploy.
        next: Committed,
    },
    /// Every step before the time that it promised to hold from. What comes after it depends on a deploy that is not decided.
    Holding {
        /// The time.
        until: Millis,
        /// A deploy that is committed, for a later time.
        next: Option<Committed>,
    },
    /// None: the deploy that it took over last was withdrawn.
    Withdrawn {
        /// The deploy that takes over, as soon as it is compiled. Without one the task waits for a later deploy.
        instead: Option<Committed>,
    },
}

impl Course {
    /// The course of a task that has taken over `deployed` and holds for `prepared`.
    pub fn of(rules: &RulesSchedule, deployed: Number, prepared: Option<Prepared>) -> Course {
        if let Some(withdrawn) = rules.withdrawn.iter().find(|one| one.number == deployed) {
            let instead = withdrawn.instead;
            return Course::Withdrawn { instead };
        }
        let next = protocol::next(&rules.committed, deployed).copied();
        match (prepared, next) {
            (Some(held), next) if held.until < next.map_or(FOREVER, |next| next.at) => Course::Holding {
                until: held.until,
                next,
            },
            (_, Some(next)) => Course::Approaching { next },
            (_, None) => Course::Running,
        }
    }

    /// No step of this time or a later one may be taken.
    fn bound(&self) -> Millis {
        match self {
            Course::Running => FOREVER,
            Course::Approaching { next } => next.at,
            Course::Holding { until, .. } => *until,
            Course::Withdrawn { .. } => NEVER,
        }
    }
}

impl Life {
    /// A task opens.
    pub fn open(journal: Option<Replay>) -> Life {
        Life::Uninformed {
            journal: journal.map(Box::new),
        }
    }

    /// The task knows its schedule: `course` is what it says.
    pub fn inform(&mut self, course: Course) {
        *self = match self.take() {
            Life::Uninformed { journal: Some(journal) } => Life::ControlReader { journal, awaits: None },
            Life::Uninformed { journal: None } => Life::Scheduled { course, ended: None },
            // The journal knows better.
            reader @ Life::ControlReader { .. } => reader,
            Life::Scheduled { ended, .. } => Life::Scheduled { course, ended },
        };
    }

    /// A version has taken over: `course` is what the schedule says now.
    ///
    /// # Panics
    /// When the task is not informed: it takes no step, so nothing can take over.
    pub fn take_over(&mut self, course: Course) {
        assert!(
            !matches!(self, Life::Uninformed { .. }),
            "nothing takes over before the task knows its schedule"
        );
        self.inform(course);
    }

    /// The end of the journal is reached: the schedule decides from here on.
    ///
    /// # Panics
    /// When no journal is followed, or it still names a version that is awaited.
    pub fn end_journal(&mut self, course: Course) {
        *self = match self.take() {
            Life::ControlReader { journal, awaits: None } => Life::Scheduled {
                course,
                ended: Some(journal),
            },
            other => panic!("only a journal that is followed has an end, and not in front of a take-over: {other:?}"),
        };
    }

    /// An epoch of a task that follows no journal is committed. Returns whether that was the end of one.
    pub fn commit_end(&mut self) -> bool {
        match self {
            Life::Scheduled { ended, .. } => ended.take().is_some(),
            _ => false,
        }
    }

    /// The task goes back to its last commit: after `last` and `sequence` journaled inputs that stand there.
    pub fn start_over(&mut self, last: &StepKey, sequence: u64) {
        let mut journal = match self.take() {
            Life::Uninformed { journal } | Life::Scheduled { ended: journal, .. } => journal,
            Life::ControlReader { journal, .. } => Some(journal),
        };
        if let Some(journal) = &mut journal {
            journal.resume(last, sequence);
        }
        *self = Life::Uninformed { journal };
    }

    /// No step of this time or a later one may be taken. A journal that is followed has a bound of its own.
    pub fn bound(&self) -> Millis {
        match self {
            Life::Uninformed { .. } => NEVER,
            Life::ControlReader { .. } => FOREVER,
            Life::Scheduled { course, .. } => course.bound(),
        }
    }

    /// May a step be taken, if one is final before the bound?
    pub fn may_step(&self) -> bool {
        match self {
            Life::Uninformed { .. } => false,
            Life::ControlReader { awaits, .. } => awaits.is_none(),
            Life::Scheduled { course, .. } => !matches!(course, Course::Withdrawn { .. }),
        }
    }

    /// Which steps a scheduled task may take.
    pub fn course(&self) -> Option<&Course> {
        match self {
            Life::Scheduled { course, .. } => Some(course),
            _ => None,
        }
    }

    /// The version that takes over next, wherever that is.
    pub fn next_version(&self) -> Option<VersionId> {
        match self {
            Life::Uninformed { .. } => None,
            Life::ControlReader { awaits, .. } => *awaits,
            Life::Scheduled { course, .. } => match course {
                Course::Running => None,
                Course::Approaching { next } => Some(next.version),
                Course::Holding { next, .. } => next.map(|next| next.version),
                Course::Withdrawn { instead } => instead.map(|instead| instead.version),
            },
        }
    }

    /// The journal that decides, now or as soon as the task is informed.
    pub fn journal(&self) -> Option<&Replay> {
        match self {
            Life::Uninformed { journal } => journal.as_deref(),
            Life::ControlReader { journal, .. } => Some(journal),
            Life::Scheduled { .. } => None,
        }
    }

    /// Does the task hold a journal, also one whose end is reached but not committed?
    pub fn keeps_journal(&self) -> bool {
        match self {
            Life::Uninformed { journal } | Life::Scheduled { ended: journal, .. } => journal.is_some(),
            Life::ControlReader { .. } => true,
        }
    }

    /// The journal that the task holds, also when its end is reached but not committed.
    pub fn kept_journal(&mut self) -> Option<&mut Replay> {
        match self {
            Life::Uninformed { journal } | Life::Scheduled { ended: journal, .. } => journal.as_deref_mut(),
            Life::ControlReader { journal, .. } => Some(journal),
        }
    }

    fn take(&mut self) -> Life {
        std::mem::replace(self, Life::Uninformed { journal: None })
    }
}

#[cfg(test)]
mod tests;
