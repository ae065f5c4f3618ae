//! Swaps new rules into the running pipeline: first as a shadow of the live ones, then in their place.
//!
//! Rules:
//! - The pipeline is changed only in the ways that `pelton rules` offers.
//! - A shadow of ours that does not take over is ended, unless `--hold` was given.

use super::args::Dev;
use super::reporter::Reporter;
use super::saves::{Interrupt, Saves};
use crate::exit::Trouble;
use crate::rules::diff;
use crate::rules::via::Via;
use pelton::deploy::api::{DeployRequest, OneDeploy, RulesStatus, Shadowing};
use pelton::record::Millis;
use pelton::shadow::ShadowState;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How much longer than its duration a shadow may take, because event time may be slow or stand still.
const SLOWER: Duration = Duration::from_secs(3);

/// All tasks take over within a few commits, unless their event time stands still for lack of input.
const TAKING_OVER: Duration = Duration::from_secs(15);

/// How often to look at a running shadow.
const LOOK: Duration = Duration::from_millis(100);

/// How many differences to show.
const SHOWN: usize = 3;

/// What should run.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub component: Vec<u8>,
    /// The settings, or `None` to keep the running ones.
    pub settings: Option<Value>,
}

/// How rules take over.
pub struct Manner {
    /// How long they first run as a shadow. 0 means not at all.
    shadow: Millis,
    hold: bool,
    /// Whether they take over even if they trap.
    anyway: bool,
    one_way: bool,
    drop_timers: bool,
}

/// Rules that will take over, as decided.
pub struct Promoted {
    pub version: String,
    /// The number of their deploy.
    pub number: u64,
}

/// The result of a swap.
pub enum Swapped {
    /// They run in all tasks.
    Runs(Promoted),
    /// They will take over, but not every task has done so yet.
    Slow(Promoted),
    /// They keep running as a shadow.
    Held(String),
    /// They have taken over and were withdrawn, for this reason.
    Withdrawn(String),
    /// They trap, and don't take over.
    Trap,
    /// They were refused, or nobody answers. Contains the reason.
    Refused(String),
    Interrupted(Interrupt),
}

/// A running pipeline.
pub struct Live {
    via: Via,
    /// The command-line argument that names it.
    pub address: String,
    /// The shadow that we have started and that has not ended, as far as we know.
    shadow: Option<u64>,
}

impl Manner {
    /// Takes it from the arguments.
    pub fn of(dev: &Dev) -> Manner {
        Manner {
            shadow: dev.shadow,
            hold: dev.hold,
            anyway: dev.anyway,
            one_way: dev.one_way,
            drop_timers: dev.drop_timers,
        }
    }

    fn request(&self) -> DeployRequest {
        DeployRequest {
            one_way: self.one_way,
            drop_timers: self.drop_timers,
            ..DeployRequest::default()
        }
    }
}

impl Live {
    /// A pipeline that can be reached by `via`.
    pub fn new(via: Via, address: String) -> Live {
        Live {
            via,
            address,
            shadow: None,
        }
    }

    /// The status of the pipeline.
    pub fn status(&self) -> Result<RulesStatus, Trouble> {
        self.via.status()
    }

    /// Why a deploy was withdrawn, if it was. Always `None` where asking would be expensive.
    pub fn withdrawn(&self, number: u64) -> Option<String> {
        let Via::Http { .. } = self.via else {
            return None;
        };
        let deploys = self.status().ok()?.deploys;
        back(&deploys, number)
    }

    /// Whether this runs, or is about to.
    pub fn has(&self, wanted: &Wanted) -> Result<bool, Trouble> {
        let running = self.status()?;
        let component = pelton::rules::Version(pelton::deploy::compile::hash(&wanted.component)).to_string();
        let last = running.deploys.iter().rev().find(|known| known.state == "committed");
        let settings = |known: &OneDeploy| {
            wanted
                .settings
                .as_ref()
                .is_none_or(|settings| *settings == known.settings)
        };
        Ok(last.is_some_and(|known| known.component == component && settings(known)))
    }

    /// Ends our shadow, if it still runs.
    pub fn end_shadow(&mut self) {
        let Some(number) = self.shadow.take() else { return };
        // A cancel ends whatever is in progress, so that must be our shadow.
        let Ok(running) = self.status() else { return };
        let shadow = running.shadow.filter(|shadow| shadow.over.is_none());
        if shadow.is_some_and(|shadow| shadow.number == number) && running.deploys.iter().all(|one| one.state != "open")
        {
            // It may have ended in the meantime.
            let _ = self.via.cancel();
        }
    }

    /// Lets the rules take over.
    pub fn swap(
        &mut self,
        wanted: &Wanted,
        manner: &Manner,
        saves: &mut Saves,
        reporter: &mut Reporter<'_>,
    ) -> Swapped {
        match self.try_swap(wanted, manner, saves, reporter) {
            Ok(swapped) => swapped,
            Err(Trouble(_, why)) => Swapped::Refused(why),
        }
    }

    fn try_swap(
        &mut self,
        wanted: &Wanted,
        manner: &Manner,
        saves: &mut Saves,
        reporter: &mut Reporter<'_>,
    ) -> Result<Swapped, Trouble> {
        self.end_shadow();
        let begun = Instant::now();
        let rules = DeployRequest {
            component: Some(wanted.component.clone()),
            settings: wanted.settings.clone(),
            ..manner.request()
        };
        let request = match manner.shadow {
            0 => rules,
            shadow => {
                let shadow = Some(shadow);
                let deployed = self.via.deploy(DeployRequest { shadow, ..rules }, &mut |_| {})?;
                self.shadow = Some(deployed.number);
                findings(&deployed, reporter);
                reporter.step("ready", "ready", begun.elapsed());
                let compared = self.compare(manner, saves, reporter);
                if !matches!(compared, Ok(None)) {
                    self.end_shadow();
                }
                if let Some(instead) = compared? {
                    return Ok(instead);
                }
                if manner.hold {
                    return Ok(Swapped::Held(deployed.version));
                }
                DeployRequest {
                    promote: true,
                    ..manner.request()
                }
            }
        };
        let asked = Instant::now();
        let deployed = self.via.deploy(request, &mut |_| {})?;
        let mut since = asked;
        if self.shadow.take().is_none() {
            findings(&deployed, reporter);
            reporter.step("ready", "ready", asked.elapsed());
            since = Instant::now();
        }
        let promoted = Promoted {
            version: deployed.version,
            number: deployed.number,
        };
        self.taken(promoted, since, saves, reporter)
    }

    /// Waits until the shadow has seen enough, and shows its results. Returns the result of the swap if they don't take
    /// over.
    fn compare(
        &self,
        manner: &Manner,
        saves: &mut Saves,
        reporter: &mut Reporter<'_>,
    ) -> Result<Option<Swapped>, Trouble> {
        let begun = Instant::now();
        let until = begun + Duration::from_millis(manner.shadow as u64) + SLOWER;
        let seen = loop {
            let seen = self.via.diff()?;
            if let Some(why) = &seen.over {
                return Ok(Some(Swapped::Refused(format!("the shadow has ended: {why}"))));
            }
            if is_through(&seen) || Instant::now() >= until {
                break seen;
            }
            if let Some(interrupt) = saves.interrupt(LOOK) {
                return Ok(Some(Swapped::Interrupted(interrupt)));
            }
        };
        reporter.step("compare", "compared", begun.elapsed());
        reporter.block(&diff::brief(&seen, SHOWN));
        let traps = seen.total.traps > 0;
        reporter.note("difference", json!(seen));
        Ok((traps && !manner.anyway).then_some(Swapped::Trap))
    }

    /// Waits until all tasks have taken the deploy over.
    fn taken(
        &self,
        promoted: Promoted,
        since: Instant,
        saves: &mut Saves,
        reporter: &mut Reporter<'_>,
    ) -> Result<Swapped, Trouble> {
        loop {
            let running = self.via.status()?;
            if let Some(why) = back(&running.deploys, promoted.number) {
                return Ok(Swapped::Withdrawn(why));
            }
            if running.taken.values().all(|taken| *taken >= promoted.number) {
                reporter.step("running", "running", since.elapsed());
                return Ok(Swapped::Runs(promoted));
            }
            match saves.interrupt(self.pace()) {
                Some(Interrupt::Stop) => return Ok(Swapped::Interrupted(Interrupt::Stop)),
                // The deploy is decided, so these rules run until the next ones do.
                Some(Interrupt::Saved) => return Ok(Swapped::Slow(promoted)),
                None if since.elapsed() > TAKING_OVER => return Ok(Swapped::Slow(promoted)),
                None => {}
            }
        }
    }

    /// How often to look.
    fn pace(&self) -> Duration {
        match self.via {
            Via::Http { .. } => Duration::from_millis(20),
            // Each look reads the control topic.
            Via::Kafka { .. } => Duration::from_millis(250),
        }
    }
}

/// Why a deploy was withdrawn, if it was.
fn back(deploys: &[OneDeploy], number: u64) -> Option<String> {
    let known = deploys.iter().find(|known| known.number == number)?;
    known.why.clone().filter(|_| known.state == "withdrawn")
}

/// Whether every task has run the shadow and none does any more.
fn is_through(seen: &Shadowing) -> bool {
    let running = |standing| standing == ShadowState::Running;
    seen.tasks.len() >= seen.of && !seen.tasks.values().any(|report| running(report.standing))
}

fn findings(deployed: &pelton::deploy::api::Deployed, reporter: &mut Reporter<'_>) {
    deployed
        .findings
        .iter()
        .for_each(|finding| reporter.block(&finding.to_string()));
}
