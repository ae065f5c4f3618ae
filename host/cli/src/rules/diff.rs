//! The results of a shadow as text.
//!
//! Rule: it says first whether there are differences, then how many of what kind, and then shows the first ones field
//! by field.

use pelton::deploy::api::Shadowing;
use pelton::record::Millis;
use pelton::shadow::{Counts, Difference, EffectKind, Origin, Seen, ShadowReport, ShadowState};
use pelton_convert::iso;

/// The complete text.
pub fn diff(of: &Shadowing) -> String {
    let mut text = head(of);
    let total = &of.total;
    text += &match (total.steps, total.differ(), total.traps) {
        (0, ..) => "\nnothing is compared yet".to_owned(),
        (steps, 0, 0) => format!("\nno difference in {steps} steps"),
        (steps, differ, 0) => format!("\n{differ} differences in {steps} steps"),
        (steps, differ, traps) => {
            format!("\n{differ} differences in {steps} steps; the shadow has trapped {traps} times")
        }
    };
    text += &format!("\n{}", table(total));
    if total.unanswered > 0 {
        text += &format!(
            "\n{} questions are the shadow's alone: for it they are unavailable",
            total.unanswered
        );
    }
    text += &format!("\n{}", time(total));
    let notes: std::collections::BTreeSet<&String> = of.tasks.values().flat_map(|report| &report.notes).collect();
    for note in notes {
        text += &format!("\nnote: {note}");
    }
    for (task, report) in &of.tasks {
        let ShadowReport { seen, .. } = report;
        text += &format!("\n\ntask {task}: {}", standing(report));
        text += &format!(
            "\n  {} steps, {} differences, {} traps",
            seen.steps,
            seen.differ(),
            seen.traps
        );
        if of.tasks.len() > 1 && seen.differ() > 0 {
            text += &format!("\n{}", indent(&table(seen)));
        }
        for trap in &report.traps {
            text += &format!(
                "\n  trapped {} times: {}\n    first: {}",
                trap.count,
                trap.reason,
                origin(&trap.first)
            );
        }
        for difference in &report.differences {
            text += &format!("\n{}", indent(&one(difference)));
        }
        let more = seen.differ() - report.differences.len() as u64;
        if more > 0 && !report.differences.is_empty() {
            text += &format!("\n  and {more} more");
        }
    }
    text
}

/// A short text: how many differences of what kind, and at most `most` of the first ones, each of another kind.
pub fn brief(of: &Shadowing, most: usize) -> String {
    let total = &of.total;
    let (steps, differ) = (total.steps, total.differ());
    let mut text = match (steps, differ) {
        (0, _) => "nothing was compared: no input came".to_owned(),
        (steps, 0) => format!("no difference in {steps} steps"),
        (steps, differ) => {
            let counts = total.each().into_iter().filter_map(|(name, counts)| {
                let parts = [
                    ("different", counts.different),
                    ("missing", counts.missing),
                    ("extra", counts.extra),
                ];
                let parts: Vec<String> = parts
                    .into_iter()
                    .filter(|(_, count)| *count > 0)
                    .map(|(how, count)| format!("{count} {how}"))
                    .collect();
                (!parts.is_empty()).then(|| format!("{name} {}", parts.join(", ")))
            });
            let counts: Vec<String> = counts.collect();
            format!("{differ} differences in {steps} steps: {}", counts.join("; "))
        }
    };
    let mut reasons = std::collections::BTreeSet::new();
    let traps = of.tasks.values().flat_map(|report| &report.traps);
    for trap in traps.filter(|trap| reasons.insert(&trap.reason)).take(most) {
        text += &format!("\n  it traps: {}\n    first: {}", trap.reason, origin(&trap.first));
    }
    for (task, report) in of
        .tasks
        .iter()
        .filter(|(_, report)| report.standing == ShadowState::Ended)
    {
        text += &format!("\n  task {task}: {}", standing(report));
    }
    let mut kinds = std::collections::BTreeSet::new();
    let differences = of.tasks.values().flat_map(|report| &report.differences);
    let others = differences.filter(|difference| {
        let paths: Vec<&str> = difference.fields.iter().map(|field| field.path.as_str()).collect();
        kinds.insert((difference.kind, &difference.how, &difference.name, paths))
    });
    for difference in others.take(most) {
        text += &format!("\n{}", indent(&one(difference)));
    }
    text
}

/// Which shadow it is, and how far it has come.
pub fn head(of: &Shadowing) -> String {
    let mut text = format!("shadow {}: {} beside {}", of.number, of.version, of.live);
    if let Some(why) = &of.over {
        return text + &format!(", over: {why}");
    }
    let begun = of.tasks.len();
    text += &match (begun, of.instances.is_empty()) {
        (0, true) => ", no instance has it yet".to_owned(),
        (0, false) => {
            let stages = of.instances.iter().map(|(name, stage)| format!("{name} {stage}"));
            format!(
                ", no task has begun; instances: {}",
                stages.collect::<Vec<_>>().join(", ")
            )
        }
        _ => {
            let count = |standing| of.tasks.values().filter(|report| report.standing == standing).count();
            let (runs, through, ended) = (
                count(ShadowState::Running),
                count(ShadowState::Through),
                count(ShadowState::Ended),
            );
            let least = of
                .tasks
                .values()
                .filter(|report| report.standing == ShadowState::Running);
            let least = least.map(progress).min().unwrap_or(of.duration);
            let mut parts = vec![];
            if runs > 0 {
                parts.push(format!(
                    "{runs} of {} tasks run it, {} of {}",
                    of.of,
                    span(least),
                    span(of.duration)
                ));
            }
            if through > 0 {
                parts.push(format!(
                    "{through} of {} tasks have finished {}",
                    of.of,
                    span(of.duration)
                ));
            }
            if ended > 0 {
                parts.push(format!("{ended} of {} tasks have ended early", of.of));
            }
            format!(": {}", parts.join("; "))
        }
    };
    text
}

/// For how much of a task's event time the shadow has run.
fn progress(report: &ShadowReport) -> Millis {
    match (report.from, report.to) {
        (Some(from), Some(to)) => (to - from).clamp(0, report.duration),
        _ => 0,
    }
}

/// How far it is in a task.
pub fn standing(report: &ShadowReport) -> String {
    let so_far = span(progress(report));
    let why = report.why.as_deref().unwrap_or("no reason is known");
    let state = match report.standing {
        ShadowState::Running => format!("runs, {so_far} of {}", span(report.duration)),
        ShadowState::Through => format!("finished {}", span(report.duration)),
        ShadowState::Ended => format!("ended after {so_far}: {why}"),
    };
    let since = report
        .from
        .map(|from| format!(", from {}", iso(from)))
        .unwrap_or_default();
    format!("{state}{since}, on instance '{}'", report.instance)
}

fn table(seen: &Seen) -> String {
    let mut lines = vec![format!(
        "{:<15}{:>12}{:>12}{:>12}{:>12}",
        "", "same", "different", "missing", "extra"
    )];
    for (
        name,
        Counts {
            same,
            different,
            missing,
            extra,
        },
    ) in seen.each()
    {
        lines.push(format!("{name:<15}{same:>12}{different:>12}{missing:>12}{extra:>12}"));
    }
    lines.join("\n")
}

fn time(seen: &Seen) -> String {
    let each = |nanos: u64, inputs: u64| match inputs {
        0 => "none".to_owned(),
        inputs => format!("{:.2} us", nanos as f64 / inputs as f64 / 1000.0),
    };
    format!(
        "CPU of the rules an input: live {}, shadow {}",
        each(seen.live_nanos, seen.live_inputs),
        each(seen.shadow_nanos, seen.shadow_inputs)
    )
}

fn one(difference: &Difference) -> String {
    let kind = match difference.kind {
        EffectKind::Output => "output",
        EffectKind::State => "state",
        EffectKind::Timer => "timer",
        EffectKind::Lookup => "lookup",
        EffectKind::DeadLetter => "dead letter",
    };
    let mut text = format!("{} {kind} {}", difference.how, difference.name)
        .trim_end()
        .to_owned();
    if !difference.entry.is_empty() {
        text += &format!(" '{}'", printable(&difference.entry));
    }
    text += &format!("\n    {}", origin(&difference.input));
    for field in &difference.fields {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
        let path = if field.path.is_empty() { "value" } else { &field.path };
        text += &match (&field.live, &field.shadow) {
            (Some(live), None) => format!("\n    {path}: live {live}"),
            (None, Some(shadow)) => format!("\n    {path}: shadow {shadow}"),
            (live, shadow) => format!("\n    {path}: live {}, shadow {}", value(live), value(shadow)),
        };
    }
    text
}

fn origin(origin: &Origin) -> String {
    let place = match (&origin.topic, origin.offset) {
        (Some(topic), Some(offset)) => format!("{topic}/{}/{offset}", origin.partition),
        _ => format!("{} of task {}", origin.what, origin.partition),
    };
    format!("{place}, key '{}', {}", printable(&origin.key), iso(origin.time))
}

/// Keys and tags may contain control characters, which are replaced.
fn printable(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { '.' } else { char })
        .collect()
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A duration in event time.
pub fn span(millis: Millis) -> String {
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis} ms"),
        1..120 => format!("{seconds} s"),
        120..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests;
