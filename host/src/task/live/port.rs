//! The parts of a live task that the stepper works on.
//!
//! Rule: they are borrowed for one batch. The state is not one of them, because the stepper itself changes it.

use crate::arrivals::Arrivals;
use crate::binding::Layout;
use crate::record::Partition;
use crate::shadow::Link;
use crate::step::Tally;
use crate::task::epoch::Epoch;
use crate::task::progress::Progress;
use crate::task::schedule::Schedule;

/// Everything but its state that a live task takes steps with.
pub struct LivePort<'a> {
    pub partition: Partition,
    pub layout: &'a Layout,
    pub arrivals: &'a mut Arrivals,
    pub schedule: &'a mut Schedule,
    pub progress: &'a mut Progress,
    pub tally: &'a mut Tally,
    pub shadow: Option<&'a mut Link>,
    pub epoch: &'a mut Epoch,
}
