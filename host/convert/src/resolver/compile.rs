//! Compiles the conversion from a writer's type to a reader's, once for each pair of types.
//!
//! Rule: a pair that can't be read becomes [`Op::Never`] and a finding, so that one walk gives both the ops and
//! everything that is wrong. Findings within a branch of the writer's union, and missing symbols, are partial: other
//! values can be read.

use super::super::datum::Items;
use super::super::default;
use super::Incompatible;
use super::op::{Leaf, Move, Moved, Op, Reordered, Step};
use super::pair::{Pair, same_name};
use pelton_avro_schema::{Field, Ix, Kind, Logical, Schema};
use std::collections::HashMap;
use std::sync::Arc;

/// Everything that keeps `reader` (Avro JSON) from reading all that `writer` may write, each with its path. Empty if
/// nothing does.
pub fn incompatibilities(writer: &str, reader: &str) -> Vec<Incompatible> {
    let schemas = Schema::parse(writer).and_then(|writer| Ok((writer, Schema::parse(reader)?)));
    match schemas {
        Ok((writer, reader)) => {
            let mut compiler = Compiler::new(&writer, &reader);
            compiler.pair(writer.root(), reader.root());
            compiler.findings.into_iter().map(|finding| finding.what).collect()
        }
        Err(error) => vec![error.into()],
    }
}

/// The ops that convert from `writer` to `reader`, and the first of them.
pub(super) fn ops(writer: &Schema, reader: &Schema) -> Result<(Box<[Op]>, u32), Incompatible> {
    let mut compiler = Compiler::new(writer, reader);
    let root = compiler.pair(writer.root(), reader.root());
    match compiler.findings.into_iter().find(|finding| !finding.partial) {
        Some(finding) => Err(finding.what),
        None => Ok((compiler.ops.into(), root)),
    }
}

struct Compiler<'a> {
    schemas: Pair<'a>,
    ops: Vec<Op>,
    /// Contains pairs that are still being compiled, because types may contain themselves.
    known: HashMap<(Ix, Ix), u32>,
    findings: Vec<Finding>,
    path: Vec<Arc<str>>,
    /// How many of the writer's unions enclose the current pair.
    branches: u32,
}

struct Finding {
    what: Incompatible,
    partial: bool,
}

impl<'a> Compiler<'a> {
    fn new(writer: &'a Schema, reader: &'a Schema) -> Self {
        Compiler {
            schemas: Pair { writer, reader },
            ops: Vec::new(),
            known: HashMap::new(),
            findings: Vec::new(),
            path: Vec::new(),
            branches: 0,
        }
    }

    /// The op that reads the writer's type `w` as the reader's type `r`.
    fn pair(&mut self, w: Ix, r: Ix) -> u32 {
        if let Some(op) = self.known.get(&(w, r)) {
            return *op;
        }
        let place = self.push(Op::Never("itself".into()));
        self.known.insert((w, r), place);
        let op = if self.schemas.same(w, r) {
            Op::Copy(w)
        } else {
            self.convert(w, r)
        };
        self.ops[place as usize] = op;
        place
    }

    fn convert(&mut self, w: Ix, r: Ix) -> Op {
        if let Kind::Union(branches) = self.schemas.writer.kind(w) {
            return self.branches(branches, r);
        }
        if let Kind::Union(branches) = self.schemas.reader.kind(r) {
            return match self.schemas.choose(w, branches) {
                Some(branch) => Op::Into {
                    branch: branch as u32,
                    op: self.pair(w, branches[branch]),
                },
                None => self.never(w, r),
            };
        }
        if !self.schemas.logical_fits(w, r) {
            return self.never(w, r);
        }
        match (self.schemas.writer.kind(w), self.schemas.reader.kind(r)) {
            (Kind::Int, Kind::Float) => Op::Leaf(Leaf::IntToFloat),
            (Kind::Int, Kind::Double) => Op::Leaf(Leaf::IntToDouble),
            (Kind::Long, Kind::Float) => Op::Leaf(Leaf::LongToFloat),
            (Kind::Long, Kind::Double) => Op::Leaf(Leaf::LongToDouble),
            (Kind::Float, Kind::Double) => Op::Leaf(Leaf::FloatToDouble),
            (Kind::Bytes, Kind::Text) => Op::Leaf(Leaf::Text),
            (Kind::Bytes | Kind::Text, Kind::Bytes) => self.decimal(r, None),
            (Kind::Fixed(a, size), Kind::Fixed(b, other)) if size == other && same_name(a, b) => {
                self.decimal(r, Some(*size))
            }
            (Kind::Enum(a, symbols, _), Kind::Enum(b, others, default)) if same_name(a, b) => {
                self.symbols(symbols, others, *default)
            }
            (Kind::Array(item), Kind::Array(other)) => Op::Array(Items {
                op: self.at("[]", *item, *other),
                may_be_empty: self.schemas.writer.may_be_empty(*item),
            }),
            (Kind::Map(value), Kind::Map(other)) => Op::Map {
                value: self.at("{}", *value, *other),
            },
            (Kind::Record(a, fields), Kind::Record(b, others)) if same_name(a, b) => self.record(fields, others),
            _ => self.never(w, r),
        }
    }

    /// Bytes that are a decimal for the reader and plain bytes for the writer.
    fn decimal(&self, r: Ix, fixed: Option<u32>) -> Op {
        match self.schemas.reader.node(r).logical {
            Logical::Decimal { precision, .. } => Op::Leaf(Leaf::Decimal { precision, fixed }),
            // Otherwise the layout is the same, and the bytes are copied.
            _ => Op::Never("bytes".into()),
        }
    }

    fn branches(&mut self, branches: &[Ix], r: Ix) -> Op {
        let before = self.findings.len();
        self.branches += 1;
        let ops: Box<[u32]> = branches.iter().map(|branch| self.pair(*branch, r)).collect();
        self.branches -= 1;
        // If no branch can be read, no value can: that is not partial.
        if self.branches == 0 && ops.iter().all(|op| self.is_never(*op)) {
            self.findings[before..]
                .iter_mut()
                .for_each(|finding| finding.partial = false);
        }
        Op::Branches(ops)
    }

    fn is_never(&self, op: u32) -> bool {
        match &self.ops[op as usize] {
            Op::Never(_) => true,
            Op::Into { op, .. } => matches!(self.ops[*op as usize], Op::Never(_)),
            _ => false,
        }
    }

    fn symbols(&mut self, symbols: &[Arc<str>], others: &[Arc<str>], default: Option<u32>) -> Op {
        let place = |symbol: &Arc<str>| {
            others
                .iter()
                .position(|other| other == symbol)
                .map(|index| index as u32)
        };
        let table: Box<[_]> = symbols.iter().map(|symbol| place(symbol).or(default)).collect();
        let missing: Vec<_> = symbols
            .iter()
            .zip(&table)
            .filter(|(_, to)| to.is_none())
            .map(|(s, _)| &**s)
            .collect();
        if !missing.is_empty() {
            let partial = missing.len() < symbols.len();
            let why = format!("the reader has no symbol {}, and no default", missing.join(", "));
            self.find(why, partial);
        }
        Op::Leaf(Leaf::Enum(table))
    }

    fn record(&mut self, fields: &'a [Field], others: &'a [Field]) -> Op {
        let reader = self.schemas.reader;
        // For each field of the writer, the reader's field; and the reverse.
        let mut to: Vec<Option<usize>> = vec![None; fields.len()];
        let mut from: Vec<Option<usize>> = vec![None; others.len()];
        for aliases in [false, true] {
            for (place, other) in others
                .iter()
                .enumerate()
                .filter(|(place, _)| from[*place].is_none())
                .collect::<Vec<_>>()
            {
                let fits = |field: &Field| match aliases {
                    false => field.name == other.name,
                    true => other.aliases.contains(&field.name),
                };
                let found = (0..fields.len()).find(|index| to[*index].is_none() && fits(&fields[*index]));
                if let Some(index) = found {
                    (to[index], from[place]) = (Some(place), Some(index));
                }
            }
        }
        let mut defaults = Vec::with_capacity(others.len());
        for (place, other) in others.iter().enumerate() {
            self.path.push(other.name.clone());
            let default = match from[place] {
                Some(_) => None,
                None => match default::of(reader, other, &self.path()) {
                    Ok(Some(default)) => Some(default),
                    Ok(None) => {
                        self.find("the writer has no such field, and the reader no default for it", false);
                        Some(Box::default())
                    }
                    Err(error) => {
                        self.find(error.why(), false);
                        Some(Box::default())
                    }
                },
            };
            defaults.push(default);
            self.path.pop();
        }
        let ops: Vec<Option<u32>> = fields
            .iter()
            .zip(&to)
            .map(|(field, to)| to.map(|place| self.at(&others[place].name, field.node, others[place].node)))
            .collect();
        if from.iter().flatten().is_sorted() {
            return Op::Record(self.steps(fields, &to, &ops, defaults));
        }
        let moved = fields.iter().zip(to).zip(ops).map(|((field, to), op)| Moved {
            name: field.name.clone(),
            what: match (to, op) {
                (Some(place), Some(op)) => Move::To(place, op),
                _ => Move::Skip(field.node),
            },
        });
        Op::Reordered(Reordered {
            fields: moved.collect(),
            defaults: defaults.into(),
        })
    }

    /// The steps for a record whose fields have the same order on both sides.
    fn steps(
        &self,
        fields: &[Field],
        to: &[Option<usize>],
        ops: &[Option<u32>],
        defaults: Vec<Option<Box<[u8]>>>,
    ) -> Box<[Step]> {
        let mut steps = Vec::new();
        let mut copies: Vec<(Ix, Arc<str>)> = Vec::new();
        let mut defaults = defaults.into_iter();
        let mut next = 0; // index of the reader's next field
        let flush = |copies: &mut Vec<_>, steps: &mut Vec<Step>| {
            if !copies.is_empty() {
                steps.push(Step::Copy(std::mem::take(copies).into()));
            }
        };
        for ((field, to), op) in fields.iter().zip(to).zip(ops) {
            let (Some(place), Some(op)) = (*to, *op) else {
                flush(&mut copies, &mut steps);
                steps.push(Step::Skip(field.node, field.name.clone()));
                continue;
            };
            for default in defaults.by_ref().take(place - next).flatten() {
                flush(&mut copies, &mut steps);
                steps.push(Step::Default(default));
            }
            defaults.next();
            next = place + 1;
            match self.ops[op as usize] {
                Op::Copy(shape) => copies.push((shape, field.name.clone())),
                _ => {
                    flush(&mut copies, &mut steps);
                    steps.push(Step::Convert(op, field.name.clone()));
                }
            }
        }
        flush(&mut copies, &mut steps);
        steps.extend(defaults.flatten().map(Step::Default));
        steps.into()
    }

    /// Compiles a pair inside a field, an item or an entry.
    fn at(&mut self, name: &str, w: Ix, r: Ix) -> u32 {
        self.path.push(name.into());
        let op = self.pair(w, r);
        self.path.pop();
        op
    }

    fn never(&mut self, w: Ix, r: Ix) -> Op {
        let (writer, reader) = (self.schemas.writer.describe(w), self.schemas.reader.describe(r));
        let partial = self.branches > 0;
        self.find(
            format!("the writer's {writer} can't be read as the reader's {reader}"),
            partial,
        );
        Op::Never(writer.into())
    }

    fn find(&mut self, why: impl Into<String>, partial: bool) {
        let what = Incompatible::new(&self.path(), why);
        let partial = partial || self.branches > 0;
        self.findings.push(Finding { what, partial });
    }

    fn path(&self) -> String {
        self.path.join(".")
    }

    fn push(&mut self, op: Op) -> u32 {
        self.ops.push(op);
        (self.ops.len() - 1) as u32
    }
}
