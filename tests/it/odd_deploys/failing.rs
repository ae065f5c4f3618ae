//! What can't be committed is tried ever more slowly, and health says so until it is over.

use super::line::{Line, doing};
use crate::deploys::fleet::eventually;
use pelton::http::{TaskCondition, TaskHealth};

/// The number of epochs that were aborted.
fn aborted(line: &Line) -> u64 {
    let text = line.metrics();
    let series = "pelton_epochs_total{worker=\"0\",outcome=\"aborted\"} ";
    let value = text.lines().find_map(|text| text.strip_prefix(series));
    value.expect("a series").parse().expect("a number")
}

#[test]
fn a_topic_that_takes_no_record_is_named_in_health_and_nothing_is_lost() {
    let mut line = Line::of(doing("echo"));
    line.flow(5, "good");
    line.check("all is well");
    line.limit_outputs(10);
    line.flow(5, "good");
    eventually("health says so", || {
        let fails = |task: &TaskHealth| {
            let said = task.message.as_deref().unwrap_or_default();
            task.state == TaskCondition::Failing && said.contains("is too large for topic")
        };
        let health = line.health();
        !health.ok && health.message.is_some_and(|said| said.contains("fail")) && health.tasks.iter().all(fails)
    });
    assert!(
        !line.metrics().contains("pelton_uncommitted_seconds{worker=\"0\"} 0"),
        "{}",
        line.metrics()
    );
    // Without pauses there would be a hundred a second.
    assert!((4..30).contains(&aborted(&line)), "{}", aborted(&line));
    line.limit_outputs(1 << 20);
    line.check("it goes on by itself");
    eventually("all is well", || {
        line.health().ok && line.health().tasks.iter().all(|task| task.message.is_none())
    });
    eventually("the metric, too", || {
        line.metrics().contains("pelton_uncommitted_seconds{worker=\"0\"} 0")
    });
}
