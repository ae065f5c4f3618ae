//! The external service: it is asked after the commit, calls are retried, and its reply is taken once. The first of
//! these tests use real HTTP.

use pelton::log::embedded::{CallKind, Fate, TxnCall};
use pelton::metrics::Metrics;
use pelton::record::Partition;
use pelton::service::http::HttpServices;
use pelton::service::{Answer, ServiceReply, Services};
use pelton_demo::session_service::{Behaviour, Scripted, SessionService};
use pelton_tests::stage::{Format, HOUR, MINUTE, SECOND, Setup, Stage, always, money};
use std::sync::Arc;
use std::time::Duration;

/// The money pipeline with the real HTTP client, and a service that answers this about session `s1`.
fn over_http(script: &[Scripted], scenario: impl Fn(&mut Stage, &SessionService)) {
    let service = SessionService::start(Behaviour::default()).expect("a service");
    service.script("s1", script.to_vec());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut setup = Setup::money(Format::Avro);
    let lookup = &mut setup.config.lookups[0];
    lookup.url = service.url();
    lookup.retries = 2;
    lookup.backoff = Duration::from_millis(1);
    lookup.timeout = Duration::from_millis(300);
    let metrics = Metrics::of(&setup.config);
    let http = HttpServices::new(&setup.config.lookups, runtime.handle(), &metrics).expect("a client");
    setup.services = Some(Arc::new(move || Box::new(http.share()) as Box<dyn Services>));
    let mut stage = setup.start();
    stage.user("u1").address("CA", 0);
    stage.put(money("u1", "m1", SECOND).session("s1").old());
    stage.flow_to(MINUTE);
    stage.answered();
    scenario(&mut stage, &service);
    stage.check_replay();
}

fn says(status: u16, body: &str) -> Scripted {
    Scripted::Says(status, body.to_owned())
}

#[test]
fn an_answer() {
    over_http(
        &[says(200, r#"{"clientCountryCode":"SE","more":[1]}"#)],
        |stage, service| {
            assert_eq!(stage.enriched(), ["m1 first user -/CA session SE"]);
            assert_eq!(service.calls(), 1);
            stage.counted([("asked", 1), ("sessions_unanswered", 0)]);
        },
    );
}

/// There is no such session: `sessionInfo` is null, and it is not tried again.
#[test]
fn there_is_none() {
    over_http(&[says(404, "")], |stage, service| {
        assert_eq!(stage.enriched(), ["m1 first user -/CA"]);
        assert_eq!(service.calls(), 1);
        stage.counted([("sessions_unanswered", 0)]);
    });
}

/// No answer after the retries: `sessionInfo` is null, and this is counted.
#[test]
fn a_time_out() {
    over_http(
        &[Scripted::Hangs, Scripted::Hangs, Scripted::Hangs],
        |stage, service| {
            assert_eq!(stage.enriched(), ["m1 first user -/CA"]);
            assert_eq!(service.calls(), 3);
            stage.counted([("sessions_unanswered", 1)]);
        },
    );
}

#[test]
fn errors_to_the_end() {
    over_http(&[says(503, ""), says(429, ""), says(408, "")], |stage, service| {
        assert_eq!(stage.enriched(), ["m1 first user -/CA"]);
        assert_eq!(service.calls(), 3);
        stage.counted([("sessions_unanswered", 1)]);
    });
}

#[test]
fn errors_and_then_an_answer() {
    let script = [
        says(500, ""),
        Scripted::Hangs,
        says(200, r#"{"clientCountryCode":"FI"}"#),
    ];
    over_http(&script, |stage, service| {
        assert_eq!(stage.enriched(), ["m1 first user -/CA session FI"]);
        assert_eq!(service.calls(), 3);
        stage.counted([("sessions_unanswered", 0)]);
    });
}

/// Any other status is no answer, and it is not tried again.
#[test]
fn another_status() {
    over_http(&[says(403, "")], |stage, service| {
        assert_eq!(stage.enriched(), ["m1 first user -/CA"]);
        assert_eq!(service.calls(), 1);
        stage.counted([("sessions_unanswered", 1)]);
    });
}

/// A body that does not fit is unreadable: `sessionInfo` is null, and this is counted.
#[test]
fn a_body_that_does_not_fit() {
    for body in [
        "nonsense",
        "{}",
        r#"{"clientCountryCode":5}"#,
        r#"{"clientCountryCode":null}"#,
        "",
    ] {
        over_http(&[says(200, body)], |stage, _| {
            assert_eq!(stage.enriched(), ["m1 first user -/CA"], "{body}");
            stage.counted([("sessions_unanswered", 1)]);
        });
    }
}

/// `{userSessionId}` is percent-encoded.
#[test]
fn the_id_is_percent_encoded() {
    always(|stage| {
        stage.put(money("u1", "m1", 0).session("a b?ö").old());
        stage.flow_to(MINUTE);
        let questions = stage.questions();
        let url = String::from_utf8_lossy(&questions[0].request).into_owned();
        assert!(url.ends_with("/sessions/a%20b%3F%C3%B6"), "{url}");
        stage.reply_country("a%20b%3F%C3%B6", "SE");
        assert_eq!(stage.enriched(), ["m1 first session SE"]);
    });
}

#[test]
fn each_end_of_a_lookup() {
    always(|stage| {
        for session in ["answer", "absent", "unavailable", "unreadable"] {
            stage.put(money("u1", session, 0).session(session).old());
        }
        stage.flow_to(MINUTE);
        stage.reply("unreadable", Answer::Body(b"[]".to_vec()));
        stage.reply("unavailable", Answer::Unavailable);
        stage.reply("absent", Answer::Absent);
        stage.reply_country("answer", "NO");
        // In the order of the replies, each at the time of the last step.
        assert_eq!(
            stage.enriched(),
            ["unreadable", "unavailable", "absent", "answer first session NO"]
        );
        stage.counted([("asked", 4), ("sessions_unanswered", 2)]);
    });
}

/// A crash before the reply: the question is asked again, and it has its effect only once.
#[test]
fn a_crash_before_the_reply() {
    always(|stage| {
        stage.put(money("u1", "m1", 0).session("s1").old());
        stage.flow_to(MINUTE);
        let before = stage.questions();
        assert_eq!(before.len(), 1);
        stage.crash();
        stage.start();
        stage.settle();
        assert_eq!(stage.questions(), before, "the same question, by its id");
        stage.reply_country("s1", "SE");
        assert_eq!(stage.enriched(), ["m1 first session SE"]);
        stage.crash();
        stage.start();
        stage.settle();
        assert_eq!((stage.questions(), stage.enriched().len()), (vec![], 1));
    });
}

/// A reply that comes twice, late, or to a question that nobody asks is dropped.
#[test]
fn only_the_first_reply_counts() {
    always(|stage| {
        stage.put(money("u1", "m1", 0).session("s1").old());
        stage.flow_to(MINUTE);
        let question = stage.questions().remove(0);
        stage.reply_country("s1", "SE");
        for id in [question.id.clone(), Box::from(&b"nobody asks"[..])] {
            let answer = Answer::Unavailable;
            stage.script().push(ServiceReply {
                task: question.task,
                id,
                answer,
            });
        }
        stage.settle();
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["m1 first session SE"]);
        stage.counted([("sessions_unanswered", 0)]);
    });
}

/// Nothing leaves the process before the epoch that asks is committed.
#[test]
fn nobody_is_asked_before_the_commit() {
    let mut stage = Setup::money(Format::Json).start();
    stage.settle();
    let slow = Fate {
        polls: 10,
        ..Fate::GOOD
    };
    let fates = move |call: TxnCall<'_>| {
        if call.what == CallKind::Submit {
            slow
        } else {
            Fate::GOOD
        }
    };
    stage.cluster.set_fates(Some(Box::new(fates)));
    stage.put(money("u1", "m1", 0).session("s1").old());
    for stream in pelton_tests::stage::Stream::ALL {
        stage.flow(stream, MINUTE);
    }
    let before = stage.committed("money-changelog", Partition(0)).len();
    let mut asked_at = 0;
    for turn in 0..60 {
        stage.pass(Duration::from_millis(10));
        stage.turn().expect("it runs");
        let committed = stage.committed("money-changelog", Partition(0)).len() > before;
        assert_eq!(stage.script().asked() > 0, committed, "turn {turn}");
        if committed && asked_at == 0 {
            asked_at = turn;
        }
    }
    assert!(asked_at > 10, "the commit took a while: {asked_at}");
    assert_eq!(stage.questions().len(), 1);
}

/// There are many questions and they are slow, but other records don't wait for them.
#[test]
fn lookups_hold_nothing_back() {
    always(|stage| {
        for number in 0..50 {
            let (user, session) = (format!("u{}", number % 7), format!("s{number}"));
            stage.put(money(&user, &format!("old{number}"), SECOND).session(&session).old());
        }
        stage.user("u9").money("m1", 2 * SECOND);
        stage.flow_to(MINUTE);
        assert_eq!(stage.enriched(), ["m1 first"]);
        assert_eq!(stage.questions().len(), 50);
        for number in (0..50).rev() {
            stage.reply_country(&format!("s{number}"), "DE");
        }
        assert_eq!(stage.enriched().len(), 51);
    });
}
