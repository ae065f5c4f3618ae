//! Lists of records, copied to and from a sandbox's memory.
//!
//! Rule: the bounds of a list are checked once, and then its records are copied between two slices. Wasmtime's own
//! lists look up the memory for each field, which took 0.5 us for each money event.

use std::ops::{Deref, DerefMut};
use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext, LowerContext, bad_type_info,
};
use wasmtime::component::{ComponentType, Lift, Lower};
use wasmtime::{Result, ValRaw, bail};

/// A list of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        List(Vec::new())
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(list: Vec<T>) -> Self {
        List(list)
    }
}

impl<T> Deref for List<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

/// A record with a fixed form in a sandbox's memory: its fields in order, each aligned to its own alignment.
pub trait Flat: ComponentType + Sized {
    /// Writes the record into `SIZE32` bytes.
    fn write(&self, to: &mut [u8]);
    /// Reads the record. Returns `None` if a byte is not a variant of its enum.
    fn read(from: &[u8]) -> Option<Self>;
}

/// A field of a flat record.
pub trait Field: Copy {
    /// Number of bytes that it takes.
    const SIZE: usize;
    /// Its position is a multiple of this.
    const ALIGN: usize;
    /// Writes it to the start of `to`.
    fn put(self, to: &mut [u8]);
    /// Reads it from the start of `from`.
    fn take(from: &[u8]) -> Option<Self>;
}

/// The next position with this alignment.
#[inline(always)]
pub const fn aligned(at: usize, align: usize) -> usize {
    at.next_multiple_of(align)
}

macro_rules! number {
    ($($type:ty)*) => { $(
        impl Field for $type {
            const SIZE: usize = size_of::<$type>();
            const ALIGN: usize = Self::SIZE;
            #[inline(always)]
            fn put(self, to: &mut [u8]) {
                to[..Self::SIZE].copy_from_slice(&self.to_le_bytes());
            }
            #[inline(always)]
            fn take(from: &[u8]) -> Option<Self> {
                from.first_chunk().map(|bytes| <$type>::from_le_bytes(*bytes))
            }
        }
    )* };
}

number!(u16 u32 u64 i64);

impl Field for bool {
    const SIZE: usize = 1;
    const ALIGN: usize = 1;
    #[inline(always)]
    fn put(self, to: &mut [u8]) {
        to[0] = self.into();
    }
    #[inline(always)]
    fn take(from: &[u8]) -> Option<Self> {
        // In the component model, everything other than 0 is true.
        from.first().map(|&byte| byte != 0)
    }
}

/// Implements [`Flat`] for a record of numbers, enums and spans, given its fields in order.
macro_rules! flat {
    ($($name:ident { $($field:ident: $type:ty),* })*) => { $(
        impl $crate::wit::list::Flat for $name {
            #[inline(always)]
            fn write(&self, to: &mut [u8]) {
                use $crate::wit::list::{Field, aligned};
                let mut at = 0;
                $(
                    at = aligned(at, <$type as Field>::ALIGN);
                    self.$field.put(&mut to[at..]);
                    at += <$type as Field>::SIZE;
                )*
                let _ = at;
            }
            #[inline(always)]
            fn read(from: &[u8]) -> Option<Self> {
                use $crate::wit::list::{Field, aligned};
                let mut at = 0;
                $(
                    at = aligned(at, <$type as Field>::ALIGN);
                    let $field = <$type as Field>::take(&from[at..])?;
                    at += <$type as Field>::SIZE;
                )*
                let _ = at;
                Some($name { $($field),* })
            }
        }
    )* };
}

/// Implements [`Field`] for an enum of fewer than 256 variants, given in order.
macro_rules! variants {
    ($($name:ident { $($variant:ident),* })*) => { $(
        impl $crate::wit::list::Field for $name {
            const SIZE: usize = 1;
            const ALIGN: usize = 1;
            #[inline(always)]
            fn put(self, to: &mut [u8]) {
                to[0] = self as u8;
            }
            #[inline(always)]
            fn take(from: &[u8]) -> Option<Self> {
                const ALL: &[$name] = &[$($name::$variant),*];
                ALL.get(usize::from(*from.first()?)).copied()
            }
        }
    )* };
}

pub(super) use {flat, variants};

/// Copies the records into the sandbox's memory. Returns their start and number.
fn lower<T: Flat, U>(cx: &mut LowerContext<'_, U>, list: &[T]) -> Result<(u32, u32)> {
    let Some(bytes) = list.len().checked_mul(T::SIZE32) else {
        bail!("a list is too long");
    };
    let start = cx.realloc(0, 0, T::ALIGN32, bytes)?;
    // `realloc` has checked that all of it is within the memory.
    let place = &mut cx.as_slice_mut()[start..][..bytes];
    for (record, to) in list.iter().zip(place.chunks_exact_mut(T::SIZE32)) {
        record.write(to);
    }
    Ok((u32::try_from(start)?, u32::try_from(list.len())?))
}

/// Copies records from the sandbox's memory.
fn lift<T: Flat>(cx: &mut LiftContext<'_>, start: u32, len: u32) -> Result<List<T>> {
    let (start, len) = (start as usize, len as usize);
    if !start.is_multiple_of(T::ALIGN32 as usize) {
        bail!("list pointer is not aligned");
    }
    // This comes before anything is allocated, because a guest can give any number.
    cx.consume_fuel_array(len, size_of::<T>())?;
    let place = len.checked_mul(T::SIZE32).and_then(|bytes| {
        let end = start.checked_add(bytes)?;
        cx.memory().get(start..end)
    });
    let Some(place) = place else {
        bail!("list pointer/length out of bounds of memory");
    };
    let mut list = Vec::with_capacity(len);
    for from in place.chunks_exact(T::SIZE32) {
        let Some(record) = T::read(from) else {
            bail!("a byte in a list names no variant of its enum");
        };
        list.push(record);
    }
    Ok(List(list))
}

// SAFETY: it behaves like a list in all respects: its lowered form, layout and type check are those of a slice.
unsafe impl<T: Flat> ComponentType for List<T> {
    type Lower = <[T] as ComponentType>::Lower;
    const ABI: CanonicalAbiInfo = <[T] as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        <[T] as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: before they return Ok, both write the whole lowered form of a list: its start and its length.
unsafe impl<T: Flat> Lower for List<T> {
    fn linear_lower_to_flat<U>(
        &self,
        cx: &mut LowerContext<'_, U>,
        ty: InterfaceType,
        to: &mut std::mem::MaybeUninit<Self::Lower>,
    ) -> Result<()> {
        let InterfaceType::List(_) = ty else { bad_type_info() };
        let (start, len) = lower(cx, self)?;
        to.write([ValRaw::i64(start.into()), ValRaw::i64(len.into())]);
        Ok(())
    }

    fn linear_lower_to_memory<U>(&self, cx: &mut LowerContext<'_, U>, ty: InterfaceType, at: usize) -> Result<()> {
        let InterfaceType::List(_) = ty else { bad_type_info() };
        let (start, len) = lower(cx, self)?;
        *cx.get(at) = start.to_le_bytes();
        *cx.get(at + 4) = len.to_le_bytes();
        Ok(())
    }
}

// SAFETY: all of the guest's bytes are checked: the bounds of the list, and each enum. Other fields accept any bytes.
unsafe impl<T: Flat> Lift for List<T> {
    fn linear_lift_from_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, from: &Self::Lower) -> Result<Self> {
        let InterfaceType::List(_) = ty else { bad_type_info() };
        lift(cx, from[0].get_u32(), from[1].get_u32())
    }

    fn linear_lift_from_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> Result<Self> {
        let InterfaceType::List(_) = ty else { bad_type_info() };
        let (Some(start), Some(len)) = (u32::take(bytes), u32::take(&bytes[4..])) else {
            bail!("a list has a start and a length");
        };
        lift(cx, start, len)
    }
}
