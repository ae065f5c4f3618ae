//! A client that deploys, step by step: it reads the control topic, writes to it, and may die anywhere.
//!
//! Rule: it does what `deploy/client.rs` does, but without its waits. What it writes depends on what it has read. It
//! does not wait for the decision: the instances decide without it.

use super::acts::{Act, Dawdle, Which};
use super::mortal::{Fuse, Mortal};
use super::versions::{self, Bench, DEPLOYED, FRAGILE};
use anyhow::anyhow;
use pelton::binding::Layout;
use pelton::deploy::batch::ControlBatch;
use pelton::deploy::compile::declared;
use pelton::deploy::protocol::shadow::{ShadowDeploy, ShadowRecord};
use pelton::deploy::protocol::{Control, ControlRecord, Decision, Deploy, DeployState, KnownDeploy, nonce};
use pelton::deploy::reader::ControlReader;
use pelton::error::{Failure, Result};
use pelton::log::embedded::{Clock, Embedded};
use pelton::log::{Log, Outcome, Producer};
use pelton::record::{Offset, VersionId};
use std::sync::Arc;
use std::time::Duration;

/// One deploy by such a client.
pub struct DeployClient {
    act: Act,
    name: String,
    log: Arc<dyn Log>,
    fuse: Fuse,
    at: At,
    to: Target,
}

/// What a client deploys to.
pub struct Target {
    pub pipeline: String,
    pub cluster: Embedded,
    pub clock: Clock,
    pub layout: Arc<Layout>,
    pub bench: Bench,
}

/// How far it has come.
enum At {
    Start,
    Reading(Box<ControlReader>, Offset),
    /// It knows what to write, but waits, so that what it has read becomes outdated.
    Dawdling(Box<ControlReader>, ControlBatch, Dawdle),
    Writing(Box<dyn Producer>),
    Doubting(Box<dyn Producer>),
    Done,
}

impl DeployClient {
    /// An author that is going to do this.
    pub fn new(to: Target, number: usize, act: Act) -> DeployClient {
        let name = format!("author-{number}");
        let fuse = Fuse::new(&to.cluster, &name);
        if let Some((calls, made)) = act.dies {
            fuse.light(calls, made);
        }
        let topics = to.layout.topics.clone();
        let log = Arc::new(to.cluster.instance(topics, &to.pipeline, &name)) as Arc<dyn Log>;
        DeployClient {
            act,
            name,
            log: Arc::new(Mortal::new(log, &fuse)),
            fuse,
            at: At::Start,
            to,
        }
    }

    /// Takes the next step. Returns false if it is finished or dead.
    pub fn step(&mut self) -> anyhow::Result<bool> {
        match self.advance() {
            _ if self.fuse.is_dead() => Ok(false),
            Ok(()) => Ok(!matches!(self.at, At::Done)),
            Err(Failure::Retry(_)) => Ok(true),
            Err(why) => Err(anyhow!("{} ends by itself: {why}", self.name)),
        }
    }

    fn advance(&mut self) -> Result<()> {
        match &mut self.at {
            At::Start => {
                let reader = ControlReader::begin(self.log.clone(), self.to.layout.clone())?;
                let end = reader.end()?;
                self.at = At::Reading(Box::new(reader), end);
            }
            At::Reading(reader, end) => {
                reader.poll(Duration::ZERO)?;
                if reader.position() < *end {
                    return Ok(());
                }
                let batch = batch(&self.act, &self.name, &self.to, reader);
                let At::Reading(reader, _) = std::mem::replace(&mut self.at, At::Done) else {
                    return Ok(());
                };
                if !batch.is_empty() {
                    self.at = At::Dawdling(reader, batch, self.act.dawdles);
                }
            }
            At::Dawdling(_, _, Dawdle::Turns(turns)) if *turns > 0 => *turns -= 1,
            At::Dawdling(reader, _, Dawdle::UntilDecided) if reader.control().open().is_some() => {
                reader.poll(Duration::ZERO)?;
            }
            At::Dawdling(_, batch, _) => {
                let mut publisher = self.log.publisher(&format!("{}-author", self.to.pipeline))?;
                publisher.submit(std::mem::take(batch).transaction());
                self.at = At::Writing(publisher);
            }
            At::Writing(publisher) => match publisher.outcome(Duration::ZERO) {
                None => {}
                Some((_, Outcome::Ambiguous(_))) => {
                    let At::Writing(publisher) = std::mem::replace(&mut self.at, At::Done) else {
                        return Ok(());
                    };
                    self.at = At::Doubting(publisher);
                }
                Some(_) => self.at = At::Done,
            },
            At::Doubting(publisher) => {
                publisher.renew()?;
                self.at = At::Done;
            }
            At::Done => {}
        }
        Ok(())
    }
}

/// What to write. Empty if there is nothing that can be done.
fn batch(act: &Act, name: &str, to: &Target, reader: &ControlReader) -> ControlBatch {
    let control = reader.control();
    let said = match act.which {
        Which::Cancel => control.open().map(|open| ControlRecord::Decision {
            number: open.deploy.number,
            decision: Decision::Cancel(format!("{name} wants it so")),
        }),
        Which::EndShadow => {
            let under_way = control.shadows().under_way();
            under_way
                .map(|known| ControlRecord::Shadow(ShadowRecord::Over(known.number(), format!("{name} wants it so"))))
        }
        Which::Shadow { version, duration } => begin(version, name, to, control).map(|deploy| {
            let shadow = ShadowDeploy { deploy, duration };
            ControlRecord::Shadow(ShadowRecord::Begin(shadow))
        }),
        _ => deploy(act, name, to, control).map(ControlRecord::Deploy),
    };
    let mut batch = ControlBatch::default();
    let Some(record) = said else { return batch };
    let wall = to.clock.wall();
    let deploy = match &record {
        ControlRecord::Deploy(deploy) => Some(deploy),
        ControlRecord::Shadow(ShadowRecord::Begin(shadow)) => Some(&shadow.deploy),
        _ => None,
    };
    if let Some(deploy) = deploy.filter(|deploy| !reader.has(&deploy.component, deploy.bytes))
        && let Some(version) = versions::of(&deploy.version)
    {
        batch.component(&to.layout, &deploy.component, versions::component(version), wall);
    }
    batch.record(&to.layout, &record, &nonce(&[name.as_bytes()]), wall);
    batch
}

/// The deploy to write, if there is anything to deploy.
fn deploy(act: &Act, name: &str, to: &Target, control: &Control) -> Option<Deploy> {
    let newest = control.newest().filter(|_| control.open().is_none())?;
    let version = wanted(act, newest, control)?;
    (versions::id(version) != newest.deploy.version).then(|| Deploy {
        at: act.from,
        ..record(control.last() + 1, version, name, to)
    })
}

/// The deploy of the shadow to begin, if one may begin. Without a `version` it runs the live one.
fn begin(version: Option<usize>, name: &str, to: &Target, control: &Control) -> Option<Deploy> {
    let (newest, shadows) = (control.newest()?, control.shadows());
    let may = control.open().is_none() && shadows.under_way().is_none();
    let version = version
        .or_else(|| versions::of(&newest.deploy.version))
        .filter(|_| may)?;
    Some(record(shadows.count() + 1, version, name, to))
}

fn record(number: u64, version: usize, name: &str, to: &Target) -> Deploy {
    Deploy {
        number,
        nonce: nonce(&[name.as_bytes()]),
        version: versions::id(version),
        component: versions::component_hash(version),
        bytes: versions::component(version).len() as u64,
        settings: versions::settings(version).to_string(),
        at: None,
        one_way: false,
        drop_timers: false,
        author: name.to_owned(),
        written: to.clock.wall(),
        declared: declared(&to.bench.wiring(version)),
    }
}

/// The version to deploy.
fn wanted(act: &Act, newest: &KnownDeploy, control: &Control) -> Option<usize> {
    let of = |known: &KnownDeploy| -> Option<usize> {
        let id: &VersionId = &known.deploy.version;
        matches!(known.state, DeployState::Committed(_)).then(|| versions::of(id))?
    };
    match act.which {
        Which::Version(version) => Some(version),
        Which::Settings(of_version) => {
            let component = newest.deploy.component;
            let all = DEPLOYED.chain(FRAGILE);
            let mut same = all.filter(|version| versions::component_hash(*version) == component);
            let count = same.clone().count();
            same.nth(of_version % count)
        }
        Which::Back => control.before(newest.deploy.number).and_then(of),
        Which::Promote => versions::of(&control.shadows().under_way()?.shadow.deploy.version),
        Which::Cancel | Which::EndShadow | Which::Shadow { .. } => None,
    }
}
