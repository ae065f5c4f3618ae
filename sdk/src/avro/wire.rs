//! The binary encoding of each type: the primitives, and unions with null. Generated types add theirs.

use super::{Decoder, Malformed};

/// A type that can be written, and read from a datum that lives as long as `'a`. Generated code implements it. Rules
/// use [`super::Datum`].
pub trait Wire<'a>: Copy {
    /// Minimum encoded size of a value. 0 means that every value takes no bytes.
    const MIN: usize;
    /// Reads the next value.
    fn read(from: &mut Decoder<'a>) -> Result<Self, Malformed>;
    /// Appends the value.
    fn write(&self, out: &mut Vec<u8>);
}

/// Appends a zigzag varint.
#[inline(always)]
pub fn put_long(value: i64, out: &mut Vec<u8>) {
    let mut raw = (value << 1 ^ value >> 63) as u64;
    if raw < 0x80 {
        return out.push(raw as u8);
    }
    let mut bytes = [0; 10];
    let mut len = 0;
    while raw >= 0x80 {
        bytes[len] = raw as u8 | 0x80;
        raw >>= 7;
        len += 1;
    }
    bytes[len] = raw as u8;
    out.extend_from_slice(&bytes[..=len]);
}

/// Appends a zigzag varint.
#[inline(always)]
pub fn put_int(value: i32, out: &mut Vec<u8>) {
    put_long(i64::from(value), out)
}

impl Wire<'_> for () {
    const MIN: usize = 0;
    #[inline(always)]
    fn read(_: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(())
    }
    #[inline(always)]
    fn write(&self, _: &mut Vec<u8>) {}
}

impl Wire<'_> for bool {
    const MIN: usize = 1;
    #[inline(always)]
    fn read(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::new("true (01) or false (00)")),
        }
    }
    #[inline(always)]
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self))
    }
}

impl Wire<'_> for i32 {
    const MIN: usize = 1;
    #[inline(always)]
    fn read(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        from.int()
    }
    #[inline(always)]
    fn write(&self, out: &mut Vec<u8>) {
        put_int(*self, out)
    }
}

impl Wire<'_> for i64 {
    const MIN: usize = 1;
    #[inline(always)]
    fn read(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        from.long()
    }
    #[inline(always)]
    fn write(&self, out: &mut Vec<u8>) {
        put_long(*self, out)
    }
}

impl Wire<'_> for f32 {
    const MIN: usize = 4;
    #[inline(always)]
    fn read(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(f32::from_le_bytes(*from.chunk()?))
    }
    #[inline(always)]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes())
    }
}

impl Wire<'_> for f64 {
    const MIN: usize = 8;
    #[inline(always)]
    fn read(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(f64::from_le_bytes(*from.chunk()?))
    }
    #[inline(always)]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes())
    }
}

/// Checks that bytes are text. Nearly all text is ASCII, which is checked eight bytes at a time; the standard library's
/// words have only four in Wasm.
#[inline]
fn text(bytes: &[u8]) -> Option<&str> {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (words, tail) = bytes.as_chunks::<8>();
    let high = words.iter().fold(0, |high, word| high | u64::from_le_bytes(*word)) & HIGH;
    let high = tail.iter().fold(high, |high, byte| high | u64::from(byte & 0x80));
    if high == 0 {
        // SAFETY: bytes below 0x80 are UTF-8.
        return Some(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    std::str::from_utf8(bytes).ok()
}

impl<'a> Wire<'a> for &'a str {
    const MIN: usize = 1;
    #[inline(always)]
    fn read(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        text(from.bytes()?).ok_or_else(|| Malformed::new("text in UTF-8"))
    }
    #[inline(always)]
    fn write(&self, out: &mut Vec<u8>) {
        self.as_bytes().write(out)
    }
}

impl<'a> Wire<'a> for &'a [u8] {
    const MIN: usize = 1;
    #[inline(always)]
    fn read(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        from.bytes()
    }
    #[inline(always)]
    fn write(&self, out: &mut Vec<u8>) {
        put_long(self.len() as i64, out);
        out.extend_from_slice(self)
    }
}

impl<'a, const N: usize> Wire<'a> for &'a [u8; N] {
    const MIN: usize = N;
    #[inline(always)]
    fn read(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        from.chunk()
    }
    #[inline(always)]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(*self)
    }
}

/// A union of null and `T` in which null comes first.
impl<'a, T: Wire<'a>> Wire<'a> for Option<T> {
    const MIN: usize = 1;
    #[inline(always)]
    fn read(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        match from.long()? {
            0 => Ok(None),
            1 => T::read(from).map(Some),
            _ => Err(Malformed::new("null (branch 0) or a value (branch 1)")),
        }
    }
    #[inline(always)]
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(2);
                value.write(out)
            }
        }
    }
}

/// A union of `T` and null in which null comes last, as an item of an array or a map. A field is a plain `Option`.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct NullLast<T>(pub Option<T>);

impl<'a, T: Wire<'a>> Wire<'a> for NullLast<T> {
    const MIN: usize = 1;
    #[inline(always)]
    fn read(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        match from.long()? {
            0 => T::read(from).map(|value| NullLast(Some(value))),
            1 => Ok(NullLast(None)),
            _ => Err(Malformed::new("a value (branch 0) or null (branch 1)")),
        }
    }
    #[inline(always)]
    fn write(&self, out: &mut Vec<u8>) {
        null_last(&self.0, out)
    }
}

/// Appends a field whose union has its null last.
#[inline(always)]
pub fn null_last<'a, T: Wire<'a>>(value: &Option<T>, out: &mut Vec<u8>) {
    match value {
        None => out.push(2),
        Some(value) => {
            out.push(0);
            value.write(out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::text;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_is_what_the_library_says(
            bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..40), "[a-z0é🌊]{0,30}".prop_map(String::into_bytes)],
        ) {
            prop_assert_eq!(text(&bytes), std::str::from_utf8(&bytes).ok());
        }
    }
}
