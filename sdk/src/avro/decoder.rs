//! Reads the primitives of Avro's binary encoding. The first byte of a varint is handled separately, because most
//! lengths, counts and branches fit into it.

use super::Malformed;

/// The part of the input that is not read yet.
#[derive(Clone, Copy, Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Reads these bytes from their start.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Decoder { rest: bytes }
    }

    /// Whether all bytes were read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes that are not read yet.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte.
    #[inline(always)]
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        let Some((&byte, rest)) = self.rest.split_first() else {
            return Err(Malformed::new("more bytes"));
        };
        self.rest = rest;
        Ok(byte)
    }

    /// The next `len` bytes.
    #[inline(always)]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(Malformed::new("more bytes"));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    #[inline(always)]
    pub fn chunk<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let Some((chunk, rest)) = self.rest.split_first_chunk() else {
            return Err(Malformed::new("more bytes"));
        };
        self.rest = rest;
        Ok(chunk)
    }

    /// Reads a zigzag varint of at most 64 bits.
    #[inline(always)]
    pub fn long(&mut self) -> Result<i64, Malformed> {
        let raw = match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                u64::from(byte)
            }
            _ => self.varint()?,
        };
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// Reads a zigzag varint that fits into 32 bits.
    #[inline(always)]
    pub fn int(&mut self) -> Result<i32, Malformed> {
        i32::try_from(self.long()?).map_err(|_| Malformed::new("an int of 32 bits"))
    }

    /// Reads a length and that many bytes.
    #[inline(always)]
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.long()?;
        match usize::try_from(len) {
            Ok(len) => self.take(len),
            Err(_) => Err(Malformed::new("a length that is not negative")),
        }
    }

    /// Reads a varint of any length.
    #[inline(never)]
    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut raw = 0;
        for (i, &byte) in self.rest.iter().take(10).enumerate() {
            raw |= u64::from(byte & 0x7F) << (7 * i);
            if byte < 0x80 {
                if i == 9 && byte > 1 {
                    break;
                }
                self.rest = &self.rest[i + 1..];
                return Ok(raw);
            }
        }
        Err(Malformed::new(if self.rest.len() < 10 {
            "more bytes"
        } else {
            "a varint of 64 bits"
        }))
    }
}
