//! Components that were fetched from the control topic, so that a version with only other settings needs no fetch.
//!
//! Rule: a component stays as long as one of its versions. Each may have about 18 MB, so the agent limits the versions.

use crate::record::VersionId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The SHA-256 of a component.
type Hash = [u8; 32];

/// Fetched components.
#[derive(Default)]
pub struct Components {
    /// The component of each version.
    versions: BTreeMap<VersionId, Hash>,
    components: BTreeMap<Hash, Arc<Vec<u8>>>,
}

impl Components {
    /// Adds the component of a version.
    pub fn add(&mut self, version: VersionId, hash: Hash, component: Arc<Vec<u8>>) {
        self.versions.insert(version, hash);
        self.components.insert(hash, component);
    }

    /// Whether the component of this version was fetched.
    pub fn has(&self, version: &VersionId) -> bool {
        self.versions.contains_key(version)
    }

    /// The component with this hash, if it was fetched.
    pub fn get(&self, hash: &Hash) -> Option<Arc<Vec<u8>>> {
        self.components.get(hash).cloned()
    }

    /// Number of versions.
    pub fn len(&self) -> usize {
        self.versions.len()
    }

    /// Keeps only these versions, and the components that they need.
    pub fn retain(&mut self, keep: impl Fn(&VersionId) -> bool) {
        self.versions.retain(|version, _| keep(version));
        let hashes: BTreeSet<&Hash> = self.versions.values().collect();
        self.components.retain(|hash, _| hashes.contains(hash));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_goes_with_the_last_version_of_it() {
        let mut components = Components::default();
        for (version, hash) in [(1, 7), (2, 7), (3, 8)] {
            components.add([version; 32], [hash; 32], Arc::new(vec![hash]));
        }
        components.retain(|version| version[0] == 2);
        assert_eq!(components.len(), 1);
        assert!(components.has(&[2; 32]) && !components.has(&[3; 32]));
        assert_eq!(components.get(&[7; 32]).as_deref(), Some(&vec![7]));
        assert!(components.get(&[8; 32]).is_none());
        components.retain(|_| false);
        assert!(components.get(&[7; 32]).is_none());
    }
}
