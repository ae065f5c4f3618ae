//! The event time of a value as it came, before anything else is known of it.
//!
//! Rule: it depends on the value and its writer's schema only, never on the rules. What stands behind the time is not
//! looked at.

use super::datum::{Cursor, Shapes};
use super::json::Text;
use super::json_reader::millis;
use super::schema::{Ix, Kind, Logical, Schema};
use super::{Incompatible, MAX_DEPTH, Unreadable};
use crate::record::Millis;

/// Event times of the datums of one writer's schema.
#[derive(Debug)]
pub struct AvroTime {
    shapes: Shapes,
    /// By branch of a union at top level; else one. None: a branch without the field.
    records: Box<[Option<Way>]>,
    union: bool,
}

/// The way to the field in a record.
#[derive(Debug)]
struct Way {
    before: Box<[Ix]>,
    unit: Unit,
    /// Of a field that is a union: its branches, true for the time. Empty: it is none.
    branches: Box<[bool]>,
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl AvroTime {
    /// `writer`: Avro JSON of a record, or of a union of records. The field must be a long: plain (milliseconds),
    /// timestamp-millis, -micros or -nanos; also in a union with null. Fails if a record of the schema has no such field.
    pub fn new(writer: &str, field: &str) -> Result<Self, Incompatible> {
        let schema = Schema::parse(writer)?;
        let root = [schema.root];
        let (branches, union) = match schema.kind(schema.root) {
            Kind::Union(branches) => (branches.as_slice(), true),
            _ => (&root[..], false),
        };
        let records: Result<Box<[_]>, _> = branches.iter().map(|branch| way(&schema, *branch, field)).collect();
        let records = records?;
        if records.iter().all(Option::is_none) {
            return Err(Incompatible::new(
                "",
                format!("there is no record with an event time `{field}`"),
            ));
        }
        Ok(AvroTime {
            shapes: Shapes::new(&schema),
            records,
            union,
        })
    }

    /// The time of a datum, in milliseconds; finer ones are cut off downwards.
    pub fn of(&self, datum: &[u8]) -> Result<Millis, Unreadable> {
        let mut cursor = Cursor::new(datum);
        let branch = match self.union {
            true => cursor.index(self.records.len(), "a union has no branch of this number")?,
            false => 0,
        };
        let Some(way) = &self.records[branch] else {
            return Err(Unreadable::new("the value is not a record, so it has no event time"));
        };
        for field in &way.before {
            self.shapes.walk::<false>(*field, &mut cursor, MAX_DEPTH)?;
        }
        if !way.branches.is_empty()
            && !way.branches[cursor.index(way.branches.len(), "a union has no branch of this number")?]
        {
            return Err(Unreadable::new("the event time is null"));
        }
        let time = cursor.long()?;
        Ok(match way.unit {
            Unit::Millis => time,
            Unit::Micros => time.div_euclid(1_000),
            Unit::Nanos => time.div_euclid(1_000_000),
        })
    }
}

/// None: this is null, which may be beside records.
fn way(schema: &Schema, ix: Ix, field: &str) -> Result<Option<Way>, Incompatible> {
    let (name, fields) = match schema.kind(ix) {
        Kind::Null => return Ok(None),
        Kind::Record(name, fields) => (name, fields),
        _ => {
            let why = format!("{} is not a record, so it has no event time", schema.describe(ix));
            return Err(Incompatible::new("", why));
        }
    };
    let Some(place) = fields.iter().position(|other| *other.name == *field) else {
        return Err(Incompatible::new(
            name.short(),
            format!("there is no field `{field}` for the event time"),
        ));
    };
    let node = fields[place].node;
    let (time, branches) = match schema.kind(node) {
        Kind::Union(all) => {
            let times: Box<[bool]> = all.iter().map(|branch| unit(schema, *branch).is_some()).collect();
            let others = all
                .iter()
                .zip(&times)
                .all(|(branch, time)| *time || matches!(schema.kind(*branch), Kind::Null));
            let time = all.iter().copied().find(|branch| unit(schema, *branch).is_some());
            (time.filter(|_| others), times)
        }
        _ => (Some(node), Box::default()),
    };
    match time.and_then(|time| unit(schema, time)) {
        Some(unit) => Ok(Some(Way {
            before: fields[..place].iter().map(|field| field.node).collect(),
            unit,
            branches,
        })),
        None => {
            let why = format!(
                "{} can't be an event time: that is a long, plain or a timestamp",
                schema.describe(node)
            );
            Err(Incompatible::new(&format!("{}.{field}", name.short()), why))
        }
    }
}

fn unit(schema: &Schema, ix: Ix) -> Option<Unit> {
    let node = schema.node(ix);
    match (&node.kind, node.logical) {
        (Kind::Long, Logical::None | Logical::TimestampMillis) => Some(Unit::Millis),
        (Kind::Long, Logical::TimestampMicros) => Some(Unit::Micros),
        (Kind::Long, Logical::TimestampNanos) => Some(Unit::Nanos),
        _ => None,
    }
}

/// Event times of JSON objects.
#[derive(Debug)]
pub struct JsonTime {
    field: Box<str>,
}

impl JsonTime {
    /// `field`: a member of the object at top level.
    pub fn new(field: &str) -> Self {
        JsonTime { field: field.into() }
    }

    /// The time of a text: that of the first member of this name, ISO-8601 with an offset or a number of milliseconds.
    pub fn of(&self, text: &[u8]) -> Result<Millis, Unreadable> {
        let mut text = Text::new(text);
        let mut more = text.open_object()?;
        while more {
            if text.key()?.is(&self.field) {
                return match text.peek() {
                    b'n' => Err(text.error("the event time is null")),
                    _ => millis(&mut text),
                };
            }
            text.skip(MAX_DEPTH)?;
            more = text.more(b'}')?;
        }
        Err(text.error("the event time is absent"))
    }
}
