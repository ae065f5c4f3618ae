//! What happens to the pipeline of the fixture after the upgrade.
//!
//! Rule: it is the same for every version, so it may only be changed together with the fixture. Each part waits until
//! everything before it is at rest.

use super::actions::{country, deploy, each, far_ahead, reply, settings, shadow, three, through};
use super::fixture::PARTITIONS;
use super::outcome;
use super::pipeline::{Pipeline, Process, user};
use crate::deploys::fleet::eventually;
use pelton::deploy::protocol::DeployState;
use pelton::record::Partition;
use pelton::service::Answer;
use pelton::shadow::ShadowState;
use pelton_tests::stage::{MINUTE, SECOND, Stream, address, money, session};

/// What was waiting when the instance was killed continues in both tasks.
fn what_waited(pipeline: &Pipeline, a: &Process) {
    pipeline.rest(&[a]);
    reply(pipeline, &[a], "s5", country("NL"));
    pipeline.flow(&[Partition(1)], 760 * SECOND);
    pipeline.rest(&[a]);
    reply(pipeline, &[a], "s7", Answer::Absent);
}

/// A version takes over at 900 s. There is money with its double on each side of that.
fn taken_over(pipeline: &Pipeline, a: &Process) {
    each(pipeline, |user| {
        money(user, "m22", 900 * SECOND - 1).session("s1").into()
    });
    each(pipeline, |user| money(user, "m22", 900 * SECOND).session("s1").into());
    each(pipeline, |user| money(user, "m22", 910 * SECOND).session("s1").into());
    each(pipeline, |user| address(user, "IS", 904 * SECOND));
    each(pipeline, |user| money(user, "m23", 905 * SECOND).session("s8").into());
    pipeline.flow_to(920 * SECOND);
    pipeline.rest(&[a]);
}

/// The end of "waiting.topics": the deploy is decided and taken over, then there are a restart, another deploy and a
/// shadow.
pub fn after_waiting(pipeline: &Pipeline) -> String {
    let a = pipeline.start("a");
    eventually("the deploy is decided", || {
        let reader = pipeline.author("a reader").read().expect("a control topic");
        let known = reader.control().known(3).map(|known| known.state.clone());
        matches!(known, Some(DeployState::Committed(_)))
    });
    what_waited(pipeline, &a);
    taken_over(pipeline, &a);
    for partition in Partition::all(PARTITIONS) {
        let user = user(partition, 1);
        pipeline.raw(Stream::Wallet, partition, Some(user.as_bytes()), None);
        far_ahead(pipeline, partition);
    }
    pipeline.flow_to(950 * SECOND);
    pipeline.rest(&[&a]);
    a.stop();

    let a = pipeline.start("a");
    pipeline.rest(&[&a]);
    reply(pipeline, &[&a], "s8", Answer::Unavailable);
    deploy(pipeline, settings("four-", MINUTE, 30 * SECOND), 1000 * SECOND).expect("accepted");
    for (id, at) in [("m30", 990), ("m30", 1000), ("m31", 1001)] {
        each(pipeline, |user| money(user, id, at * SECOND).session("s1").into());
    }
    pipeline.flow_to(1020 * SECOND);
    pipeline.rest(&[&a]);
    shadow(pipeline, settings("five-", SECOND, 30 * SECOND));
    for (id, at) in [("m32", 1030), ("m32", 1035), ("m33", 1060)] {
        each(pipeline, |user| money(user, id, at * SECOND).session("s1").into());
    }
    each(pipeline, |user| session(user, "s10", "FR", 1040 * SECOND));
    pipeline.flow_to(1100 * SECOND);
    pipeline.rest(&[&a]);
    eventually("the shadow is through", || through(pipeline) == PARTITIONS as usize);
    end(pipeline, a)
}

/// The end of "shadowed.topics": the tasks continue without the shadow, which reports that, and a deploy takes over.
pub fn after_shadowed(pipeline: &Pipeline) -> String {
    let a = pipeline.start("a");
    eventually("the shadow has ended where it ran", || {
        let seen = pipeline.author("a reader").diff();
        let seen = seen.expect("it is read").expect("it is there");
        seen.tasks[&Partition(1)].standing == ShadowState::Ended
    });
    what_waited(pipeline, &a);
    pipeline.author("somebody").cancel().expect("the shadow is over");
    deploy(pipeline, three(), 900 * SECOND).expect("accepted");
    taken_over(pipeline, &a);
    end(pipeline, a)
}

fn end(pipeline: &Pipeline, a: Process) -> String {
    a.stop();
    pipeline.agrees();
    outcome::of(pipeline)
}
