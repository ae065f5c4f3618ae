//! Reads records of the changelog, whose bytes may be anything.

use super::change::Change;
use super::code::{
    ASK, CANCEL_TIMER, DELETE, KIND, META, NAMES, PUT, SAME_KEY, SET_TIMER, TIME, TIME_FOREVER, TIME_LONG, TIME_SHORT,
};
use crate::error::Failure;
use crate::record::encoding::{DELTA, UnreadableFormat};
use crate::record::{FOREVER, Millis, StoreEntry};
use thiserror::Error;

/// A record that can't be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Torn {
    /// It is empty, or has a version that this build does not know.
    #[error(transparent)]
    Unreadable(#[from] UnreadableFormat),
    /// It is not valid for its version.
    #[error("a record of state changes is damaged: {why} at byte {at}")]
    Damaged {
        /// Byte position in the record.
        at: usize,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl From<Torn> for Failure {
    fn from(torn: Torn) -> Failure {
        match torn {
            Torn::Unreadable(why) => why.into(),
            Torn::Damaged { .. } => Failure::Corrupted(torn.to_string()),
        }
    }
}

/// The changes of a record, in order. Ends after the first [`Torn`].
#[derive(Clone, Debug)]
pub struct Changes<'a> {
    record: &'a [u8],
    at: usize,
    key: Option<&'a [u8]>,
    torn: Option<Torn>,
}

/// Reads the changes of a record from [`Delta::records`].
pub fn read(record: &[u8]) -> Changes<'_> {
    let torn = DELTA.open(record).err().map(Torn::from);
    Changes {
        record,
        at: 1,
        key: None,
        torn,
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Result<Change<'a>, Torn>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.record.len() && self.torn.is_none() {
            return None;
        }
        let change = match self.torn.take() {
            Some(torn) => Err(torn),
            None => self.change(),
        };
        if change.is_err() {
            self.record = &[];
        }
        Some(change)
    }
}

impl<'a> Changes<'a> {
    fn change(&mut self) -> Result<Change<'a>, Torn> {
        let head = self.take(1)?[0];
        let kind = head & KIND;
        if head & !(KIND | SAME_KEY | TIME) != 0 {
            return Err(self.torn("unknown flag"));
        }
        if head & TIME != 0 && !matches!(kind, PUT | SET_TIMER | CANCEL_TIMER) {
            return Err(self.torn("a time where there is none"));
        }
        match kind {
            META | NAMES if head & SAME_KEY != 0 => Err(self.torn("a key where there is none")),
            META => Ok(Change::Meta(self.string()?)),
            NAMES => Ok(Change::Names(self.string()?)),
            _ => {
                let key = match (head & SAME_KEY != 0, self.key) {
                    (false, _) => self.string()?,
                    (true, Some(key)) => key,
                    (true, None) => return Err(self.torn("no key before")),
                };
                self.key = Some(key);
                self.of_key(head, key)
            }
        }
    }

    /// The rest of a change of this key. The fields are read in the order of the format.
    #[inline]
    fn of_key(&mut self, head: u8, key: &'a [u8]) -> Result<Change<'a>, Torn> {
        Ok(match head & KIND {
            PUT => {
                let (expires, store, schema) = (self.time(head)?, self.short()?, self.short()?);
                let (entry, value) = (self.string()?, self.string()?);
                let cell = StoreEntry { schema, expires, value };
                Change::Put {
                    key,
                    store,
                    entry,
                    cell,
                }
            }
            DELETE => Change::Delete {
                key,
                store: self.short()?,
                entry: self.string()?,
            },
            SET_TIMER => Change::SetTimer {
                key,
                at: self.time(head)?,
                kind: self.short()?,
                tag: self.string()?,
            },
            CANCEL_TIMER => Change::CancelTimer {
                key,
                at: self.time(head)?,
                kind: self.short()?,
                tag: self.string()?,
            },
            ASK => Change::Ask {
                key,
                lookup: self.short()?,
                tag: self.string()?,
                id: self.string()?,
                request: self.string()?,
            },
            _ => Change::Answered {
                key,
                lookup: self.short()?,
                tag: self.string()?,
            },
        })
    }

    fn torn(&self, why: &'static str) -> Torn {
        Torn::Damaged { at: self.at, why }
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'a [u8], Torn> {
        match self.record[self.at..].split_at_checked(len) {
            Some((taken, _)) => {
                self.at += len;
                Ok(taken)
            }
            None => Err(self.torn("it ends too early")),
        }
    }

    #[inline]
    fn string(&mut self) -> Result<&'a [u8], Torn> {
        let len = self.number()?;
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    #[inline]
    fn short(&mut self) -> Result<u16, Torn> {
        u16::try_from(self.number()?).map_err(|_| self.torn("a number above 16 bits"))
    }

    #[inline]
    fn number(&mut self) -> Result<u64, Torn> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            if shift == 63 && byte > 1 {
                break;
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.torn("a number above 64 bits"))
    }

    #[inline]
    fn time(&mut self, head: u8) -> Result<Millis, Torn> {
        let (len, unused) = match head & TIME {
            TIME_FOREVER => return Ok(FOREVER),
            TIME_SHORT => (6, 16),
            TIME_LONG => (8, 0),
            _ => return Err(self.torn("unknown form of time")),
        };
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(self.take(len)?);
        Ok(i64::from_le_bytes(bytes) << unused >> unused)
    }
}
