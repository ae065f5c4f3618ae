//! A client that deploys, step by step: it reads the control topic, writes to it, and may die anywhere.
//!
//! Rule: it does what `deploy/client.rs` does, but without its waits. What it writes depends on what it has read. It
//! does not wait for the decision: the instances decide without it.

use super::mortal::{Fuse, Mortal};
use super::plan::{Act, Dawdle, Which};
use super::versions;
use super::world::{World, Wrong};
use pelton::deploy::batch::ControlBatch;
use pelton::deploy::compile::{declared, hash};
use pelton::deploy::protocol::{Decision, Deploy, Known, Record, State, nonce};
use pelton::deploy::reader::ControlReader;
use pelton::error::{Failure, Result};
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
    pub fn new(world: &World, number: usize, act: Act) -> DeployClient {
        let name = format!("author-{number}");
        let fuse = Fuse::new(&world.cluster, &name);
        if let Some((calls, made)) = act.dies {
            fuse.light(calls, made);
        }
        let topics = world.layout.topics.clone();
        let log = Arc::new(world.cluster.instance(topics, &world.config.name, &name)) as Arc<dyn Log>;
        DeployClient {
            act,
            name,
            log: Arc::new(Mortal::new(log, &fuse)),
            fuse,
            at: At::Start,
        }
    }

    /// Takes the next step. Returns false if it is finished or dead.
    pub fn step(&mut self, world: &World) -> std::result::Result<bool, Wrong> {
        match self.go_on(world) {
            _ if self.fuse.is_dead() => Ok(false),
            Ok(()) => Ok(!matches!(self.at, At::Done)),
            Err(Failure::Retry(_)) => Ok(true),
            Err(why) => Err(format!("{} ends by itself: {why}", self.name)),
        }
    }

    fn go_on(&mut self, world: &World) -> Result<()> {
        match &mut self.at {
            At::Start => {
                let reader = ControlReader::begin(self.log.clone(), world.layout.clone())?;
                let end = reader.end()?;
                self.at = At::Reading(Box::new(reader), end);
            }
            At::Reading(reader, end) => {
                reader.poll(Duration::ZERO)?;
                if reader.position() < *end {
                    return Ok(());
                }
                let batch = batch(&self.act, &self.name, world, reader);
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
                let mut publisher = self.log.publisher(&format!("{}-author", world.config.name))?;
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
fn batch(act: &Act, name: &str, world: &World, reader: &ControlReader) -> ControlBatch {
    let mut batch = ControlBatch::default();
    let control = reader.control();
    let wall = world.clock.wall();
    let own = nonce(&[name.as_bytes()]);
    if act.which == Which::Cancel {
        if let Some(open) = control.open() {
            let (number, decision) = (open.deploy.number, Decision::Cancel(format!("{name} wants it so")));
            batch.record(&world.layout, &Record::Decision { number, decision }, &own, wall);
        }
        return batch;
    }
    let (Some(newest), None) = (control.newest(), control.open()) else {
        return batch;
    };
    let Some(version) = wanted(act, newest, control.before(newest.deploy.number)) else {
        return batch;
    };
    if versions::id(version) == newest.deploy.version {
        return batch;
    }
    let component = versions::component(version);
    let deploy = Deploy {
        number: control.last() + 1,
        nonce: own,
        version: versions::id(version),
        component: hash(component),
        bytes: component.len() as u64,
        settings: versions::settings(version).to_string(),
        at: act.from,
        one_way: false,
        drop_timers: false,
        author: name.to_owned(),
        written: wall,
        declared: declared(&world.bench.wiring(version)),
    };
    if !reader.has(&deploy.component, deploy.bytes) {
        batch.component(&world.layout, &deploy.component, component, wall);
    }
    batch.record(&world.layout, &Record::Deploy(deploy), &own, wall);
    batch
}

/// The version to deploy.
fn wanted(act: &Act, newest: &Known, before: Option<&Known>) -> Option<usize> {
    let of = |known: &Known| -> Option<usize> {
        let id: &VersionId = &known.deploy.version;
        matches!(known.state, State::Committed(_)).then(|| versions::of(id))?
    };
    match act.which {
        Which::Version(version) => Some(version),
        Which::Settings(of_version) => {
            let component = newest.deploy.component;
            let mut same = versions::DEPLOYED.filter(|version| hash(versions::component(*version)) == component);
            let count = same.clone().count();
            same.nth(of_version % count)
        }
        Which::Back => before.and_then(of),
        Which::Cancel => None,
    }
}
