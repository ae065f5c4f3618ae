//! Tests over real HTTP on loopback.

use super::*;
use crate::deploy::DeployRefused;
use crate::deploy::api::{Back, DeployRequest, Deployed, Deploys};
use crate::metrics::Metrics;
use crate::record::{Offset, Partition};
use reqwest::Client;
use std::sync::mpsc;

fn task(state: TaskCondition) -> TaskHealth {
    TaskHealth {
        partition: Partition(2),
        state,
        since: 1_000,
        version: Some("old".into()),
        watermark: Some(1_500),
        position: [("wallet".to_string(), Offset(7))].into(),
        message: None,
    }
}

fn surface(
    deploy: impl Fn(DeployRequest) -> Result<Deployed, DeployRefused> + Send + Sync + 'static,
    ok: bool,
) -> Surface {
    let metrics = Metrics::new(vec!["wallet".into()], vec![], vec![]);
    metrics.task(Partition(2)).inputs.events_in[0].inc_by(41);
    let state = if ok {
        TaskCondition::Running
    } else {
        TaskCondition::Stopped
    };
    let health = Health {
        ok,
        pipeline: "money".into(),
        instance: "0".into(),
        version: "old".into(),
        message: None,
        tasks: vec![task(state)],
    };
    Surface {
        metrics: Arc::new(metrics),
        health: Arc::new(move || health.clone()),
        deploys: Arc::new(Deploys::default),
        deploy: Arc::new(deploy),
        cancel: Arc::new(|| Err(DeployRefused::request("no deploy is under way"))),
        prune: Arc::new(|_| Err(DeployRefused::request("nobody asks"))),
        shadow: Arc::new(|| None),
    }
}

fn start(surface: Surface) -> Server {
    serve(listen("127.0.0.1:0".parse().unwrap()).unwrap(), surface).unwrap()
}

fn refusing(_: DeployRequest) -> Result<Deployed, DeployRefused> {
    Err(DeployRefused::request("the component imports wasi:nn"))
}

/// Status and body of a request.
fn call(request: reqwest::RequestBuilder) -> (u16, String) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    })
}

fn get(server: &Server, path: &str) -> reqwest::RequestBuilder {
    Client::new().get(format!("http://{}{path}", server.address))
}

fn post(server: &Server, component: Vec<u8>) -> reqwest::RequestBuilder {
    Client::new()
        .post(format!("http://{}/rules", server.address))
        .header("content-type", COMPONENT_TYPE)
        .body(component)
}

#[test]
fn metrics_and_health_are_served() {
    let (well, ill) = (start(surface(refusing, true)), start(surface(refusing, false)));
    let (status, text) = call(get(&well, "/metrics"));
    assert_eq!(status, 200);
    assert!(
        text.contains(r#"pelton_events_in_total{partition="2",stream="wallet"} 41"#),
        "{text}"
    );
    let (status, text) = call(get(&well, "/health"));
    assert_eq!(status, 200);
    let expected = r#"{"ok":true,"pipeline":"money","instance":"0","version":"old","message":null,"tasks":[{"partition":2,"state":"running","since":1000,"version":"old","watermark":1500,"position":{"wallet":7},"message":null}]}"#;
    assert_eq!(text, expected);
    assert_eq!(call(get(&ill, "/health")).0, 503);
    let expected = r#"{"pipeline":"money","instance":"0","version":"old","tasks":{"2":"old"},"deploys":[],"taken":{},"troubles":{}}"#;
    assert_eq!(call(get(&well, "/rules")), (200, expected.into()));
}

#[test]
fn a_deploy_gets_its_bytes_and_settings() {
    let (sender, seen) = mpsc::channel();
    let deploy = move |deploy| {
        sender.send(deploy).unwrap();
        Ok(Deployed {
            version: "new".into(),
            previous: "old".into(),
            number: 2,
            at: Some(5),
            findings: vec![],
            shadow: None,
        })
    };
    let server = start(surface(deploy, true));
    let (status, text) =
        call(post(&server, vec![7; 3 << 20]).header(DEPLOY_HEADER, r#"{"settings":{"ttl":"1m ü"},"one_way":true}"#));
    let expected = r#"{"version":"new","previous":"old","number":2,"at":5,"findings":[]}"#;
    assert_eq!((status, text.as_str()), (200, expected));
    let deploy = seen.recv().unwrap();
    assert_eq!((deploy.component, deploy.one_way), (Some(vec![7; 3 << 20]), true));
    assert_eq!(deploy.settings, Some(serde_json::json!({ "ttl": "1m ü" })));
    assert_eq!(call(post(&server, vec![])).0, 200);
    assert_eq!(seen.recv().unwrap().settings, None);
    let change = |path: &str, kind: &str| {
        Client::new()
            .post(format!("http://{}{path}", server.address))
            .header("content-type", kind.to_string())
    };
    let set = change("/rules", "application/json").body(r#"{"set":{"ttl":"5s"},"back":"before"}"#);
    assert_eq!(call(set).0, 200);
    let request = seen.recv().unwrap();
    assert_eq!((request.component, request.back), (None, Some(Back::Before)));
    assert_eq!(request.set["ttl"], "5s");
    assert_eq!(call(change("/rules", "application/json").body(r#"{"sett":{}}"#)).0, 400);
    assert_eq!(call(change("/rules/cancel", "text/plain").body("{}")).0, 415);
    let (status, text) = call(change("/rules/cancel", "application/json").body("{}"));
    assert_eq!((status, text.as_str()), (422, r#"{"error":"no deploy is under way"}"#));
}

#[test]
fn what_is_wrong_is_refused_before_the_deploy() {
    let deploy = |_| -> Result<Deployed, DeployRefused> { panic!("a bug") };
    let server = start(surface(deploy, true));
    assert_eq!(
        call(post(&server, vec![1]).header(DEPLOY_HEADER, r#"{"settings":[]}"#)).0,
        400
    );
    assert_eq!(call(post(&server, vec![0; COMPONENT_LIMIT + 1])).0, 413);
    let plain = Client::new().post(format!("http://{}/rules", server.address)).body("x");
    assert_eq!(call(plain).0, 415);
    assert_eq!(call(post(&server, vec![1]).header("host", "evil.example")).0, 403);
    assert_eq!(call(get(&server, "/health").header("host", "localhost:1")).0, 200);
    assert_eq!(call(get(&server, "/health").header("host", "[::1]:1")).0, 200);
    assert_eq!(call(get(&server, "/nothing")).0, 404);
    // A bug in a deploy fails that request, and the server keeps running.
    assert_eq!(call(post(&server, vec![1])).0, 500);
    assert_eq!(call(post(&server, vec![1])).0, 500);
}

#[test]
fn a_refusal_says_why() {
    let server = start(surface(refusing, true));
    assert_eq!(
        call(post(&server, vec![1])),
        (422, r#"{"error":"the component imports wasi:nn"}"#.into())
    );
}

#[test]
fn one_deploy_at_a_time_and_the_rest_goes_on() {
    let (go, wait) = mpsc::channel::<()>();
    let (began, begun) = mpsc::channel::<()>();
    let wait = parking_lot::Mutex::new(wait);
    let deploy = move |_| {
        began.send(()).unwrap();
        wait.lock().recv().unwrap();
        Ok(Deployed {
            version: "new".into(),
            previous: "old".into(),
            number: 2,
            at: Some(5),
            findings: vec![],
            shadow: None,
        })
    };
    let server = start(surface(deploy, true));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| call(post(&server, vec![1])));
        begun.recv().unwrap();
        assert_eq!(call(post(&server, vec![2])).0, 409);
        assert_eq!(call(get(&server, "/health")).0, 200);
        go.send(()).unwrap();
        assert_eq!(first.join().unwrap().0, 200);
    });
}

#[test]
fn it_stops_and_frees_its_port() {
    let server = start(surface(refusing, true));
    let address = server.address;
    assert_eq!(call(get(&server, "/health")).0, 200);
    drop(server);
    let again = serve(listen(address).unwrap(), surface(refusing, true)).unwrap();
    assert!(listen(address).is_err(), "the port is taken");
    assert_eq!(call(get(&again, "/health")).0, 200);
}
