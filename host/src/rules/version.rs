//! The version of rules: their identity.
//!
//! Rule: two sets of rules have the same version if and only if their file and settings are the same bytes.

use sha2::{Digest, Sha256};
use std::fmt;

/// SHA-256 over the component's file and its settings. `{}` writes the first 12 hex digits, and `{:#}` all 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub [u8; 32]);

impl Version {
    /// The version of a file (component or core module, as it was given) with these settings.
    pub fn of(wasm: &[u8], settings: &str) -> Version {
        let mut hash = Sha256::new();
        // Without the length, (a, bc) and (ab, c) would be the same.
        hash.update((wasm.len() as u64).to_be_bytes());
        hash.update(wasm);
        hash.update(settings.as_bytes());
        Version(hash.finalize().into())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = if f.alternate() { &self.0[..] } else { &self.0[..6] };
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_and_settings_count_and_their_border_too() {
        let version = Version::of(b"ab", "c");
        assert_eq!(version, Version::of(b"ab", "c"));
        assert_ne!(version, Version::of(b"ab", "d"));
        assert_ne!(version, Version::of(b"a", "bc"));
        assert_eq!(version.to_string().len(), 12);
        assert_eq!(format!("{version:#}").len(), 64);
        assert!(format!("{version:#}").starts_with(&version.to_string()));
    }
}
