//! Tests against a real server on loopback.
#![expect(clippy::disallowed_methods, reason = "a server for the calls")]

use super::*;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::AtomicUsize;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore as Gate;

/// What the server has received, and what it waits for.
struct Seen {
    calls: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
    header: Mutex<Option<String>>,
    /// If 1, the server answers 503.
    down: AtomicUsize,
    gate: Gate,
}

struct Rig {
    runtime: Runtime,
    address: SocketAddr,
    seen: Arc<Seen>,
    metrics: Metrics,
}

async fn handle(
    State(seen): State<Arc<Seen>>,
    Path((what, with)): Path<(String, usize)>,
    headers: HeaderMap,
) -> Response {
    let call = seen.calls.fetch_add(1, Ordering::SeqCst);
    let now = seen.now.fetch_add(1, Ordering::SeqCst) + 1;
    seen.most.fetch_max(now, Ordering::SeqCst);
    *seen.header.lock() = headers.get("x-token").map(|value| value.to_str().unwrap().to_string());
    let status = |code: usize| StatusCode::from_u16(code as u16).unwrap();
    let response = match what.as_str() {
        "status" => (status(with), [("location", "/status/200")], "body").into_response(),
        "flaky" if call < with => status(503).into_response(),
        "flaky" => "at last".into_response(),
        "size" => vec![b'x'; with].into_response(),
        "health" if seen.down.load(Ordering::SeqCst) == 1 => status(503).into_response(),
        "health" => "up".into_response(),
        "gated" => {
            seen.gate.acquire().await.unwrap().forget();
            "through".into_response()
        }
        "never" => std::future::pending().await,
        other => panic!("{other}"),
    };
    seen.now.fetch_sub(1, Ordering::SeqCst);
    response
}

fn rig() -> Rig {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let seen = Arc::new(Seen {
        calls: AtomicUsize::new(0),
        now: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        header: Mutex::default(),
        down: AtomicUsize::new(0),
        gate: Gate::new(0),
    });
    let router = Router::new()
        .route("/{what}/{with}", get(handle))
        .with_state(Arc::clone(&seen));
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move { axum::serve(listener, router).await });
    let metrics = Metrics::new(vec![], vec![], vec!["session".into()]);
    Rig {
        runtime,
        address,
        seen,
        metrics,
    }
}

fn lookup() -> LookupConfig {
    LookupConfig {
        name: "session".into(),
        url: String::new(),
        headers: vec![("x-token".into(), "t".into())],
        format: crate::config::Format::Json,
        timeout: Duration::from_secs(20),
        retries: 2,
        backoff: Duration::from_millis(2),
        in_flight: 4,
        breaker_failures: 1000,
        breaker_pause: Duration::from_secs(3600),
        body_limit: 1000,
    }
}

impl Rig {
    fn services(&self, lookup: LookupConfig) -> HttpServices {
        HttpServices::new(&[lookup], self.runtime.handle(), &self.metrics).unwrap()
    }

    fn question(&self, task: Partition, path: &str) -> ServiceCall {
        let request = format!("http://{}/{path}", self.address).into_bytes();
        ServiceCall {
            task,
            id: path.as_bytes().into(),
            service: 0,
            request,
        }
    }

    fn answer(&self, services: &mut HttpServices, path: &str) -> (Answer, usize) {
        let before = self.seen.calls.load(Ordering::SeqCst);
        services.ask(self.question(Partition(7), path));
        let reply = next(services);
        assert_eq!((reply.task, &*reply.id), (Partition(7), path.as_bytes()));
        (reply.answer, self.seen.calls.load(Ordering::SeqCst) - before)
    }
}

/// The next reply. The time limit only ends a test that has failed.
fn next(services: &HttpServices) -> ServiceReply {
    services.replies.recv_timeout(Duration::from_secs(60)).expect("a reply")
}

fn body(text: &str) -> Answer {
    Answer::Body(text.as_bytes().to_vec())
}

#[test]
fn each_status_has_its_meaning() {
    let rig = rig();
    let mut services = rig.services(lookup());
    assert_eq!(rig.answer(&mut services, "status/200"), (body("body"), 1));
    assert_eq!(rig.seen.header.lock().as_deref(), Some("t"));
    assert_eq!(rig.answer(&mut services, "status/404"), (Answer::Absent, 1));
    for code in [408, 429, 500, 502, 503, 504] {
        assert_eq!(
            rig.answer(&mut services, &format!("status/{code}")),
            (Answer::Unavailable, 3),
            "{code}"
        );
    }
    for code in [201, 204, 301, 302, 400, 401, 403, 410, 418] {
        assert_eq!(
            rig.answer(&mut services, &format!("status/{code}")),
            (Answer::Unavailable, 1),
            "{code}"
        );
    }
    let metrics = rig.metrics.lookup(0);
    assert_eq!(
        (metrics.answered.get(), metrics.absent.get(), metrics.unavailable.get()),
        (1, 1, 15)
    );
    assert_eq!((metrics.tries.get(), metrics.waiting.get()), (2 + 6 * 3 + 9, 0));
}

#[test]
fn a_retry_goes_through() {
    let rig = rig();
    let mut services = rig.services(lookup());
    assert_eq!(rig.answer(&mut services, "flaky/2"), (body("at last"), 3));
}

#[test]
fn a_time_out_is_tried_again_and_ends() {
    let rig = rig();
    let mut services = rig.services(LookupConfig {
        timeout: Duration::from_millis(50),
        ..lookup()
    });
    // Counts attempts, not calls that have arrived: on a busy machine, the time-out may come first.
    assert_eq!(rig.answer(&mut services, "never/0").0, Answer::Unavailable);
    assert_eq!(rig.metrics.lookup(0).tries.get(), 3);
}

#[test]
fn a_body_is_whole_and_bounded_or_none() {
    let rig = rig();
    let mut services = rig.services(lookup());
    assert_eq!(
        rig.answer(&mut services, "size/1000"),
        (Answer::Body(vec![b'x'; 1000]), 1)
    );
    assert_eq!(rig.answer(&mut services, "size/1001"), (Answer::Unavailable, 1));
    assert_eq!(rig.answer(&mut services, "size/0"), (Answer::Body(vec![]), 1));
}

#[test]
fn no_connection_is_tried_again() {
    let rig = rig();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut services = rig.services(lookup());
    let request = format!("http://{closed}/").into_bytes();
    services.ask(ServiceCall {
        request,
        ..rig.question(Partition(1), "x/1")
    });
    assert_eq!(next(&services).answer, Answer::Unavailable);
    assert_eq!(rig.metrics.lookup(0).tries.get(), 3);
    services.ask(ServiceCall {
        request: b"no url".to_vec(),
        ..rig.question(Partition(1), "x/1")
    });
    assert_eq!(next(&services).answer, Answer::Unavailable);
    assert_eq!(rig.metrics.lookup(0).tries.get(), 3, "what is no URL is never tried");
}

#[test]
fn a_connection_that_breaks_is_tried_again() {
    let rig = rig();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The first connection breaks off in the head, the second in the body, and the third is good.
    let server = std::thread::spawn(move || {
        let length = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n";
        for answer in [
            "HTTP/1.1 20".to_string(),
            format!("{length}ha"),
            format!("{length}good"),
        ] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let mut services = rig.services(lookup());
    services.ask(ServiceCall {
        request: format!("http://{address}/").into_bytes(),
        ..rig.question(Partition(1), "x/1")
    });
    assert_eq!(next(&services).answer, body("good"));
    server.join().unwrap();
}

#[test]
fn calls_at_a_time_are_bounded_for_all_workers() {
    let rig = rig();
    let mut services = rig.services(lookup());
    let mut others = services.share();
    for number in 0..50 {
        services.ask(rig.question(Partition(1), &format!("gated/{number}")));
        others.ask(rig.question(Partition(2), &format!("gated/{number}")));
    }
    rig.seen.gate.add_permits(100);
    for _ in 0..50 {
        assert_eq!((next(&services).task, next(&others).task), (Partition(1), Partition(2)));
    }
    assert!(
        rig.seen.most.load(Ordering::SeqCst) <= 4,
        "{}",
        rig.seen.most.load(Ordering::SeqCst)
    );
    assert!(
        services.replies.try_recv().is_err() && others.replies.try_recv().is_err(),
        "one reply a question"
    );
}

#[test]
fn what_is_forgotten_is_not_called() {
    let rig = rig();
    let mut services = rig.services(LookupConfig {
        in_flight: 1,
        ..lookup()
    });
    for number in 0..10 {
        services.ask(rig.question(Partition(1), &format!("gated/{number}")));
        services.ask(rig.question(Partition(2), &format!("gated/{number}")));
    }
    services.forget(Partition(1));
    rig.seen.gate.add_permits(20);
    let mut replies: Vec<ServiceReply> = (0..10).map(|_| next(&services)).collect();
    services.replies(&mut replies);
    // The call in progress when its task was forgotten may have been answered. No other one was made.
    let forgotten = replies.iter().filter(|reply| reply.task == Partition(1)).count();
    assert!(forgotten <= 1, "{replies:?}");
    // A question that is asked again after it was forgotten is called again.
    services.ask(rig.question(Partition(1), "status/200"));
    while replies.last().is_some_and(|reply| &*reply.id != b"status/200") {
        replies.push(next(&services));
    }
    let calls = rig.seen.calls.load(Ordering::SeqCst);
    assert!((11..=12).contains(&calls), "{calls}");
    assert_eq!(replies.iter().filter(|reply| reply.task == Partition(2)).count(), 10);
}

/// A service whose breaker three failures have opened, with this pause.
fn opened(rig: &Rig, breaker_pause: Duration) -> HttpServices {
    let mut services = rig.services(LookupConfig {
        retries: 0,
        breaker_failures: 3,
        breaker_pause,
        ..lookup()
    });
    rig.seen.down.store(1, Ordering::SeqCst);
    for left in [2, 1, 0] {
        assert_eq!(rig.metrics.lookup(0).breaker_open.get(), 0, "{left} more");
        assert_eq!(rig.answer(&mut services, "health/0"), (Answer::Unavailable, 1));
    }
    assert_eq!(rig.metrics.lookup(0).breaker_open.get(), 1);
    rig.seen.down.store(0, Ordering::SeqCst);
    services
}

#[test]
fn an_open_breaker_leaves_the_service_alone() {
    let rig = rig();
    let mut services = opened(&rig, Duration::from_secs(3600));
    for _ in 0..10 {
        assert_eq!(rig.answer(&mut services, "health/0"), (Answer::Unavailable, 0));
    }
}

#[test]
fn after_the_pause_a_probe_closes_the_breaker() {
    let rig = rig();
    // Without a pause, the next question is the probe.
    let mut services = opened(&rig, Duration::ZERO);
    assert_eq!(rig.answer(&mut services, "health/0"), (body("up"), 1));
    assert_eq!(rig.metrics.lookup(0).breaker_open.get(), 0);
    assert_eq!(rig.answer(&mut services, "health/0"), (body("up"), 1));
}
