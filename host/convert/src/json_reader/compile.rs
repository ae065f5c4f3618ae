//! Compiles a schema into the ops of a JSON reader.
//!
//! Rule: op `n` belongs to node `n` of the schema, so types may contain themselves.

use super::super::datum::Items;
use super::super::default;
use super::super::leaf::Leaf;
use super::Incompatible;
use super::op::{Field, Named, Op, Union};
use pelton_avro_schema::{Ix, Kind, Logical, Schema};

/// The ops of a schema, by node.
pub(super) fn ops(schema: &Schema) -> Result<Box<[Op]>, Incompatible> {
    (0..schema.nodes().len() as Ix).map(|ix| op(schema, ix)).collect()
}

fn op(schema: &Schema, ix: Ix) -> Result<Op, Incompatible> {
    let node = schema.node(ix);
    Ok(match &node.kind {
        Kind::Enum(_, symbols, default) => Op::Enum {
            symbols: symbols.as_slice().into(),
            default: *default,
        },
        Kind::Array(item) => Op::Array(Items {
            op: *item,
            may_be_empty: schema.may_be_empty(*item),
        }),
        Kind::Map(value) => Op::Map { value: *value },
        Kind::Union(branches) => Op::Union(union(schema, ix, branches)),
        Kind::Record(name, fields) => {
            let fields = fields.iter().map(|field| {
                let null = schema.null_branch(field.node);
                let is_null = matches!(schema.kind(field.node), Kind::Null);
                let absent = match default::of(schema, field, &format!("{}.{}", name.short(), field.name))? {
                    Some(default) => Some(default),
                    None if is_null => Some(Box::default()),
                    None => null.map(|branch| {
                        let mut bytes = Vec::new();
                        super::put_long(branch as i64, &mut bytes);
                        bytes.into()
                    }),
                };
                Ok::<_, Incompatible>(Field {
                    name: field.name.clone(),
                    op: field.node,
                    nullable: null.is_some() || is_null,
                    absent,
                })
            });
            Op::Record(fields.collect::<Result<_, _>>()?)
        }
        _ => Op::Leaf(Leaf::of(node)?),
    })
}

fn union(schema: &Schema, ix: Ix, branches: &[Ix]) -> Union {
    let mut union = Union::default();
    // Times come after the plain numbers: our writer writes times as text, so a number was not meant as a time.
    let mut times = Vec::new();
    for (branch, op) in branches.iter().enumerate() {
        let pair = (branch as u32, *op);
        let node = schema.node(*op);
        match (&node.kind, node.logical) {
            (Kind::Null, _) => union.null = Some(branch as u32),
            (Kind::Boolean, _) => union.booleans.push(pair),
            (Kind::Long, Logical::TimestampMillis | Logical::TimestampMicros) => {
                times.push(pair);
                union.texts.push(pair);
            }
            (Kind::Float | Kind::Double, _) => {
                union.numbers.push(pair);
                union.texts.push(pair);
            }
            (Kind::Int | Kind::Long, _) | (_, Logical::Decimal { .. }) => union.numbers.push(pair),
            (Kind::Text | Kind::Bytes | Kind::Fixed(..) | Kind::Enum(..), _) => union.texts.push(pair),
            (Kind::Array(_), _) => union.arrays.push(pair),
            (Kind::Map(_), _) => union.maps.push(pair),
            (Kind::Record(name, _), _) => {
                let same = |other: &&Ix| matches!(schema.kind(**other), Kind::Record(other, _) if other.short() == name.short());
                union.records.push(Named {
                    full: name.full.clone(),
                    short: (branches.iter().filter(same).count() == 1).then(|| name.short().into()),
                    branch: branch as u32,
                    op: *op,
                });
            }
            // The schema parser refuses it.
            (Kind::Union(_), _) => {}
        }
    }
    union.numbers.append(&mut times);
    union.typed = ix == schema.root() || union.records.len() > 1;
    union
}
