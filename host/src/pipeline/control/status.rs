//! What the control topic says, for people and programs.
//!
//! Rule: made of [`Control`] alone, so it is the same from an instance and from the brokers.

use crate::control::{Control, Known, Stage, State};
use crate::http::{Deploys, OneDeploy};
use crate::record::{Millis, Partition};
use crate::rules::Version;
use std::collections::BTreeMap;

/// Of everything that is known.
pub fn deploys(control: &Control, tasks: usize) -> Deploys {
    Deploys {
        deploys: control.deploys().iter().map(one).collect(),
        taken: (0..tasks as Partition)
            .filter(|_| control.last() > 0)
            .map(|task| (task, control.taken(task)))
            .collect(),
    }
}

fn time(at: Millis) -> Option<Millis> {
    (at != crate::record::NEVER).then_some(at)
}

/// Of one deploy.
pub fn one(known: &Known) -> OneDeploy {
    let deploy = &known.deploy;
    let (state, at, why) = match &known.state {
        State::Open => ("open", deploy.at, None),
        State::Committed(at) => ("committed", time(*at), None),
        State::Cancelled(why) => ("cancelled", None, Some(why.clone())),
        State::Withdrawn(at, why) => ("withdrawn", time(*at), Some(why.clone())),
    };
    let open = known.state == State::Open;
    let stage = |stage| match stage {
        Stage::Fetched => "fetched",
        Stage::Ready => "ready",
    };
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
