//! `pelton dev` into a running process, through Kafka alone.

use super::deploys::{money_of, tick_of};
use super::process::words;
use super::*;
use crate::dev::process::Process as Dev;
use serde_json::Value;
use std::path::Path;

#[test]
fn settings_that_are_saved_run_in_every_task() {
    let mut stage = Stage::new(Rig::shared(), Source::None);
    let file = stage.file().display().to_string();
    let status = || {
        let output = words(&["rules", "status", "--json", "--config", &file]);
        let status = serde_json::from_slice::<Value>(&output.stdout).ok()?;
        let version = status["version"].as_str().filter(|version| !version.is_empty())?;
        Some((version.to_owned(), status["taken"].as_object()?.clone()))
    };
    for partition in 0..PARTITIONS {
        stage.put(2, vec![money_of(partition, 1, 1_000), money_of(partition, 2, 1_030)]);
        tick_of(partition, &mut stage, 1_100);
    }
    let mut tail = stage.tail();
    // Then event time goes on with the clock.
    let process = stage.run(&["defaults.idle_after=200ms"]);
    tail.until(2 * PARTITIONS as usize, PATIENCE, || {});

    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-enrich");
    // Built in the same place and the same way as the guests of the tests, so the rules are the same.
    let target = Path::new(env!("GUEST_ENRICH_WASM")).with_file_name("guests");
    let none = stage.path("scenarios");
    std::fs::create_dir(&none).unwrap();
    let none = none.display().to_string();
    let args = [
        "--pipeline",
        &file,
        "--config",
        &file,
        "--scenarios",
        &none,
        "--profile",
        "guest",
        "--shadow",
        "100ms",
    ];
    let dev = Dev::dev(&package, &target, "", &args);
    dev.end("unchanged");

    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text + "[rules.settings]\ndedup_ttl = \"5s\"\n").unwrap();
    let (end, _) = dev.end("running");
    assert!(end["difference"].is_object(), "{end}");
    let (version, taken) = status().expect("it is deployed");
    assert_eq!(end["version"], *version);
    assert!(
        taken.len() == PARTITIONS as usize && taken.values().all(|taken| *taken == 2),
        "{taken:?}"
    );
    assert_eq!(dev.interrupt(), Some(0));
    process.stop();
}
