//! `make soak`: the command line of the module `soak`.

use clap::Parser;
use pelton_tests::rig::Rig;
use pelton_tests::soak::{Options, Program, flat, mixed, run, steady};
use std::path::PathBuf;
use std::process::ExitCode;

/// With this first argument, this program is the pipeline.
const PELTON: &str = "pelton";

/// Swap the rules and kill processes under full load on a real Kafka, and check every output.
#[derive(Parser)]
struct Args {
    /// Number of money events; users, sessions and duplicates are added to them.
    #[arg(long, default_value_t = 1_000_000)]
    money: u64,
    /// Number of swaps of the rules that must be committed.
    #[arg(long, default_value_t = 100)]
    swaps: usize,
    /// Number of kills: the first in the middle of a swap, the next in the middle of a commit, and so on.
    #[arg(long, default_value_t = 2)]
    kills: usize,
    /// Number of freezes: each lasts until the other process has taken over all tasks, 10 seconds at least.
    #[arg(long, default_value_t = 1)]
    freezes: usize,
    /// Seed of the traffic and of the swaps.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only swap, with few events, and check that memory, threads and file descriptors don't grow.
    #[arg(long)]
    flat: bool,
    /// Only stream at `rate` for this many seconds (such as 600), and check that memory stops growing.
    #[arg(long, value_name = "SECONDS")]
    steady: Option<u64>,
    /// Number of money events per second, with `--steady`.
    #[arg(long, default_value_t = 1_000)]
    rate: u64,
    /// Run this `pelton`, of another version, in one group with the present one, and change between the two.
    #[arg(long, value_name = "PELTON")]
    beside: Option<PathBuf>,
    /// Keep the processes' logs in this folder.
    #[arg(long)]
    logs: Option<PathBuf>,
}

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|first| first == PELTON) {
        // The processes of the pipeline are also this program, so that the code that is tested is the code it was built
        // with.
        let words = std::iter::once(PELTON.into()).chain(words);
        let code = pelton_cli::main(words, &mut std::io::stdout(), &mut std::io::stderr());
        return ExitCode::from(code);
    }
    match soak(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why:#}");
            ExitCode::FAILURE
        }
    }
}

fn soak(args: &Args) -> anyhow::Result<()> {
    let options = Options {
        money: args.money,
        swaps: args.swaps,
        kills: args.kills,
        freezes: args.freezes,
        seed: args.seed,
        pelton: Program {
            path: std::env::current_exe()?,
            words: vec![PELTON.into()],
            logs: args.logs.clone(),
        },
        say: |what| eprintln!("{what}"),
    };
    let rig = Rig::kafka()?;
    if args.flat {
        println!("{}", flat(args.swaps, &options.pelton, &rig, options.say)?);
        return Ok(());
    }
    if let Some(seconds) = args.steady {
        println!("{}", steady(args.rate, seconds, &options.pelton, &rig, options.say)?);
        return Ok(());
    }
    if let Some(path) = &args.beside {
        let old = Program {
            path: path.clone(),
            words: vec![],
            logs: args.logs.clone(),
        };
        println!("{}", mixed(&options, &old, &rig)?);
        return Ok(());
    }
    println!("{}", run(&options, &rig)?);
    Ok(())
}
