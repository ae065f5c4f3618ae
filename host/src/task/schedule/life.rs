//! The states of a task's life. They say what decides its next step, and whether it may take one at all.
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
//! - Only a task that follows its journal waits for a version that the journal names. Only the end of the journal ends
//!   this state.
//! - The end of a journal counts when it is committed. Until then the journal is kept, and a task that starts over
//!   follows it again.
//! - The course of a scheduled task depends only on the schedule, on the last deploy that it took over, and on its
//!   promise ([`Course::of`]). Nothing else sets it.

use super::replay::Replay;
use crate::deploy::RulesSchedule;
use crate::deploy::protocol::{self, Committed};
use crate::fault::fault;
use crate::record::{FOREVER, Millis, NEVER, Number, StepKey, VersionId};
use crate::state::meta::PreparedDeploy;

/// What decides a task's next step.
#[derive(Debug)]
pub enum Life {
    /// The task has not been told its schedule since it opened or started over. It takes no step, because a deploy may
    /// have been withdrawn.
    Uninformed {
        /// The journal that it will follow.
        journal: Option<Box<Replay>>,
    },
    /// The journal decides. It says which version takes over where, and what each reply was.
    ControlReader {
        /// The rest of the journal.
        journal: Box<Replay>,
        /// The version that takes over here, while it is being compiled. No step is taken until then.
        awaits: Option<VersionId>,
    },
    /// The schedule decides.
    Scheduled {
        /// Which steps it may take.
        course: Course,
        /// The journal that was followed, until its end is committed.
        ended: Option<Box<Replay>>,
    },
}

/// Which steps a scheduled task may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Every final step.
    Running,
    /// Every step before the time of the next deploy. Then that deploy takes over.
    Approaching {
        /// The next deploy.
        next: Committed,
    },
    /// Every step before the time of its promise. What comes after depends on a deploy that is not decided.
    Holding {
        /// The time of the promise.
        until: Millis,
        /// A committed deploy for a later time.
        next: Option<Committed>,
    },
    /// No step: the last deploy that it took over was withdrawn.
    Withdrawn {
        /// The deploy that takes over as soon as it is compiled. Without one, the task waits for a later deploy.
        replacement: Option<Committed>,
    },
}

impl Course {
    /// The course of a task that has taken over `deployed` and holds for `prepared`.
    pub fn of(rules: &RulesSchedule, deployed: Number, prepared: Option<PreparedDeploy>) -> Course {
        let withdrawn = rules.withdrawn.iter().find(|one| one.number == deployed);
        if let Some(withdrawn) = withdrawn.filter(|_| !fault!("withdrawal-ignored")) {
            let replacement = withdrawn.replacement;
            return Course::Withdrawn { replacement };
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

    /// No step of this time or later may be taken.
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
    /// The life of a task that opens.
    pub fn open(journal: Option<Replay>) -> Life {
        Life::Uninformed {
            journal: journal.map(Box::new),
        }
    }

    /// The task is told its schedule. `course` is what the schedule says.
    pub fn inform(&mut self, course: Course) {
        *self = match self.take() {
            Life::Uninformed { journal: Some(journal) } => Life::ControlReader { journal, awaits: None },
            Life::Uninformed { journal: None } => Life::Scheduled { course, ended: None },
            // While a journal is followed, the journal decides.
            reader @ Life::ControlReader { .. } => reader,
            Life::Scheduled { ended, .. } => Life::Scheduled { course, ended },
        };
    }

    /// A version has taken over. `course` is what the schedule says now.
    ///
    /// # Panics
    /// If the task is uninformed. It takes no steps then, so nothing can take over.
    pub fn take_over(&mut self, course: Course) {
        assert!(
            !matches!(self, Life::Uninformed { .. }),
            "nothing takes over before the task knows its schedule"
        );
        self.inform(course);
    }

    /// The end of the journal is reached. From here on the schedule decides.
    ///
    /// # Panics
    /// If no journal is followed, or if the journal still waits for a version.
    pub fn end_journal(&mut self, course: Course) {
        *self = match self.take() {
            Life::ControlReader { journal, awaits: None } => Life::Scheduled {
                course,
                ended: Some(journal),
            },
            other => panic!("only a journal that is followed has an end, and not in front of a take-over: {other:?}"),
        };
    }

    /// An epoch is committed while no journal is followed. Returns whether this committed the end of one.
    pub fn commit_end(&mut self) -> bool {
        match self {
            Life::Scheduled { ended, .. } => ended.take().is_some(),
            _ => false,
        }
    }

    /// Goes back to the last commit: after the step `last`, and after `sequence` journaled inputs that follow it.
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

    /// No step of this time or later may be taken. A journal that is followed has its own bound.
    pub fn bound(&self) -> Millis {
        match self {
            Life::Uninformed { .. } => NEVER,
            Life::ControlReader { .. } => FOREVER,
            Life::Scheduled { course, .. } => course.bound(),
        }
    }

    /// Whether a step may be taken, provided there is a final one before the bound.
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

    /// The version that takes over next, wherever that will be.
    pub fn next_version(&self) -> Option<VersionId> {
        match self {
            Life::Uninformed { .. } => None,
            Life::ControlReader { awaits, .. } => *awaits,
            Life::Scheduled { course, .. } => match course {
                Course::Running => None,
                Course::Approaching { next } => Some(next.version),
                Course::Holding { next, .. } => next.map(|next| next.version),
                Course::Withdrawn { replacement: instead } => instead.map(|instead| instead.version),
            },
        }
    }

    /// The journal that decides, now or as soon as the task is told its schedule.
    pub fn journal(&self) -> Option<&Replay> {
        match self {
            Life::Uninformed { journal } => journal.as_deref(),
            Life::ControlReader { journal, .. } => Some(journal),
            Life::Scheduled { .. } => None,
        }
    }

    /// Whether the task keeps a journal. It does so until the journal's end is committed.
    pub fn keeps_journal(&self) -> bool {
        match self {
            Life::Uninformed { journal } | Life::Scheduled { ended: journal, .. } => journal.is_some(),
            Life::ControlReader { .. } => true,
        }
    }

    /// The journal that the task keeps, until its end is committed.
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
