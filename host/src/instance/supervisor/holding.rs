//! The state of a partition in this instance, and how each event changes it. It is a table, tested cell by cell.
//!
//! ```text
//!            Assigned              Revoked      Lost         Restored  Closed
//! Away       Restoring             -            -            -         -
//! Restoring  Restoring (new stay)  Away         Away         Open      -
//! Open       Dropping, again       Closing      Dropping     -         -
//! Closing    Closing, again        not again    Dropping     -         Away, or Restoring when again
//! Dropping   Dropping, again       not again    not again    -         Away, or Restoring when again
//! ```
//!
//! Rule: a worker has the task of only one stay at a time. So if a partition is assigned while a worker still has it,
//! the restore waits until the worker has said that it is closed. Reports about an older stay change nothing.

use crate::record::Stay;

/// The state of a partition in this instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holding {
    /// It is not ours, and no worker has it.
    #[default]
    Away,
    /// It is ours, and is being restored.
    Restoring(Stay),
    /// A worker runs its task.
    Open(Stay),
    /// A worker must commit its task's open epoch and close the task. The partition may have been assigned again since.
    Closing(Stay, Again),
    /// A worker must drop its task, which belongs to another instance already. The partition may have been assigned
    /// again since.
    Dropping(Stay, Again),
}

/// The stay that begins when the worker has closed the partition, if there is one.
pub type Again = Option<Stay>;

/// An event about a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionEvent {
    /// It is assigned, with a new stay.
    Assigned(Stay),
    /// It must be given back.
    Revoked,
    /// It belongs to another instance already.
    Lost,
    /// The restore for this stay has made a task.
    Restored(Stay),
    /// The worker has closed the task for this stay.
    Closed(Stay),
}

/// What must be done about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FollowUp {
    /// Abandon the restore for this stay.
    pub abandon: Option<Stay>,
    /// Tell the worker to close or drop the task for this stay.
    pub close: Option<(Stay, GiveUp)>,
    /// Restore this stay.
    pub restore: Option<Stay>,
}

/// How a worker gives up a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// It commits the open epoch.
    Close,
    /// It drops the open epoch, because the task belongs to another instance.
    Drop,
}

impl Holding {
    /// The stay that a worker must close before another instance may have the partition.
    pub fn awaited(self) -> Option<Stay> {
        match self {
            Holding::Closing(stay, _) | Holding::Dropping(stay, _) => Some(stay),
            Holding::Away | Holding::Restoring(_) | Holding::Open(_) => None,
        }
    }

    /// Looks up the event in the table.
    pub fn after(self, event: PartitionEvent) -> (Holding, FollowUp) {
        use Holding::*;
        use PartitionEvent::*;
        let none = FollowUp::default();
        let abandon = |stay| FollowUp {
            abandon: Some(stay),
            ..none
        };
        let close = |stay, way| FollowUp {
            close: Some((stay, way)),
            ..none
        };
        let restore = |stay| FollowUp {
            restore: Some(stay),
            ..none
        };
        match (self, event) {
            (Away, Assigned(new)) => (Restoring(new), restore(new)),
            (Restoring(old), Assigned(new)) => (
                Restoring(new),
                FollowUp {
                    abandon: Some(old),
                    ..restore(new)
                },
            ),
            // We were never told that it was lost in between, but it must have been.
            (Open(old), Assigned(new)) => (Dropping(old, Some(new)), close(old, GiveUp::Drop)),
            (Closing(old, _), Assigned(new)) => (Closing(old, Some(new)), none),
            (Dropping(old, _), Assigned(new)) => (Dropping(old, Some(new)), none),

            (Restoring(stay), Revoked | Lost) => (Away, abandon(stay)),
            (Open(stay), Revoked) => (Closing(stay, None), close(stay, GiveUp::Close)),
            (Open(stay) | Closing(stay, _), Lost) => (Dropping(stay, None), close(stay, GiveUp::Drop)),
            (Closing(stay, _), Revoked) => (Closing(stay, None), none),
            (Dropping(stay, _), Revoked | Lost) => (Dropping(stay, None), none),

            (Restoring(stay), Restored(done)) if stay == done => (Open(stay), none),
            (Closing(stay, again) | Dropping(stay, again), Closed(done)) if stay == done => match again {
                Some(new) => (Restoring(new), restore(new)),
                None => (Away, none),
            },
            // It is about an older stay, or there is nothing to do.
            (same, Restored(_) | Closed(_)) => (same, none),
            (Away, Revoked | Lost) => (Away, none),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Holding::*;
    use super::PartitionEvent::*;
    use super::*;

    const OLD: Stay = Stay(3);
    const NOW: Stay = Stay(5);
    const NEW: Stay = Stay(7);
    const NEWER: Stay = Stay(9);

    /// A cell of the table: state, event, next state, what must be done.
    fn cell(from: Holding, event: PartitionEvent, to: Holding, follows: FollowUp) {
        assert_eq!(from.after(event), (to, follows), "{from:?} x {event:?}");
    }

    fn abandon(stay: Stay) -> FollowUp {
        FollowUp {
            abandon: Some(stay),
            ..FollowUp::default()
        }
    }

    fn restore(stay: Stay) -> FollowUp {
        FollowUp {
            restore: Some(stay),
            ..FollowUp::default()
        }
    }

    fn lets_go(way: GiveUp) -> FollowUp {
        FollowUp {
            close: Some((NOW, way)),
            ..FollowUp::default()
        }
    }

    const NOTHING: FollowUp = FollowUp {
        abandon: None,
        close: None,
        restore: None,
    };

    #[test]
    fn away_x_assigned() {
        cell(Away, Assigned(NOW), Restoring(NOW), restore(NOW));
    }

    #[test]
    fn away_x_revoked() {
        cell(Away, Revoked, Away, NOTHING);
    }

    #[test]
    fn away_x_lost() {
        cell(Away, Lost, Away, NOTHING);
    }

    #[test]
    fn away_x_restored() {
        cell(Away, Restored(OLD), Away, NOTHING);
    }

    #[test]
    fn away_x_closed() {
        cell(Away, Closed(OLD), Away, NOTHING);
    }

    #[test]
    fn restoring_x_assigned() {
        let both = FollowUp {
            abandon: Some(NOW),
            ..restore(NEW)
        };
        cell(Restoring(NOW), Assigned(NEW), Restoring(NEW), both);
    }

    #[test]
    fn restoring_x_revoked() {
        cell(Restoring(NOW), Revoked, Away, abandon(NOW));
    }

    #[test]
    fn restoring_x_lost() {
        cell(Restoring(NOW), Lost, Away, abandon(NOW));
    }

    #[test]
    fn restoring_x_restored() {
        cell(Restoring(NOW), Restored(NOW), Open(NOW), NOTHING);
        cell(Restoring(NOW), Restored(OLD), Restoring(NOW), NOTHING);
    }

    #[test]
    fn restoring_x_closed() {
        cell(Restoring(NOW), Closed(OLD), Restoring(NOW), NOTHING);
    }

    #[test]
    fn open_x_assigned() {
        cell(
            Open(NOW),
            Assigned(NEW),
            Dropping(NOW, Some(NEW)),
            lets_go(GiveUp::Drop),
        );
    }

    #[test]
    fn open_x_revoked() {
        cell(Open(NOW), Revoked, Closing(NOW, None), lets_go(GiveUp::Close));
    }

    #[test]
    fn open_x_lost() {
        cell(Open(NOW), Lost, Dropping(NOW, None), lets_go(GiveUp::Drop));
    }

    #[test]
    fn open_x_restored() {
        cell(Open(NOW), Restored(OLD), Open(NOW), NOTHING);
        cell(Open(NOW), Restored(NOW), Open(NOW), NOTHING);
    }

    #[test]
    fn open_x_closed() {
        cell(Open(NOW), Closed(OLD), Open(NOW), NOTHING);
    }

    #[test]
    fn closing_x_assigned() {
        cell(Closing(NOW, None), Assigned(NEW), Closing(NOW, Some(NEW)), NOTHING);
        let twice = Closing(NOW, Some(NEW));
        cell(twice, Assigned(NEWER), Closing(NOW, Some(NEWER)), NOTHING);
    }

    #[test]
    fn closing_x_revoked() {
        cell(Closing(NOW, None), Revoked, Closing(NOW, None), NOTHING);
        cell(Closing(NOW, Some(NEW)), Revoked, Closing(NOW, None), NOTHING);
    }

    #[test]
    fn closing_x_lost() {
        for again in [None, Some(NEW)] {
            cell(Closing(NOW, again), Lost, Dropping(NOW, None), lets_go(GiveUp::Drop));
        }
    }

    #[test]
    fn closing_x_restored() {
        cell(Closing(NOW, None), Restored(OLD), Closing(NOW, None), NOTHING);
    }

    #[test]
    fn closing_x_closed() {
        cell(Closing(NOW, None), Closed(NOW), Away, NOTHING);
        cell(Closing(NOW, Some(NEW)), Closed(NOW), Restoring(NEW), restore(NEW));
        cell(Closing(NOW, None), Closed(OLD), Closing(NOW, None), NOTHING);
    }

    #[test]
    fn dropping_x_assigned() {
        cell(Dropping(NOW, None), Assigned(NEW), Dropping(NOW, Some(NEW)), NOTHING);
    }

    #[test]
    fn dropping_x_revoked() {
        cell(Dropping(NOW, Some(NEW)), Revoked, Dropping(NOW, None), NOTHING);
    }

    #[test]
    fn dropping_x_lost() {
        cell(Dropping(NOW, Some(NEW)), Lost, Dropping(NOW, None), NOTHING);
    }

    #[test]
    fn dropping_x_restored() {
        cell(Dropping(NOW, None), Restored(OLD), Dropping(NOW, None), NOTHING);
    }

    #[test]
    fn dropping_x_closed() {
        cell(Dropping(NOW, None), Closed(NOW), Away, NOTHING);
        cell(Dropping(NOW, Some(NEW)), Closed(NOW), Restoring(NEW), restore(NEW));
        cell(Dropping(NOW, None), Closed(OLD), Dropping(NOW, None), NOTHING);
    }
}
