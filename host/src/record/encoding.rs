//! Versions of the formats that Pelton stores, on topics and on disk.
//!
//! Rules:
//! - All stored data begins with the version of its format. A known version is read as what it meant then. Any other version
//!   is refused with a message that says what it is, which version it has, and what to do.
//! - What the last release wrote is always known, so that Pelton can be upgraded under a running pipeline. A new version of a
//!   format brings the reader of the version before: see docs/internals/formats.md.

use crate::error::Failure;
use serde::Deserialize;
use thiserror::Error;

/// A stored format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// What is stored in it, with its article, for messages.
    pub what: &'static str,
    /// The version that this build writes.
    pub newest: u8,
    /// The oldest version that this build can read.
    pub oldest: u8,
}

/// The records of the control topic, except the chunks of components, which are plain bytes. An instance that finds a newer
/// version ends with a message, because it would act on only half of what the topic says.
pub const CONTROL: Encoding = Encoding {
    what: "a record of the control topic",
    newest: 1,
    oldest: 1,
};

/// The entries of the journal. Version 1 was never released.
pub const JOURNAL: Encoding = Encoding {
    what: "a journal entry",
    newest: 2,
    oldest: 2,
};

/// The records of the changelog. The local store keeps such records, too.
pub const DELTA: Encoding = Encoding {
    what: "a record of state changes",
    newest: 1,
    oldest: 1,
};

/// A task's meta and its names, which are part of deltas. Version 1 was never released.
pub const META: Encoding = Encoding {
    what: "a task's meta in its changelog",
    newest: 2,
    oldest: 2,
};

/// The stamp in the local store, and the keys and values that it stands for. They are a copy of what the changelog says. If
/// they can't be read, they are wiped with a warning, and restored from there.
pub const STORED: Encoding = Encoding {
    what: "the state on disk",
    newest: 1,
    oldest: 1,
};

/// All formats. The report of a shadow is not one of them: it is JSON, and has its version in a field.
pub const ALL: [Encoding; 5] = [CONTROL, JOURNAL, DELTA, META, STORED];

/// Why stored bytes can't be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum UnreadableFormat {
    /// A later version of Pelton has written them.
    #[error(
        "{} has format version {version}, which a newer Pelton has written; this one reads versions {} to {}. Upgrade this \
         instance: all instances of a pipeline must run the newer Pelton once one of them does", .encoding.what, .encoding.oldest,
        .encoding.newest
    )]
    Newer {
        /// The format.
        encoding: Encoding,
        /// The version of the bytes.
        version: u8,
    },
    /// A version of Pelton that is too old has written them.
    #[error(
        "{} has format version {version}, which is too old: this Pelton reads versions {} to {}. Run a Pelton in between first, \
         which reads it and writes a newer version", .encoding.what, .encoding.oldest, .encoding.newest
    )]
    Older {
        /// The format.
        encoding: Encoding,
        /// The version of the bytes.
        version: u8,
    },
    /// They are not valid for their version, or are empty.
    #[error("{} can't be read: it is damaged, or Pelton did not write it", .encoding.what)]
    Damaged {
        /// The format.
        encoding: Encoding,
    },
}

impl Encoding {
    /// The version of the bytes, if it is known, and what follows it.
    pub fn open<'a>(&self, bytes: &'a [u8]) -> Result<(u8, &'a [u8]), UnreadableFormat> {
        let encoding = *self;
        match bytes.split_first() {
            None => Err(self.damaged()),
            Some((&version, _)) if version > self.newest => Err(UnreadableFormat::Newer { encoding, version }),
            Some((&version, _)) if version < self.oldest => Err(UnreadableFormat::Older { encoding, version }),
            Some((&version, rest)) => Ok((version, rest)),
        }
    }

    /// Decodes a postcard value, which must use all bytes.
    pub fn read<'a, T: Deserialize<'a>>(&self, bytes: &'a [u8]) -> Result<T, UnreadableFormat> {
        match postcard::take_from_bytes(bytes) {
            Ok((value, [])) => Ok(value),
            _ => Err(self.damaged()),
        }
    }

    /// The error for bytes that are not valid for their version.
    pub fn damaged(&self) -> UnreadableFormat {
        UnreadableFormat::Damaged { encoding: *self }
    }
}

impl From<UnreadableFormat> for Failure {
    /// Only damage may be gone when the bytes are read again, because the log may have been truncated in the meantime.
    fn from(why: UnreadableFormat) -> Failure {
        match why {
            UnreadableFormat::Damaged { .. } => Failure::Corrupted(why.to_string()),
            UnreadableFormat::Newer { .. } | UnreadableFormat::Older { .. } => Failure::Fatal(why.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: Encoding = Encoding {
        what: "a list of numbers",
        newest: 3,
        oldest: 2,
    };

    #[test]
    fn known_versions_are_opened_and_others_refused_in_words() {
        assert_eq!(NUMBERS.open(&[3, 7]), Ok((3, &[7][..])));
        assert_eq!(NUMBERS.open(&[2]), Ok((2, &[][..])));
        let newer = NUMBERS.open(&[4, 7]).expect_err("unknown").to_string();
        for part in [
            "a list of numbers has format version 4",
            "versions 2 to 3",
            "Upgrade this instance",
        ] {
            assert!(newer.contains(part), "{newer}");
        }
        let older = NUMBERS.open(&[1, 7]).expect_err("unknown").to_string();
        for part in [
            "a list of numbers has format version 1",
            "versions 2 to 3",
            "Run a Pelton in between",
        ] {
            assert!(older.contains(part), "{older}");
        }
        let torn = NUMBERS.open(&[]).expect_err("nothing").to_string();
        assert!(torn.starts_with("a list of numbers can't be read"), "{torn}");
    }

    /// A value with one more field is in another format, and must not be taken for this one.
    #[test]
    fn values_are_read_to_the_last_byte() {
        assert_eq!(NUMBERS.read(&[2, 7, 8]), Ok(vec![7u8, 8]));
        assert_eq!(NUMBERS.read::<Vec<u8>>(&[2, 7, 8, 9]), Err(NUMBERS.damaged()));
        assert_eq!(NUMBERS.read::<Vec<u8>>(&[2, 7]), Err(NUMBERS.damaged()));
    }

    #[test]
    fn an_unknown_version_is_for_people_and_damage_may_be_read_again() {
        let failure = |bytes| Failure::from(NUMBERS.open(bytes).expect_err("unreadable"));
        assert!(matches!(failure(&[4]), Failure::Fatal(_)));
        assert!(matches!(failure(&[1]), Failure::Fatal(_)));
        assert!(matches!(failure(&[]), Failure::Corrupted(_)));
    }
}
