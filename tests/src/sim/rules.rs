//! The money rules, compiled once for all seeds.

use crate::auditor::Millis;
use pelton::rules::{Engine, Limits, Rules};
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

/// Settings of the rules, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttls {
    /// See RULES: dedup.
    pub dedup: Millis,
    /// See RULES: session.
    pub session: Millis,
    /// See RULES: session.
    pub pending: Millis,
}

/// Each is compiled by itself, so they are few. The first is the contract's.
pub const TTLS: [Ttls; 4] = [
    ttls(60_000, 86_400_000, 3_600_000),
    ttls(10_000, 30_000, 5_000),
    ttls(1_000, 5_000, 20_000),
    ttls(30_000, 20_000, 1_000),
];

const fn ttls(dedup: Millis, session: Millis, pending: Millis) -> Ttls {
    Ttls {
        dedup,
        session,
        pending,
    }
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().expect("this machine runs wasmtime"));

static RULES: [OnceLock<Rules>; TTLS.len()] = [const { OnceLock::new() }; TTLS.len()];

/// The rules with one of [`TTLS`].
pub fn rules(index: usize) -> Rules {
    let compile = || {
        let file = env!("GUEST_ENRICH_WASM");
        let wasm = std::fs::read(file).unwrap_or_else(|e| panic!("{file}: {e}"));
        let Ttls {
            dedup,
            session,
            pending,
        } = TTLS[index];
        let settings =
            format!(r#"{{"dedup_ttl":"{dedup}ms","session_ttl":"{session}ms","pending_ttl":"{pending}ms"}}"#);
        // A machine that is overloaded must not decide anything: no time limit is ever hit.
        let limits = Limits {
            time: Duration::from_secs(600),
            ..Limits::default()
        };
        ENGINE
            .compile(&wasm, &settings, limits)
            .expect("the money rules compile")
    };
    RULES[index].get_or_init(compile).clone()
}
