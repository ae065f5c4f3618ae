//! A consumer group: its members, and who has which partition.
//!
//! Rule: a partition has at most one holder, even if another member should have it.

use crate::record::{Offset, Partition};
use std::collections::BTreeMap;
use std::time::Duration;

/// A member that has not polled for this long is evicted. It is Pelton's `session.timeout.ms`.
pub(super) const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// A consumer group.
#[derive(Default)]
pub(super) struct GroupState {
    pub generation: i32,
    /// By instance, which is the static member id.
    pub members: BTreeMap<String, MemberState>,
    /// Topic that the members are subscribed to.
    pub lead: String,
    /// For each partition of the lead topic: the member that has it, even if it is asked to give it back.
    pub holders: Vec<Option<String>>,
    /// For each partition of the lead topic: the member that should have it.
    pub targets: Vec<Option<String>>,
    /// Committed offsets, by (topic, partition).
    pub offsets: BTreeMap<(String, Partition), Offset>,
}

pub(super) struct MemberState {
    /// A new one at each join.
    pub id: u64,
    pub last_seen: Duration,
}

/// Partitions of each member.
type Load<'a> = BTreeMap<&'a str, Vec<usize>>;

/// The member with the fewest partitions. Ties are broken by name, so that the same history gives the same assignment.
fn least<'a>(load: &Load<'a>) -> Option<&'a str> {
    load.iter().min_by_key(|(_, has)| has.len()).map(|(name, _)| *name)
}

/// The member with the most partitions.
fn most<'a>(load: &Load<'a>) -> Option<&'a str> {
    load.iter().max_by_key(|(_, has)| has.len()).map(|(name, _)| *name)
}

impl GroupState {
    /// Spreads the partitions evenly. Members keep what they have, as long as nobody has two more than another.
    pub fn rebalance(&mut self) {
        self.generation += 1;
        let mut load: Load<'_> = self.members.keys().map(|name| (name.as_str(), Vec::new())).collect();
        let mut free = Vec::new();
        for (partition, target) in self.targets.iter().enumerate() {
            match target.as_ref().and_then(|name| load.get_mut(name.as_str())) {
                Some(has) => has.push(partition),
                None => free.push(partition),
            }
        }
        for partition in free {
            if let Some(has) = least(&load).and_then(|name| load.get_mut(name)) {
                has.push(partition);
            }
        }
        while let (Some(least), Some(most)) = (least(&load), most(&load))
            && load[most].len() > load[least].len() + 1
        {
            if let Some(partition) = load.get_mut(most).and_then(Vec::pop)
                && let Some(has) = load.get_mut(least)
            {
                has.push(partition);
            }
        }
        let mut targets = vec![None; self.targets.len()];
        for (name, has) in load {
            for partition in has {
                targets[partition] = Some(name.to_owned());
            }
        }
        self.targets = targets;
    }

    /// Removes a member and frees its partitions.
    pub fn remove(&mut self, instance: &str) {
        if self.members.remove(instance).is_some() {
            self.free(instance);
            self.rebalance();
        }
    }

    /// What the instance holds and must give back, except for what it was told already.
    pub fn revoked(&self, instance: &str, told: &[Partition]) -> Vec<Partition> {
        let is = |name: &Option<String>| name.as_deref() == Some(instance);
        let places = self.holders.iter().zip(&self.targets).zip((0..).map(Partition));
        places
            .filter(|((holder, target), partition)| is(holder) && !is(target) && !told.contains(partition))
            .map(|(_, partition)| partition)
            .collect()
    }

    /// Gives the instance what it should have and nobody holds.
    pub fn assign(&mut self, instance: &str) -> Vec<Partition> {
        let mut assigned = vec![];
        for ((holder, target), partition) in self.holders.iter_mut().zip(&self.targets).zip((0..).map(Partition)) {
            if holder.is_none() && target.as_deref() == Some(instance) {
                *holder = Some(instance.to_owned());
                assigned.push(partition);
            }
        }
        assigned
    }

    /// Frees the partitions of this instance.
    pub fn free(&mut self, instance: &str) {
        for holder in &mut self.holders {
            if holder.as_deref() == Some(instance) {
                *holder = None;
            }
        }
    }
}
