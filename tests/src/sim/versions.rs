//! Versions of the money rules: components and settings. They are compiled once for all seeds.

use crate::auditor::{Code, Millis, Settings};
use parking_lot::Mutex;
use pelton::binding::Wiring;
use pelton::config::Config;
use pelton::deploy::agent::ConfiguredRules;
use pelton::deploy::compile::{Compile, Unfit, hash};
use pelton::record::VersionId;
use pelton::registry::Schemas;
use pelton::rules::{self, Engine, Rules, SandboxLimits, Version};
use serde_json::{Value, json};
use std::ops::Range;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

/// The parts of a version. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Made {
    dedup: Millis,
    session: Millis,
    pending: Millis,
    /// Written in each output.
    label: &'static str,
    component: Component,
}

/// The files that versions are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Component {
    /// The money rules.
    Money,
    /// Different bytes that behave the same.
    Other,
    /// The money rules, but they trap on money that was won.
    Fragile,
}

/// Each version is compiled separately, so there are only a few. The first has the settings of the pipeline's own file.
const VERSIONS: [Made; 12] = [
    made(60_000, 86_400_000, 3_600_000, "", Component::Money),
    made(10_000, 30_000, 5_000, "", Component::Money),
    made(1_000, 5_000, 20_000, "", Component::Money),
    made(30_000, 20_000, 1_000, "", Component::Money),
    made(60_000, 86_400_000, 3_600_000, "a-", Component::Money),
    made(10_000, 30_000, 5_000, "b-", Component::Money),
    made(1_000, 5_000, 20_000, "c-", Component::Other),
    made(30_000, 20_000, 1_000, "d-", Component::Other),
    made(10_000, 30_000, 5_000, "e-", Component::Other),
    made(10_000, 30_000, 5_000, "f-", Component::Fragile),
    made(60_000, 86_400_000, 3_600_000, "g-", Component::Fragile),
    made(1_000, 5_000, 20_000, "h-", Component::Fragile),
];

/// The versions that may be in a pipeline's file.
pub const FILES: Range<usize> = 0..4;

/// The versions that are deployed and never trap. Each one marks its outputs.
pub const DEPLOYED: Range<usize> = 4..9;

/// The versions that are deployed and trap.
pub const FRAGILE: Range<usize> = 9..VERSIONS.len();

const fn made(dedup: Millis, session: Millis, pending: Millis, label: &'static str, component: Component) -> Made {
    Made {
        dedup,
        session,
        pending,
        label,
        component,
    }
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().expect("this machine runs wasmtime"));

static RULES: [OnceLock<Rules>; VERSIONS.len()] = [const { OnceLock::new() }; VERSIONS.len()];

/// The components, in the order of [`Component`]. The second is the first with an additional section: different bytes, but
/// the same code.
static COMPONENTS: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let read = |file| std::fs::read(file).unwrap_or_else(|e| panic!("{file}: {e}"));
    let wasm = read(env!("GUEST_ENRICH_WASM"));
    let section = [0, 6, 5, b'o', b't', b'h', b'e', b'r'];
    [
        wasm.clone(),
        [&wasm[..], &section].concat(),
        read(env!("GUEST_FRAGILE_WASM")),
    ]
});

static HASHES: LazyLock<[[u8; 32]; 3]> = LazyLock::new(|| COMPONENTS.each_ref().map(|component| hash(component)));

/// The component of a version.
pub fn component(version: usize) -> &'static [u8] {
    &COMPONENTS[VERSIONS[version].component as usize]
}

/// Its SHA-256.
pub fn component_hash(version: usize) -> [u8; 32] {
    HASHES[VERSIONS[version].component as usize]
}

/// The settings of a version, as the auditor has them.
pub fn does(version: usize) -> Settings {
    let Made {
        dedup,
        session,
        pending,
        label,
        component,
    } = VERSIONS[version];
    Settings {
        dedup_ttl: dedup,
        session_ttl: session,
        pending_ttl: pending,
        label: label.to_owned(),
        code: match component {
            Component::Fragile => Code::Fragile,
            Component::Money | Component::Other => Code::Plain,
        },
    }
}

/// The settings of a version, as the file has them.
pub fn settings(version: usize) -> Value {
    let Made {
        dedup,
        session,
        pending,
        label,
        ..
    } = VERSIONS[version];
    let ms = |time| format!("{time}ms");
    json!({ "dedup_ttl": ms(dedup), "session_ttl": ms(session), "pending_ttl": ms(pending), "label": label })
}

static IDS: LazyLock<[VersionId; VERSIONS.len()]> =
    LazyLock::new(|| std::array::from_fn(|version| Version::of(component(version), &settings(version).to_string()).0));

/// The id of a version.
pub fn id(version: usize) -> VersionId {
    IDS[version]
}

/// The version with this id.
pub fn of(id: &VersionId) -> Option<usize> {
    IDS.iter().position(|known| known == id)
}

fn rules(version: usize) -> Rules {
    let compile = || {
        // An overloaded machine must not affect the run, so no time limit is ever reached.
        let limits = SandboxLimits {
            time: Duration::from_secs(600),
            ..SandboxLimits::default()
        };
        ENGINE
            .compile(component(version), &settings(version).to_string(), limits)
            .expect("the money rules compile")
    };
    RULES[version].get_or_init(compile).clone()
}

/// Compiles for an instance. Each version is wired only once in a world. Clones belong to the same instance.
#[derive(Clone)]
pub struct Bench {
    shared: Arc<Shared>,
    refused: Arc<Mutex<Refused>>,
}

/// The versions that don't fit an instance.
#[derive(Default)]
struct Refused {
    /// The version that does not fit now.
    now: Option<usize>,
    /// Whether any version has been refused since the world began.
    ever: bool,
}

struct Shared {
    config: Config,
    schemas: Option<Arc<dyn Schemas>>,
    outputs: i32,
    wired: [OnceLock<Arc<Wiring>>; VERSIONS.len()],
}

impl Bench {
    /// A bench for a pipeline. `outputs` is the number of partitions of its output.
    pub fn new(config: &Config, schemas: Option<Arc<dyn Schemas>>, outputs: i32) -> Bench {
        Bench {
            shared: Arc::new(Shared {
                config: config.clone(),
                schemas,
                outputs,
                wired: [const { OnceLock::new() }; VERSIONS.len()],
            }),
            refused: Arc::default(),
        }
    }

    /// A bench for another instance.
    pub fn another(&self) -> Bench {
        Bench {
            shared: self.shared.clone(),
            refused: Arc::default(),
        }
    }

    /// The wired version.
    pub fn wiring(&self, version: usize) -> Arc<Wiring> {
        self.shared.wiring(version)
    }

    /// All versions that were needed so far.
    pub fn wired(&self) -> impl Iterator<Item = &Arc<Wiring>> {
        self.shared.wired.iter().filter_map(OnceLock::get)
    }

    /// The rules in an instance's file.
    pub fn first(&self, version: usize) -> ConfiguredRules {
        ConfiguredRules::new(component(version).to_vec(), &settings(version), self.wiring(version))
    }

    /// Sets the version that does not fit the instance from now on.
    pub fn refuse(&self, version: Option<usize>) {
        self.refused.lock().now = version;
    }

    /// Whether some version has not fitted the instance.
    pub fn has_refused(&self) -> bool {
        self.refused.lock().ever
    }

    /// The compiler of the instance.
    pub fn compile(&self) -> Compile {
        let (shared, refused) = (self.shared.clone(), self.refused.clone());
        Arc::new(move |component, settings| {
            let version = of(&Version::of(component, settings).0).ok_or_else(|| unfit("nobody knows this version"))?;
            let mut refused = refused.lock();
            if refused.now == Some(version) {
                refused.ever = true;
                return Err(unfit("this instance does not like it"));
            }
            drop(refused);
            Ok(shared.wiring(version))
        })
    }
}

impl Shared {
    fn wiring(&self, version: usize) -> Arc<Wiring> {
        let wire = || {
            let wiring = Wiring::new(rules(version), &self.config, self.schemas.as_deref(), &[self.outputs]);
            Arc::new(wiring.unwrap_or_else(|misfits| panic!("{misfits:?}")))
        };
        self.wired[version].get_or_init(wire).clone()
    }
}

/// A verdict on a version that every instance could have.
fn unfit(why: &str) -> Unfit {
    rules::RulesError::Settings(why.into()).into()
}
