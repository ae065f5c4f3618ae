//! `pelton rules`: deploys rules to a running pipeline, and shows the state of deploys.
//!
//! Rule: every command uses the HTTP server of a running instance, or with `--config` only the brokers. The effects and
//! the output are the same.

pub(super) mod diff;
mod show;
mod target;
pub(super) mod via;

use super::exit::{FINDINGS, OK, Trouble};
use super::print::say;
use clap::{Args, Subcommand};
use pelton::config::parse_duration;
use pelton::deploy::api::{Back, Cancelled, DeployRequest, Prune};
use pelton::record::Millis;
use pelton_convert as convert;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use target::Target;
use via::Via;

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Rules {
    /// Let new rules take over on all instances at one event time. If they are refused, the old ones keep running.
    Deploy {
        /// A component, or a core module for wasm32-unknown-unknown.
        component: PathBuf,
        /// File with the rules' settings, an object in JSON or TOML. Default: the settings stay as they are.
        #[arg(long, value_name = "FILE")]
        settings: Option<PathBuf>,
        /// Don't take over: run as a shadow of the live rules, on the same inputs and without any effect, for this long in
        /// event time (90s, 30m, 2h). `pelton rules diff` shows the differences.
        #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "at")]
        shadow: Option<Millis>,
        #[command(flatten)]
        how: How,
        #[command(flatten)]
        to: Target,
    },
    /// Change single settings: pelton rules set dedup_ttl=5s
    Set {
        /// The value is JSON; anything that is not JSON is text.
        #[arg(required = true, value_name = "KEY=VALUE")]
        changes: Vec<String>,
        #[command(flatten)]
        how: How,
        #[command(flatten)]
        to: Target,
    },
    /// Go back to the version before, from now on. What was committed stays as it is.
    Rollback {
        /// Go back to this deploy instead.
        #[arg(long = "deploy", value_name = "NUMBER")]
        number: Option<u64>,
        #[command(flatten)]
        how: How,
        #[command(flatten)]
        to: Target,
    },
    /// Show what the shadow does differently from the live rules.
    Diff {
        #[command(flatten)]
        to: Target,
    },
    /// Let the rules of the shadow take over, with the live state. The shadow's own state is dropped.
    Promote {
        #[command(flatten)]
        how: How,
        #[command(flatten)]
        to: Target,
    },
    /// Cancel the deploy that is not committed yet. If there is none, end the shadow.
    Cancel {
        #[command(flatten)]
        to: Target,
    },
    /// Remove components that are not needed any more from the control topic. Those that run are kept, the version
    /// before, those that a task still uses, and those that ran within the retention of the journal. The stores of old
    /// versions stay.
    Prune {
        /// How many of the last versions to keep; at least two.
        #[arg(long, value_name = "N", default_value_t = 2)]
        keep: usize,
        /// Keep this deploy, too. May be given several times.
        #[arg(long = "deploy", value_name = "NUMBER")]
        also: Vec<u64>,
        /// Only print what would be removed.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        to: Target,
    },
    /// List all deploys.
    List {
        #[command(flatten)]
        to: Target,
    },
    /// Show which version each task runs, and how far a deploy has come.
    Status {
        #[command(flatten)]
        to: Target,
    },
}

/// How a version takes over.
#[derive(Debug, Args)]
pub(super) struct How {
    /// Take over at this event time: ISO-8601 with an offset, or milliseconds since 1970. Default: where the tasks are
    /// now.
    #[arg(long, value_name = "EVENT_TIME", value_parser = event_time)]
    at: Option<Millis>,
    /// Allow state and outputs that earlier versions can't read. Then there may be no way back.
    #[arg(long)]
    one_way: bool,
    /// Send pending timers and lookups that the new rules don't know to the dead letters.
    #[arg(long)]
    drop_timers: bool,
    /// Only check; change nothing.
    #[arg(long)]
    dry_run: bool,
}

fn event_time(text: &str) -> Result<Millis, String> {
    convert::instant(text).ok_or_else(|| "expected 2026-01-31T12:00:00Z, or milliseconds since 1970".into())
}

fn duration(text: &str) -> Result<Millis, String> {
    let parsed = parse_duration(text).filter(|duration| !duration.is_zero());
    let millis = parsed.and_then(|duration| Millis::try_from(duration.as_millis()).ok());
    millis.ok_or_else(|| "expected 90s, 30m, 2h or 1d".into())
}

/// Runs the command and returns the exit code.
pub(super) fn run(rules: Rules, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let result = match rules {
        Rules::Deploy {
            component,
            settings,
            shadow,
            how,
            to,
        } => read(&component, settings.as_deref()).and_then(|(component, settings)| {
            let request = DeployRequest {
                component: Some(component),
                settings,
                shadow,
                ..how.request()
            };
            deploy(request, &to, err)
        }),
        Rules::Set { changes, how, to } => {
            set(&changes).and_then(|set| deploy(DeployRequest { set, ..how.request() }, &to, err))
        }
        Rules::Rollback { number, how, to } => {
            let back = Some(number.map_or(Back::Before, Back::To));
            deploy(DeployRequest { back, ..how.request() }, &to, err)
        }
        Rules::Diff { to } => Via::of(&to).and_then(|via| via.diff()).map(|seen| match to.json {
            true => serde_json::json!(seen).to_string(),
            false => diff::diff(&seen),
        }),
        Rules::Promote { how, to } => {
            let request = DeployRequest {
                promote: true,
                ..how.request()
            };
            deploy(request, &to, err)
        }
        Rules::Cancel { to } => Via::of(&to)
            .and_then(|via| via.cancel())
            .map(|what| match (to.json, what) {
                (true, what) => serde_json::json!(what).to_string(),
                (false, Cancelled::Deploy(number)) => {
                    format!("deploy {number} is cancelled; the old rules keep running")
                }
                (false, Cancelled::Shadow(number)) => format!("shadow {number} is over; nothing else has changed"),
            }),
        Rules::Prune {
            keep,
            also,
            dry_run,
            to,
        } => Via::of(&to)
            .and_then(|via| via.prune(Prune { keep, also, dry_run }))
            .map(|gone| show::pruned(&gone, dry_run, to.json)),
        Rules::List { to } => status(&to, show::list),
        Rules::Status { to } => status(&to, show::status),
    };
    match result {
        Ok(text) => {
            say(out, &format!("{text}\n"));
            OK
        }
        Err(Trouble(code, why)) => {
            say(err, &format!("{why}\n"));
            code
        }
    }
}

impl How {
    fn request(&self) -> DeployRequest {
        DeployRequest {
            at: self.at,
            one_way: self.one_way,
            drop_timers: self.drop_timers,
            dry_run: self.dry_run,
            ..DeployRequest::default()
        }
    }
}

fn deploy(request: DeployRequest, to: &Target, err: &mut dyn Write) -> Result<String, Trouble> {
    let mut shown = String::new();
    let mut progress = |text: String| {
        if !to.json && text != shown {
            say(err, &format!("{text}\n"));
            shown = text;
        }
    };
    let dry_run = request.dry_run;
    let deployed = Via::of(to)?.deploy(request, &mut progress)?;
    Ok(match to.json {
        true => serde_json::json!(deployed).to_string(),
        false => show::deployed(&deployed, dry_run),
    })
}

fn status(to: &Target, show: fn(&pelton::deploy::api::RulesStatus) -> String) -> Result<String, Trouble> {
    let running = Via::of(to)?.status()?;
    Ok(match to.json {
        true => serde_json::json!(running).to_string(),
        false => show(&running),
    })
}

fn read(component: &Path, settings: Option<&Path>) -> Result<(Vec<u8>, Option<Value>), Trouble> {
    let read = |path: &Path| {
        let cure = |error| Trouble(FINDINGS, format!("{} can't be read: {error}", path.display()));
        std::fs::read(path).map_err(cure)
    };
    let component = read(component)?;
    let Some(path) = settings else {
        return Ok((component, None));
    };
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    let parsed = serde_json::from_str::<Value>(&text).ok();
    let parsed = parsed.or_else(|| toml::from_str(&text).ok()).filter(Value::is_object);
    let cure = || Trouble(FINDINGS, format!("{} is not an object in JSON or TOML", path.display()));
    Ok((component, Some(parsed.ok_or_else(cure)?)))
}

fn set(changes: &[String]) -> Result<BTreeMap<String, Value>, Trouble> {
    let one = |change: &String| {
        let (key, value) = change
            .split_once('=')
            .ok_or_else(|| Trouble(FINDINGS, format!("{change}: expected KEY=VALUE")))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.into()));
        Ok((key.to_owned(), value))
    };
    changes.iter().map(one).collect()
}
