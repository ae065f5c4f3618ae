//! The SDK's bindings are what `wit-bindgen` generates today from `wit/rules.wit`.

use std::path::Path;
use std::{env, fs};
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};
use wit_bindgen_rust::Opts;

/// Set it to write the file instead of comparing it.
const WRITE: &str = "PELTON_WRITE_BINDINGS";

#[test]
fn the_bindings_of_the_sdk_are_those_of_the_wit_file() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = top.join("sdk/src/wire/generated.rs");
    let today = generate(&top.join("wit"));
    if env::var_os(WRITE).is_some() {
        fs::write(&path, &today).expect("written");
    }
    let kept = fs::read_to_string(&path).expect("there");
    assert!(
        kept == today,
        "sdk/src/wire/generated.rs is not what wit/rules.wit says. Write it again: {WRITE}=1 make quick T=bindings"
    );
}

/// The bindings of the world `rules` in a folder.
fn generate(wit: &Path) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit).expect("valid WIT");
    let world = resolve.select_world(&[package], Some("rules")).expect("the world");
    let options = Opts {
        format: true,
        default_bindings_module: Some("pelton_sdk::wire".into()),
        generate_unused_types: true,
        pub_export_macro: true,
        runtime_path: Some("::pelton_sdk::wit_bindgen::rt".into()),
        ..Opts::default()
    };
    let mut files = Files::default();
    options
        .build()
        .generate(&mut resolve, world, &mut files)
        .expect("bindings");
    let (_, text) = files.iter().next().expect("one file");
    String::from_utf8(text.to_vec()).expect("Rust is UTF-8")
}
