//! Measures what it costs to load rules: conversion of a module to a component, compilation, linking and the first start.
//!
//! `cargo run --release -p pelton --no-default-features --example load_speed -- FILE.wasm [TIMES]`. It prints the CPU
//! time of the thread that loads, for each time and as the median.

use pelton::rules::{Engine, SandboxLimits};
use std::time::Duration;

fn cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let Some(file) = args.next() else {
        anyhow::bail!("which file? load_speed FILE.wasm [TIMES]");
    };
    let times: usize = args.next().map_or(Ok(10), |times| times.parse())?;
    let wasm = std::fs::read(&file)?;
    let mut took = Vec::new();
    for _ in 0..times.max(1) {
        // A new one each time, because an engine keeps what it has compiled.
        let engine = Engine::new()?;
        let start = cpu();
        engine.compile(&wasm, "", SandboxLimits::default())?;
        took.push(cpu() - start);
        println!("{:?}", took[took.len() - 1]);
    }
    took.sort();
    println!("{} bytes, median {:?}", wasm.len(), took[took.len() / 2]);
    Ok(())
}
