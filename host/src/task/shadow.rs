//! Shadow runs: another version of the rules takes a task's steps beside the live one, and what they make of them is compared.
//!
//! Rules:
//! - A shadow has no effect outside: it has rows, timers and lookups of its own, and writes nothing. Of the live task it gets
//!   [`Tape`]s, of committed epochs only; it never reads the live state.
//! - It begins at P, the end of an epoch that is committed, with the state as of P (see [`tape`] for the rows). From then on it
//!   takes the same records, in the same order; its timers are its own, due by the rule of all timers; and to its questions it
//!   gets the live answer, at its place, where the live rules have asked the same at the same step. Others are unavailable.
//! - The live task waits for nothing of it: tapes wait in a queue with a bound, and over that bound the shadow is dropped. So it
//!   is when its state is over its bound, when the task starts over in doubt, and when the task is closed. It says why.
//! - Where there is no shadow, all of this costs a task one branch a batch, and one a commit.

mod compare;
mod feed;
mod fields;
mod known;
mod link;
mod playback;
mod run;
pub mod tape;
mod trial;

pub use feed::{Begin, Feed};
pub use link::Link;
pub use run::Shadow;
pub use tape::Tape;
pub use trial::{Bounds, Parts, Player, Trial};

use crate::task::Task;
use crate::task::epoch::Epoch;

impl Task {
    /// Begins with the shadow of the orders, or ends with one that is over.
    pub(super) fn follow_shadow(&mut self, epoch: &mut Epoch) {
        let wanted = self.schedule.rules().shadow.as_ref();
        let same = |link: &Link| wanted.is_some_and(|wanted| std::sync::Arc::ptr_eq(wanted, link.trial()));
        if self.shadow.as_deref().is_some_and(same) {
            return;
        }
        if let Some(old) = self.shadow.take() {
            old.end("it is over");
        }
        if let Some(trial) = wanted.filter(|trial| !trial.has_begun(self.partition)) {
            self.shadow = Some(Box::new(Link::new(trial.clone(), self.partition)));
            // It begins at the end of an epoch: soon, also when no step comes.
            epoch.touched.insert(self.partition);
        }
    }

    /// Nobody knows whether the sealed epoch is committed, and it is about to be dropped.
    pub fn doubt(&mut self) {
        if let Some(shadow) = &mut self.shadow {
            shadow.doubt(self.state.rows());
        }
    }

    /// The open epoch is sealed, with the state as it is now.
    pub(super) fn seal_shadow(&mut self) {
        let watermark = self.watermark().min(self.schedule.bound());
        let waiting = self.arrivals.earliest();
        let timer = self.state.timers().first().map(|timer| timer.time());
        // Nothing that is to come stands before it.
        let until = [waiting, timer].into_iter().flatten().fold(watermark, i64::min);
        let follows = self.schedule.follows_journal();
        let Some(link) = &mut self.shadow else { return };
        let begin = || {
            (!follows).then(|| Begin {
                live: self.wiring.clone(),
                timers: self.state.timers().iter().cloned().collect(),
                lookups: self
                    .state
                    .lookups()
                    .iter()
                    .map(|(name, pending)| (name.clone(), pending.clone()))
                    .collect(),
                names: self.state.names().clone(),
                last: self.progress.last().clone(),
            })
        };
        link.seal((self.progress.last().clone(), self.progress.sequence()), begin, until);
    }
}
