//! Versions of the money rules: components and settings, compiled once for all seeds.

use crate::auditor::Millis;
use pelton::binding::Wiring;
use pelton::config::Config;
use pelton::deploy::agent::First;
use pelton::deploy::compile::Compile;
use pelton::record::VersionId;
use pelton::registry::Schemas;
use pelton::rules::{Engine, Limits, Rules, Version};
use serde_json::{Value, json};
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// What a version is made of. Times are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Made {
    dedup: Millis,
    session: Millis,
    pending: Millis,
    /// Stands in each output.
    label: &'static str,
    /// Another component, which does the same.
    other: bool,
}

/// Each is compiled by itself, so they are few. The first is the contract's.
const VERSIONS: [Made; 9] = [
    made(60_000, 86_400_000, 3_600_000, "", false),
    made(10_000, 30_000, 5_000, "", false),
    made(1_000, 5_000, 20_000, "", false),
    made(30_000, 20_000, 1_000, "", false),
    made(60_000, 86_400_000, 3_600_000, "a-", false),
    made(10_000, 30_000, 5_000, "b-", false),
    made(1_000, 5_000, 20_000, "c-", true),
    made(30_000, 20_000, 1_000, "d-", true),
    made(10_000, 30_000, 5_000, "e-", true),
];

/// Those that a pipeline's file names.
pub const FILES: Range<usize> = 0..4;

/// Those that are deployed: each marks its outputs.
pub const DEPLOYED: Range<usize> = 4..VERSIONS.len();

const fn made(dedup: Millis, session: Millis, pending: Millis, label: &'static str, other: bool) -> Made {
    Made {
        dedup,
        session,
        pending,
        label,
        other,
    }
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().expect("this machine runs wasmtime"));

static RULES: [OnceLock<Rules>; VERSIONS.len()] = [const { OnceLock::new() }; VERSIONS.len()];

/// The file of the money rules, and the same with a section of its own: other bytes, the same code.
static COMPONENTS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let file = env!("GUEST_ENRICH_WASM");
    let wasm = std::fs::read(file).unwrap_or_else(|e| panic!("{file}: {e}"));
    let section = [0, 6, 5, b'o', b't', b'h', b'e', b'r'];
    [wasm.clone(), [&wasm[..], &section].concat()]
});

/// The component of a version.
pub fn component(version: usize) -> &'static [u8] {
    &COMPONENTS[usize::from(VERSIONS[version].other)]
}

/// Its settings, as the file has them.
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

/// Its id.
pub fn id(version: usize) -> VersionId {
    IDS[version]
}

/// The version with this id.
pub fn of(id: &VersionId) -> Option<usize> {
    IDS.iter().position(|known| known == id)
}

fn rules(version: usize) -> Rules {
    let compile = || {
        // A machine that is overloaded must not decide anything: no time limit is ever hit.
        let limits = Limits {
            time: Duration::from_secs(600),
            ..Limits::default()
        };
        ENGINE
            .compile(component(version), &settings(version).to_string(), limits)
            .expect("the money rules compile")
    };
    RULES[version].get_or_init(compile).clone()
}

/// Where an instance compiles. Each version is wired once in a world. Clones are of the same instance.
#[derive(Clone)]
pub struct Bench {
    shared: Arc<Shared>,
    refused: Arc<Mutex<Refused>>,
}

/// Versions that don't fit an instance.
#[derive(Default)]
struct Refused {
    /// Now.
    now: Option<usize>,
    /// Some did not fit, since the world began.
    ever: bool,
}

struct Shared {
    config: Config,
    schemas: Option<Arc<dyn Schemas>>,
    outputs: i32,
    wired: [OnceLock<Arc<Wiring>>; VERSIONS.len()],
}

impl Bench {
    /// Of a pipeline. `outputs`: partitions of its output.
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

    /// For another instance.
    pub fn another(&self) -> Bench {
        Bench {
            shared: self.shared.clone(),
            refused: Arc::default(),
        }
    }

    /// A version, wired.
    pub fn wiring(&self, version: usize) -> Arc<Wiring> {
        self.shared.wiring(version)
    }

    /// All that were needed so far.
    pub fn wired(&self) -> impl Iterator<Item = &Arc<Wiring>> {
        self.shared.wired.iter().filter_map(OnceLock::get)
    }

    /// The rules of an instance's file.
    pub fn first(&self, version: usize) -> First {
        First::new(component(version).to_vec(), &settings(version), self.wiring(version))
    }

    /// From now on this version does not fit the instance.
    pub fn refuse(&self, version: Option<usize>) {
        lock(&self.refused).now = version;
    }

    /// Something did not fit the instance, once.
    pub fn has_refused(&self) -> bool {
        lock(&self.refused).ever
    }

    /// The compiler of its instance.
    pub fn compile(&self) -> Compile {
        let (shared, refused) = (self.shared.clone(), self.refused.clone());
        Arc::new(move |component, settings| {
            let version = of(&Version::of(component, settings).0).ok_or("nobody knows this version")?;
            let mut refused = lock(&refused);
            if refused.now == Some(version) {
                refused.ever = true;
                return Err("this instance does not like it".into());
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

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
