//! What a live task takes steps with.
//!
//! Rule: it borrows the task's organs for one batch. The state is not among them: the stepper changes that.

use crate::arrivals::{Arrivals, Waiting};
use crate::binding::Layout;
use crate::record::Partition;
use crate::shadow::Link;
use crate::step::{self, Tally};
use crate::task::epoch::Epoch;
use crate::task::progress::Progress;
use crate::task::schedule::Schedule;

/// A step of a live task.
pub type Planned = step::Planned<Waiting, ()>;

/// Everything but its state that a live task takes steps with.
pub struct Live<'a> {
    pub partition: Partition,
    pub layout: &'a Layout,
    pub arrivals: &'a mut Arrivals,
    pub schedule: &'a mut Schedule,
    pub progress: &'a mut Progress,
    pub tally: &'a mut Tally,
    pub shadow: Option<&'a mut Link>,
    pub epoch: &'a mut Epoch,
}
