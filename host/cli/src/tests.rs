//! Tests the commands as they are called, with their output and exit codes.

use super::*;
use clap::CommandFactory;
use parking_lot::Mutex;
use pelton::deploy::DeployRefused;
use pelton::deploy::api::{Back, Cancelled, DeployRequest, Deployed, Deploys, OneDeploy, Prune, Pruned};
use pelton::http::{Health, Surface, TaskCondition, TaskHealth, listen, serve};
use pelton::instance::stop_signal;
use pelton::metrics::Metrics;
use pelton::record::Partition;
use std::sync::Arc;
use std::time::Duration;

fn pelton(args: &[&str]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = std::iter::once("pelton")
        .chain(args.iter().copied())
        .map(OsString::from);
    let code = main(args, &mut out, &mut err);
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn example(name: &str) -> String {
    format!("{}/../../examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_arguments_are_sound() {
    Cli::command().debug_assert();
    assert_eq!(pelton(&["rnu"]).0, USAGE);
    let (code, out, _) = pelton(&["--help"]);
    assert!(code == OK && out.contains("Exit codes: 0 it went well"), "{out}");
    assert_eq!(
        pelton(&["--version"]).1,
        concat!("pelton ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn the_annotated_config_is_printed_whole() {
    assert_eq!(pelton(&["config"]), (OK, JSON.into(), String::new()));
    assert_eq!(pelton(&["config", "--avro"]), (OK, AVRO.into(), String::new()));
}

#[test]
fn a_bad_config_is_not_run() {
    let (code, _, err) = pelton(&[
        "run",
        &example("money-json/pelton.toml"),
        "--set",
        "epcoh.interval=1s",
        "--set",
        "workers=0",
    ]);
    assert_eq!(code, FINDINGS);
    assert!(
        err.contains("error: epcoh: unknown key; did you mean epoch?\n"),
        "{err}"
    );
    assert!(
        err.contains("error: workers = 0: expected a whole number from 1 to 1024\n"),
        "{err}"
    );
    assert!(err.ends_with("does not run; errors: 2\n"), "{err}");
    assert_eq!(pelton(&["run", "not/there.toml"]).0, FINDINGS);
}

#[test]
fn check_shows_every_finding() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules.wasm");
    std::fs::write(&rules, b"\0asm\x0d\0\x01\0").unwrap();
    let set = format!("rules.file={}", rules.display());
    let file = example("money-avro/folder.toml");
    let (code, out, _) = pelton(&["check", "--offline", &file, "--set", &set]);
    let empty = format!("error: rules.file = {}: the rules don't export", rules.display());
    assert!(code == FINDINGS && out.contains(&empty), "{out}");
    assert!(out.ends_with(": it would not run; errors: 1\n"), "{out}");
    let (code, out, _) = pelton(&[
        "check",
        "--offline",
        &file,
        "--set",
        "schemas.folder=away",
        "--set",
        "rules.file=away.wasm",
    ]);
    assert_eq!(code, FINDINGS);
    assert!(
        out.contains("error: rules.file = ") && out.contains("error: schemas.folder = "),
        "{out}"
    );
    assert!(out.ends_with(": it would not run; errors: 2\n"), "{out}");
    let (code, out, _) = pelton(&[
        "check",
        "--offline",
        &file,
        "--set",
        "inputs.user.topic=other",
        "--set",
        "rules.file=away.wasm",
        "--json",
    ]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &json["ok"], &json["findings"][1]["level"]),
        (FINDINGS, &false.into(), &"warning".into()),
        "{out}"
    );
    assert_eq!(json["findings"][1]["key"], "inputs.user.topic");
}

#[test]
fn check_says_when_the_registry_is_away() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let set = format!("schemas.registry=http://me:s3cret@{closed}/apis");
    let (code, out, _) = pelton(&["check", "--offline", &example("money-avro/pelton.toml"), "--set", &set]);
    assert_eq!(code, FINDINGS);
    assert!(
        out.contains("error: schemas.registry: the schema registry at http://127.0.0.1:"),
        "{out}"
    );
    assert!(out.contains("does not answer") && !out.contains("s3cret"), "{out}");
}

fn one(number: u64, state: &str, at: Option<i64>) -> OneDeploy {
    OneDeploy {
        number,
        version: format!("v{number}"),
        component: "c".into(),
        settings: serde_json::json!({}),
        state: state.into(),
        at,
        why: None,
        author: "somebody".into(),
        written: 0,
        one_way: false,
        prepared: if state == "open" {
            [(Partition(0), Some(7_000))].into()
        } else {
            [].into()
        },
        instances: if state == "open" {
            [("a".to_string(), "ready".to_string())].into()
        } else {
            [].into()
        },
    }
}

#[test]
fn rules_are_deployed_and_shown() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let surface = Surface {
        metrics: Arc::new(Metrics::new(vec![], vec![], vec![])),
        health: Arc::new(|| Health {
            ok: true,
            pipeline: "money".into(),
            instance: "0".into(),
            version: "old".into(),
            message: None,
            tasks: vec![],
        }),
        deploys: Arc::new(|| Deploys {
            deploys: vec![one(1, "committed", None), one(2, "open", Some(1_000))],
            taken: [(Partition(0), 1), (Partition(1), 1)].into(),
            shadow: None,
        }),
        deploy: Arc::new(move |request: DeployRequest| {
            let bad = request.component.as_ref().is_some_and(Vec::is_empty);
            sink.lock().push(request);
            if bad {
                Err(DeployRefused::request("no world"))
            } else {
                Ok(Deployed {
                    version: "new".into(),
                    previous: "old".into(),
                    number: 3,
                    at: Some(60_000),
                    findings: vec![],
                    shadow: None,
                })
            }
        }),
        cancel: Arc::new(|| Ok(Cancelled::Deploy(2))),
        prune: Arc::new(|request: Prune| {
            let one = |number| Pruned {
                component: "abc".into(),
                bytes: request.keep as u64,
                deploys: vec![number],
            };
            Ok(request.also.into_iter().map(one).collect())
        }),
        shadow: Arc::new(|| None),
    };
    let server = serve(listen("127.0.0.1:0".parse().unwrap()).unwrap(), surface).unwrap();
    let url = format!("http://{}/", server.address);
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str, bytes: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let (good, bad, toml, list) = (
        path("a.wasm", "code"),
        path("b.wasm", ""),
        path("s.toml", "ttl = \"1m\""),
        path("l.json", "[]"),
    );
    assert_eq!(
        pelton(&["rules", "status", "--to", &url]),
        (
            OK,
            "money: old\ndeploy 2: 1 of 2 tasks hold; instances: a ready\n  task 0: v1 (deploy 1), holds at \
             1970-01-01T00:00:07.000Z\n  task 1: v1 (deploy 1)\n"
                .into(),
            String::new()
        )
    );
    let (code, shown, _) = pelton(&["rules", "list", "--to", &url]);
    assert!(
        code == OK && shown.contains("   1  v1  from the beginning\n"),
        "{shown}"
    );
    let deploy = |args: &[&str]| pelton(&[&["rules", "deploy", "--to", &url], args].concat());
    assert_eq!(
        deploy(&[&good, "--settings", &toml]),
        (
            OK,
            "deploy 3: new from 1970-01-01T00:01:00.000Z on; before that old\n".into(),
            String::new()
        )
    );
    let told: serde_json::Value = serde_json::from_str(&deploy(&[&good, "--json"]).1).unwrap();
    let expected =
        serde_json::json!({ "version": "new", "previous": "old", "number": 3, "at": 60_000, "findings": [] });
    assert_eq!(told, expected);
    let (code, _, err) = deploy(&[&bad]);
    assert_eq!(
        (code, err.as_str()),
        (
            FINDINGS,
            "refused (422 Unprocessable Entity): no world; the old rules keep running\n"
        )
    );
    assert_eq!(deploy(&[&good, "--settings", &list]).0, FINDINGS);
    assert_eq!(deploy(&["not/there.wasm"]).0, FINDINGS);
    let rules = |args: &[&str]| pelton(&[&["rules"], args, &["--to", &url]].concat());
    assert_eq!(rules(&["set", "ttl=5s", "max=3"]).0, OK);
    assert_eq!(rules(&["set", "ttl"]).0, FINDINGS);
    assert_eq!(
        rules(&["rollback", "--deploy", "1", "--at", "1970-01-01T00:00:01Z"]).0,
        OK
    );
    assert_eq!(rules(&["rollback", "--at", "soon"]).0, USAGE);
    assert_eq!(
        rules(&["cancel"]).1,
        "deploy 2 is cancelled; the old rules keep running\n"
    );
    let seen = seen.lock();
    assert_eq!(seen.len(), 5);
    assert_eq!(
        (seen[0].component.as_deref(), &seen[0].settings),
        (Some(&b"code"[..]), &Some(serde_json::json!({ "ttl": "1m" })))
    );
    assert_eq!(seen[3].component, None);
    assert_eq!(
        serde_json::json!(seen[3].set),
        serde_json::json!({ "max": 3, "ttl": "5s" })
    );
    assert_eq!((seen[4].back, seen[4].at), (Some(Back::To(1)), Some(1_000)));
    let (code, out, _) = pelton(&[
        "rules",
        "prune",
        "--keep",
        "7",
        "--deploy",
        "9",
        "--dry-run",
        "--to",
        &url,
    ]);
    assert_eq!(
        (code, out.as_str()),
        (OK, "component abc of the deploys [9], 7 bytes, would be removed\n")
    );
    let (code, out, _) = pelton(&["rules", "prune", "--json", "--to", &url]);
    assert_eq!((code, out.as_str()), (OK, "{\"pruned\":[],\"dry_run\":false}\n"));
    drop(server);
    let (code, _, err) = pelton(&["rules", "status", "--to", &url]);
    assert!(code == FAILED && err.contains("no instance answers"), "{err}");
}

/// A deploy that was withdrawn automatically says why wherever deploys are shown.
#[test]
fn what_was_withdrawn_is_shown() {
    let surface = Surface {
        metrics: Arc::new(Metrics::new(vec![], vec![], vec![])),
        health: Arc::new(|| Health {
            ok: true,
            pipeline: "money".into(),
            instance: "0".into(),
            version: "v1".into(),
            message: None,
            tasks: vec![TaskHealth {
                partition: Partition(0),
                state: TaskCondition::Running,
                since: 0,
                version: Some("v1".into()),
                watermark: None,
                position: Default::default(),
                message: Some("it is at fault".into()),
            }],
        }),
        deploys: Arc::new(|| Deploys {
            deploys: vec![
                one(1, "committed", None),
                one(2, "committed", Some(1_000)),
                OneDeploy {
                    why: Some("too many traps".into()),
                    ..one(3, "withdrawn", Some(2_000))
                },
            ],
            taken: [(Partition(0), 1), (Partition(1), 2)].into(),
            shadow: None,
        }),
        deploy: Arc::new(|_| Err(DeployRefused::request("nobody asks"))),
        cancel: Arc::new(|| Err(DeployRefused::request("nobody asks"))),
        prune: Arc::new(|_| Err(DeployRefused::request("nobody asks"))),
        shadow: Arc::new(|| None),
    };
    let server = serve(listen("127.0.0.1:0".parse().unwrap()).unwrap(), surface).unwrap();
    let url = format!("http://{}/", server.address);
    assert_eq!(
        pelton(&["rules", "status", "--to", &url]).1,
        "money: v1\ndeploy 3 (v3) was withdrawn automatically: too many traps; what it has committed stays\n  \
         task 0: v1 (deploy 1); v2 takes over once everything before 1970-01-01T00:00:01.000Z is processed\n    \
         it is at fault\n  task 1: v2 (deploy 2)\n"
    );
    let (_, list, _) = pelton(&["rules", "list", "--to", &url]);
    let line = "   3  v3  from 1970-01-01T00:00:02.000Z on, until it was withdrawn: too many traps\n";
    assert!(list.starts_with(line), "{list}");
}

#[test]
fn the_first_signal_asks_for_a_stop() {
    let stop = stop_signal().unwrap();
    assert!(stop.try_recv().is_err());
    // SAFETY: kill has no memory effects; the handler for the signal is installed above.
    assert_eq!(unsafe { libc::kill(libc::getpid(), libc::SIGTERM) }, 0);
    stop.recv_timeout(Duration::from_secs(60)).unwrap();
}
