//! A mistake in a pipeline is reported before anything is done, with its key, by `pelton check` and by the start.

use super::process::pelton;
use super::*;

/// `check` finds it and exits with code 1, and `run` does not start. Both name the key.
fn refused(stage: &Stage, sets: &[&str], key: &str, says: &str) {
    let check = pelton("check", &stage.file(), sets);
    let out = String::from_utf8_lossy(&check.stdout);
    assert_eq!(check.status.code(), Some(1), "{out}");
    assert!(out.contains(&format!("error: {key}")) && out.contains(says), "{out}");
    let mut run = stage.run_in(&Rig::unique("log"), sets);
    let code = run.code(PATIENCE);
    let said = run.said();
    // 1 if the file itself is wrong, 3 if something that it names is.
    assert!(code == 1 || code == 3, "{code}: {said}");
    assert!(said.contains(key) && said.contains(says), "{said}");
}

#[test]
fn what_is_wrong_is_found_before_the_start_and_named_by_its_key() {
    let rig = Rig::shared();
    let stage = Stage::new(rig, Source::Registry);
    let check = pelton("check", &stage.file(), &[]);
    let out = String::from_utf8_lossy(&check.stdout);
    assert_eq!(
        (check.status.code(), out.ends_with(": no problems found\n")),
        (Some(0), true),
        "{out}"
    );

    refused(&stage, &["epoch.intervall=1s"], "epoch.intervall", "interval");
    refused(
        &stage,
        &["kafka.enable.idempotence=false"],
        "kafka.enable.idempotence",
        "twice",
    );
    refused(
        &stage,
        &["kafka.isolation.level=read_uncommitted"],
        "kafka.isolation.level",
        "aborted",
    );
    refused(
        &stage,
        &["inputs.wallet.topic=nowhere"],
        "inputs.wallet.topic",
        "no such topic",
    );
    refused(
        &stage,
        &["outputs.enriched.topic=nowhere"],
        "outputs.enriched.topic",
        "no such topic",
    );
    let two = rig.topic("two", 2).unwrap();
    refused(
        &stage,
        &[&format!("inputs.user.topic={two}")],
        "inputs",
        "same number of partitions",
    );

    let text = stage.path("text.wasm");
    std::fs::write(&text, "no component").unwrap();
    refused(
        &stage,
        &[&format!("rules.file={}", text.display())],
        "rules.file",
        "WebAssembly",
    );
    let foreign = stage.path("foreign.wasm");
    let module = wat::parse_str(r#"(component (import "wasi:nonsense/x@1.0.0" (instance)))"#).unwrap();
    std::fs::write(&foreign, module).unwrap();
    refused(
        &stage,
        &[&format!("rules.file={}", foreign.display())],
        "rules.file",
        "the rules",
    );
    refused(
        &stage,
        &["rules.settings.dedup_ttl=soon"],
        "rules.settings",
        "dedup_ttl",
    );
    refused(&stage, &["rules.settings.nonsense=1"], "rules.settings", "nonsense");
    // The rules of the tests read other streams and write other outputs.
    let odd = format!("rules.file={}", env!("GUEST_ODD_WASM"));
    let check = pelton("check", &stage.file(), &[&odd]);
    assert_eq!(
        check.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&check.stdout)
    );
}

#[test]
fn a_topic_of_its_own_with_other_settings_is_refused() {
    let stage = Stage::new(Rig::shared(), Source::None);
    let changelog = format!("{}-changelog", stage.name);
    stage
        .rig
        .create(&changelog, PARTITIONS, &[("cleanup.policy", "compact")])
        .unwrap();
    refused(&stage, &[], &format!("{changelog}.cleanup.policy"), "must be delete");
    let stage = Stage::new(Rig::shared(), Source::None);
    let journal = format!("{}-journal", stage.name);
    stage
        .rig
        .create(&journal, PARTITIONS + 1, &[("message.timestamp.type", "LogAppendTime")])
        .unwrap();
    refused(&stage, &[], &journal, "must have 4 partitions");
}

#[test]
fn a_data_directory_belongs_to_one_cluster_and_one_process() {
    let mut stage = Stage::new(Rig::shared(), Source::None);
    let foreign = stage.path("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("cluster"), "another\n").unwrap();
    let mut process = stage.run_in("log-foreign", &["state.dir=foreign"]);
    assert_eq!(process.code(PATIENCE), 3, "{}", process.said());
    assert!(
        process.said().contains("state of the cluster another"),
        "{}",
        process.said()
    );

    stage.produce(varied(Format::Json, 100));
    let sets = ["state.dir=data"];
    let process = stage.run(&sets);
    let mut tail = stage.tail();
    tail.until(1, PATIENCE, || {});
    let mut second = stage.run_in("log-second", &["state.dir=data", "instance=other"]);
    assert_eq!(second.code(PATIENCE), 3, "{}", second.said());
    assert!(
        second.said().contains("another process has it open"),
        "{}",
        second.said()
    );
    process.stop();
}
