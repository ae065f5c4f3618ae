//! Tests what is said about a shadow, over HTTP and as text.

use pelton::record::{Offset, Partition};

use super::*;
use parking_lot::Mutex;
use pelton::deploy::DeployRefused;
use pelton::deploy::api::{Cancelled, DeployRequest, Deployed, Deploys};
use pelton::http::{Health, Surface, listen, serve};
use pelton::metrics::Metrics;
use pelton::shadow::{FieldDifference, Trapped};
use std::ffi::OsString;
use std::sync::Arc;

fn pelton(args: &[&str]) -> (u8, String, String) {
    let (mut out, mut err) = (vec![], vec![]);
    let args = std::iter::once("pelton").chain(args.iter().copied());
    let code = crate::main(args.map(OsString::from), &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (code, text(out), text(err))
}

fn shadowing() -> Shadowing {
    let origin = Origin {
        what: "record".into(),
        topic: Some("wallet-events".into()),
        partition: Partition(1),
        offset: Some(Offset(17)),
        key: "u1".into(),
        time: 3_000,
    };
    let field = |path: &str, live: Option<&str>, shadow: Option<&str>| FieldDifference {
        path: path.into(),
        live: live.map(Into::into),
        shadow: shadow.map(Into::into),
    };
    let seen = Seen {
        steps: 100_000,
        records: 99_000,
        outputs: Counts {
            same: 50_000,
            different: 1,
            missing: 0,
            extra: 1,
        },
        traps: 2,
        live_nanos: 200_000_000,
        live_inputs: 100_000,
        shadow_nanos: 250_000_000,
        shadow_inputs: 100_000,
        unanswered: 4,
        ..Seen::default()
    };
    let one = Difference {
        kind: EffectKind::Output,
        how: "different".into(),
        name: "enriched".into(),
        entry: String::new(),
        input: origin.clone(),
        fields: vec![field("money.amount", Some("1.00"), Some("1.01"))],
    };
    let two = Difference {
        kind: EffectKind::State,
        how: "extra".into(),
        name: "seen".into(),
        entry: "m\u{1}1".into(),
        fields: vec![field("", None, Some("null"))],
        ..one.clone()
    };
    let report = ShadowReport {
        instance: "a".into(),
        from: Some(0),
        to: Some(61_000),
        duration: 3_600_000,
        seen: seen.clone(),
        differences: vec![one],
        traps: vec![Trapped {
            reason: "panic: no".into(),
            count: 2,
            first: origin,
        }],
        notes: vec!["output 'enriched': the schemas differ".into()],
        ..ShadowReport::default()
    };
    let dropped = ShadowReport {
        instance: "b".into(),
        standing: ShadowState::Ended,
        why: Some("dropped: behind by 9 steps".into()),
        differences: vec![two],
        seen: Seen {
            state: Counts {
                extra: 3,
                ..Counts::default()
            },
            ..Seen::default()
        },
        duration: 3_600_000,
        ..ShadowReport::default()
    };
    let mut total = seen;
    total += &dropped.seen;
    Shadowing {
        number: 3,
        version: "new".into(),
        live: "old".into(),
        duration: 3_600_000,
        of: 4,
        tasks: [(Partition(0), dropped), (Partition(1), report)].into(),
        total,
        ..Shadowing::default()
    }
}

#[test]
fn a_diff_for_people() {
    let expected = "\
shadow 3: new beside old: 1 of 4 tasks run it, 61 s of 60 min 0 s; 1 of 4 tasks have ended early
5 differences in 100000 steps; the shadow has trapped 2 times
                       same   different     missing       extra
outputs               50000           1           0           1
state entries             0           0           0           3
timers                    0           0           0           0
lookups                   0           0           0           0
dead letters              0           0           0           0
4 questions are the shadow's alone: for it they are unavailable
CPU of the rules an input: live 2.00 us, shadow 2.50 us
note: output 'enriched': the schemas differ

task 0: ended after 0 ms: dropped: behind by 9 steps, on instance 'b'
  0 steps, 3 differences, 0 traps
                         same   different     missing       extra
  outputs                   0           0           0           0
  state entries             0           0           0           3
  timers                    0           0           0           0
  lookups                   0           0           0           0
  dead letters              0           0           0           0
  extra state seen 'm.1'
      wallet-events/1/17, key 'u1', 1970-01-01T00:00:03.000Z
      value: shadow null
  and 2 more

task 1: runs, 61 s of 60 min 0 s, from 1970-01-01T00:00:00.000Z, on instance 'a'
  100000 steps, 2 differences, 2 traps
                         same   different     missing       extra
  outputs               50000           1           0           1
  state entries             0           0           0           0
  timers                    0           0           0           0
  lookups                   0           0           0           0
  dead letters              0           0           0           0
  trapped 2 times: panic: no
    first: wallet-events/1/17, key 'u1', 1970-01-01T00:00:03.000Z
  different output enriched
      wallet-events/1/17, key 'u1', 1970-01-01T00:00:03.000Z
      money.amount: live 1.00, shadow 1.01
  and 1 more";
    assert_eq!(diff(&shadowing()), expected);
    let none = Shadowing {
        tasks: [].into(),
        total: Seen::default(),
        ..shadowing()
    };
    let text = diff(&none);
    assert!(
        text.starts_with("shadow 3: new beside old, no instance has it yet\nnothing is compared yet\n"),
        "{text}"
    );
    let over = Shadowing {
        over: Some("cancelled by me".into()),
        ..none
    };
    assert!(diff(&over).starts_with("shadow 3: new beside old, over: cancelled by me\n"));
}

#[test]
fn a_diff_in_short() {
    let expected = "\
5 differences in 100000 steps: outputs 1 different, 1 extra; state entries 3 extra
  it traps: panic: no
    first: wallet-events/1/17, key 'u1', 1970-01-01T00:00:03.000Z
  task 0: ended after 0 ms: dropped: behind by 9 steps, on instance 'b'
  extra state seen 'm.1'
      wallet-events/1/17, key 'u1', 1970-01-01T00:00:03.000Z
      value: shadow null
  different output enriched
      wallet-events/1/17, key 'u1', 1970-01-01T00:00:03.000Z
      money.amount: live 1.00, shadow 1.01";
    assert_eq!(brief(&shadowing(), 3), expected);
    assert_eq!(
        expected.find("\n  different output"),
        brief(&shadowing(), 1).len().into()
    );
    // One difference of each kind is enough; the same one for another user adds nothing.
    let mut more = shadowing();
    let report = more.tasks.get_mut(&Partition(0)).unwrap();
    let again = Difference {
        entry: "m.2".into(),
        ..report.differences[0].clone()
    };
    report.differences.push(again);
    assert_eq!(brief(&more, 3), expected);
    let same = Shadowing {
        tasks: [].into(),
        total: Seen {
            steps: 7,
            ..Seen::default()
        },
        ..shadowing()
    };
    assert_eq!(brief(&same, 3), "no difference in 7 steps");
    let none = Shadowing {
        total: Seen::default(),
        ..same
    };
    assert_eq!(brief(&none, 3), "nothing was compared: no input came");
}

#[test]
fn the_commands() {
    let wishes: Arc<Mutex<Vec<DeployRequest>>> = Arc::default();
    let sink = wishes.clone();
    let there = Arc::new(Mutex::new(None));
    let (shown, brief) = (there.clone(), there.clone());
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
        deploys: Arc::new(move || Deploys {
            shadow: brief.lock().clone().map(Shadowing::brief),
            ..Deploys::default()
        }),
        deploy: Arc::new(move |request| {
            let shadow = request.shadow;
            sink.lock().push(request);
            Ok(Deployed {
                version: "new".into(),
                previous: "old".into(),
                number: 3,
                at: shadow.is_none().then_some(0),
                findings: vec![],
                shadow,
            })
        }),
        cancel: Arc::new(|| Ok(Cancelled::Shadow(3))),
        prune: Arc::new(|_| Err(DeployRefused::request("nobody asks"))),
        shadow: Arc::new(move || shown.lock().clone()),
    };
    let server = serve(listen("127.0.0.1:0".parse().unwrap()).unwrap(), surface).unwrap();
    let url = format!("http://{}", server.address);
    let rules = |args: &[&str]| pelton(&[&["rules"], args, &["--to", &url]].concat());
    let (code, _, err) = rules(&["diff"]);
    assert_eq!(code, crate::FINDINGS);
    assert!(err.starts_with("no shadow has run yet"), "{err}");
    *there.lock() = Some(shadowing());
    assert_eq!(rules(&["diff"]).1, diff(&shadowing()) + "\n");
    let json: Shadowing = serde_json::from_str(&rules(&["diff", "--json"]).1).unwrap();
    assert_eq!(json, shadowing());
    let status = rules(&["status"]).1;
    assert!(
        status.contains("\n  task 1: runs, 61 s of 60 min 0 s, from 1970"),
        "{status}"
    );
    assert_eq!(rules(&["cancel"]).1, "shadow 3 is over; nothing else has changed\n");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.wasm");
    std::fs::write(&file, "code").unwrap();
    let file = file.display().to_string();
    assert_eq!(
        rules(&["deploy", &file, "--shadow", "1h"]).1,
        "shadow 3: new runs beside old for 60 min 0 s of event time: see `pelton rules diff`\n"
    );
    assert_eq!(rules(&["deploy", &file, "--shadow", "0s"]).0, crate::USAGE);
    assert_eq!(
        rules(&["deploy", &file, "--shadow", "1h", "--at", "1970-01-01T00:00:01Z"]).0,
        crate::USAGE
    );
    assert_eq!(rules(&["promote"]).0, crate::OK);
    let wishes = wishes.lock();
    assert_eq!((wishes[0].shadow, wishes[0].promote), (Some(3_600_000), false));
    assert_eq!((wishes[1].shadow, wishes[1].promote), (None, true));
}
