//! The versions of the rules that an instance has compiled, and those that don't fit it.
//!
//! Rule: a version that is kept is not compiled again. One that does not fit is not tried again as long as anything needs
//! it.

use super::components::Components;
use crate::binding::Wiring;
use crate::deploy::compile::{Compile, CompileJob, CompileOutcome, SpawnCompile};
use crate::deploy::protocol::{Control, DeployStage};
use crate::record::VersionId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// How many compiled versions are kept without being needed, with a few MiB each. As many components are kept of
/// versions that don't fit, with about 18 MB each.
pub const KEEP: usize = 4;

/// What an instance knows about versions.
pub struct CompiledVersions {
    wirings: BTreeMap<VersionId, Arc<Wiring>>,
    failed: BTreeMap<VersionId, String>,
    /// Components of the compiled versions, and of at most [`KEEP`] others that don't fit.
    components: Components,
    /// Versions that are being fetched or compiled.
    under_way: BTreeSet<VersionId>,
    results: Receiver<CompileOutcome>,
    /// The other end of `results`, for the compilations.
    outcomes: Sender<CompileOutcome>,
}

impl CompiledVersions {
    /// Begins with the rules that the pipeline's file names, if they are compiled.
    pub fn new(first: Option<&Arc<Wiring>>) -> CompiledVersions {
        let (tell, results) = channel();
        let wirings = first.map(|wiring| (wiring.rules.version().0, wiring.clone()));
        CompiledVersions {
            wirings: wirings.into_iter().collect(),
            failed: BTreeMap::new(),
            components: Components::default(),
            under_way: BTreeSet::new(),
            results,
            outcomes: tell,
        }
    }

    /// All compiled versions.
    pub fn wirings(&self) -> &BTreeMap<VersionId, Arc<Wiring>> {
        &self.wirings
    }

    /// Versions that don't fit here, with the reasons.
    pub fn failed(&self) -> &BTreeMap<VersionId, String> {
        &self.failed
    }

    /// How far this instance has come with a version. `None` before it has fetched the component.
    pub fn stage(&self, version: &VersionId) -> Option<DeployStage> {
        match (self.wirings.contains_key(version), self.components.has(version)) {
            (true, _) => Some(DeployStage::Ready),
            (false, true) => Some(DeployStage::Fetched),
            (false, false) => None,
        }
    }

    /// Whether a version must still be compiled, and nobody does.
    pub fn is_missing(&self, version: &VersionId) -> bool {
        let known = self.wirings.contains_key(version) || self.failed.contains_key(version);
        !known && !self.under_way.contains(version)
    }

    /// The component with this hash, if it was fetched.
    pub fn component(&self, hash: &[u8; 32]) -> Option<Arc<Vec<u8>>> {
        self.components.get(hash)
    }

    /// Notes that a version does not fit here.
    pub fn fail(&mut self, version: VersionId, why: String) {
        self.failed.insert(version, why);
    }

    /// Starts to fetch and compile a version.
    pub fn begin(&mut self, job: CompileJob, compile: &Compile, start: &mut SpawnCompile) {
        let (version, compile, tell) = (job.version, compile.clone(), self.outcomes.clone());
        self.under_way.insert(version);
        if let Err(why) = start(Box::new(move || job.run(&compile, &tell))) {
            tracing::warn!(%why, "can't start a thread for a compilation; trying again");
            self.under_way.remove(&version);
        }
    }

    /// Takes the results of compilations.
    pub fn take_results(&mut self, control: &Control) {
        while let Ok(told) = self.results.try_recv() {
            match told {
                CompileOutcome::Fetched(version, component) => {
                    if let Some(deploy) = control.of_version(&version) {
                        self.components.add(version, deploy.component, component);
                    }
                }
                CompileOutcome::Again(version, why) => {
                    tracing::warn!(why, "fetching a component failed; trying again");
                    self.under_way.remove(&version);
                }
                CompileOutcome::Compiled(version, made) => {
                    self.under_way.remove(&version);
                    match made {
                        Ok(wiring) => _ = self.wirings.insert(version, wiring),
                        Err(why) => _ = self.failed.insert(version, why.to_string()),
                    }
                }
            }
        }
    }

    /// Drops versions that nothing needs, if there are more than [`KEEP`] of them, and so with components of versions
    /// that don't fit. Forgets why a version did not fit as soon as nothing needs it.
    pub fn prune(&mut self, needed: &BTreeSet<VersionId>) {
        let spare = self.wirings.keys().filter(|version| !needed.contains(*version)).count();
        if spare > KEEP {
            self.wirings.retain(|version, _| needed.contains(version));
            self.components.retain(|version| needed.contains(version));
        }
        if self.components.len() > self.wirings.len() + KEEP {
            let wirings = &self.wirings;
            self.components
                .retain(|version| needed.contains(version) || wirings.contains_key(version));
        }
        // If it is deployed again, the reason may have been fixed.
        self.failed.retain(|version, _| needed.contains(version));
    }
}
