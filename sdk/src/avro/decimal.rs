//! Decimals: an integer and a scale that the type knows. Written as the shortest two's complement (zero is one byte 00);
//! more digits than the precision are malformed, and can't be made either.

use super::{Decoder, Malformed, Wire, put_long};
use std::fmt;

/// A decimal of at most `PRECISION` digits, `SCALE` of them behind the point. On the wire it is bytes, or a fixed of
/// `SIZE` where that is not 0. The digits are held by an i64; beyond 18 digits by an i128.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal<const PRECISION: u32, const SCALE: u32, const SIZE: usize = 0, I = i64> {
    unscaled: I,
}

/// What can hold the digits of a decimal: i64 (18 of them) and i128 (38).
pub trait Unscaled: Copy + Default + Into<i128> + TryFrom<i128> {
    /// Bytes of the type.
    const BYTES: usize;
    /// All digits nine. `precision` is at most what the type holds.
    fn within(self, precision: u32) -> bool;
    /// Of the shortest two's complement, or of any longer one that says the same. `None`: it does not fit.
    fn from_be(bytes: &[u8]) -> Option<Self>;
    /// Sign-extended to 16 bytes.
    fn to_be(self) -> [u8; 16];
    /// How many bytes of the end of `to_be` say it all.
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
    /// Digits in all.
    pub const PRECISION: u32 = PRECISION;
    /// Digits after the point.
    pub const SCALE: u32 = SCALE;

    /// For generated code, which knows that the digits are not too many.
    #[doc(hidden)]
    pub const fn literal(unscaled: I) -> Self {
        Decimal { unscaled }
    }
}

impl<const PRECISION: u32, const SCALE: u32, const SIZE: usize, I: Unscaled> Decimal<PRECISION, SCALE, SIZE, I> {
    /// `unscaled` is the value times 10^SCALE. `None`: it has more than `PRECISION` digits.
    #[inline]
    pub fn new(unscaled: I) -> Option<Self> {
        unscaled.within(PRECISION).then_some(Decimal { unscaled })
    }

    /// The value times 10^SCALE.
    #[inline]
    pub fn unscaled(self) -> I {
        self.unscaled
    }

    /// `None`: the sum has more than `PRECISION` digits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let sum = self.unscaled.into().checked_add(other.unscaled.into())?;
        I::try_from(sum).ok().and_then(Self::new)
    }

    /// `None`: the difference has more than `PRECISION` digits.
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

/// Plain digits with all `SCALE` places: `12.5000`.
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
