//! Extracts the event time of a value.
//!
//! Rule: the event time depends only on the value and its writer's schema, never on the rules. Bytes after the time are
//! not checked.

use super::datum::{Cursor, Shapes};
use super::json::Text;
use super::json_reader::millis;
use super::{Incompatible, MAX_DEPTH, Unreadable};
use pelton_avro_schema::{Ix, Kind, Logical, Schema};

/// Extracts event times from datums of one writer's schema.
#[derive(Debug)]
pub struct AvroTime {
    shapes: Shapes,
    /// The way to the time, for each branch of a union at top level; otherwise a single one. `None` for null.
    records: Box<[Option<Way>]>,
    union: bool,
}

/// The way to the event time's field in a record.
#[derive(Debug)]
struct Way {
    before: Box<[Ix]>,
    unit: Unit,
    /// If the field is a union: for each branch, whether it is the time. Otherwise empty.
    branches: Box<[bool]>,
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl AvroTime {
    /// `writer` is the Avro JSON of a record, or of a union of records. The field must be a long, either plain
    /// (milliseconds) or timestamp-millis, -micros or -nanos, and may be nullable. Fails if a record of the schema has
    /// no such field.
    pub fn new(writer: &str, field: &str) -> Result<Self, Incompatible> {
        let schema = Schema::parse(writer)?;
        let root = [schema.root()];
        let (branches, union) = match schema.kind(schema.root()) {
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

    /// The event time of a datum, rounded down to milliseconds.
    pub fn of(&self, datum: &[u8]) -> Result<i64, Unreadable> {
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

/// Returns `None` for null, which may be in a union with records.
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

/// Extracts event times from JSON objects.
#[derive(Debug)]
pub struct JsonTime {
    field: Box<str>,
}

impl JsonTime {
    /// `field` is a member of the top-level object.
    pub fn new(field: &str) -> Self {
        JsonTime { field: field.into() }
    }

    /// The event time of a text, from the first member of this name: ISO-8601 with an offset, or milliseconds.
    pub fn of(&self, text: &[u8]) -> Result<i64, Unreadable> {
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
