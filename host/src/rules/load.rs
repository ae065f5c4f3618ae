//! Turns the bytes of a file into a component that fits the world.
//!
//! Rule: a refusal names what is wrong, and comes before any code of the file has run. Only `pelton:rules` and `wasi:`
//! can be imported.

use super::{Description, RulesError};
use crate::wit::{Channel, PACKAGE};
use std::borrow::Cow;
use std::collections::HashSet;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;
use wasmtime::{Engine, Module};
use wit_component::ComponentEncoder;

/// The component in a file: the file itself, or made from a core module for wasm32-unknown-unknown.
pub(super) fn component<'a>(engine: &Engine, wasm: &'a [u8]) -> Result<Cow<'a, [u8]>, RulesError> {
    // The header: magic number, version, and layer (0 for a core module, 1 for a component).
    let Some((magic, rest)) = wasm.split_first_chunk::<4>() else {
        return Err(RulesError::NotWasm(format!("it has {} bytes", wasm.len())));
    };
    if magic != b"\0asm" || rest.len() < 4 {
        return Err(RulesError::NotWasm(
            "it does not begin with `\\0asm` and a version".into(),
        ));
    }
    match rest[2..4] {
        [1, 0] => return Ok(Cow::Borrowed(wasm)),
        [0, 0] => {}
        _ => return Err(RulesError::NotWasm("it is of an unknown kind".into())),
    }
    // wit-component panics if a section is longer than the file.
    Module::validate(engine, wasm).map_err(|error| RulesError::Module(format!("{error:#}")))?;
    let refused = |error: anyhow::Error| RulesError::Module(format!("{error:#}"));
    if wit_component::metadata::decode(wasm).map_err(refused)?.0.is_none() {
        return Err(RulesError::NoTypes);
    }
    let encoder = ComponentEncoder::default().validate(true).module(wasm);
    Ok(Cow::Owned(
        encoder.and_then(|mut encoder| encoder.encode()).map_err(refused)?,
    ))
}

/// Checks the names of imports and exports. Their types are checked when the component is linked and started.
pub(super) fn check(component: &Component) -> Result<(), RulesError> {
    let engine = component.engine();
    let ty = component.component_type();
    for (name, item) in ty.imports(engine) {
        if name.starts_with("wasi:") {
            continue;
        }
        let (interface, version) = name.split_once('@').unwrap_or((name, "(no version)"));
        if !interface.starts_with("pelton:rules/") {
            return Err(RulesError::Import(name.into()));
        }
        if minor(version) != minor(PACKAGE) {
            return Err(RulesError::Package { found: version.into() });
        }
        let known: &[&str] = match interface {
            "pelton:rules/host" => &["get-many", "log"],
            "pelton:rules/types" => &[],
            _ => return Err(RulesError::Import(name.into())),
        };
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            return Err(RulesError::Import(name.into()));
        };
        for (function, item) in instance.exports(engine) {
            if !matches!(item.ty, ComponentItem::Type(_)) && !known.contains(&function) {
                return Err(RulesError::Import(format!("{name}#{function}")));
            }
        }
    }
    for name in ["describe", "process"] {
        if !matches!(
            ty.get_export(engine, name).map(|item| item.ty),
            Some(ComponentItem::ComponentFunc(_))
        ) {
            return Err(RulesError::Export(name.into()));
        }
    }
    Ok(())
}

/// The major and minor parts of a version.
fn minor(version: &str) -> Option<(&str, &str)> {
    let (major, rest) = version.split_once('.')?;
    Some((major, rest.split_once('.')?.0))
}

/// Checks the names and schemas of a description.
pub(super) fn describe(description: &Description) -> Result<(), RulesError> {
    let channels = |list: &[Channel]| list.iter().map(|of| of.name.clone()).collect::<Vec<_>>();
    names("inputs", channels(&description.inputs))?;
    names("outputs", channels(&description.outputs))?;
    names("stores", description.stores.iter().map(|of| of.name.clone()).collect())?;
    names(
        "lookups",
        description.lookups.iter().map(|of| of.name.clone()).collect(),
    )?;
    names("timers", description.timers.clone())?;
    names("counters", description.counters.clone())?;
    for input in &description.inputs {
        schema("input", &input.name, &input.schema)?;
    }
    for output in &description.outputs {
        schema("output", &output.name, &output.schema)?;
    }
    for store in &description.stores {
        schema("store", &store.name, &store.schema)?;
    }
    for lookup in &description.lookups {
        schema("reply of lookup", &lookup.name, &lookup.reply)?;
        let what = "request of lookup";
        if !matches!(
            schema(what, &lookup.name, &lookup.request)?,
            apache_avro::Schema::Record(_)
        ) {
            let why = "it must be a record, whose fields fill the URL".into();
            let name = lookup.name.clone();
            return Err(RulesError::Schema { what, name, why });
        }
    }
    Ok(())
}

/// Checks that no name is empty or comes twice, and that a u16 can index the list.
fn names(list: &'static str, names: Vec<String>) -> Result<(), RulesError> {
    let wrong = |what| Err(RulesError::Names { list, what });
    if names.len() > usize::from(u16::MAX) {
        return wrong(format!(
            "{} are too many; at most {} can be told apart",
            names.len(),
            u16::MAX
        ));
    }
    let mut seen = HashSet::new();
    for (i, name) in names.iter().enumerate() {
        if name.is_empty() {
            return wrong(format!("number {i} has no name; give it one"));
        }
        if !seen.insert(name) {
            return wrong(format!("`{name}` is there twice; rename one of them"));
        }
    }
    Ok(())
}

fn schema(what: &'static str, name: &str, text: &str) -> Result<apache_avro::Schema, RulesError> {
    apache_avro::Schema::parse_str(text).map_err(|error| RulesError::Schema {
        what,
        name: name.into(),
        why: error.to_string(),
    })
}
