//! The author of a deploy: reads the topic, checks the rules, writes a deploy, and waits until it is decided.
//!
//! Rule: everything goes through the control topic. So a deploy works in the same way from a running instance and from
//! a command that only uses the brokers. If the author dies, the instances decide without it.
#![expect(
    clippy::disallowed_methods,
    reason = "a deploy waits for its decision until a deadline"
)]

mod prune;
mod shadow;

pub use prune::Keep;

use super::batch::ControlBatch;
use super::checks;
use super::compile::{Compile, declared, hash};
use super::reader::ControlReader;
use crate::binding::Layout;
use crate::deploy::api::{Back, Cancelled, Deployed, Finding, Wish};
use crate::deploy::protocol::{Control, Decision, Declared, Deploy, Known, Record, State, nonce};
use crate::error::Failure;
use crate::log::{Log, Outcome};
use crate::record::{Millis, Number};
use crate::rules::Version;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Maximum duration of each wait for the topic.
const WAIT: Duration = Duration::from_millis(50);

/// How long brokers may be silent before the author gives up.
const AWAY: Duration = Duration::from_secs(60);

/// How much longer the author waits than the instances, which cancel an undecided deploy after the limit.
const SLACK: Duration = Duration::from_secs(15);

/// The error if there is no deploy yet.
const NO_DEPLOY: &str = "there is no deploy yet; the first instance that runs deploys the rules that its file names";

/// Deploys rules to one pipeline.
pub struct DeployClient {
    pub log: Arc<dyn Log>,
    pub layout: Arc<Layout>,
    pub compile: Compile,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Who deploys, for people.
    pub name: String,
    /// The time after which instances cancel an undecided deploy.
    pub limit: Duration,
}

/// What a request asks for.
struct Wanted {
    component: Vec<u8>,
    /// JSON.
    settings: String,
    version: Version,
}

/// Rules that compile and pass the checks.
struct Candidate {
    component: Vec<u8>,
    /// JSON.
    settings: String,
    version: Version,
    declared: Arc<Declared>,
    /// Warnings.
    findings: Vec<Finding>,
}

impl DeployClient {
    /// Reads the topic up to its current end.
    pub fn read(&self) -> Result<ControlReader, String> {
        patiently(|| {
            let mut reader = ControlReader::begin(self.log.clone(), self.layout.clone())?;
            reader.catch_up(WAIT)?;
            Ok(reader)
        })
    }

    /// Checks, deploys, and waits until the deploy is decided. Calls `progress` at each change. The error says why it
    /// was refused.
    pub fn deploy(&self, wish: Wish, progress: &mut dyn FnMut(&Known, &Control)) -> Result<Deployed, String> {
        let mut reader = self.read()?;
        let control = reader.control().clone();
        let newest = control.newest().ok_or(NO_DEPLOY)?;
        if let Some(open) = control.open() {
            let Deploy { number, author, .. } = &open.deploy;
            return Err(format!(
                "deploy {number} (by {author}) is not decided yet: see `pelton rules status`, or `pelton rules cancel`"
            ));
        }
        if let Some(duration) = wish.shadow {
            return self.begin_shadow(reader, wish, duration);
        }
        let wanted = self.wanted(&reader, newest, &wish)?;
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
        let candidate = self.checked(&control, wanted, &wish)?;
        let number = control.last() + 1;
        let deployed = Deployed {
            number,
            findings: candidate.findings.clone(),
            ..deployed
        };
        if wish.dry_run {
            return Ok(Deployed {
                at: wish.at,
                ..deployed
            });
        }
        let deploy = self.record(number, &candidate, &wish);
        let own = deploy.nonce;
        self.announce(&mut reader, &candidate.component, deploy, Record::Deploy)?;
        match reader.control().known(number) {
            Some(known) if known.deploy.nonce == own => {}
            Some(known) => {
                return Err(format!(
                    "{} deployed at the same time and was first; look at `pelton rules status`, then deploy again",
                    known.deploy.author
                ));
            }
            None => return Err("the deploy did not reach the control topic; deploy again".into()),
        }
        let at = self.decided(&mut reader, number, progress)?;
        Ok(Deployed {
            at: Some(at),
            ..deployed
        })
    }

    /// Compiles what is wanted, and checks it against what ran. The error lists the findings that keep it out.
    fn checked(&self, control: &Control, wanted: Wanted, wish: &Wish) -> Result<Candidate, String> {
        let wiring = (self.compile)(&wanted.component, &wanted.settings)?;
        let declared = declared(&wiring);
        let findings = checks::check(control, &declared, wish.one_way);
        if findings.iter().any(|finding| finding.error) {
            return Err(lines(&findings));
        }
        Ok(Candidate {
            component: wanted.component,
            settings: wanted.settings,
            version: wanted.version,
            declared,
            findings,
        })
    }

    fn record(&self, number: Number, candidate: &Candidate, wish: &Wish) -> Deploy {
        let written = crate::clock::wall();
        let process = std::process::id().to_be_bytes();
        let moment = Instant::now();
        Deploy {
            number,
            nonce: nonce(&[
                self.name.as_bytes(),
                &process,
                &written.to_be_bytes(),
                format!("{moment:?}").as_bytes(),
                &candidate.version.0,
            ]),
            version: candidate.version.0,
            component: hash(&candidate.component),
            bytes: candidate.component.len() as u64,
            settings: candidate.settings.clone(),
            at: wish.at,
            one_way: wish.one_way,
            drop_timers: wish.drop_timers,
            author: self.name.clone(),
            written,
            declared: candidate.declared.clone(),
        }
    }

    /// Writes a deploy, as the record that it is to be, with its component unless the topic has that. Then reads the topic to its
    /// end: another author may have been first.
    fn announce(
        &self,
        reader: &mut ControlReader,
        component: &[u8],
        deploy: Deploy,
        record: impl FnOnce(Deploy) -> Record,
    ) -> Result<(), String> {
        let (own, written, hash) = (deploy.nonce, deploy.written, deploy.component);
        let mut batch = ControlBatch::default();
        if !reader.has(&hash, component.len() as u64) {
            batch.component(&self.layout, &hash, component, written);
        }
        batch.record(&self.layout, &record(deploy), &own, written);
        self.publish(batch)?;
        patiently(|| reader.catch_up(WAIT))
    }

    /// The component and the settings that a request asks for.
    fn wanted(&self, reader: &ControlReader, newest: &Known, wish: &Wish) -> Result<Wanted, String> {
        let control = reader.control();
        let base = match wish.back {
            None if wish.promote => self.promoted(reader)?,
            None => &newest.deploy,
            Some(Back::Before) => control
                .before(newest.deploy.number)
                .map(|known| &known.deploy)
                .ok_or("there is no earlier version to go back to")?,
            Some(Back::To(number)) => control
                .known(number)
                .filter(|known| matches!(known.state, State::Committed(_) | State::Withdrawn(..)))
                .map(|known| &known.deploy)
                .ok_or(format!("deploy {number} was never committed: see `pelton rules list`"))?,
        };
        let component = match &wish.component {
            Some(component) => component.clone(),
            None => {
                let fetch = reader
                    .fetch(base)
                    .ok_or("its component is no longer on the control topic, because it was pruned; deploy its file")?;
                fetch.run(WAIT).map_err(|why| why.to_string())?
            }
        };
        let mut settings = match &wish.settings {
            Some(settings) => settings.clone(),
            None => serde_json::from_str(&base.settings)
                .map_err(|why| format!("the settings of deploy {} are not valid JSON: {why}", base.number))?,
        };
        if !wish.set.is_empty() {
            let object = settings
                .as_object_mut()
                .ok_or("the running settings are not an object")?;
            object.extend(wish.set.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        let settings = settings.to_string();
        Ok(Wanted {
            version: Version::of(&component, &settings),
            component,
            settings,
        })
    }

    /// Waits until a deploy is decided, and returns the event time at which it takes over.
    fn decided(
        &self,
        reader: &mut ControlReader,
        number: Number,
        progress: &mut dyn FnMut(&Known, &Control),
    ) -> Result<Millis, String> {
        let begun = Instant::now();
        let mut given_up = false;
        let mut told = None;
        loop {
            let known = reader.control().known(number).ok_or("the deploy is gone")?;
            if told.as_ref() != Some(known) {
                told = Some(known.clone());
                progress(known, reader.control());
            }
            match &known.state {
                State::Committed(at) => return Ok(*at),
                State::Cancelled(why) | State::Withdrawn(_, why) => return Err(why.clone()),
                State::Open => {}
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
    pub fn cancel(&self) -> Result<Cancelled, String> {
        let mut reader = self.read()?;
        let Some(open) = reader.control().open() else {
            return self.cancel_shadow(reader);
        };
        let number = open.deploy.number;
        self.decide(number, Decision::Cancel(format!("cancelled by {}", self.name)))?;
        patiently(|| reader.catch_up(WAIT))?;
        match reader.control().known(number).map(|known| &known.state) {
            Some(State::Cancelled(_)) => Ok(Cancelled::Deploy(number)),
            Some(State::Committed(at)) => Err(format!("deploy {number} was committed just before, from {at} on")),
            _ => Err("the cancel did not reach the control topic; try again".into()),
        }
    }

    fn decide(&self, number: Number, decision: Decision) -> Result<(), String> {
        let wall = crate::clock::wall();
        let mut batch = ControlBatch::default();
        batch.record(
            &self.layout,
            &Record::Decision { number, decision },
            &self.own(wall),
            wall,
        );
        self.publish(batch)
    }

    /// Makes the key of a decision unique.
    fn own(&self, wall: Millis) -> [u8; 16] {
        nonce(&[
            self.name.as_bytes(),
            &std::process::id().to_be_bytes(),
            &wall.to_be_bytes(),
            format!("{:?}", Instant::now()).as_bytes(),
        ])
    }

    /// Writes a batch. If the outcome is in doubt, the caller sees it on the topic.
    fn publish(&self, batch: ControlBatch) -> Result<(), String> {
        let mut publisher = patiently(|| self.log.publisher(&format!("{}-author", self.pipeline)))?;
        publisher.submit(batch.transaction());
        let begun = Instant::now();
        loop {
            match publisher.outcome(WAIT) {
                Some((_, Outcome::Committed(_))) => return Ok(()),
                Some((_, Outcome::Aborted(why))) => {
                    return Err(format!("the control topic could not be written: {why}"));
                }
                // Another author may have taken the transactional id. The records may still have been written.
                Some((_, Outcome::Ambiguous(_))) => return patiently(|| publisher.renew()),
                None if begun.elapsed() > AWAY => return Err("the control topic could not be written in time".into()),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

/// Retries until it succeeds, or until the brokers have been away for too long.
fn patiently<T>(mut call: impl FnMut() -> crate::error::Result<T>) -> Result<T, String> {
    let begun = Instant::now();
    loop {
        match call() {
            Err(Failure::Retry(why)) if begun.elapsed() > AWAY => return Err(why),
            Err(Failure::Retry(_)) => std::thread::sleep(WAIT),
            other => return other.map_err(|why| why.to_string()),
        }
    }
}

/// The findings, one per line.
pub fn lines(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
