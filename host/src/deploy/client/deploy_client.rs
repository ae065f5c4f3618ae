//! An author of deploys, and how it reads and writes the control topic.
//!
//! Rule: rules are written to the topic only after they have compiled and passed the checks.

use crate::binding::Layout;
use crate::deploy::DeployRefused;
use crate::deploy::api::{Back, DeployFinding, DeployRequest};
use crate::deploy::batch::ControlBatch;
use crate::deploy::checks;
use crate::deploy::compile::{Compile, declared, hash};
use crate::deploy::protocol::{Control, ControlRecord, Declarations, Deploy, DeployState, KnownDeploy, nonce};
use crate::deploy::reader::ControlReader;
use crate::error::Failure;
use crate::log::{Log, Outcome};
use crate::record::{Millis, Number};
use crate::rules::Version;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Maximum duration of each wait for the topic.
pub(super) const WAIT: Duration = Duration::from_millis(50);

/// How long brokers may be silent before the client gives up.
pub(super) const AWAY: Duration = Duration::from_secs(60);

/// How much longer the client waits than the instances, which cancel an undecided deploy after the limit.
pub(super) const SLACK: Duration = Duration::from_secs(15);

pub(super) type Result<T> = std::result::Result<T, DeployRefused>;

pub(super) fn no_deploy() -> DeployRefused {
    DeployRefused::request("there is no deploy yet; the first instance that runs deploys the rules that its file names")
}

pub(super) fn no_cancel() -> DeployRefused {
    DeployRefused::Topic("the cancel did not reach the control topic; try again".into())
}

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
pub(super) struct Wanted {
    pub component: Vec<u8>,
    /// JSON.
    pub settings: String,
    pub version: Version,
}

/// Rules that compile and pass the checks.
pub(super) struct Candidate {
    pub component: Vec<u8>,
    /// JSON.
    pub settings: String,
    pub version: Version,
    pub declared: Arc<Declarations>,
    /// Warnings.
    pub findings: Vec<DeployFinding>,
}

impl DeployClient {
    /// Reads the topic up to its current end.
    pub fn read(&self) -> Result<ControlReader> {
        patiently(|| {
            let mut reader = ControlReader::begin(self.log.clone(), self.layout.clone())?;
            reader.catch_up(WAIT)?;
            Ok(reader)
        })
    }

    /// Compiles what is wanted, and checks it against what ran. The error lists the findings that keep it out.
    pub(super) fn checked(&self, control: &Control, wanted: Wanted, request: &DeployRequest) -> Result<Candidate> {
        let wiring = (self.compile)(&wanted.component, &wanted.settings)?;
        let declared = declared(&wiring);
        let findings = checks::check(control, &declared, request.one_way);
        if findings.iter().any(|finding| finding.error) {
            return Err(DeployRefused::Findings(findings));
        }
        Ok(Candidate {
            component: wanted.component,
            settings: wanted.settings,
            version: wanted.version,
            declared,
            findings,
        })
    }

    pub(super) fn record(&self, number: Number, candidate: &Candidate, request: &DeployRequest) -> Deploy {
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
            at: request.at,
            one_way: request.one_way,
            drop_timers: request.drop_timers,
            author: self.name.clone(),
            written,
            declared: candidate.declared.clone(),
        }
    }

    /// Writes a deploy, with its component unless the topic already has that. Then reads the topic to its end, because
    /// another author may have been first.
    pub(super) fn announce(
        &self,
        reader: &mut ControlReader,
        component: &[u8],
        deploy: Deploy,
        record: impl FnOnce(Deploy) -> ControlRecord,
    ) -> Result<()> {
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
    pub(super) fn wanted(
        &self,
        reader: &ControlReader,
        newest: &KnownDeploy,
        request: &DeployRequest,
    ) -> Result<Wanted> {
        let control = reader.control();
        let base = match request.back {
            None if request.promote => promoted(reader)?,
            None => &newest.deploy,
            Some(Back::Before) => control
                .before(newest.deploy.number)
                .map(|known| &known.deploy)
                .ok_or_else(|| DeployRefused::request("there is no earlier version to go back to"))?,
            Some(Back::To(number)) => control
                .known(number)
                .filter(|known| matches!(known.state, DeployState::Committed(_) | DeployState::Withdrawn(..)))
                .map(|known| &known.deploy)
                .ok_or_else(|| {
                    DeployRefused::Request(format!("deploy {number} was never committed: see `pelton rules list`"))
                })?,
        };
        let component = match &request.component {
            Some(component) => component.clone(),
            None => {
                let pruned = "its component is no longer on the control topic, because it was pruned; deploy its file";
                let fetch = reader.fetch(base).ok_or_else(|| DeployRefused::request(pruned))?;
                fetch.run(WAIT)?
            }
        };
        let mut settings = match &request.settings {
            Some(settings) => settings.clone(),
            None => serde_json::from_str(&base.settings).map_err(|why| {
                let number = base.number;
                DeployRefused::Request(format!("the settings of deploy {number} are not valid JSON: {why}"))
            })?,
        };
        if !request.set.is_empty() {
            let object = settings
                .as_object_mut()
                .ok_or_else(|| DeployRefused::request("the running settings are not an object"))?;
            object.extend(request.set.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        let settings = settings.to_string();
        Ok(Wanted {
            version: Version::of(&component, &settings),
            component,
            settings,
        })
    }

    /// Makes the key of a decision unique.
    pub(super) fn own(&self, wall: Millis) -> [u8; 16] {
        nonce(&[
            self.name.as_bytes(),
            &std::process::id().to_be_bytes(),
            &wall.to_be_bytes(),
            format!("{:?}", Instant::now()).as_bytes(),
        ])
    }

    /// Writes a batch. If the outcome is in doubt, the caller sees it on the topic.
    pub(super) fn publish(&self, batch: ControlBatch) -> Result<()> {
        let mut publisher = patiently(|| self.log.publisher(&format!("{}-author", self.pipeline)))?;
        publisher.submit(batch.transaction());
        let begun = Instant::now();
        loop {
            match publisher.outcome(WAIT) {
                Some((_, Outcome::Committed(_))) => return Ok(()),
                Some((_, Outcome::Aborted(why))) => {
                    let why = format!("the control topic could not be written: {why}");
                    return Err(DeployRefused::Topic(why));
                }
                // Another author may have taken the transactional id. The records may still have been written.
                Some((_, Outcome::Ambiguous(_))) => return patiently(|| publisher.renew()),
                None if begun.elapsed() > AWAY => {
                    return Err(DeployRefused::Topic(
                        "the control topic could not be written in time".into(),
                    ));
                }
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

/// The deploy of the running shadow, whose component and settings should take over now.
fn promoted(reader: &ControlReader) -> Result<&Deploy> {
    let under_way = reader.control().shadows().under_way();
    let none = "no shadow is running; `pelton rules deploy FILE --shadow 1h` starts one";
    let known = under_way.ok_or_else(|| DeployRefused::request(none))?;
    Ok(&known.shadow.deploy)
}

/// Retries until it succeeds, or until the brokers have been away for too long.
pub(super) fn patiently<T>(mut call: impl FnMut() -> crate::error::Result<T>) -> Result<T> {
    let begun = Instant::now();
    loop {
        match call() {
            Err(Failure::Retry(_)) if begun.elapsed() <= AWAY => std::thread::sleep(WAIT),
            other => return Ok(other?),
        }
    }
}
