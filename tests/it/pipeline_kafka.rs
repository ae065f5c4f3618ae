//! `pelton run` on a real Kafka and a real schema registry: the whole process, from its file to its exit code.
//!
//! Rule: the auditor says what must come out for the same records. The outputs are read by clients that are not
//! Pelton's.

mod away;
mod deploys;
mod dev;
mod disk;
mod expected;
mod formats;
mod gate;
mod kills;
mod letters;
mod members;
mod process;
mod refusals;
mod rules;
mod secure;
mod soak;
mod stage;
mod stops;
mod tail;

use expected::Expected;
use gate::Gate;
use pelton_demo::session_service::{Behaviour, SessionService};
use pelton_demo::traffic::{Format, Parameters, Traffic};
use pelton_tests::rig::{Registry, Rig};
use process::Process;
use stage::{Source, Stage};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tail::Tail;

/// Longer than anything takes here, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The number of partitions of the inputs. The output has another number, so that using the input's partition would be
/// noticed.
const PARTITIONS: i32 = 4;
const OUTPUT_PARTITIONS: i32 = 3;

/// The registry that all tests of this module share. It has the pipeline's schemas under their usual ids.
fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let registry = Rig::registry().unwrap_or_else(|error| panic!("{error:#}"));
        for (index, (topic, schema)) in stage::schemas().into_iter().enumerate() {
            let id = registry.register(&format!("{topic}-value"), &schema).unwrap();
            assert_eq!(id, index as u32 + 1, "the ids of the contract");
        }
        registry
    })
}

/// A little of everything, for this much money. An hour after its end, every timer has fired.
fn varied(format: Format, money: u64) -> Parameters {
    Parameters {
        format,
        money,
        users: 300,
        partitions: PARTITIONS,
        // Longer than money waits for its session, so that timers also fire in the middle.
        span: 2 * 3_600_000,
        closing: Some(2 * 3_600_000),
        ..Parameters::varied()
    }
}

/// The session service that all tests share. Its answer depends on the session's id, and it fails now and then.
fn service() -> &'static SessionService {
    static SERVICE: OnceLock<SessionService> = OnceLock::new();
    SERVICE.get_or_init(|| {
        let behaviour = Behaviour {
            latency: Duration::from_millis(2),
            errors: 0.02,
        };
        SessionService::start(behaviour).expect("a port of the loopback")
    })
}

/// Asks again and again until it is true.
fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "{what}: not in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
