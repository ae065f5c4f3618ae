//! Generates the Rust code of each definition: its type, its codec and its schema.
//!
//! Rule: all paths are absolute, so a schema may have a record named `Option`.

use crate::types::{Branch, Definition, Field, Kind, Symbol, Type, Types};
use pelton_avro_schema::{Schema, short};
use std::fmt::Write;

const DERIVES: &str = "#[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug, ::core::cmp::PartialEq";

pub fn all(types: &Types, schema: &Schema) -> String {
    let mut out = String::from("// Made by pelton-avro from the schemas.\n");
    for definition in &types.definitions {
        types.definition(definition, &schema.json(definition.node).to_string(), &mut out);
    }
    out
}

/// The parts of a codec: the minimum size, and the bodies of `read` and `write`.
struct Codec {
    min: String,
    read: String,
    write: String,
}

impl Types {
    fn definition(&self, definition: &Definition, schema: &str, out: &mut String) {
        let doc = |doc: &Option<String>| doc.as_ref().map_or(String::new(), |doc| format!("#[doc = {doc:?}] "));
        let _ = writeln!(out, "\n{}", doc(&definition.doc));
        let codec = match &definition.kind {
            Kind::Record(fields) => {
                let _ = writeln!(
                    out,
                    "{DERIVES})]\n#[allow(dead_code)]\npub struct {} {{",
                    self.own(definition, "'a")
                );
                for field in fields {
                    let _ = writeln!(
                        out,
                        "    {}pub {}: {},",
                        doc(&field.doc),
                        field.name,
                        self.rust(&field.of, "'a")
                    );
                }
                out.push_str("}\n");
                self.record_codec(fields)
            }
            Kind::Enum(symbols, _) => {
                let more = ", ::core::cmp::Eq, ::core::hash::Hash, ::core::cmp::PartialOrd, ::core::cmp::Ord";
                let names: Vec<&str> = symbols.iter().map(|symbol| &*symbol.name).collect();
                let _ = writeln!(
                    out,
                    "{DERIVES}{more})]\n#[allow(dead_code)]\npub enum {} {{",
                    definition.name
                );
                let _ = writeln!(out, "    {}\n}}", names.join(", "));
                symbols_impl(&definition.name, symbols, out);
                enumeration(symbols)
            }
            Kind::Union(branches) => {
                let _ = writeln!(
                    out,
                    "{DERIVES})]\n#[allow(dead_code)]\npub enum {} {{",
                    self.own(definition, "'a")
                );
                for branch in branches {
                    let _ = match branch.of {
                        Type::Null => writeln!(out, "    {},", branch.name),
                        _ => writeln!(out, "    {}({}),", branch.name, self.rust(&branch.of, "'a")),
                    };
                }
                out.push_str("}\n");
                self.union_codec(branches)
            }
        };
        self.codec(definition, schema, &codec, out);
        if let Some(value) = self.default_of(definition) {
            let life = if self.definition_borrows(definition) {
                "<'_>"
            } else {
                ""
            };
            let name = &definition.name;
            let _ = writeln!(
                out,
                "#[allow(clippy::derivable_impls, clippy::redundant_static_lifetimes)]\nimpl ::core::default::Default for {name}{life} {{\n    fn default() -> Self {{ {value} }}\n}}"
            );
        }
    }

    fn codec(&self, definition: &Definition, schema: &str, Codec { min, read, write }: &Codec, out: &mut String) {
        let (name, own, of) = (
            &definition.name,
            self.own(definition, "'static"),
            self.own(definition, "'a"),
        );
        let any = self.own(definition, "'_");
        let _ = write!(
            out,
            "#[allow(unused_variables)]
impl<'a> ::pelton_sdk::avro::Wire<'a> for {of} {{
    const MIN: usize = {min};
    #[inline]
    fn read(from: &mut ::pelton_sdk::avro::Decoder<'a>) -> ::core::result::Result<Self, ::pelton_sdk::avro::Malformed> {{
        {read}
    }}
    #[inline]
    fn write(&self, out: &mut ::std::vec::Vec<u8>) {{
        {write}
    }}
}}
impl ::pelton_sdk::avro::Datum for {own} {{
    type Of<'a> = {of};
    const SCHEMA: &'static str = {schema:?};
    #[inline]
    fn decode<'a>(from: &mut ::pelton_sdk::avro::Decoder<'a>) -> ::core::result::Result<{of}, ::pelton_sdk::avro::Malformed> {{
        from.field({name:?})
    }}
    #[inline]
    fn encode(value: &{any}, out: &mut ::std::vec::Vec<u8>) {{
        ::pelton_sdk::avro::Wire::write(value, out)
    }}
}}
"
        );
    }

    fn record_codec(&self, fields: &[Field]) -> Codec {
        let (mut min, mut read, mut write) = (String::from("0usize"), String::new(), String::new());
        for Field { avro, name, of, .. } in fields {
            let (rust, null_last) = (
                self.rust(of, "'a"),
                matches!(of, Type::Nullable { null_last: true, .. }),
            );
            let _ = write!(min, ".saturating_add(<{rust} as ::pelton_sdk::avro::Wire<'a>>::MIN)");
            let reader = if null_last { "null_last" } else { "field" };
            let _ = write!(read, "\n            {name}: from.{reader}({avro:?})?,");
            let writer = if null_last { "null_last" } else { "Wire::write" };
            let _ = write!(write, "\n        ::pelton_sdk::avro::{writer}(&self.{name}, out);");
        }
        Codec {
            min,
            read: format!("::core::result::Result::Ok(Self {{{read} }})"),
            write,
        }
    }

    fn union_codec(&self, branches: &[Branch]) -> Codec {
        let (mut read, mut write) = (String::new(), String::new());
        for (i, Branch { avro, name, of }) in branches.iter().enumerate() {
            let (value, writer) = match of {
                Type::Null => ("", String::new()),
                _ => ("(value)", "::pelton_sdk::avro::Wire::write(value, out);".into()),
            };
            let reader = if value.is_empty() {
                String::new()
            } else {
                format!("(from.field({:?})?)", short(avro))
            };
            let _ = write!(read, "\n            {i} => Self::{name}{reader},");
            let _ = write!(
                write,
                "\n            Self::{name}{value} => {{ ::pelton_sdk::avro::put_int({i}, out); {writer} }}"
            );
        }
        let expected = format!("a branch of the union, 0 to {}", branches.len() - 1);
        Codec {
            min: "1".into(),
            read: choice(&read, &expected),
            write: format!("match self {{{write} }}"),
        }
    }

    /// The `Default` value of a type, if its schema gives one.
    fn default_of(&self, definition: &Definition) -> Option<String> {
        match &definition.kind {
            Kind::Enum(symbols, default) => Some(format!("Self::{}", symbols[(*default)?].name)),
            Kind::Union(branches) => branches
                .iter()
                .find(|branch| branch.of == Type::Null)
                .map(|branch| format!("Self::{}", branch.name)),
            Kind::Record(fields) => {
                let mut parts = Vec::new();
                for Field { name, of, default, .. } in fields {
                    let value = match (default, of) {
                        (Some(default), _) => default.clone(),
                        (None, Type::Nullable { .. }) => "::core::option::Option::None".into(),
                        (None, Type::Null) => "()".into(),
                        (None, _) => return None,
                    };
                    parts.push(format!("{name}: {value}"));
                }
                Some(format!("Self {{ {} }}", parts.join(", ")))
            }
        }
    }
}

fn choice(arms: &str, expected: &str) -> String {
    format!(
        "::core::result::Result::Ok(match from.long()? {{{arms}
            _ => return ::core::result::Result::Err(::pelton_sdk::avro::Malformed::new({expected:?})),
        }})"
    )
}

fn enumeration(symbols: &[Symbol]) -> Codec {
    let mut read = String::new();
    for (i, symbol) in symbols.iter().enumerate() {
        let _ = write!(read, "\n            {i} => Self::{},", symbol.name);
    }
    let expected = format!("a symbol of the enum, 0 to {}", symbols.len() - 1);
    Codec {
        min: "1".into(),
        read: choice(&read, &expected),
        write: "::pelton_sdk::avro::put_int(*self as i32, out)".into(),
    }
}

fn symbols_impl(name: &str, symbols: &[Symbol], out: &mut String) {
    let _ = writeln!(
        out,
        "#[allow(dead_code)]\nimpl {name} {{\n    /// As the schema names it."
    );
    let _ = writeln!(
        out,
        "    pub const fn symbol(self) -> &'static str {{\n        match self {{"
    );
    for symbol in symbols {
        let _ = writeln!(out, "            Self::{} => {:?},", symbol.name, symbol.avro);
    }
    out.push_str("        }\n    }\n}\n");
}
