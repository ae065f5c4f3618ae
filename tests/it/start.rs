//! The start of an instance.

use pelton::config::Config;
use pelton::log::embedded::{Clock, Embedded};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

/// The error comes before those about the topics, which don't exist: so the group was not joined yet.
#[test]
fn a_port_that_is_taken_is_told_before_the_group_is_joined() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/money-json/pelton.toml");
    let config = Config::load(&file, &[format!("http={address}")]).expect("a file without mistakes");
    let topics = config.inputs.iter().map(|input| input.topic.clone()).collect();
    let log = Embedded::new("start", Clock::real()).instance(topics, &config.name, &config.instance);
    let (_stop, stopped) = channel();
    let why = pelton::instance::run_on(config, Arc::new(log), stopped).expect_err("the port is taken");
    let why = format!("{why:#}");
    assert!(
        why.contains(&format!("http = \"{address}\"")) && why.contains("another process"),
        "{why}"
    );
}
