//! Rules can be built by plain cargo (as a core module, which is made a component when it is loaded) and by cargo
//! component, with and without WASI. All of these are accepted as they are, and have the same description.
//!
//! `make guest-check` builds the components and lists them in `GUEST_COMPONENTS`, separated by colons. Without it, the
//! test uses the component that the host would make of the module.

use pelton::rules::{Description, Engine, SandboxLimits};
use std::path::Path;
use wit_component::ComponentEncoder;

/// Byte 6 of a file says what it is: 0 is a module, 1 is a component.
const LAYER: usize = 6;

#[test]
fn modules_and_components_are_accepted_and_say_the_same() {
    let module = std::fs::read(env!("GUEST_ENRICH_WASM")).expect("tests/build.rs has made it");
    assert_eq!(module[LAYER], 0, "plain cargo makes a core module");
    let of_module = accepted("plain cargo", &module);
    let components = match std::env::var_os("GUEST_COMPONENTS") {
        Some(paths) => std::env::split_paths(&paths)
            .map(|path| (path.display().to_string(), read(&path)))
            .collect(),
        None => vec![("wit-component".to_string(), encoded(&module))],
    };
    for (name, component) in components {
        assert_eq!(component[LAYER], 1, "{name} is a component");
        assert_eq!(accepted(&name, &component), of_module, "{name}");
    }
}

/// Compiles the file, starts it, and returns its description.
fn accepted(name: &str, file: &[u8]) -> Description {
    let engine = Engine::new().expect("an engine");
    let rules = engine
        .compile(file, "{}", SandboxLimits::default())
        .unwrap_or_else(|refused| panic!("{name}: {refused}"));
    rules.description().clone()
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn encoded(module: &[u8]) -> Vec<u8> {
    let encoder = ComponentEncoder::default().validate(true).module(module);
    encoder.expect("a module with types").encode().expect("a component")
}
