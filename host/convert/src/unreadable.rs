//! Why a value can't be read, and where in it.

use std::fmt;
use std::sync::Arc;

/// Why a value can't be read, and where in it. The text is only formatted when it is displayed.
#[derive(Clone, PartialEq, Eq)]
pub struct Unreadable(Box<Fault>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    what: &'static str,
    detail: Detail,
    /// Innermost place first.
    path: Vec<Place>,
}

/// What the message adds to `what`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Detail {
    None,
    Number(i64),
    Name(Arc<str>),
    /// Byte position in a JSON text.
    At(usize),
}

/// One step of the path from the top of the value to the fault.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Field(Arc<str>),
    Item(u64),
    Entry(u64),
}

impl Unreadable {
    #[cold]
    #[inline(never)]
    pub(super) fn new(what: &'static str) -> Self {
        Self::with(what, Detail::None)
    }

    #[cold]
    #[inline(never)]
    pub(super) fn number(what: &'static str, number: i64) -> Self {
        Self::with(what, Detail::Number(number))
    }

    #[cold]
    #[inline(never)]
    pub(super) fn name(what: &'static str, name: &Arc<str>) -> Self {
        Self::with(what, Detail::Name(name.clone()))
    }

    #[cold]
    #[inline(never)]
    pub(super) fn at(what: &'static str, at: usize) -> Self {
        Self::with(what, Detail::At(at))
    }

    fn with(what: &'static str, detail: Detail) -> Self {
        Unreadable(Box::new(Fault {
            what,
            detail,
            path: Vec::new(),
        }))
    }

    /// Adds that the fault is in this field.
    #[cold]
    #[inline(never)]
    pub(super) fn in_field(mut self, name: &Arc<str>) -> Self {
        self.0.path.push(Place::Field(name.clone()));
        self
    }

    /// Adds that the fault is in this item of an array.
    #[cold]
    #[inline(never)]
    pub(super) fn in_item(mut self, index: u64) -> Self {
        self.0.path.push(Place::Item(index));
        self
    }

    /// Adds that the fault is in this entry of a map.
    #[cold]
    #[inline(never)]
    pub(super) fn in_entry(mut self, index: u64) -> Self {
        self.0.path.push(Place::Entry(index));
        self
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for place in self.0.path.iter().rev() {
            match place {
                Place::Field(name) if first => write!(f, "{name}")?,
                Place::Field(name) => write!(f, ".{name}")?,
                Place::Item(index) => write!(f, "[{index}]")?,
                Place::Entry(index) => write!(f, "{{entry {index}}}")?,
            }
            first = false;
        }
        if !first {
            f.write_str(": ")?;
        }
        f.write_str(self.0.what)?;
        match &self.0.detail {
            Detail::None => Ok(()),
            Detail::Number(number) => write!(f, ": {number}"),
            Detail::Name(name) => write!(f, ": {name}"),
            Detail::At(at) => write!(f, ", at byte {at} of the text"),
        }
    }
}

impl fmt::Debug for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unreadable({self})")
    }
}

impl std::error::Error for Unreadable {}
