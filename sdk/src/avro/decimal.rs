//! Decimals: an integer, with a scale that is part of the type. They are written as the shortest two's complement (zero
//! is the one byte 00). A decimal never has more digits than its precision, whether it is read or made.

use super::{Decoder, Malformed, Wire, put_long};
use std::fmt;

/// A decimal of at most `PRECISION` digits, `SCALE` of them after the point. It is encoded as bytes, or as a fixed of
/// `SIZE` if that is not 0. The digits are in an i64, or in an i128 if there are more than 18.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal<const PRECISION: u32, const SCALE: u32, const SIZE: usize = 0, I = i64> {
    unscaled: I,
}

/// An integer for the digits of a decimal: i64 (18 digits) or i128 (38 digits).
pub trait Unscaled: Copy + Default + Into<i128> + TryFrom<i128> {
    /// Size of the type in bytes.
    const BYTES: usize;
    /// Whether the number has at most `precision` digits. The type must be able to hold that many.
    fn within(self, precision: u32) -> bool;
    /// Reads two's complement of any length. Returns `None` if the number does not fit.
    fn from_be(bytes: &[u8]) -> Option<Self>;
    /// The number as 16 bytes.
    fn to_be(self) -> [u8; 16];
    /// How many bytes at the end of `to_be` are enough.
    fn shortest(self) -> usize;
}

macro_rules! unscaled {
    ($int:ty) => {
        impl Unscaled for $int {
            const BYTES: usize = size_of::<$int>();

            #[inline(always)]
            fn within(self, precision: u32) -> bool {
                let limit = (10 as $int).pow(precision);
                -limit < self && self < limit
            }

            #[inline(always)]
            fn from_be(mut bytes: &[u8]) -> Option<Self> {
                let sign = if *bytes.first()? < 0x80 { 0 } else { 0xFF };
                while bytes.len() > Self::BYTES {
                    if bytes[0] != sign || bytes[1] & 0x80 != sign & 0x80 {
                        return None;
                    }
                    bytes = &bytes[1..];
                }
                Some(
                    bytes
                        .iter()
                        .fold(sign as i8 as $int, |all, byte| all << 8 | <$int>::from(*byte)),
                )
            }

            #[inline(always)]
            fn to_be(self) -> [u8; 16] {
                i128::from(self).to_be_bytes()
            }

            #[inline(always)]
            fn shortest(self) -> usize {
                let sign_bits = if self < 0 {
                    self.leading_ones()
                } else {
                    self.leading_zeros()
                };
                Self::BYTES - (sign_bits as usize - 1) / 8
            }
        }
    };
}
unscaled!(i64);
unscaled!(i128);

impl<const PRECISION: u32, const SCALE: u32, const SIZE: usize, I> Decimal<PRECISION, SCALE, SIZE, I> {
    /// Maximum number of digits.
    pub const PRECISION: u32 = PRECISION;
    /// Number of digits after the point.
    pub const SCALE: u32 = SCALE;

    /// For generated code, which has checked the number of digits.
    #[doc(hidden)]
    pub const fn literal(unscaled: I) -> Self {
        Decimal { unscaled }
    }
}

impl<const PRECISION: u32, const SCALE: u32, const SIZE: usize, I: Unscaled> Decimal<PRECISION, SCALE, SIZE, I> {
    /// `unscaled` is the value times 10^SCALE. Returns `None` if it has more than `PRECISION` digits.
    #[inline]
    pub fn new(unscaled: I) -> Option<Self> {
        unscaled.within(PRECISION).then_some(Decimal { unscaled })
    }

    /// The value times 10^SCALE.
    #[inline]
    pub fn unscaled(self) -> I {
        self.unscaled
    }

    /// The sum, or `None` if it has more than `PRECISION` digits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let sum = self.unscaled.into().checked_add(other.unscaled.into())?;
        I::try_from(sum).ok().and_then(Self::new)
    }

    /// The difference, or `None` if it has more than `PRECISION` digits.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let difference = self.unscaled.into().checked_sub(other.unscaled.into())?;
        I::try_from(difference).ok().and_then(Self::new)
    }
}

impl<'a, const PRECISION: u32, const SCALE: u32, const SIZE: usize, I: Unscaled> Wire<'a>
    for Decimal<PRECISION, SCALE, SIZE, I>
{
    const MIN: usize = if SIZE == 0 { 2 } else { SIZE };

    #[inline(always)]
    fn read(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        let bytes = if SIZE == 0 { from.bytes()? } else { from.take(SIZE)? };
        match I::from_be(bytes).and_then(Self::new) {
            Some(value) => Ok(value),
            None => Err(Malformed::new("a decimal with no more digits than its precision")),
        }
    }

    #[inline(always)]
    fn write(&self, out: &mut Vec<u8>) {
        let bytes = self.unscaled.to_be();
        if SIZE == 0 {
            let len = self.unscaled.shortest();
            put_long(len as i64, out);
            out.extend_from_slice(&bytes[16 - len..]);
        } else if SIZE <= 16 {
            out.extend_from_slice(&bytes[16 - SIZE..]);
        } else {
            out.resize(out.len() + SIZE - 16, if bytes[0] < 0x80 { 0 } else { 0xFF });
            out.extend_from_slice(&bytes);
        }
    }
}

/// Plain digits, with all `SCALE` digits after the point: `12.5000`.
impl<const PRECISION: u32, const SCALE: u32, const SIZE: usize, I: Unscaled> fmt::Display
    for Decimal<PRECISION, SCALE, SIZE, I>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unscaled: i128 = self.unscaled.into();
        let (one, digits) = (10u128.pow(SCALE), unscaled.unsigned_abs());
        let sign = if unscaled < 0 { "-" } else { "" };
        match SCALE as usize {
            0 => write!(f, "{sign}{digits}"),
            places => write!(f, "{sign}{}.{:0places$}", digits / one, digits % one),
        }
    }
}

impl<const PRECISION: u32, const SCALE: u32, const SIZE: usize, I: Unscaled> fmt::Debug
    for Decimal<PRECISION, SCALE, SIZE, I>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
