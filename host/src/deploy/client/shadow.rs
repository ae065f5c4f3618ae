//! The author of a shadow, which lets rules run beside the live ones.
//!
//! Rule: like a deploy, everything goes through the control topic. The shadow has started when every instance has
//! compiled and checked it. From then on nobody waits for it.

use super::{Author, SLACK, WAIT, lines, patiently};
use crate::deploy::api::{Cancelled, Deployed, Shadowing, Wish};
use crate::deploy::batch::Sheet;
use crate::deploy::compile::{declared, hash};
use crate::deploy::protocol::Record;
use crate::deploy::protocol::shadow::{Said, Shadow};
use crate::deploy::reader::Following;
use crate::deploy::{checks, status};
use crate::record::Millis;
use crate::rules::Version;
use std::time::Instant;

impl Author {
    /// Checks the rules, starts the shadow, and waits until every instance is ready. The error says why it was refused.
    pub(super) fn begin_shadow(
        &self,
        mut following: Following,
        wish: Wish,
        duration: Millis,
    ) -> Result<Deployed, String> {
        let control = following.control().clone();
        let newest = control.newest().ok_or(super::NO_DEPLOY)?;
        if duration <= 0 {
            return Err("the duration of a shadow must be more than zero".into());
        }
        if wish.at.is_some() {
            return Err("a shadow always begins now; leave out the event time".into());
        }
        if let Some(under_way) = control.shadows().under_way() {
            return Err(format!(
                "shadow {} is still running; `pelton rules promote` lets it take over, `pelton rules cancel` ends it",
                under_way.number()
            ));
        }
        let (component, settings) = self.wanted(&following, newest, &wish)?;
        let version = Version::of(&component, &settings);
        let wiring = (self.compile)(&component, &settings)?;
        let declared = declared(&wiring);
        let findings = checks::check(&control, &declared, wish.one_way);
        if findings.iter().any(|finding| finding.error) {
            return Err(lines(&findings));
        }
        let number = control.shadows().count() + 1;
        let deployed = Deployed {
            version: version.to_string(),
            previous: Version(newest.deploy.version).to_string(),
            number,
            at: None,
            findings,
            shadow: Some(duration),
        };
        if wish.dry_run {
            return Ok(deployed);
        }
        let deploy = self.record(number, version.0, &component, settings, declared, &wish);
        let (own, written, hash) = (deploy.nonce, deploy.written, hash(&component));
        let mut sheet = Sheet::default();
        if !following.has(&hash, component.len() as u64) {
            sheet.component(&self.layout, &hash, &component, written);
        }
        let said = Said::Begin(Shadow { deploy, duration });
        sheet.record(&self.layout, &Record::Shadow(said), &own, written);
        self.publish(sheet)?;
        patiently(|| following.catch_up(WAIT))?;
        let counts = |following: &Following| {
            let last = following.control().shadows().last();
            last.is_some_and(|last| last.number() == number && last.shadow.deploy.nonce == own)
        };
        if !counts(&following) {
            return Err("somebody else deployed at the same time and was first; look at `pelton rules status`".into());
        }
        let begun = Instant::now();
        let mut given_up = false;
        loop {
            let last = following.control().shadows().last().filter(|_| counts(&following));
            let last = last.ok_or("another shadow has begun in the meantime")?;
            if let Some(why) = &last.over {
                return Err(why.clone());
            }
            if last.covered(self.layout.partitions as usize) {
                return Ok(deployed);
            }
            if !given_up && begun.elapsed() > self.limit.min(super::AWAY) + SLACK {
                given_up = true;
                let why = "not every task had an instance that was ready for it in time";
                self.end_shadow(number, why.into())?;
            }
            patiently(|| following.poll(WAIT))?;
        }
    }

    /// Ends the running shadow, and returns its number.
    pub(super) fn cancel_shadow(&self, mut following: Following) -> Result<Cancelled, String> {
        let under_way = following.control().shadows().under_way().ok_or(
            "no deploy and no shadow is under way. A deploy that is committed can't be cancelled: `pelton rules rollback` \
             deploys the one before",
        )?;
        let number = under_way.number();
        self.end_shadow(number, format!("cancelled by {}", self.name))?;
        patiently(|| following.catch_up(WAIT))?;
        match following.control().shadows().under_way() {
            Some(under_way) if under_way.number() == number => {
                Err("the cancel did not reach the control topic; try again".into())
            }
            _ => Ok(Cancelled::Shadow(number)),
        }
    }

    fn end_shadow(&self, number: u64, why: String) -> Result<(), String> {
        let wall = crate::clock::wall();
        let mut sheet = Sheet::default();
        let record = Record::Shadow(Said::Over(number, why));
        sheet.record(&self.layout, &record, &self.own(wall), wall);
        self.publish(sheet)
    }

    /// The results of the last shadow that are on the topic, if there was one.
    pub fn diff(&self) -> Result<Option<Shadowing>, String> {
        let following = self.read()?;
        Ok(status::shadow(following.control(), self.layout.partitions as usize))
    }

    /// The deploy of the running shadow, whose component and settings should take over now.
    pub(super) fn promoted<'a>(&self, following: &'a Following) -> Result<&'a crate::deploy::protocol::Deploy, String> {
        let under_way = following.control().shadows().under_way();
        let known = under_way.ok_or("no shadow is running; `pelton rules deploy FILE --shadow 1h` starts one")?;
        Ok(&known.shadow.deploy)
    }
}
