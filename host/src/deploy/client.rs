//! The client that makes a deploy: it reads the topic, checks the rules, writes a deploy, and waits until it is decided.
//!
//! Rule: everything goes through the control topic. So a deploy works in the same way from a running instance and from
//! a command that only uses the brokers. If the client dies, the instances decide without it.
#![expect(
    clippy::disallowed_methods,
    reason = "a deploy waits for its decision until a deadline"
)]

mod deploy_client;
mod prune;
mod shadow;

pub use deploy_client::DeployClient;
pub use prune::Keep;

use super::DeployRefused;
use super::batch::ControlBatch;
use super::reader::ControlReader;
use crate::deploy::api::{Cancelled, DeployRequest, Deployed};
use crate::deploy::protocol::{Control, ControlRecord, Decision, Deploy, DeployState, KnownDeploy};
use crate::record::{Millis, Number};
use crate::rules::Version;
use deploy_client::{Result, SLACK, WAIT, no_cancel, no_deploy, patiently};
use std::time::Instant;

impl DeployClient {
    /// Checks, deploys, and waits until the deploy is decided. Calls `progress` at each change. The error says why it
    /// was refused.
    pub fn deploy(&self, request: DeployRequest, progress: &mut dyn FnMut(&KnownDeploy, &Control)) -> Result<Deployed> {
        let mut reader = self.read()?;
        let control = reader.control().clone();
        let newest = control.newest().ok_or_else(no_deploy)?;
        if let Some(open) = control.open() {
            let Deploy { number, author, .. } = &open.deploy;
            return Err(DeployRefused::Request(format!(
                "deploy {number} (by {author}) is not decided yet: see `pelton rules status`, or `pelton rules cancel`"
            )));
        }
        if let Some(duration) = request.shadow {
            return self.begin_shadow(reader, request, duration);
        }
        let wanted = self.wanted(&reader, newest, &request)?;
        let previous = Version(newest.deploy.version).to_string();
        let deployed = Deployed {
            version: wanted.version.to_string(),
            previous,
            number: newest.deploy.number,
            at: None,
            findings: vec![],
            shadow: None,
        };
        if wanted.version.0 == newest.deploy.version {
            return Ok(deployed);
        }
        let candidate = self.checked(&control, wanted, &request)?;
        let number = control.last() + 1;
        let deployed = Deployed {
            number,
            findings: candidate.findings.clone(),
            ..deployed
        };
        if request.dry_run {
            return Ok(Deployed {
                at: request.at,
                ..deployed
            });
        }
        let deploy = self.record(number, &candidate, &request);
        let own = deploy.nonce;
        self.announce(&mut reader, &candidate.component, deploy, ControlRecord::Deploy)?;
        match reader.control().known(number) {
            Some(known) if known.deploy.nonce == own => {}
            Some(known) => {
                return Err(DeployRefused::Overtaken(format!(
                    "{} deployed at the same time and was first; look at `pelton rules status`, then deploy again",
                    known.deploy.author
                )));
            }
            None => {
                let why = "the deploy did not reach the control topic; deploy again";
                return Err(DeployRefused::Topic(why.into()));
            }
        }
        let at = self.decided(&mut reader, number, progress)?;
        Ok(Deployed {
            at: Some(at),
            ..deployed
        })
    }

    /// Waits until a deploy is decided, and returns the event time at which it takes over.
    fn decided(
        &self,
        reader: &mut ControlReader,
        number: Number,
        progress: &mut dyn FnMut(&KnownDeploy, &Control),
    ) -> Result<Millis> {
        let begun = Instant::now();
        let mut given_up = false;
        let mut reported = None;
        loop {
            let known = reader.control().known(number);
            let known = known.ok_or_else(|| DeployRefused::Over("the deploy is gone".into()))?;
            if reported.as_ref() != Some(known) {
                reported = Some(known.clone());
                progress(known, reader.control());
            }
            match &known.state {
                DeployState::Committed(at) => return Ok(*at),
                DeployState::Cancelled(why) | DeployState::Withdrawn(_, why) => {
                    return Err(DeployRefused::Over(why.clone()));
                }
                DeployState::Open => {}
            }
            if !given_up && begun.elapsed() > self.limit + SLACK {
                given_up = true;
                self.decide(
                    number,
                    Decision::Cancel(format!("no instance decided it within {:?}", self.limit + SLACK)),
                )?;
            }
            patiently(|| reader.poll(WAIT))?;
        }
    }

    /// Cancels the undecided deploy. If there is none, ends the shadow.
    pub fn cancel(&self) -> Result<Cancelled> {
        let mut reader = self.read()?;
        let Some(open) = reader.control().open() else {
            return self.cancel_shadow(reader);
        };
        let number = open.deploy.number;
        self.decide(number, Decision::Cancel(format!("cancelled by {}", self.name)))?;
        patiently(|| reader.catch_up(WAIT))?;
        match reader.control().known(number).map(|known| &known.state) {
            Some(DeployState::Cancelled(_)) => Ok(Cancelled::Deploy(number)),
            Some(DeployState::Committed(at)) => Err(DeployRefused::Overtaken(format!(
                "deploy {number} was committed just before, from {at} on"
            ))),
            _ => Err(no_cancel()),
        }
    }

    fn decide(&self, number: Number, decision: Decision) -> Result<()> {
        let wall = crate::clock::wall();
        let mut batch = ControlBatch::default();
        batch.record(
            &self.layout,
            &ControlRecord::Decision { number, decision },
            &self.own(wall),
            wall,
        );
        self.publish(batch)
    }
}
