//! Writes the dead letters of what was pending when a version took over that doesn't declare it.
//!
//! Rule: nothing is lost silently. Each letter holds the tag, and says what was pending and which version dropped it.

use super::epoch::{Epoch, Piece};
use crate::binding::Layout;
use crate::record::{Millis, Partition, StepKey};
use crate::rules::Version;
use crate::state::Undeclared;
use crate::state::meta::Names;

/// Writes the dead letters of one take-over.
pub(super) struct Letters<'a> {
    /// The topics to write to.
    pub layout: &'a Layout,
    /// The task's partition.
    pub partition: Partition,
    /// The names behind the ids in its state.
    pub names: &'a Names,
    /// The time of its last step.
    pub last: Millis,
    /// The version that takes over.
    pub version: Version,
}

/// One dead letter.
struct Letter<'a> {
    key: &'a [u8],
    tag: &'a [u8],
    time: Millis,
    /// The header that names what was pending.
    header: &'a str,
    name: &'a str,
}

impl Letters<'_> {
    /// Writes one for each timer and each lookup. Returns how many.
    pub fn write(&self, undeclared: &Undeclared, epoch: &mut Epoch) -> u64 {
        let timers = undeclared.timers.iter().filter_map(|timer| match timer {
            StepKey::Timer { time, key, kind, tag } => Some(Letter {
                key,
                tag,
                time: *time,
                header: "pelton.timer",
                name: &self.names.timers[usize::from(*kind)],
            }),
            _ => None,
        });
        let lookups = undeclared.lookups.iter().map(|lookup| Letter {
            key: &lookup.key,
            tag: &lookup.tag,
            time: self.last,
            header: "pelton.lookup",
            name: &self.names.lookups[usize::from(lookup.lookup)],
        });
        let mut written = 0;
        for letter in timers.chain(lookups) {
            self.write_one(&letter, epoch);
            written += 1;
        }
        written
    }

    fn write_one(&self, letter: &Letter<'_>, epoch: &mut Epoch) {
        epoch.write(Piece {
            topic: self.layout.dead_letters,
            partition: self.partition,
            timestamp: letter.time.max(0),
            key: Some(letter.key),
            value: Some([letter.tag, &[]]),
        });
        let name = letter.name;
        let reason = format!("it was pending when rules took over that don't declare '{name}'");
        epoch.header("pelton.reason", reason.as_bytes());
        epoch.header(letter.header, name.as_bytes());
        epoch.header("pelton.version", self.version.to_string().as_bytes());
    }
}
