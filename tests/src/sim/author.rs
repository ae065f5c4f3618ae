//! A client that deploys, step by step: it reads the control topic, writes to it, and may die anywhere.
//!
//! Rule: it does what `deploy/client.rs` does, but without its waits. What it writes depends on what it has read. It
//! does not wait for the decision: the instances decide without it.

use super::mortal::{Fuse, Mortal};
use super::plan::{Act, Dawdle, Which};
use super::versions;
use super::world::{World, Wrong};
use pelton::deploy::batch::Sheet;
use pelton::deploy::compile::{declared, hash};
use pelton::deploy::protocol::{Deploy, Known, Order, Record, State, nonce};
use pelton::deploy::reader::Following;
use pelton::error::{Failure, Result};
use pelton::log::{Log, Outcome, Producer};
use pelton::record::{Offset, VersionId};
use std::sync::Arc;
use std::time::Duration;

/// One deploy by such a client.
pub struct Author {
    act: Act,
    name: String,
    log: Arc<dyn Log>,
    fuse: Fuse,
    at: At,
}

/// How far it has come.
enum At {
    Start,
    Reading(Box<Following>, Offset),
    /// It knows what to write, but waits, so that what it has read becomes outdated.
    Dawdling(Box<Following>, Sheet, Dawdle),
    Writing(Box<dyn Producer>),
    Doubting(Box<dyn Producer>),
    Done,
}

impl Author {
    /// An author that is going to do this.
    pub fn new(world: &World, number: usize, act: Act) -> Author {
        let name = format!("author-{number}");
        let fuse = Fuse::new(&world.cluster, &name);
        if let Some((calls, made)) = act.dies {
            fuse.light(calls, made);
        }
        let topics = world.layout.topics.clone();
        let log = Arc::new(world.cluster.instance(topics, &world.config.name, &name)) as Arc<dyn Log>;
        Author {
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
                let following = Following::begin(self.log.clone(), world.layout.clone())?;
                let end = following.end()?;
                self.at = At::Reading(Box::new(following), end);
            }
            At::Reading(following, end) => {
                following.poll(Duration::ZERO)?;
                if following.position() < *end {
                    return Ok(());
                }
                let sheet = sheet(&self.act, &self.name, world, following);
                let At::Reading(following, _) = std::mem::replace(&mut self.at, At::Done) else {
                    return Ok(());
                };
                if !sheet.is_empty() {
                    self.at = At::Dawdling(following, sheet, self.act.dawdles);
                }
            }
            At::Dawdling(_, _, Dawdle::Turns(turns)) if *turns > 0 => *turns -= 1,
            At::Dawdling(following, _, Dawdle::UntilDecided) if following.control().open().is_some() => {
                following.poll(Duration::ZERO)?;
            }
            At::Dawdling(_, sheet, _) => {
                let mut publisher = self.log.publisher(&format!("{}-author", world.config.name))?;
                publisher.submit(std::mem::take(sheet).transaction());
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
fn sheet(act: &Act, name: &str, world: &World, following: &Following) -> Sheet {
    let mut sheet = Sheet::default();
    let control = following.control();
    let wall = world.clock.wall();
    let own = nonce(&[name.as_bytes()]);
    if act.which == Which::Cancel {
        if let Some(open) = control.open() {
            let (number, order) = (open.deploy.number, Order::Cancel(format!("{name} wants it so")));
            sheet.record(&world.layout, &Record::Order { number, order }, &own, wall);
        }
        return sheet;
    }
    let (Some(newest), None) = (control.newest(), control.open()) else {
        return sheet;
    };
    let Some(version) = wanted(act, newest, control.before(newest.deploy.number)) else {
        return sheet;
    };
    if versions::id(version) == newest.deploy.version {
        return sheet;
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
    if !following.has(&deploy.component, deploy.bytes) {
        sheet.component(&world.layout, &deploy.component, component, wall);
    }
    sheet.record(&world.layout, &Record::Deploy(deploy), &own, wall);
    sheet
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
