//! Properties of librdkafka that a pipeline's file may not set, because exactly-once depends on them.
//!
//! Rule: each property named here has one right value, and the log sets it. This module compiles without librdkafka, so that
//! checking a file gives the same findings in every build.

/// Property, the allowed values (they change nothing), and why no other value is allowed.
const FIXED: &[(&str, &[&str], &str)] = &[
    (
        "enable.idempotence",
        &["true"],
        "a retried batch would be written twice",
    ),
    (
        "isolation.level",
        &["read_committed"],
        "records of aborted transactions would be read",
    ),
    (
        "enable.auto.commit",
        &["false"],
        "positions are committed with the results, in one transaction",
    ),
    (
        "auto.commit.enable",
        &["false"],
        "positions are committed with the results, in one transaction",
    ),
    (
        "enable.auto.offset.store",
        &["false"],
        "positions are committed with the results, in one transaction",
    ),
    (
        "offset.store.method",
        &["broker"],
        "positions are committed with the results, in one transaction",
    ),
    (
        "transactional.id",
        &[],
        "it is made of the pipeline, the instance and the worker",
    ),
    ("group.id", &[], "it is the name of the pipeline"),
    ("group.instance.id", &[], "it is made of the pipeline and the instance"),
    (
        "group.protocol",
        &["classic"],
        "an instance that is killed could not join again before its session has ended (45 s)",
    ),
    (
        "group.remote.assignor",
        &[],
        "it belongs to group.protocol=consumer, which is not used",
    ),
    (
        "partition.assignment.strategy",
        &["cooperative-sticky"],
        "tasks would be taken from an instance that has not finished with them",
    ),
    (
        "auto.offset.reset",
        &["error"],
        "a position that is not in the log any more must stop the task; where a new pipeline begins is `start` of an input",
    ),
    ("acks", &["all", "-1"], "a commit could be lost with its broker"),
    (
        "request.required.acks",
        &["all", "-1"],
        "a commit could be lost with its broker",
    ),
    (
        "enable.partition.eof",
        &["true"],
        "the end of a partition is what idleness is decided by",
    ),
    (
        "delivery.report.only.error",
        &["false"],
        "positions in the changelog come with the delivery reports",
    ),
    ("message.timeout.ms", &[], "it follows the transaction's time-out"),
    ("delivery.timeout.ms", &[], "it follows the transaction's time-out"),
    ("queuing.strategy", &["fifo"], "records would be written out of order"),
    ("dr_cb", &[], "it is not a text"),
    ("dr_msg_cb", &[], "it is not a text"),
];

/// Properties with a highest allowed number, and why.
const AT_MOST: &[(&str, i64, &str)] = &[
    (
        "max.in.flight",
        5,
        "the broker keeps the order of five requests in flight, not of more",
    ),
    (
        "max.in.flight.requests.per.connection",
        5,
        "the broker keeps the order of five requests in flight, not of more",
    ),
    (
        "transaction.timeout.ms",
        900_000,
        "brokers refuse more, and a take-over waits as long as a dangling transaction lives",
    ),
];

/// Properties with a lowest allowed number, and why.
const AT_LEAST: &[(&str, i64, &str)] = &[
    (
        "retries",
        1,
        "a lost answer would end the transaction instead of being asked for again",
    ),
    (
        "message.send.max.retries",
        1,
        "a lost answer would end the transaction instead of being asked for again",
    ),
    (
        "transaction.timeout.ms",
        1_000,
        "the broker would abort transactions that are being committed",
    ),
];

/// The properties among these that would break exactly-once, each with the reason, in the order given.
pub fn refused(properties: &[(String, String)]) -> Vec<(String, String)> {
    let mut refused = Vec::new();
    for (key, value) in properties {
        let (name, value) = (key.trim(), value.trim().to_ascii_lowercase());
        let reason = FIXED
            .iter()
            .find(|(fixed, allowed, _)| *fixed == name && !allowed.contains(&value.as_str()))
            .map(|(_, _, why)| *why)
            .or_else(|| beyond(AT_MOST, name, &value, |number, bound| number > bound))
            .or_else(|| beyond(AT_LEAST, name, &value, |number, bound| number < bound));
        if let Some(reason) = reason {
            refused.push((key.clone(), reason.to_string()));
        }
    }
    refused
}

/// The reason why `value` violates the bound of `name` in `bounds`, if it does. librdkafka itself refuses what is not a number.
fn beyond(
    bounds: &[(&str, i64, &'static str)],
    name: &str,
    value: &str,
    out: impl Fn(i64, i64) -> bool,
) -> Option<&'static str> {
    let (_, bound, why) = bounds.iter().find(|(bounded, _, _)| *bounded == name)?;
    out(value.parse().ok()?, *bound).then_some(*why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(key: &str, value: &str) -> bool {
        !refused(&[(key.to_string(), value.to_string())]).is_empty()
    }

    #[test]
    fn what_exactly_once_stands_on_can_not_be_changed() {
        for (key, value) in [
            ("enable.idempotence", "false"),
            ("isolation.level", "read_uncommitted"),
            ("enable.auto.commit", "true"),
            ("transactional.id", "mine"),
            ("group.id", "mine"),
            ("group.instance.id", "mine"),
            ("group.protocol", "consumer"),
            ("auto.offset.reset", "latest"),
            ("acks", "1"),
            ("partition.assignment.strategy", "range,roundrobin"),
            ("enable.partition.eof", "false"),
            ("delivery.report.only.error", "TRUE"),
            ("max.in.flight", "6"),
            ("message.timeout.ms", "1000"),
            ("retries", "0"),
        ] {
            assert!(is_refused(key, value), "{key}={value} was let through");
        }
    }

    #[test]
    fn everything_else_may_be_set_and_the_right_values_too() {
        for (key, value) in [
            ("bootstrap.servers", "a:9092"),
            ("enable.idempotence", "true"),
            ("acks", "-1"),
            ("max.in.flight", "5"),
            ("max.in.flight", "not a number"),
            ("sasl.mechanism", "PLAIN"),
            ("linger.ms", "20"),
            ("session.timeout.ms", "30000"),
        ] {
            assert!(!is_refused(key, value), "{key}={value} was refused");
        }
    }
}
