//! Helpers that the tests of the interface share: batches, a state in memory, the odd guest, and the log.

use parking_lot::Mutex;
use pelton::record::Span;
use pelton::rules::{Batch, Cell, Engine, Found, Happening, Input, Read, Rules, SandboxLimits};
use pelton::wit::StateReader;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// A state with one value for each input of a batch.
#[derive(Default)]
pub struct Memory {
    values: BTreeMap<u32, Vec<u8>>,
    /// The number of calls of `get_many`.
    pub calls: usize,
    /// Whether to answer with an error.
    pub broken: bool,
}

impl Memory {
    pub fn with(values: &[(u32, &str)]) -> Memory {
        let values = values
            .iter()
            .map(|(of, value)| (*of, value.as_bytes().to_vec()))
            .collect();
        Memory {
            values,
            ..Memory::default()
        }
    }
}

impl StateReader for Memory {
    fn get_many(&mut self, reads: &[Read], _: &[u8]) -> Result<Found, String> {
        self.calls += 1;
        if self.broken {
            return Err("disk on fire".into());
        }
        let mut found = Found::default();
        for (i, read) in reads.iter().enumerate() {
            if let Some(value) = self.values.get(&read.of) {
                let value = Span::append(&mut found.bytes, value);
                let (of, entry) = (i as u32, Span::default());
                found.cells.push(Cell {
                    of,
                    entry,
                    value,
                    expires: i64::MAX,
                });
            }
        }
        Ok(found)
    }
}

/// Events with these values.
pub fn batch(values: &[&str]) -> Batch {
    let mut batch = Batch::default();
    let key = Span::append(&mut batch.bytes, b"key");
    for (i, value) in values.iter().enumerate() {
        let value = Span::append(&mut batch.bytes, value.as_bytes());
        batch.inputs.push(Input {
            what: Happening::Event,
            late: false,
            source: 0,
            rank: 0,
            time: 1000 + i as i64,
            offset: i as u64,
            key,
            tag: Span::default(),
            value,
        });
    }
    batch
}

/// The file of the odd guest.
pub fn odd_file() -> Vec<u8> {
    std::fs::read(env!("GUEST_ODD_WASM")).expect("tests/build.rs has made it")
}

/// Settings that make it do this.
pub fn settings(what: &str) -> String {
    format!(r#"{{"do": "{what}"}}"#)
}

/// The usual limits with a long time limit, so that on a busy machine only the limit under test ends the call.
pub fn patient() -> SandboxLimits {
    SandboxLimits {
        time: Duration::from_secs(60),
        ..SandboxLimits::default()
    }
}

/// The odd guest, doing this.
pub fn odd(what: &str) -> Rules {
    odd_with(what, patient())
}

/// The odd guest, doing this within limits.
pub fn odd_with(what: &str, limits: SandboxLimits) -> Rules {
    let engine = Engine::new().expect("an engine");
    engine
        .compile(&odd_file(), &settings(what), limits)
        .unwrap_or_else(|refused| panic!("{what}: {refused}"))
}

/// The lines that the rules log in this thread during `run`.
pub fn rules_lines(run: impl FnOnce()) -> Vec<String> {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, run);
    let text = String::from_utf8(lines.0.lock().clone()).expect("UTF-8");
    text.lines()
        .filter(|line| line.contains(" rules: "))
        .map(String::from)
        .collect()
}
