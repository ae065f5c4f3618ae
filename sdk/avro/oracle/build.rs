//! Generates code for selected schemas, the schemas of the money pipeline and random schemas, and a table of all of
//! them.

#[path = "src/random.rs"]
mod random;

use pelton_avro::Schemas;
use std::{env, fmt::Write, fs, path::Path};

/// Names in Rust, and files.
const FILES: &[(&str, &str)] = &[
    ("WalletEvent", "../../../guest-enrich/schemas/wallet-events.avsc"),
    (
        "UserSessionEvent",
        "../../../guest-enrich/schemas/user-session-events.avsc",
    ),
    ("UserEvent", "../../../guest-enrich/schemas/user-events.avsc"),
    (
        "MoneyEnriched",
        "../../../guest-enrich/schemas/money-enriched-events.avsc",
    ),
    ("SessionRequest", "../../../guest-enrich/schemas/session-request.avsc"),
    ("Everything", "schemas/everything.avsc"),
    ("Defaults", "schemas/defaults.avsc"),
];
const RANDOM: usize = 64;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/random.rs");
    let mut schemas = Schemas::new();
    let mut cases = String::from("pub const CASES: &[Case] = &[\n");
    let mut case = |name: &str, text: &str| {
        writeln!(cases, "    Case::of::<datum::{name}>({name:?}, {text:?}),").unwrap();
    };
    let mut names = Vec::new();
    for (name, path) in FILES {
        schemas = schemas.file(path);
        case(name, &fs::read_to_string(path).unwrap());
        names.push(name.to_string());
    }
    for i in 0..RANDOM {
        let text = serde_json::to_string_pretty(&random::schema(i)).unwrap();
        schemas = schemas.text(&format!("random {i}"), &text);
        case(&format!("R{i}"), &text);
        names.push(format!("R{i}"));
    }
    schemas.write().unwrap();
    let folder = env::var("OUT_DIR").unwrap();
    let code = fs::read_to_string(Path::new(&folder).join("schema.rs")).unwrap();
    // The 'static form of each type, whether it has a lifetime or not.
    let mut aliases = String::from("mod datum {\n");
    for name in names {
        let life = if code.contains(&format!("{name}<'a> {{")) {
            "<'static>"
        } else {
            ""
        };
        writeln!(aliases, "    pub type {name} = super::schema::{name}{life};").unwrap();
    }
    fs::write(Path::new(&folder).join("cases.rs"), format!("{aliases}}}\n{cases}];\n")).unwrap();
}
