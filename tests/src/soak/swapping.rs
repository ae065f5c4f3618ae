//! Deploys one after the other while the stream runs.
//!
//! Rule: the seed decides what is deployed, and how. A refused deploy does not count, and is replaced by another one.

use super::feed::Feed;
use super::freezing;
use super::instance::Instance;
use super::killing;
use super::options::{Options, PARTITIONS, PATIENCE};
use super::pipeline::Pipeline;
use super::report::Report;
use super::versions::{self, Versions};
use anyhow::{Result, ensure};
use pelton::binding::Wiring;
use pelton::deploy::api::{Back, DeployRequest};
use pelton::deploy::client::DeployClient;
use pelton::deploy::protocol::{Control, DeployState, KnownDeploy};
use pelton_demo::traffic::Random;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a swap changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Settings,
    Component,
    Rollback,
}

/// The most attempts for each swap that is wanted. More would mean that something is wrong.
const ATTEMPTS: usize = 4;

/// Deploys to one pipeline.
pub struct Swapping<'p> {
    pipeline: &'p Pipeline<'p>,
    client: DeployClient,
    /// Serves the author's registry.
    _runtime: tokio::runtime::Runtime,
    /// Kept so that the author compiles each component only once.
    _compiled: Vec<Arc<Wiring>>,
    versions: Versions,
    pub random: Random,
    /// The number of attempted deploys.
    attempts: usize,
    /// The number of attempted components.
    components: usize,
}

impl<'p> Swapping<'p> {
    /// Deploys through Kafka alone, like a command with `--config`.
    pub fn new(pipeline: &'p Pipeline<'p>, seed: u64) -> Result<Swapping<'p>> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let client = pelton::instance::client(pipeline.config()?, runtime.handle())?;
        let versions = Versions::read()?;
        let settings = versions::settings("", versions::PENDING[0]).to_string();
        let compile = |component| (client.compile)(component, &settings).map_err(anyhow::Error::msg);
        let compiled = versions.components().map(compile).collect::<Result<_>>()?;
        let swapping = Swapping {
            pipeline,
            client,
            _runtime: runtime,
            _compiled: compiled,
            versions,
            random: Random::new(seed),
            attempts: 0,
            components: 0,
        };
        let begun = Instant::now();
        while swapping.control()?.newest().is_none() {
            ensure!(begun.elapsed() < PATIENCE, "the file's rules are not deployed");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(swapping)
    }

    /// A component by its number. Numbers wrap around.
    pub fn component(&self, number: usize) -> Vec<u8> {
        self.versions.component(number).to_vec()
    }

    /// Makes one deploy, which must be committed.
    pub fn deploy(&self, request: DeployRequest) -> Result<()> {
        let done = self.client.deploy(request, &mut |_, _| {});
        done.map(drop).map_err(anyhow::Error::msg)
    }

    /// The current content of the control topic.
    pub fn control(&self) -> Result<Control> {
        let reader = self.client.read().map_err(anyhow::Error::msg)?;
        Ok(reader.control().clone())
    }

    /// Makes as many swaps as are wanted, with the kills and freezes between and in them. Each swap lets the next slice of traffic
    /// in.
    pub fn run(
        &mut self,
        options: &Options,
        feed: &mut Feed<'_>,
        instances: &mut [Instance<'_>; 2],
        report: &mut Report,
    ) -> Result<()> {
        // The kills are spread evenly. The first one is in a swap.
        let planned = |number: usize| (number + 1) * options.swaps / (options.kills + 1);
        let mut kill = 0;
        let begun = Instant::now();
        while report.committed() < options.swaps || kill < options.kills || report.freezes < options.freezes {
            ensure!(
                self.attempts < options.swaps * ATTEMPTS + 10,
                "{} swaps of {} are committed after {} attempts: {:#?}",
                report.committed(),
                options.swaps,
                self.attempts,
                report.refused
            );
            ensure!(
                !feed.is_through(),
                "there is no traffic left for swaps: take more money events"
            );
            instances.iter_mut().try_for_each(|instance| instance.lives())?;
            (options.say)(&format!(
                "{} swaps, {} refused, {} kills; {} s",
                report.committed(),
                report.refused.len(),
                report.kills,
                begun.elapsed().as_secs()
            ));
            let due = kill < options.kills && report.committed() >= planned(kill).min(options.swaps);
            if due && kill % 2 == 1 {
                report.kills += killing::in_a_commit(self.pipeline, instances, feed, &mut self.random)?;
                report.killed_in_commits += 1;
                kill += 1;
            }
            let victim = (due && kill < options.kills && kill % 2 == 0).then_some(&mut instances[0]);
            let before = report.killed_in_swaps;
            self.swap(feed, victim, report)?;
            kill += report.killed_in_swaps - before;
            let due = (report.freezes + 1) * options.swaps / (options.freezes + 1);
            if report.freezes < options.freezes && report.committed() >= due {
                freezing::beyond_the_session(instances, report.freezes % 2, feed)?;
                report.freezes += 1;
            }
        }
        Ok(())
    }

    /// Makes one deploy, and reports its outcome. `victim` is killed while it is undecided.
    pub fn swap(
        &mut self,
        feed: &mut Feed<'_>,
        mut victim: Option<&mut Instance<'_>>,
        report: &mut Report,
    ) -> Result<()> {
        let times = feed.more();
        let kind = match self.random.below(10) {
            // The two processes have a component ready at different times. So there is a moment with the answers of
            // some tasks only.
            _ if victim.is_some() => Kind::Component,
            0..4 => Kind::Settings,
            4..8 => Kind::Component,
            _ => Kind::Rollback,
        };
        // At the end of the slice that is being written, a little after it, or wherever the tasks are.
        let length = (times.end - times.start).max(4) as u64;
        let ahead = (self.random.below(length / 2) + length * 7 / 10) as i64;
        let at = (victim.is_some() || self.random.chance(0.5)).then_some(times.start + ahead);
        let request = DeployRequest {
            at,
            ..self.request(kind)
        };
        let (mut open, mut trouble) = (false, None);
        let client = &self.client;
        let done = client.deploy(request, &mut |known, _| {
            if !is_under_way(known) {
                return;
            }
            let Some(victim) = victim.take() else { return };
            victim.kill();
            // The topic may have more than what was read before the kill.
            let number = known.deploy.number;
            open = client.read().is_ok_and(|now| {
                let known = now.control().known(number);
                known.is_some_and(|known| known.state == DeployState::Open)
            });
            report.kills += 1;
            trouble = victim.again().err();
        });
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        report.killed_in_swaps += usize::from(open);
        match done {
            Ok(_) => {
                let how = if at.is_some() { "by T" } else { "now" };
                let what = match kind {
                    Kind::Settings => "settings",
                    Kind::Component => "component",
                    Kind::Rollback => "rollback",
                };
                *report.swaps.entry(how).or_default() += 1;
                *report.swaps.entry(what).or_default() += 1;
            }
            Err(why) => report.refused.push(format!("{kind:?}: {why}")),
        }
        Ok(())
    }

    fn request(&mut self, kind: Kind) -> DeployRequest {
        self.attempts += 1;
        let label = format!("s{}-", self.attempts);
        match kind {
            Kind::Settings => {
                let pending = versions::PENDING[self.random.below(2) as usize];
                let set = [
                    ("label".to_owned(), json!(label)),
                    ("pending_ttl".to_owned(), json!(format!("{pending}ms"))),
                ];
                DeployRequest {
                    set: set.into(),
                    ..DeployRequest::default()
                }
            }
            Kind::Component => {
                self.components += 1;
                DeployRequest {
                    component: Some(self.versions.component(self.components).to_vec()),
                    set: [("label".to_owned(), json!(label))].into(),
                    ..DeployRequest::default()
                }
            }
            Kind::Rollback => DeployRequest {
                back: Some(Back::Before),
                ..DeployRequest::default()
            },
        }
    }
}

/// Whether some tasks hold for it, but not all of them.
fn is_under_way(known: &KnownDeploy) -> bool {
    known.state == DeployState::Open && (1..PARTITIONS as usize).contains(&known.answers.len())
}
