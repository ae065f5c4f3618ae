//! The result of a build.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The result of a build.
#[derive(Clone, Debug)]
pub struct Built {
    /// Path of the component.
    pub path: PathBuf,
    /// The bytes of the component.
    pub component: Vec<u8>,
    /// The files that it was built from.
    pub used: BTreeSet<PathBuf>,
}

/// The folder that cargo builds into, given a component in its TARGET/PROFILE/.
pub fn target_folder(component: &Path) -> Option<PathBuf> {
    component.ancestors().nth(3).map(Path::to_path_buf)
}
