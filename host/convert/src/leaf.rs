//! The kinds of values without parts.
//!
//! Rule: JSON readers and writers agree on these kinds, because both take them from here.

use super::{Incompatible, decimal};
use pelton_avro_schema::{Kind, Logical, Node};

/// A kind of value without parts and without a name.
#[derive(Debug)]
pub(super) enum Leaf {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Text,
    Bytes,
    Fixed {
        size: u32,
    },
    /// `fixed` is the size of a fixed. It is `None` for bytes, which give their own length.
    Decimal {
        precision: u32,
        scale: u32,
        fixed: Option<u32>,
    },
    /// A fixed of sixteen bytes.
    Uuid,
    Millis,
    Micros,
}

impl Leaf {
    /// The kind of a node that has neither parts nor symbols.
    pub fn of(node: &Node) -> Result<Leaf, Incompatible> {
        let decimal = |precision, scale, fixed| {
            decimal::supported(precision)?;
            Ok::<_, Incompatible>(Leaf::Decimal {
                precision,
                scale,
                fixed,
            })
        };
        Ok(match (&node.kind, node.logical) {
            (Kind::Null, _) => Leaf::Null,
            (Kind::Boolean, _) => Leaf::Boolean,
            (Kind::Int, _) => Leaf::Int,
            (Kind::Long, Logical::TimestampMillis) => Leaf::Millis,
            (Kind::Long, Logical::TimestampMicros) => Leaf::Micros,
            (Kind::Long, _) => Leaf::Long,
            (Kind::Float, _) => Leaf::Float,
            (Kind::Double, _) => Leaf::Double,
            (Kind::Text, _) => Leaf::Text,
            (Kind::Bytes, Logical::Decimal { precision, scale }) => decimal(precision, scale, None)?,
            (Kind::Bytes, _) => Leaf::Bytes,
            (Kind::Fixed(_, size), Logical::Decimal { precision, scale }) => decimal(precision, scale, Some(*size))?,
            (Kind::Fixed(..), Logical::Uuid) => Leaf::Uuid,
            (Kind::Fixed(_, size), _) => Leaf::Fixed { size: *size },
            (Kind::Enum(..) | Kind::Array(_) | Kind::Map(_) | Kind::Union(_) | Kind::Record(..), _) => {
                unreachable!("both callers take these kinds before")
            }
        })
    }
}
