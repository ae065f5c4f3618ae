//! The command line.
//!
//! Rule: results for programs go to standard output, and everything else to standard error. The exit code says how the
//! command ended: 0 success; 1 the config has mistakes, a deploy was refused, or a scenario fails; 2 wrong usage; 3 a
//! failure while it ran; 130 it was told to stop twice.

mod check;
mod dev;
mod exit;
mod logging;
mod new;
mod print;
mod rules;
mod test;
#[cfg(test)]
mod tests;

pub use exit::{FAILED, FINDINGS, OK, USAGE};

use check::errors;
use clap::{Args, Parser, Subcommand, ValueEnum};
use pelton::config::{Config, LogFormat};
use print::say;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

/// A stream processor for Kafka whose business rules are WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "pelton", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 it went well; 1 the config has mistakes, a deploy was refused, or a \
scenario fails; 2 wrong usage; \
3 it failed while it ran; 130 it was told to stop twice.\nRUST_LOG=debug shows more.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a pipeline until SIGTERM or Ctrl-C. Open epochs are then committed.
    Run {
        #[command(flatten)]
        file: File,
        /// Format of the log. Default: the one in the file.
        #[arg(long, value_enum)]
        log: Option<Log>,
    },
    /// Find every mistake that can be found without running, each with its cure.
    Check {
        #[command(flatten)]
        file: File,
        /// Check only the file, the schemas and the rules, and don't connect to the brokers.
        #[arg(long)]
        offline: bool,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Create a project of rules that builds, has a scenario, and runs in the demo.
    New {
        /// Folder of the project; its last part is the project's name.
        folder: PathBuf,
        /// Clone of Pelton's repository whose SDK the project uses. Default: the one that this binary was built in.
        #[arg(long, value_name = "PATH")]
        clone: Option<PathBuf>,
    },
    /// Watch the sources of rules: build each save, play its scenarios, and swap it into a running demo or pipeline.
    Dev(dev::Dev),
    /// Play scenarios: files that say what happens to a pipeline and what must result from it. Uses the real rules,
    /// without Kafka.
    #[command(after_help = pelton::testkit::file::GRAMMAR)]
    Test(test::Test),
    /// Deploy rules to a running pipeline, and show which rules run.
    #[command(subcommand)]
    Rules(rules::Rules),
    /// Print an example of a pipeline's file, with every key, its explanation and its default: pelton config >
    /// pelton.toml
    Config {
        /// For topics in Avro.
        #[arg(long)]
        avro: bool,
    },
}

#[derive(Debug, Args)]
struct File {
    /// The pipeline's file.
    #[arg(default_value = "pelton.toml")]
    file: PathBuf,
    /// Override a key: --set inputs.wallet.topic=other
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Log {
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Runs the command and returns the exit code of the process.
pub fn main(args: impl IntoIterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let to: &mut dyn Write = if error.use_stderr() { err } else { out };
            say(to, &error.render().to_string());
            return error.exit_code() as u8;
        }
    };
    match cli.command {
        Command::Run { file, log } => run(file, log, err),
        Command::Check { file, offline, json } => check::check(&file.file, &file.sets, offline, json, out),
        Command::New { folder, clone } => new::new(&folder, clone.as_deref(), out, err),
        Command::Dev(dev) => dev::dev(&dev, out, err),
        Command::Test(test) => test::test(&test, out, err),
        Command::Rules(rules) => rules::run(rules, out, err),
        Command::Config { avro } => {
            say(out, if avro { AVRO } else { JSON });
            OK
        }
    }
}

const JSON: &str = include_str!("../../../examples/money-json/pelton.toml");
const AVRO: &str = include_str!("../../../examples/money-avro/pelton.toml");

fn run(file: File, log: Option<Log>, err: &mut dyn Write) -> u8 {
    let (config, findings) = Config::examine(&file.file, &file.sets);
    let Some(config) = config else {
        findings.iter().for_each(|finding| say(err, &format!("{finding}\n")));
        say(
            err,
            &format!("{} does not run; errors: {}\n", file.file.display(), errors(&findings)),
        );
        return FINDINGS;
    };
    logging::start(match log {
        Some(Log::Human) => LogFormat::Human,
        Some(Log::Json) => LogFormat::Json,
        None => config.log,
    });
    for finding in findings {
        tracing::warn!(key = finding.key, value = finding.value, "{}", finding.cure);
    }
    match pelton::instance::run(config) {
        Ok(()) => OK,
        Err(error) => {
            tracing::error!("{error:#}");
            FAILED
        }
    }
}
