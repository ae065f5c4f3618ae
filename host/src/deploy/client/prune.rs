//! Removes components from the control topic that are not needed any more.
//!
//! Rule: every version that may still run stays: those that run, those that tasks may go back to, those that a task
//! still uses, and those that a replay of the journal needs. (The stores of old versions are not touched. They stay,
//! unread.)

use super::DeployClient;
use crate::clock::wall;
use crate::deploy::DeployRefused;
use crate::deploy::api::Pruned;
use crate::deploy::batch::ControlBatch;
use crate::deploy::protocol::{Control, ControlRecord, DeployState, KnownDeploy};
use crate::record::{Millis, Number, Partition};
use crate::rules::Version;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What to keep in addition to what may still run.
#[derive(Clone, Debug, Default)]
pub struct Keep {
    /// How many of the last versions to keep.
    pub last: usize,
    /// Deploys to keep.
    pub also: Vec<Number>,
    /// Keep every version that ran within this time, which is the retention of the journal.
    pub ran_within: Duration,
}

/// A component that is not needed.
struct Prunable {
    /// Its SHA-256.
    component: [u8; 32],
    /// Its size in bytes.
    bytes: u64,
    /// The deploys that used it.
    deploys: Vec<Number>,
}

impl DeployClient {
    /// Removes what is not needed. If `dry_run`, only says what that is.
    pub fn prune(&self, keep: &Keep, dry_run: bool) -> Result<Vec<Pruned>, DeployRefused> {
        let reader = self.read()?;
        let control = reader.control();
        if let Some(open) = control.open() {
            let number = open.deploy.number;
            let why = format!("deploy {number} is not decided yet; prune once it is");
            return Err(DeployRefused::Request(why));
        }
        if let Some(unknown) = keep.also.iter().find(|number| control.known(**number).is_none()) {
            let why = format!("there is no deploy {unknown}: see `pelton rules list`");
            return Err(DeployRefused::Request(why));
        }
        let now = wall();
        let mut prunable = prunable(control, self.layout.partitions, keep, now);
        prunable.retain(|one| reader.has(&one.component, one.bytes));
        let last = prunable.iter().flat_map(|one| &one.deploys).max();
        if let (Some(&number), false) = (last, dry_run) {
            let mut batch = ControlBatch::default();
            for one in &prunable {
                batch.remove(&self.layout, &one.component, one.bytes, now);
            }
            batch.record(&self.layout, &ControlRecord::Pruned { number }, &[0; 16], now);
            self.publish(batch)?;
        }
        let pruned = |one: Prunable| Pruned {
            component: Version(one.component).to_string(),
            bytes: one.bytes,
            deploys: one.deploys,
        };
        Ok(prunable.into_iter().map(pruned).collect())
    }
}

/// The components that only removable deploys use.
fn prunable(control: &Control, tasks: i32, keep: &Keep, now: Millis) -> Vec<Prunable> {
    let kept = kept(control, tasks, keep, now);
    let of = |number: &Number| control.known(*number).map(|known| known.deploy.component);
    let needed: BTreeSet<[u8; 32]> = kept.iter().filter_map(of).collect();
    let mut prunable: BTreeMap<[u8; 32], Prunable> = BTreeMap::new();
    for KnownDeploy { deploy, .. } in control.deploys() {
        if needed.contains(&deploy.component) {
            continue;
        }
        let one = prunable.entry(deploy.component).or_insert_with(|| Prunable {
            component: deploy.component,
            bytes: deploy.bytes,
            deploys: vec![],
        });
        one.deploys.push(deploy.number);
    }
    prunable.into_values().collect()
}

fn kept(control: &Control, tasks: i32, keep: &Keep, now: Millis) -> BTreeSet<Number> {
    let mut kept: BTreeSet<Number> = keep.also.iter().copied().collect();
    kept.extend(Partition::all(tasks).map(|task| control.taken(task)));
    let mut versions = BTreeSet::new();
    // While walking back: when the next later deploy was written, which is when this one stopped.
    let mut until = now;
    for known in control.deploys().rev() {
        let number = known.deploy.number;
        let ran = matches!(known.state, DeployState::Committed(_) | DeployState::Withdrawn(..));
        // Keeps at least the running version and the one before it.
        if matches!(known.state, DeployState::Committed(_)) && versions.len() < keep.last.max(2) {
            versions.insert(known.deploy.version);
        }
        let since = now.saturating_sub(keep.ran_within.as_millis() as Millis);
        if versions.contains(&known.deploy.version) || (ran && until > since) {
            kept.insert(number);
        }
        if let DeployState::Committed(at) | DeployState::Withdrawn(at, _) = known.state {
            until = known.deploy.written.max(at);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::protocol::{Decision, Deploy};

    /// Deploys of these components, one second after another. Both tasks have taken over the last one.
    fn control(components: &[u8]) -> Control {
        let mut control = Control::new(2);
        for (at, component) in components.iter().enumerate() {
            let number = at as Number + 1;
            let at = at as Millis * 1000;
            control.apply(ControlRecord::Deploy(Deploy {
                number,
                nonce: [0; 16],
                version: [*component; 32],
                component: [*component; 32],
                bytes: 7,
                settings: "{}".into(),
                at: Some(at),
                one_way: false,
                drop_timers: false,
                author: "test".into(),
                written: at,
                declared: Default::default(),
            }));
            let decision = Decision::Commit(at);
            control.apply(ControlRecord::Decision { number, decision });
            Partition::all(2).for_each(|task| _ = control.apply(ControlRecord::Taken { task, number }));
        }
        control
    }

    fn gone(control: &Control, keep: &Keep, now: Millis) -> Vec<Vec<Number>> {
        prunable(control, 2, keep, now)
            .into_iter()
            .map(|one| one.deploys)
            .collect()
    }

    #[test]
    fn what_may_still_run_stays() {
        let mut control = control(&[1, 2, 3, 4, 5]);
        let now = 1_000_000;
        let few = Keep::default();
        assert_eq!(gone(&control, &few, now), [[1], [2], [3]]);
        let more = |last, also: &[Number], seconds| Keep {
            last,
            also: also.to_vec(),
            ran_within: Duration::from_secs(seconds),
        };
        assert_eq!(gone(&control, &more(4, &[], 0), now), [[1]]);
        assert_eq!(gone(&control, &more(0, &[2], 0), now), [[1], [3]]);
        // The third one ran until the fourth second.
        assert_eq!(gone(&control, &more(0, &[], 998), now), [[1], [2]]);
        // A task without input since then still uses the second one.
        control.apply(ControlRecord::Taken {
            task: Partition(1),
            number: 2,
        });
        assert_eq!(gone(&control, &few, now), [[1], [3]]);
        // After a withdrawal, the fourth one runs, and the one before is the third.
        let decision = Decision::Withdraw("why".into());
        control.apply(ControlRecord::Decision { number: 5, decision });
        Partition::all(2).for_each(|task| _ = control.apply(ControlRecord::Taken { task, number: 4 }));
        assert_eq!(gone(&control, &few, now), [vec![1], vec![2], vec![5]]);
    }

    #[test]
    fn a_component_that_came_again_stays() {
        let control = control(&[1, 2, 3, 1, 4]);
        assert_eq!(gone(&control, &Keep::default(), 1_000_000), [[2], [3]]);
    }
}
