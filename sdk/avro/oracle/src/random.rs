//! Random schemas that are the same in every build.

use serde_json::{Value, json};

/// A random generator.
pub struct Rng(pub fastrand::Rng);

impl Rng {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Rng {
        Rng(fastrand::Rng::with_seed(seed))
    }

    /// A random number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.usize(..end)
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

const FIELDS: &[&str] = &[
    "type",
    "self",
    "userId",
    "URLPath",
    "match",
    "_hidden",
    "Capital",
    "snake_case",
    "gen",
];
const PRIMITIVES: &[&str] = &["null", "boolean", "int", "long", "float", "double", "string", "bytes"];
const LOGICAL: &[(&str, &str)] = &[
    ("string", "uuid"),
    ("long", "timestamp-millis"),
    ("long", "timestamp-micros"),
    ("long", "local-timestamp-millis"),
    ("long", "time-micros"),
    ("int", "date"),
    ("int", "time-millis"),
    ("string", "unknown-to-all"),
];

/// A random record named `R{id}`.
pub fn schema(id: usize) -> Value {
    let mut made = Made {
        rng: Rng::new(id as u64),
        id,
        named: 0,
        closed: Vec::new(),
    };
    let mut record = made.record(format!("R{id}"), 0);
    if !id.is_multiple_of(3) {
        record["namespace"] = format!("space{}.inner", id % 3).into();
    }
    record
}

struct Made {
    rng: Rng,
    id: usize,
    /// How many names were given.
    named: usize,
    /// Types that may be used again by name.
    closed: Vec<String>,
}

impl Made {
    fn name(&mut self) -> String {
        self.named += 1;
        let suffix = if self.rng.one_in(2) { "Event" } else { "" };
        format!("R{}x{}{suffix}", self.id, self.named)
    }

    fn record(&mut self, name: String, depth: usize) -> Value {
        let most = if depth == 0 { 12 } else { 4 };
        let count = self.rng.below(most + 1);
        let fields: Vec<Value> = (0..count).map(|i| self.field(i, depth)).collect();
        let mut record = json!({"type": "record", "name": name, "fields": fields});
        if self.rng.one_in(3) {
            record["doc"] = "A \"record\"\nof two lines \u{e9}.".into();
        }
        record
    }

    fn field(&mut self, i: usize, depth: usize) -> Value {
        let name = FIELDS[self.rng.below(FIELDS.len())];
        // The first field keeps its name, even if it is a keyword.
        let name = if i == 0 { name.into() } else { format!("{name}{i}") };
        let of = self.of(depth + 1);
        let default = match &of {
            Value::String(of) if of == "string" => Some("a \"default\"".into()),
            Value::String(of) if of == "int" => Some(Value::from(-7)),
            Value::String(of) if of == "boolean" => Some(true.into()),
            Value::Array(branches) if branches[0] == "null" => Some(Value::Null),
            Value::Object(of) if of["type"] == "array" => Some(json!([])),
            Value::Object(of) if of["type"] == "map" => Some(json!({})),
            Value::Object(of) if of["type"] == "enum" => Some(of["symbols"][0].clone()),
            _ => None,
        };
        match default.filter(|_| self.rng.one_in(2)) {
            Some(default) => json!({"name": name, "type": of, "default": default}),
            None => json!({"name": name, "type": of}),
        }
    }

    fn of(&mut self, depth: usize) -> Value {
        match self.rng.below(if depth < 5 { 20 } else { 11 }) {
            0..6 => PRIMITIVES[self.rng.below(PRIMITIVES.len())].into(),
            6..8 => {
                let (of, logical) = LOGICAL[self.rng.below(LOGICAL.len())];
                json!({"type": of, "logicalType": logical})
            }
            8 => self.decimal(),
            9 => self.fixed(),
            10 => self.enumeration(),
            11 | 12 => json!({"type": "array", "items": self.of(depth + 1)}),
            13 => json!({"type": "map", "values": self.of(depth + 1)}),
            14 | 15 => {
                let of = self.of(depth + 1);
                if of.is_array() || of == "null" {
                    return of;
                }
                if self.rng.one_in(2) {
                    json!(["null", of])
                } else {
                    json!([of, "null"])
                }
            }
            16 => self.union(depth),
            17 if !self.closed.is_empty() => self.closed[self.rng.below(self.closed.len())].clone().into(),
            _ => self.inner(depth),
        }
    }

    fn inner(&mut self, depth: usize) -> Value {
        let name = self.name();
        let record = self.record(name.clone(), depth);
        self.closed.push(name);
        record
    }

    fn enumeration(&mut self) -> Value {
        let name = self.name();
        let all = ["EUR", "someThing", "OTHER_THING", "x", "Self", "v1", "V1_2"];
        let symbols = &all[..1 + self.rng.below(all.len())];
        self.closed.push(name.clone());
        json!({"type": "enum", "name": name, "symbols": symbols})
    }

    fn fixed(&mut self) -> Value {
        let name = self.name();
        self.closed.push(name.clone());
        let size = [1, 2, 12, 16, 33][self.rng.below(5)];
        json!({"type": "fixed", "name": name, "size": size})
    }

    fn decimal(&mut self) -> Value {
        let sizes = [(1, 2), (4, 9), (8, 18), (9, 21), (16, 38), (20, 38)];
        let (size, most) = sizes[self.rng.below(sizes.len())];
        let precision = 1 + self.rng.below(most);
        let scale = self.rng.below(precision + 1);
        if self.rng.one_in(2) {
            return json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale});
        }
        let name = self.name();
        json!({"type": "fixed", "name": name, "size": size,
            "logicalType": "decimal", "precision": precision, "scale": scale})
    }

    fn union(&mut self, depth: usize) -> Value {
        let mut kinds: Vec<usize> = (0..PRIMITIVES.len() + 6).collect();
        for i in (1..kinds.len()).rev() {
            kinds.swap(i, self.rng.below(i + 1));
        }
        kinds.truncate(1 + self.rng.below(5));
        let branch = |kind: usize| match PRIMITIVES.get(kind) {
            Some(primitive) => Value::from(*primitive),
            None => match kind - PRIMITIVES.len() {
                0 | 1 => self.inner(depth + 1),
                2 => self.enumeration(),
                3 => self.fixed(),
                4 => json!({"type": "array", "items": self.of(depth + 2)}),
                _ => json!({"type": "map", "values": self.of(depth + 2)}),
            },
        };
        kinds.into_iter().map(branch).collect()
    }
}
