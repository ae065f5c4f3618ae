//! A row, as the table has it: where its layers are.

/// A row in one layer: 0 for nothing, a page in the arena, or (with the top bit) a map.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Layer(pub u32);

pub const MAP: u32 = 1 << 31;

impl Layer {
    #[inline]
    pub fn is_some(self) -> bool {
        self.0 != 0
    }

    #[inline]
    pub fn map(self) -> Option<usize> {
        (self.0 & MAP != 0).then_some((self.0 & !MAP) as usize)
    }
}

/// The layers of a row, in 24 bytes.
#[derive(Clone, Copy, Default)]
pub struct Row {
    pub hash: u64,
    pub committed: Layer,
    pub sealed: Layer,
    pub open: Layer,
    /// A combination of [`USED`] and [`DIRTY`].
    pub flags: u32,
}

/// The slot belongs to a row.
pub const USED: u32 = 1;

/// The store does not have the current committed row.
pub const DIRTY: u32 = 2;
