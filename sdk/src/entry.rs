//! Encodes the names of entries and tags as bytes that sort like the values.
//!
//! Rule: if a < b for values of one type, the same is true for their bytes. A tuple's bytes begin with those of its
//! first part, and no other first part has bytes that begin with them. The encoding is stored, so it never changes.

use crate::arena::Arena;
use crate::place::Place;
use std::fmt;

/// A value that can be part of a name or a tag.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a part of an entry or a tag",
    label = "not one of `&str`, `&[u8]`, `Place`, `bool`, an integer, `Option` or a tuple of these",
    note = "a part must have bytes that sort as it does: floats and structs have none"
)]
pub trait Part<'a>: Copy {
    /// Writes the shape of the encoding. Types with the same shape can read each other's bytes.
    #[doc(hidden)]
    fn shape(out: &mut String);
    /// Appends the bytes. If it is the `last` part, they need no end mark.
    #[doc(hidden)]
    fn put(self, last: bool, out: &mut Vec<u8>);
    #[doc(hidden)]
    fn take(from: &mut Parts<'a>, last: bool) -> Result<Self, BadParts>;
}

/// A type for the names of a map's or a set's entries.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't name entries",
    label = "not one of `Text`, `Bytes`, `Place`, `bool`, an integer, `Option` or a tuple of two or three of these",
    note = "texts are named by the type `Text` (not `&str` or `String`), bytes by `Bytes`"
)]
pub trait Entry: 'static {
    /// The name of an entry.
    type Of<'a>: Part<'a>;
    /// The argument of `scan`, `drain` and `clear`: the beginning of a text or of bytes, or the first part of a tuple.
    /// `()` for other types.
    type Head<'a>;
    #[doc(hidden)]
    fn put_head(head: Self::Head<'_>, out: &mut Vec<u8>);
}

/// Names that are text (`&str`), sorted by their UTF-8 bytes.
pub struct Text;
/// Names that are bytes (`&[u8]`).
pub struct Bytes;

/// Bytes that these rules have not written. Perhaps another version of them has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadParts(&'static str);

impl BadParts {
    /// The error for something that the rules don't have at all.
    #[doc(hidden)]
    pub const NONE: BadParts = BadParts("anything that these rules know");
}

impl fmt::Display for BadParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "its bytes are not those of {}; were they written by other rules?",
            self.0
        )
    }
}

impl std::error::Error for BadParts {}

/// Reads the parts of a name one by one.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    bytes: &'a [u8],
    arena: &'a Arena,
}

impl<'a> Parts<'a> {
    pub(crate) fn new(bytes: &'a [u8], arena: &'a Arena) -> Self {
        Parts { bytes, arena }
    }

    /// Checks that all parts are read.
    #[doc(hidden)]
    pub fn end(&self) -> Result<(), BadParts> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(BadParts("so few parts"))
        }
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], BadParts> {
        let (head, rest) = self.bytes.split_first_chunk().ok_or(BadParts(what))?;
        self.bytes = rest;
        Ok(*head)
    }

    /// Reads bytes up to their end mark 00 00. A 00 before that is written as 00 FF.
    fn delimited(&mut self) -> Result<&'a [u8], BadParts> {
        const WHAT: BadParts = BadParts("bytes with an end mark");
        let mut escaped = false;
        let mut at = 0;
        loop {
            at += self.bytes[at..].iter().position(|&b| b == 0).ok_or(WHAT)?;
            match self.bytes.get(at + 1) {
                Some(0xFF) => (escaped, at) = (true, at + 2),
                Some(0) => break,
                _ => return Err(WHAT),
            }
        }
        let (raw, rest) = (&self.bytes[..at], &self.bytes[at + 2..]);
        self.bytes = rest;
        if !escaped {
            return Ok(raw);
        }
        let mut plain = Vec::with_capacity(raw.len());
        let mut bytes = raw.iter();
        while let Some(&byte) = bytes.next() {
            plain.push(byte);
            if byte == 0 {
                bytes.next();
            }
        }
        Ok(self.arena.adopt(plain))
    }
}

impl<'a> Part<'a> for &'a [u8] {
    fn shape(out: &mut String) {
        out.push_str("bytes");
    }
    #[inline]
    fn put(self, last: bool, out: &mut Vec<u8>) {
        if last {
            return out.extend_from_slice(self);
        }
        let mut rest = self;
        while let Some(at) = rest.iter().position(|&b| b == 0) {
            out.extend_from_slice(&rest[..=at]);
            out.push(0xFF);
            rest = &rest[at + 1..];
        }
        out.extend_from_slice(rest);
        out.extend_from_slice(&[0, 0]);
    }
    #[inline]
    fn take(from: &mut Parts<'a>, last: bool) -> Result<Self, BadParts> {
        if last {
            Ok(std::mem::take(&mut from.bytes))
        } else {
            from.delimited()
        }
    }
}

impl<'a> Part<'a> for &'a str {
    fn shape(out: &mut String) {
        out.push_str("text");
    }
    #[inline]
    fn put(self, last: bool, out: &mut Vec<u8>) {
        self.as_bytes().put(last, out);
    }
    #[inline]
    fn take(from: &mut Parts<'a>, last: bool) -> Result<Self, BadParts> {
        std::str::from_utf8(<&[u8]>::take(from, last)?).map_err(|_| BadParts("a text"))
    }
}

impl Entry for Text {
    type Of<'a> = &'a str;
    type Head<'a> = &'a str;
    fn put_head(head: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(head.as_bytes());
    }
}

impl Entry for Bytes {
    type Of<'a> = &'a [u8];
    type Head<'a> = &'a [u8];
    fn put_head(head: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(head);
    }
}

/// Implements [`Entry`] for a type that is its own name and has no parts.
macro_rules! whole {
    ($type:ty) => {
        impl Entry for $type {
            type Of<'a> = $type;
            type Head<'a> = ();
            fn put_head(_: (), _: &mut Vec<u8>) {}
        }
    };
}

/// Integers are big-endian. For signed ones the sign bit is inverted, so that negative numbers come first.
macro_rules! integer {
    ($($type:ty, $flip:expr;)*) => {$(
        whole!($type);
        impl<'a> Part<'a> for $type {
            fn shape(out: &mut String) {
                out.push_str(stringify!($type));
            }
            #[inline]
            fn put(self, _: bool, out: &mut Vec<u8>) {
                out.extend_from_slice(&(self ^ $flip).to_be_bytes());
            }
            #[inline]
            fn take(from: &mut Parts<'a>, _: bool) -> Result<Self, BadParts> {
                Ok(<$type>::from_be_bytes(from.array(stringify!($type))?) ^ $flip)
            }
        }
    )*};
}
integer! { u8, 0; u16, 0; u32, 0; u64, 0; i8, i8::MIN; i16, i16::MIN; i32, i32::MIN; i64, i64::MIN; }

whole!(bool);
impl<'a> Part<'a> for bool {
    fn shape(out: &mut String) {
        out.push_str("bool");
    }
    fn put(self, _: bool, out: &mut Vec<u8>) {
        out.push(u8::from(self));
    }
    fn take(from: &mut Parts<'a>, _: bool) -> Result<Self, BadParts> {
        match from.array("bool")? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(BadParts("bool")),
        }
    }
}

whole!(());
impl<'a> Part<'a> for () {
    fn shape(out: &mut String) {
        out.push_str("()");
    }
    fn put(self, _: bool, _: &mut Vec<u8>) {}
    fn take(_: &mut Parts<'a>, _: bool) -> Result<Self, BadParts> {
        Ok(())
    }
}

whole!(Place);
impl<'a> Part<'a> for Place {
    fn shape(out: &mut String) {
        out.push_str("place");
    }
    #[inline]
    fn put(self, _: bool, out: &mut Vec<u8>) {
        let mut bytes = [0; 18];
        bytes[..8].copy_from_slice(&(self.time ^ i64::MIN).to_be_bytes());
        bytes[8..10].copy_from_slice(&self.rank.to_be_bytes());
        bytes[10..].copy_from_slice(&self.offset.to_be_bytes());
        out.extend_from_slice(&bytes);
    }
    #[inline]
    fn take(from: &mut Parts<'a>, last: bool) -> Result<Self, BadParts> {
        Ok(Place {
            time: i64::take(from, last)?,
            rank: u16::take(from, last)?,
            offset: u64::take(from, last)?,
        })
    }
}

/// `None` comes first.
impl<'a, A: Part<'a>> Part<'a> for Option<A> {
    fn shape(out: &mut String) {
        out.push('?');
        A::shape(out);
    }
    fn put(self, last: bool, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(some) = self {
            some.put(last, out);
        }
    }
    fn take(from: &mut Parts<'a>, last: bool) -> Result<Self, BadParts> {
        if bool::take(from, false)? {
            A::take(from, last).map(Some)
        } else {
            Ok(None)
        }
    }
}

impl<A: Entry> Entry for Option<A> {
    type Of<'a> = Option<A::Of<'a>>;
    type Head<'a> = ();
    fn put_head(_: (), _: &mut Vec<u8>) {}
}

macro_rules! tuple {
    ($first:ident $($other:ident)* ; $last:ident) => {
        #[allow(non_snake_case, reason = "the types' names are the variables'")]
        impl<'a, $first: Part<'a>, $($other: Part<'a>,)* $last: Part<'a>> Part<'a> for ($first, $($other,)* $last) {
            fn shape(out: &mut String) {
                out.push('(');
                $first::shape(out);
                $(out.push(','); $other::shape(out);)*
                out.push(',');
                $last::shape(out);
                out.push(')');
            }
            #[inline]
            fn put(self, last: bool, out: &mut Vec<u8>) {
                let ($first, $($other,)* $last) = self;
                $first.put(false, out);
                $($other.put(false, out);)*
                $last.put(last, out);
            }
            #[inline]
            fn take(from: &mut Parts<'a>, last: bool) -> Result<Self, BadParts> {
                Ok(($first::take(from, false)?, $($other::take(from, false)?,)* $last::take(from, last)?))
            }
        }

        impl<$first: Entry, $($other: Entry,)* $last: Entry> Entry for ($first, $($other,)* $last) {
            type Of<'a> = ($first::Of<'a>, $($other::Of<'a>,)* $last::Of<'a>);
            type Head<'a> = $first::Of<'a>;
            fn put_head(head: $first::Of<'_>, out: &mut Vec<u8>) {
                head.put(false, out);
            }
        }
    };
}
tuple!(A; B);
tuple!(A B; C);
tuple!(A B C; D);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Name<'a> = (&'a str, Option<i32>, Place, &'a [u8]);

    fn bytes(name: Name) -> Vec<u8> {
        let mut out = Vec::new();
        name.put(true, &mut out);
        out
    }

    prop_compose! {
        fn names()(text in "[\0\u{1}a\u{ff}]{0,3}", some in any::<Option<i8>>(), time in -1i64..2, rank in 0u16..2,
                   offset in 0u64..2, tail in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255)], 0..3))
            -> (String, Option<i32>, Place, Vec<u8>) {
            (text, some.map(i32::from), Place { time, rank, offset }, tail)
        }
    }

    proptest! {
        #[test]
        fn sorts_as_the_values_do_and_reads_back(a in names(), b in names()) {
            let (a, b): (Name, Name) = ((&a.0, a.1, a.2, &a.3), (&b.0, b.1, b.2, &b.3));
            prop_assert_eq!(bytes(a).cmp(&bytes(b)), a.cmp(&b));
            let arena = Arena::default();
            let encoded = bytes(a);
            let mut parts = Parts::new(&encoded, &arena);
            prop_assert_eq!(Name::take(&mut parts, true).unwrap(), a);
            parts.end().unwrap();
            let mut head = Vec::new();
            b.0.put(false, &mut head);
            prop_assert_eq!(encoded.starts_with(&head), a.0 == b.0);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..40)) {
            let arena = Arena::default();
            let mut parts = Parts::new(&bytes, &arena);
            let _ = Name::take(&mut parts, true);
        }
    }
}
