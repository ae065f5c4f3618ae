//! The state of the control topic, for people and programs.
//!
//! Rule: it only uses [`Control`], so an instance and a command that reads the brokers say the same.

use crate::deploy::api::{Deploys, OneDeploy, Shadowing};
use crate::deploy::protocol::{Control, DeployStage, DeployState, KnownDeploy};
use crate::record::{Millis, Partition};
use crate::rules::Version;
use crate::shadow::{Seen, Trial};
use std::collections::BTreeMap;

/// The status of all deploys.
pub fn deploys(control: &Control, tasks: usize) -> Deploys {
    Deploys {
        deploys: control.deploys().map(one).collect(),
        taken: Partition::all(tasks as i32)
            .filter(|_| control.last() > 0)
            .map(|task| (task, control.taken(task)))
            .collect(),
        shadow: shadow(control, tasks).map(Shadowing::brief),
    }
}

/// The last shadow, as far as the topic says.
pub fn shadow(control: &Control, of: usize) -> Option<Shadowing> {
    let known = control.shadows().last()?;
    let deploy = &known.shadow.deploy;
    let live = control.newest().map(|known| Version(known.deploy.version).to_string());
    let instances = known.instances.iter();
    let mut shadowing = Shadowing {
        number: known.number(),
        version: Version(deploy.version).to_string(),
        live: live.unwrap_or_default(),
        duration: known.shadow.duration,
        author: deploy.author.clone(),
        over: known.over.clone(),
        instances: instances
            .map(|(name, said)| (name.clone(), stage(said.stage).into()))
            .collect(),
        of,
        tasks: known.tasks.clone(),
        total: Seen::default(),
    };
    sum(&mut shadowing);
    Some(shadowing)
}

/// The same, with what an instance knows about its own tasks.
pub fn shadow_here(control: &Control, of: usize, trial: Option<&Trial>) -> Option<Shadowing> {
    let mut shadowing = shadow(control, of)?;
    if let Some(trial) = trial.filter(|trial| trial.plan.number == shadowing.number) {
        shadowing.tasks.extend(trial.reports());
        sum(&mut shadowing);
    }
    Some(shadowing)
}

fn sum(shadowing: &mut Shadowing) {
    shadowing.total = Seen::default();
    for report in shadowing.tasks.values() {
        shadowing.total += &report.seen;
    }
}

fn stage(stage: DeployStage) -> &'static str {
    match stage {
        DeployStage::Fetched => "fetched",
        DeployStage::Ready => "ready",
    }
}

fn time(at: Millis) -> Option<Millis> {
    (at != crate::record::NEVER).then_some(at)
}

/// The status of one deploy.
pub fn one(known: &KnownDeploy) -> OneDeploy {
    let deploy = &known.deploy;
    let (state, at, why) = match &known.state {
        DeployState::Open => ("open", deploy.at, None),
        DeployState::Committed(at) => ("committed", time(*at), None),
        DeployState::Cancelled(why) => ("cancelled", None, Some(why.clone())),
        DeployState::Withdrawn(at, why) => ("withdrawn", time(*at), Some(why.clone())),
    };
    let open = known.state == DeployState::Open;
    OneDeploy {
        number: deploy.number,
        version: Version(deploy.version).to_string(),
        component: Version(deploy.component).to_string(),
        settings: serde_json::from_str(&deploy.settings).unwrap_or_default(),
        state: state.into(),
        at,
        why,
        author: deploy.author.clone(),
        written: deploy.written,
        one_way: deploy.one_way,
        prepared: match open {
            true => known.answers.iter().map(|(task, at)| (*task, time(*at))).collect(),
            false => BTreeMap::new(),
        },
        instances: match open {
            true => known
                .reports
                .iter()
                .map(|(name, report)| (name.clone(), stage(report.stage).into()))
                .collect(),
            false => BTreeMap::new(),
        },
    }
}
