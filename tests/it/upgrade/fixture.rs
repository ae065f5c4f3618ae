//! The files of the fixture.
//!
//! Rule: they are only read here.

use pelton::config::Config;
use std::path::{Path, PathBuf};

/// The number of partitions of every topic except the control topic.
pub const PARTITIONS: i32 = 2;

/// Id of the cluster.
pub const CLUSTER: &str = "upgrade";

/// The instance whose data directory the fixture has.
#[cfg(feature = "rocks")]
pub const OURS: &str = "a";

/// How many bytes of changelog cause a flush to the local store. The default is 256 MiB, and this pipeline is small.
const FLUSH_BYTES: u64 = 2048;

/// The folder of the fixture. `PELTON_FIXTURE` sets another one.
pub fn folder() -> PathBuf {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/0.1");
    std::env::var_os("PELTON_FIXTURE").map_or(ours, PathBuf::from)
}

/// The rules of the fixture. They are a file, because other compilers make other bytes of the same source.
pub fn component() -> Vec<u8> {
    let path = folder().join("rules.wasm");
    std::fs::read(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// The file of the pipeline.
pub fn config() -> Config {
    let loaded = Config::load(&folder().join("pelton.toml"), &[]);
    let mut config = loaded.unwrap_or_else(|findings| panic!("{findings:?}"));
    config.state.flush_bytes = FLUSH_BYTES;
    config
}

/// The text of a file of the fixture.
pub fn text(name: &str) -> String {
    let path = folder().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// Compares line by line, so that a failure shows the first line that differs and not two whole files.
#[track_caller]
pub fn same(is: &str, must: &str) {
    let (mut left, mut right) = (is.lines(), must.lines());
    for number in 1.. {
        match (left.next(), right.next()) {
            (None, None) => return,
            (is, must) => assert_eq!(
                is, must,
                "line {number} (left: this version, right: the one that wrote the fixture)"
            ),
        }
    }
}
