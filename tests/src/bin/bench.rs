//! `make bench`: measures how many money events are processed per second, and what one costs.

use clap::Parser;
use pelton_demo::traffic::Parameters;
use pelton_tests::bench::{Options, embedded, print};
use std::path::PathBuf;

/// Measure the money pipeline on a real Kafka: events a second, CPU, memory.
#[derive(Parser)]
struct Args {
    /// Number of money events; users, sessions and duplicates are added to them.
    #[arg(long, default_value_t = Parameters::default().money)]
    money: u64,
    /// Number of users.
    #[arg(long, default_value_t = Parameters::default().users)]
    users: u32,
    /// Seed of the traffic: the same seed makes the same traffic.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run on the log in memory, without Kafka, to measure the engine alone.
    #[arg(long)]
    embedded: bool,
    /// Keep state in memory and in the changelog only, without RocksDB.
    #[arg(long)]
    no_state_dir: bool,
    /// Don't measure the program that only copies the bytes.
    #[arg(long)]
    no_wire: bool,
    /// Don't make a smaller run first, so the broker has just started and its JIT is still compiling.
    #[arg(long)]
    cold: bool,
    /// Deploy other rules all the time, each this far ahead in event time (1000s is about a second here), or `now`.
    /// If given several times, compares a run without swaps with one of each kind.
    #[arg(long, value_name = "DURATION|now")]
    swaps: Vec<String>,
    /// Also run the same rules as a shadow.
    #[arg(long)]
    shadow: bool,
    /// The component with the rules.
    #[arg(long, default_value = env!("GUEST_ENRICH_WASM"))]
    rules: PathBuf,
    /// Override a key of the pipeline's file: --set epoch.interval=100ms
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

fn ahead(text: &str) -> anyhow::Result<std::time::Duration> {
    match text {
        "now" => Ok(std::time::Duration::ZERO),
        text => pelton::config::parse_duration(text)
            .ok_or_else(|| anyhow::anyhow!("--swaps {text}: expected `now`, or a duration such as 400s")),
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let state = tempfile::tempdir()?;
    let kind = |text: &String| Ok((text.clone(), ahead(text)?));
    let kinds: Vec<_> = args.swaps.iter().map(kind).collect::<anyhow::Result<_>>()?;
    let options = Options {
        workload: Parameters {
            money: args.money,
            users: args.users,
            seed: args.seed,
            ..Parameters::default()
        },
        rules: args.rules.clone(),
        state: (!args.no_state_dir && !args.embedded).then(|| state.path().to_owned()),
        sets: args.sets.clone(),
        wire: !args.no_wire,
        warm: !args.cold,
        shadow: args.shadow,
        swaps: kinds.first().map(|(_, ahead)| *ahead),
    };
    if kinds.len() > 1 {
        return side_by_side(&options, &kinds);
    }
    if args.embedded {
        print(&embedded(&options)?);
        return Ok(());
    }
    on_kafka(&options)
}

#[cfg(feature = "kafka")]
fn on_kafka(options: &Options) -> anyhow::Result<()> {
    let rig = pelton_tests::rig::Rig::kafka()?;
    let (report, wire) = pelton_tests::bench::kafka(options, &rig)?;
    print(&report);
    let Some(wire) = wire else {
        return Ok(());
    };
    let each = |time: std::time::Duration| time.as_secs_f64() * 1e6 / report.written.made.money as f64;
    println!();
    println!("the wire alone, after it: as many records of the same size in and out, no logic:");
    println!(
        "  {:>12} records/s, {:.2} us of CPU a record, broker {:.2} us",
        pelton_demo::show::grouped(wire.rate() as u64),
        wire.cpu,
        wire.broker
    );
    println!(
        "  Pelton to wire: {:.2} of its throughput, {:.2} times its CPU",
        report.written.made.money as f64 / report.wall.as_secs_f64() / wire.rate(),
        each(report.cpu) / wire.cpu
    );
    Ok(())
}

#[cfg(feature = "kafka")]
fn side_by_side(options: &Options, kinds: &[(String, std::time::Duration)]) -> anyhow::Result<()> {
    let rig = pelton_tests::rig::Rig::kafka()?;
    let runs = pelton_tests::bench::swaps(options, kinds, &rig)?;
    for (name, report) in &runs {
        println!("\n== swaps: {name}\n");
        print(report);
    }
    println!();
    pelton_tests::bench::compare(&runs);
    Ok(())
}

#[cfg(not(feature = "kafka"))]
fn side_by_side(options: &Options, _kinds: &[(String, std::time::Duration)]) -> anyhow::Result<()> {
    on_kafka(options)
}

#[cfg(not(feature = "kafka"))]
fn on_kafka(_options: &Options) -> anyhow::Result<()> {
    anyhow::bail!("this build has no Kafka: try --embedded")
}
