//! Reads the fields of a record, for generated code.

use super::{Decoder, Malformed, NullLast, Wire};

impl<'a> Decoder<'a> {
    /// Reads a field of a record. If it is malformed, the error says its name.
    #[inline(always)]
    pub fn field<T: Wire<'a>>(&mut self, name: &'static str) -> Result<T, Malformed> {
        named(T::read(self), name)
    }

    /// Reads a field whose union has its null last.
    #[inline(always)]
    pub fn null_last<T: Wire<'a>>(&mut self, name: &'static str) -> Result<Option<T>, Malformed> {
        match NullLast::read(self) {
            Ok(value) => Ok(value.0),
            Err(e) => Err(e.at(name)),
        }
    }
}

#[inline(always)]
fn named<T>(read: Result<T, Malformed>, name: &'static str) -> Result<T, Malformed> {
    match read {
        Ok(value) => Ok(value),
        Err(e) => Err(e.at(name)),
    }
}
