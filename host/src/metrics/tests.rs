use super::*;

fn metrics() -> Metrics {
    let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    Metrics::new(names(&["session", "wallet"]), names(&["enriched"]), names(&["session"]))
}

fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = metrics.text();
    let line = text
        .lines()
        .find(|line| line.starts_with(series) && line.as_bytes().get(series.len()) == Some(&b' '))?;
    line[series.len() + 1..].parse().ok()
}

/// Sets every handle to a value of its own, and finds each in the text under its documented name.
#[test]
fn every_metric_is_shown_with_its_name() {
    let metrics = metrics();
    let task = metrics.task(Partition(3));
    task.inputs.events_in[1].inc_by(10);
    task.inputs.late[0].inc_by(11);
    task.inputs.foreign_keys[0].inc_by(12);
    task.inputs.buffered_bytes[0].set(13);
    task.inputs.spilled_bytes[0].set(12);
    task.inputs.position[1].set(14);
    task.events_out[0].inc_by(15);
    task.watermark(1_500, 3_750);
    task.dead_letters[DeadLetterReason::TooFarAhead as usize].inc_by(16);
    task.calls.cuts.inc_by(17);
    task.calls.traps.inc_by(18);
    task.calls.faults.inc_by(35);
    task.calls.stopped.set(1);
    task.state.rows.set(19);
    task.state.bytes.set(20);
    task.state.log_bytes.set(21);
    task.timers.set(22);
    task.lookups_pending.set(23);
    task.state.restored_ratio.set(0.5);
    task.state.unstored.set(1);
    metrics.version(Partition(3), "abc");
    let worker = metrics.worker(0);
    worker.committed.inc_by(24);
    worker.aborted.inc_by(25);
    worker.ambiguous.inc_by(26);
    worker.uncommitted_seconds.set(35);
    worker.withdrawn.set(34);
    worker.commit_seconds.observe(0.006);
    worker.held_seconds.observe(0.001);
    worker.pause_seconds.observe(0.001);
    worker.sandbox_seconds.observe(0.001);
    worker.batch_inputs.observe(64.0);
    worker.guest_seconds.observe(0.0001);
    worker.cpu[0].inc_by(0.25);
    let rules = metrics.rules(&["seen".into()], &["duplicates".into()]);
    rules.misses[0].inc_by(27);
    rules.counters[0].inc_by(28);
    let lookup = metrics.lookup(0);
    lookup.answered.inc_by(29);
    lookup.absent.inc_by(30);
    lookup.unavailable.inc_by(31);
    lookup.tries.inc_by(32);
    lookup.seconds.observe(0.2);
    lookup.waiting.set(33);
    lookup.breaker_open.set(1);
    let expected = [
        (r#"pelton_rules_faults_total{partition="3"}"#, 35.0),
        (r#"pelton_rules_stopped{partition="3"}"#, 1.0),
        (r#"pelton_uncommitted_seconds{worker="0"}"#, 35.0),
        (r#"pelton_deploys_withdrawn{worker="0"}"#, 34.0),
        (r#"pelton_worker_cpu_seconds_total{worker="0",part="poll"}"#, 0.25),
        (r#"pelton_events_in_total{partition="3",stream="wallet"}"#, 10.0),
        (r#"pelton_events_late_total{partition="3",stream="session"}"#, 11.0),
        (r#"pelton_foreign_keys_total{partition="3",stream="session"}"#, 12.0),
        (r#"pelton_buffered_bytes{partition="3",stream="session"}"#, 13.0),
        (r#"pelton_spilled_bytes{partition="3",stream="session"}"#, 12.0),
        (r#"pelton_position{partition="3",stream="wallet"}"#, 14.0),
        (r#"pelton_events_out_total{partition="3",output="enriched"}"#, 15.0),
        (r#"pelton_watermark_seconds{partition="3"}"#, 1.5),
        (r#"pelton_event_time_lag_seconds{partition="3"}"#, 2.25),
        (
            r#"pelton_dead_letters_total{partition="3",reason="too_far_ahead"}"#,
            16.0,
        ),
        (r#"pelton_batches_cut_total{partition="3"}"#, 17.0),
        (r#"pelton_traps_total{partition="3"}"#, 18.0),
        (r#"pelton_state_rows{partition="3"}"#, 19.0),
        (r#"pelton_state_bytes{partition="3"}"#, 20.0),
        (r#"pelton_changelog_bytes{partition="3"}"#, 21.0),
        (r#"pelton_timers_pending{partition="3"}"#, 22.0),
        (r#"pelton_lookups_pending{partition="3"}"#, 23.0),
        (r#"pelton_restored_ratio{partition="3"}"#, 0.5),
        (r#"pelton_unstored{partition="3"}"#, 1.0),
        (r#"pelton_rules_info{partition="3",version="abc"}"#, 1.0),
        (r#"pelton_epochs_total{worker="0",outcome="committed"}"#, 24.0),
        (r#"pelton_epochs_total{worker="0",outcome="aborted"}"#, 25.0),
        (r#"pelton_epochs_total{worker="0",outcome="ambiguous"}"#, 26.0),
        (r#"pelton_commit_seconds_count{worker="0"}"#, 1.0),
        (r#"pelton_held_seconds_count{worker="0"}"#, 1.0),
        (r#"pelton_pause_seconds_count{worker="0"}"#, 1.0),
        (r#"pelton_sandbox_seconds_count{worker="0"}"#, 1.0),
        (r#"pelton_batch_inputs_sum{worker="0"}"#, 64.0),
        (r#"pelton_guest_seconds_count{worker="0"}"#, 1.0),
        (r#"pelton_state_misses_total{store="seen"}"#, 27.0),
        (r#"pelton_rules_count_total{name="duplicates"}"#, 28.0),
        (
            r#"pelton_lookup_calls_total{service="session",result="answered"}"#,
            29.0,
        ),
        (r#"pelton_lookup_calls_total{service="session",result="absent"}"#, 30.0),
        (
            r#"pelton_lookup_calls_total{service="session",result="unavailable"}"#,
            31.0,
        ),
        (r#"pelton_lookup_tries_total{service="session"}"#, 32.0),
        (r#"pelton_lookup_seconds_sum{service="session"}"#, 0.2),
        (r#"pelton_lookup_waiting{service="session"}"#, 33.0),
        (r#"pelton_lookup_breaker_open{service="session"}"#, 1.0),
        (
            concat!(r#"pelton_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""}"#),
            1.0,
        ),
    ];
    for (series, expected) in expected {
        assert_eq!(value(&metrics, series), Some(expected), "{series}\n{}", metrics.text());
    }
    for (name, help) in ALL {
        assert!(
            expected
                .iter()
                .any(|(series, _)| series.starts_with(&format!("pelton_{name}"))),
            "{name} is not tested"
        );
        assert!(metrics.text().contains(&format!("{help}.")), "{name}");
    }
    assert!(metrics.text().ends_with("# EOF\n"));
}

#[test]
fn a_closed_task_leaves_nothing() {
    let metrics = metrics();
    let before = metrics.text();
    let (old, _kept) = (metrics.task(Partition(3)), metrics.task(Partition(4)));
    let with_one = {
        old.calls.traps.inc();
        metrics.version(Partition(3), "abc");
        metrics.version(Partition(3), "def");
        metrics.text()
    };
    assert!(with_one.contains("version=\"def\"") && !with_one.contains("version=\"abc\""));
    metrics.close_task(Partition(3));
    assert!(!metrics.text().contains("partition=\"3\""), "{}", metrics.text());
    assert!(metrics.text().contains("partition=\"4\""));
    metrics.close_task(Partition(4));
    assert_eq!(metrics.text(), before);
}

#[test]
fn there_is_no_watermark_before_the_first_record() {
    let metrics = metrics();
    metrics.task(Partition(0)).watermark(crate::record::NEVER, 5);
    assert_eq!(
        value(&metrics, r#"pelton_event_time_lag_seconds{partition="0"}"#),
        Some(0.0)
    );
}
