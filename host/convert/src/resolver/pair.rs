//! Compares two schemas: which of their types are the same, and which can be read as which.
//!
//! A value goes to the branch of the reader's union with the same type and full name; else to one with the same name
//! without its namespace, or with an alias; else to the first that it can be promoted to.

use pelton_avro_schema::{Ix, Kind, Logical, Name, Schema};
use std::collections::HashSet;

/// A writer's schema and a reader's. Types of the writer are called `w`, and types of the reader `r`.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub writer: &'a Schema,
    pub reader: &'a Schema,
}

impl Pair<'_> {
    /// The branch of the reader's union for this type, which is not a union itself.
    pub fn choose(&self, w: Ix, branches: &[Ix]) -> Option<usize> {
        let kind = self.writer.kind(w);
        let of = |fits: &dyn Fn(Ix) -> bool| branches.iter().position(|branch| fits(*branch));
        of(&|r| same_type(kind, self.reader.kind(r), |a, b| a.full == b.full))
            .or_else(|| of(&|r| same_type(kind, self.reader.kind(r), same_name)))
            .or_else(|| of(&|r| promotes(kind, self.reader.kind(r)) && self.logical_fits(w, r)))
    }

    /// Whether every value of `w` is the same value of `r`, without any change of bytes.
    pub fn same(&self, w: Ix, r: Ix) -> bool {
        self.same_but(w, r, &mut HashSet::new())
    }

    /// Like [`same`](Pair::same), on the assumption that the pairs in `seen` are the same.
    fn same_but(&self, w: Ix, r: Ix, seen: &mut HashSet<(Ix, Ix)>) -> bool {
        if !seen.insert((w, r)) {
            return true;
        }
        if !self.logical_fits(w, r) {
            return false;
        }
        let decimal = |schema: &Schema, ix| matches!(schema.node(ix).logical, Logical::Decimal { .. });
        match (self.writer.kind(w), self.reader.kind(r)) {
            (Kind::Null, Kind::Null)
            | (Kind::Boolean, Kind::Boolean)
            | (Kind::Int, Kind::Int | Kind::Long)
            | (Kind::Long, Kind::Long)
            | (Kind::Float, Kind::Float)
            | (Kind::Double, Kind::Double)
            | (Kind::Text, Kind::Text) => true,
            // Bytes may not be a valid decimal. Text is always valid as bytes.
            (Kind::Bytes | Kind::Text, Kind::Bytes) => decimal(self.writer, w) || !decimal(self.reader, r),
            (Kind::Fixed(a, size), Kind::Fixed(b, other)) => {
                size == other && same_name(a, b) && (decimal(self.writer, w) || !decimal(self.reader, r))
            }
            (Kind::Enum(a, symbols, _), Kind::Enum(b, others, _)) => same_name(a, b) && others.starts_with(symbols),
            (Kind::Array(item), Kind::Array(other)) | (Kind::Map(item), Kind::Map(other)) => {
                self.same_but(*item, *other, seen)
            }
            (Kind::Union(branches), Kind::Union(others)) => {
                branches.len() <= others.len()
                    && (branches.iter().enumerate()).all(|(index, branch)| {
                        self.choose(*branch, others) == Some(index) && self.same_but(*branch, others[index], seen)
                    })
            }
            (Kind::Record(a, fields), Kind::Record(b, others)) => {
                // Fields with other names may match by aliases, even crosswise. `steps` handles that.
                same_name(a, b)
                    && fields.len() == others.len()
                    && fields
                        .iter()
                        .zip(others)
                        .all(|(field, other)| field.name == other.name && self.same_but(field.node, other.node, seen))
            }
            _ => false,
        }
    }

    /// Whether the logical types are compatible. Two known logical types must be the same.
    pub fn logical_fits(&self, w: Ix, r: Ix) -> bool {
        let (writer, reader) = (self.writer.node(w), self.reader.node(r));
        match (writer.logical, reader.logical) {
            // The digits of a decimal are not text, and text is not digits.
            (Logical::Decimal { .. }, Logical::None) => !matches!(reader.kind, Kind::Text),
            (Logical::None | Logical::Uuid, Logical::Decimal { .. }) => !matches!(writer.kind, Kind::Text),
            (Logical::None, _) | (_, Logical::None) => true,
            (one, other) => one == other,
        }
    }
}

/// Avro compares names without namespaces. The reader's aliases count too, with their namespaces.
pub(super) fn same_name(writer: &Name, reader: &Name) -> bool {
    writer.short() == reader.short() || reader.aliases.contains(&writer.full)
}

fn same_type(writer: &Kind, reader: &Kind, same: impl Fn(&Name, &Name) -> bool) -> bool {
    match (writer, reader) {
        (Kind::Record(a, _), Kind::Record(b, _)) | (Kind::Enum(a, ..), Kind::Enum(b, ..)) => same(a, b),
        (Kind::Fixed(a, size), Kind::Fixed(b, other)) => size == other && same(a, b),
        _ => std::mem::discriminant(writer) == std::mem::discriminant(reader),
    }
}

fn promotes(writer: &Kind, reader: &Kind) -> bool {
    matches!(
        (writer, reader),
        (Kind::Int, Kind::Long | Kind::Float | Kind::Double)
            | (Kind::Long, Kind::Float | Kind::Double)
            | (Kind::Float, Kind::Double)
            | (Kind::Text, Kind::Bytes)
            | (Kind::Bytes, Kind::Text)
    )
}
