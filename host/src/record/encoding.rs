//! The versions of the formats in which Pelton keeps things, on topics and on disk.
//!
//! Rule: everything that is kept begins with the version of its format. A version that this build knows is read as what it
//! meant; the one before the newest is always known, so that Pelton can be upgraded under a running pipeline. Any other
//! is refused in words: what it is, which version it has, and what to do. Nothing is guessed.

use crate::error::Failure;
use serde::Deserialize;
use thiserror::Error;

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// What is written in it, with its article.
    pub what: &'static str,
    /// The version that is written.
    pub newest: u8,
    /// The oldest version that is read.
    pub oldest: u8,
}

/// Bytes that can't be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Unreadable {
    /// A later version of Pelton wrote them.
    #[error(
        "{} has format version {version}, which a newer Pelton has written; this one reads versions {} to {}. Upgrade this \
         instance: all instances of a pipeline must run the newer Pelton once one of them does", .encoding.what, .encoding.oldest,
        .encoding.newest
    )]
    Newer {
        /// Which format.
        encoding: Encoding,
        /// Which version they have.
        version: u8,
    },
    /// An early version of Pelton wrote them.
    #[error(
        "{} has format version {version}, which is too old: this Pelton reads versions {} to {}. Run a Pelton in between first, \
         which reads it and writes a newer version", .encoding.what, .encoding.oldest, .encoding.newest
    )]
    Older {
        /// Which format.
        encoding: Encoding,
        /// Which version they have.
        version: u8,
    },
    /// The version is one that is known, and they are not what it says; or there are none.
    #[error("{} can't be read: it is damaged, or Pelton did not write it", .encoding.what)]
    Damaged {
        /// Which format.
        encoding: Encoding,
    },
}

impl Encoding {
    /// The version that bytes say they have, which is a known one, and what follows it.
    pub fn open<'a>(&self, bytes: &'a [u8]) -> Result<(u8, &'a [u8]), Unreadable> {
        let encoding = *self;
        match bytes.split_first() {
            None => Err(self.damaged()),
            Some((&version, _)) if version > self.newest => Err(Unreadable::Newer { encoding, version }),
            Some((&version, _)) if version < self.oldest => Err(Unreadable::Older { encoding, version }),
            Some((&version, rest)) => Ok((version, rest)),
        }
    }

    /// Reads a value that postcard wrote, to the last byte.
    pub fn read<'a, T: Deserialize<'a>>(&self, bytes: &'a [u8]) -> Result<T, Unreadable> {
        match postcard::take_from_bytes(bytes) {
            Ok((value, [])) => Ok(value),
            _ => Err(self.damaged()),
        }
    }

    /// Bytes that are not what their version says.
    pub fn damaged(&self) -> Unreadable {
        Unreadable::Damaged { encoding: *self }
    }
}

impl From<Unreadable> for Failure {
    /// Reading it again helps only against damage: the log may have been cut meanwhile.
    fn from(why: Unreadable) -> Failure {
        match why {
            Unreadable::Damaged { .. } => Failure::Corrupted(why.to_string()),
            Unreadable::Newer { .. } | Unreadable::Older { .. } => Failure::Fatal(why.to_string()),
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

    /// A field more at the end is another format, and must not be taken for this one.
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
