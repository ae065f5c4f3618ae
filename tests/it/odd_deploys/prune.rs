//! Components that are no longer needed are removed from the control topic.

use super::line::{Line, component, doing};
use pelton::deploy::api::{Back, DeployRequest};
use pelton::deploy::client::Keep;
use std::time::Duration;

/// The same rules with another section at the end, which makes them another component.
fn padded(pad: u8) -> Vec<u8> {
    [&component()[..], &[0, 5, 3, b'p', b'a', b'd', pad]].concat()
}

#[test]
fn what_is_pruned_is_gone_and_the_rest_runs_on() {
    let mut line = Line::of(doing("echo"));
    for pad in 2..=5 {
        let request = DeployRequest {
            component: Some(padded(pad)),
            ..DeployRequest::default()
        };
        line.deploy(request).expect("accepted");
        line.flow(5, "good");
        line.check("a component");
    }
    let runs = line.version();
    let prune = |line: &Line, keep: &Keep, dry_run| {
        let gone = line.running().client().prune(keep, dry_run).expect("it can be asked");
        gone.iter().flat_map(|one| one.deploys.clone()).collect::<Vec<_>>()
    };
    let journal = Keep {
        ran_within: Duration::from_secs(3600),
        ..Keep::default()
    };
    assert!(
        prune(&line, &journal, false).is_empty(),
        "a replay of the journal needs them"
    );
    let keep = Keep {
        also: vec![2],
        ..Keep::default()
    };
    let mut looked = prune(&line, &keep, true);
    looked.sort();
    assert_eq!(looked, [1, 3]);
    assert_eq!(prune(&line, &keep, true).len(), 2, "it was a look");
    assert_eq!(prune(&line, &keep, false).len(), 2);
    assert!(prune(&line, &keep, false).is_empty(), "once");
    // The rest is still there, also for a new instance.
    line.restart();
    line.flow(5, "good");
    line.check("pruned");
    assert_eq!(line.version(), runs);
    let back = |to| DeployRequest {
        back: Some(to),
        ..DeployRequest::default()
    };
    for gone in [1, 3] {
        let why = line.deploy(back(Back::To(gone))).expect_err("it is gone");
        assert!(why.contains("pruned"), "{why}");
    }
    for there in [Back::Before, Back::To(2)] {
        line.deploy(back(there)).expect("it is there");
        line.flow(5, "good");
        line.check("back");
    }
    // A pruned version is deployed from its file again.
    let again = DeployRequest {
        component: Some(padded(3)),
        ..DeployRequest::default()
    };
    line.deploy(again).expect("accepted");
    line.flow(5, "good");
    line.check("again");
    assert_eq!(line.dead_letters().len(), 0);
}
