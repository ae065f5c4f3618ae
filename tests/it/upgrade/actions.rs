//! What people, services and their records do to the pipeline of the fixture.
//!
//! Rule: the past and the continuation are made of the same actions.

use super::fixture::PARTITIONS;
use super::pipeline::{Pipeline, Process, user};
use crate::deploys::fleet::eventually;
use pelton::deploy::api::{DeployRequest, Deployed};
use pelton::record::Partition;
use pelton::service::Answer;
use pelton::shadow::ShadowState;
use pelton::testkit::Which;
use pelton_tests::stage::{Event, Millis, SECOND, START, Stream};
use serde_json::{Value, json};

/// The settings of a version. Each one marks its outputs.
pub fn settings(label: &str, dedup: Millis, pending: Millis) -> Value {
    json!({
        "dedup_ttl": format!("{dedup}ms"),
        "session_ttl": "86400000ms",
        "pending_ttl": format!("{pending}ms"),
        "label": label,
    })
}

/// The settings of the third version.
pub fn three() -> Value {
    settings("three-", 5 * SECOND, 40 * SECOND)
}

/// Deploys these settings for this time, and waits until all tasks have taken them over.
pub fn deploy(pipeline: &Pipeline, settings: Value, at: Millis) -> Result<Deployed, String> {
    let request = DeployRequest {
        settings: Some(settings),
        at: Some(START + at),
        ..DeployRequest::default()
    };
    let deployed = pipeline.author("somebody").deploy(request, &mut |_, _| {});
    deployed.map_err(|why| why.to_string())
}

/// Starts a shadow with these settings for eighty seconds of event time, and waits until every task has begun.
pub fn shadow(pipeline: &Pipeline, settings: Value) {
    let request = DeployRequest {
        settings: Some(settings),
        shadow: Some(80 * SECOND),
        ..DeployRequest::default()
    };
    let author = pipeline.author("somebody");
    author.deploy(request, &mut |_, _| {}).expect("it begins");
    eventually("all tasks begin", || {
        let seen = author.diff().expect("it is read").expect("it is there");
        seen.tasks.len() == PARTITIONS as usize
    });
}

/// The number of tasks that have completed the shadow, according to the topic.
pub fn through(pipeline: &Pipeline) -> usize {
    let seen = pipeline.author("somebody").diff();
    let seen = seen.expect("it is read").expect("it is there");
    let through = seen
        .tasks
        .values()
        .filter(|report| report.standing == ShadowState::Through);
    through.count()
}

/// Lets the session service answer all open questions for a session.
pub fn reply(pipeline: &Pipeline, processes: &[&Process], session: &str, answer: Answer) {
    let which = Which {
        service: None,
        end: format!("/{session}"),
    };
    assert!(pipeline.script.always(which, answer) > 0, "nobody asks for {session}");
    pipeline.script.be_silent();
    pipeline.rest(processes);
}

/// A reply with this country.
pub fn country(code: &str) -> Answer {
    Answer::Body(format!("{{\"clientCountryCode\":\"{code}\"}}").into_bytes())
}

/// Adds an event in each partition, made from its user.
pub fn each(pipeline: &Pipeline, event: impl Fn(&str) -> Event) {
    for partition in Partition::all(PARTITIONS) {
        pipeline.put(event(&user(partition, 1)));
    }
}

/// Adds a record whose time is ahead of every clock.
pub fn far_ahead(pipeline: &Pipeline, partition: Partition) {
    let user = user(partition, 1);
    let value = json!({
        "type": "OtherUserEvent",
        "id": "far",
        "userId": user,
        "processedAt": "2999-01-01T00:00:00.000Z",
        "somethingUtil": "util",
    });
    let value = value.to_string();
    pipeline.raw(Stream::User, partition, Some(user.as_bytes()), Some(value.as_bytes()));
}
