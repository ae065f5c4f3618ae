//! The client of a shadow, which lets rules run beside the live ones.
//!
//! Rule: like a deploy, everything goes through the control topic. The shadow has started when every instance has
//! compiled and checked it. From then on nobody waits for it.

use super::deploy_client::{AWAY, DeployClient, Result, SLACK, WAIT, no_cancel, no_deploy, patiently};
use crate::deploy::DeployRefused;
use crate::deploy::api::{Cancelled, DeployRequest, Deployed, Shadowing};
use crate::deploy::batch::ControlBatch;
use crate::deploy::protocol::ControlRecord;
use crate::deploy::protocol::shadow::{KnownShadow, ShadowDeploy, ShadowRecord};
use crate::deploy::reader::ControlReader;
use crate::deploy::status;
use crate::record::Millis;
use crate::rules::Version;
use std::time::Instant;

impl DeployClient {
    /// Checks the rules, starts the shadow, and waits until every instance is ready. The error says why it was refused.
    pub(super) fn begin_shadow(
        &self,
        mut reader: ControlReader,
        request: DeployRequest,
        duration: Millis,
    ) -> Result<Deployed> {
        let control = reader.control().clone();
        let newest = control.newest().ok_or_else(no_deploy)?;
        if duration <= 0 {
            return Err(DeployRefused::request(
                "the duration of a shadow must be more than zero",
            ));
        }
        if request.at.is_some() {
            return Err(DeployRefused::request(
                "a shadow always begins now; leave out the event time",
            ));
        }
        if let Some(under_way) = control.shadows().under_way() {
            return Err(DeployRefused::Request(format!(
                "shadow {} is still running; `pelton rules promote` lets it take over, `pelton rules cancel` ends it",
                under_way.number()
            )));
        }
        let wanted = self.wanted(&reader, newest, &request)?;
        let candidate = self.checked(&control, wanted, &request)?;
        let number = control.shadows().count() + 1;
        let deployed = Deployed {
            version: candidate.version.to_string(),
            previous: Version(newest.deploy.version).to_string(),
            number,
            at: None,
            findings: candidate.findings.clone(),
            shadow: Some(duration),
        };
        if request.dry_run {
            return Ok(deployed);
        }
        let deploy = self.record(number, &candidate, &request);
        let own = deploy.nonce;
        self.announce(&mut reader, &candidate.component, deploy, |deploy| {
            ControlRecord::Shadow(ShadowRecord::Begin(ShadowDeploy { deploy, duration }))
        })?;
        if ours(&reader, number, &own).is_none() {
            let why = "someone else deployed at the same time and was first; see `pelton rules status`";
            return Err(DeployRefused::Overtaken(why.into()));
        }
        self.begun(&mut reader, number, &own)?;
        Ok(deployed)
    }

    /// Waits until every task has an instance that is ready for the shadow.
    fn begun(&self, reader: &mut ControlReader, number: u64, own: &[u8; 16]) -> Result<()> {
        let begun = Instant::now();
        let mut given_up = false;
        loop {
            let another = || DeployRefused::Overtaken("another shadow has begun in the meantime".into());
            let last = ours(reader, number, own).ok_or_else(another)?;
            if let Some(why) = &last.over {
                return Err(DeployRefused::Over(why.clone()));
            }
            if last.covered(self.layout.partitions as usize) {
                return Ok(());
            }
            if !given_up && begun.elapsed() > self.limit.min(AWAY) + SLACK {
                given_up = true;
                let why = "not every task had an instance that was ready for it in time";
                self.end_shadow(number, why.into())?;
            }
            patiently(|| reader.poll(WAIT))?;
        }
    }

    /// Ends the running shadow, and returns its number.
    pub(super) fn cancel_shadow(&self, mut reader: ControlReader) -> Result<Cancelled> {
        let Some(under_way) = reader.control().shadows().under_way() else {
            return Err(DeployRefused::request(
                "no deploy and no shadow is under way. A deploy that is committed can't be cancelled: `pelton rules rollback` \
                 deploys the one before",
            ));
        };
        let number = under_way.number();
        self.end_shadow(number, format!("cancelled by {}", self.name))?;
        patiently(|| reader.catch_up(WAIT))?;
        match reader.control().shadows().under_way() {
            Some(under_way) if under_way.number() == number => Err(no_cancel()),
            _ => Ok(Cancelled::Shadow(number)),
        }
    }

    fn end_shadow(&self, number: u64, why: String) -> Result<()> {
        let wall = crate::clock::wall();
        let mut batch = ControlBatch::default();
        let record = ControlRecord::Shadow(ShadowRecord::Over(number, why));
        batch.record(&self.layout, &record, &self.own(wall), wall);
        self.publish(batch)
    }

    /// The results of the last shadow that are on the topic, if there was one.
    pub fn diff(&self) -> Result<Option<Shadowing>> {
        let reader = self.read()?;
        Ok(status::shadow(reader.control(), self.layout.partitions as usize))
    }
}

/// The shadow of this number, if it is the last one and this author's.
fn ours<'a>(reader: &'a ControlReader, number: u64, own: &[u8; 16]) -> Option<&'a KnownShadow> {
    let last = reader.control().shadows().last()?;
    (last.number() == number && last.shadow.deploy.nonce == *own).then_some(last)
}
