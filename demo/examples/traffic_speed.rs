//! Measures how fast traffic is generated: `cargo run --release -p pelton-demo --no-default-features --example
//! traffic_speed`.

use pelton_demo::traffic::{Parameters, Traffic};
use std::time::Instant;

fn main() {
    let mut traffic = Traffic::new(Parameters::default());
    let start = Instant::now();
    let mut bytes = 0;
    while let Some(item) = traffic.next() {
        bytes += item.value.len();
    }
    let (records, seconds) = (traffic.made().records() as f64, start.elapsed().as_secs_f64());
    println!(
        "{:.0} records/s, {:.0} MB/s",
        records / seconds,
        bytes as f64 / 1e6 / seconds
    );
}
