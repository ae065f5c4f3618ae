//! Scenarios as files, for rules in any language.
//!
//! Rule: each line is a step, and an indented line belongs to the line above it. `#` begins a comment. An expectation
//! is a step whose indented lines are the expected results. So a file can be read, compared and updated line by line.
//! [`GRAMMAR`] lists the steps.

use super::diff::{unquoted, words};
use super::error;
use super::parse_time;
use crate::config::parse_duration;
use crate::record::Millis;
use serde_json::Value;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// The format of the files, for people.
pub const GRAMMAR: &str = r#"A scenario is a file NAME.scenario. Each line is a step. An indented line belongs to the line above it. # begins a comment.
A TIME counts from the start (2026-01-01T00:00:00Z): 0s, 1m30s. A VALUE is JSON. Put a KEY with spaces in quotes.

  base INPUT VALUE                fields of every later value of the input that does not set them itself
  send INPUT KEY TIME VALUE       a record arrives; its event time is TIME unless the value has one; null: no value
  advance TIME                    event time reaches TIME: earlier steps are taken, and earlier records are late from now on
  wait DURATION                   nothing arrives for this long by the clock, so silent inputs become idle
  reply LOOKUP END VALUE          the service answers the open questions whose URL ends with END (*: all of them)
  reply LOOKUP END absent         ... that there is nothing
  reply LOOKUP END unavailable    ... not at all
  crash                           the process is killed and started again
  restart                         the process is stopped and started again
  swap FILE [SETTINGS]            other rules from here on; same: the same component
  swap FILE [SETTINGS] refused    ... which must be refused; the indented line is part of the reason

  expect OUTPUT [FIELD ...]       records sent since the last look: KEY TIME VALUE, or the FIELDs (a.b) of the value
  dead-letters                    inputs refused since the last look: KEY INPUT "REASON"
  state STORE                     what the store holds: KEY [ENTRY] VALUE [until TIME]
  timers                          the timers that are set: KEY TIME NAME
  counters                        the counters that are not zero: NAME NUMBER
  questions                       the questions without a reply: LOOKUP URL
"#;

/// A parsed scenario file.
#[derive(Clone, Debug)]
pub struct ScenarioFile {
    /// Its lines.
    pub lines: Vec<String>,
    /// Its steps.
    pub steps: Vec<ScenarioStep>,
}

/// A step of a file.
#[derive(Clone, Debug)]
pub struct ScenarioStep {
    /// Index of its line.
    pub line: usize,
    /// Indexes of its indented lines.
    pub body: Range<usize>,
    /// What the step does.
    pub what: StepAction,
}

/// The kinds of steps.
#[derive(Clone, Debug, PartialEq)]
pub enum StepAction {
    /// Sets fields of all later values of an input.
    Base { input: String, value: String },
    /// Sends a record.
    Send {
        input: String,
        key: String,
        at: Millis,
        value: Option<String>,
    },
    /// Advances event time.
    Advance(Millis),
    /// Lets time pass by the clock.
    Wait(Duration),
    /// Answers a lookup.
    Reply {
        lookup: String,
        end: String,
        answer: ScriptedReply,
    },
    /// Kills the process and starts it again.
    Crash,
    /// Stops the process and starts it again.
    Restart,
    /// Swaps the rules. Without a file, only the settings change.
    Swap {
        file: Option<String>,
        settings: Option<Value>,
        refused: bool,
    },
    /// Expects results.
    Look(Look),
}

/// How a service replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptedReply {
    /// With this body.
    Body(String),
    /// With the answer that there is nothing.
    Absent,
    /// It does not reply.
    Unavailable,
}

/// The results that a step looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Records of an output; if there are paths, only these fields.
    Output { name: String, paths: Vec<String> },
    /// Inputs that were refused.
    DeadLetters,
    /// The content of a store.
    State(String),
    /// Timers that are set.
    Timers,
    /// The rules' counters.
    Counters,
    /// Open questions to services.
    Questions,
}

/// A line that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableLine {
    /// Counted from 1.
    pub line: usize,
    /// Why, and what to do about it.
    pub why: String,
}

impl fmt::Display for UnreadableLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for UnreadableLine {}

impl ScenarioFile {
    /// Parses the text of a file. The error lists everything that is wrong.
    pub fn parse(text: &str) -> Result<ScenarioFile, Vec<UnreadableLine>> {
        let lines: Vec<String> = text.lines().map(|line| line.trim_end().to_owned()).collect();
        let (mut steps, mut wrong) = (vec![], vec![]);
        let mut at = 0;
        while at < lines.len() {
            let line = at;
            at += 1;
            let text = &lines[line];
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if text.starts_with(char::is_whitespace) {
                let why = "an indented line belongs to a step above it, and there is none".to_owned();
                wrong.push(UnreadableLine { line: line + 1, why });
                continue;
            }
            // The body ends with the last indented line. Empty lines after it are between steps.
            let mut end = at;
            while at < lines.len() && (lines[at].is_empty() || lines[at].starts_with(char::is_whitespace)) {
                at += 1;
                if !lines[at - 1].is_empty() {
                    end = at;
                }
            }
            at = end;
            let body = line + 1..end;
            match what(text, &lines[body.clone()]) {
                Ok(what) => steps.push(ScenarioStep { line, body, what }),
                Err(why) => wrong.push(UnreadableLine {
                    line: line + 1,
                    why: why.to_string(),
                }),
            }
        }
        if wrong.is_empty() {
            Ok(ScenarioFile { lines, steps })
        } else {
            Err(wrong)
        }
    }
}

impl ScenarioStep {
    /// Its indented lines without comments.
    pub fn expected(&self, file: &ScenarioFile) -> Vec<String> {
        let lines = file.lines[self.body.clone()].iter().map(|line| line.trim().to_owned());
        lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect()
    }
}

const STEPS: [&str; 14] = [
    "base",
    "send",
    "advance",
    "wait",
    "reply",
    "crash",
    "restart",
    "swap",
    "expect",
    "dead-letters",
    "state",
    "timers",
    "counters",
    "questions",
];

/// Parses a step from its line and the lines that belong to it.
fn what(head: &str, body: &[String]) -> error::Result<StepAction> {
    let name = head.split_whitespace().next().unwrap_or_default();
    // An expectation's indented lines are results. Those of other steps just continue the line.
    let looks = ["expect", "dead-letters", "state", "timers", "counters", "questions"].contains(&name);
    let refusal = name == "swap" && head.ends_with(" refused");
    let text = match looks || refusal {
        true => head.to_owned(),
        false => [&[head.to_owned()], body].concat().join("\n"),
    };
    let words = words(&text)?;
    match happening(&words)?.or_else(|| look(&words).map(StepAction::Look)) {
        Some(what) => Ok(what),
        None if STEPS.contains(&name) => Err(usage(name).into()),
        None => Err(unknown(name).into()),
    }
}

/// A step in which something happens. `None` if these words are not one.
fn happening(words: &[&str]) -> error::Result<Option<StepAction>> {
    Ok(Some(match words[..] {
        ["base", input, value] => StepAction::Base {
            input: unquoted(input),
            value: value.to_owned(),
        },
        ["send", input, key, at, value] => StepAction::Send {
            input: unquoted(input),
            key: unquoted(key),
            at: time(at)?,
            value: (value != "null").then(|| value.to_owned()),
        },
        ["advance", at] => StepAction::Advance(time(at)?),
        ["wait", by] => {
            StepAction::Wait(parse_duration(by).ok_or_else(|| format!("{by}: expected a duration, such as 30s"))?)
        }
        ["reply", lookup, end, answer] => StepAction::Reply {
            lookup: unquoted(lookup),
            end: if end == "*" { String::new() } else { unquoted(end) },
            answer: match answer {
                "absent" => ScriptedReply::Absent,
                "unavailable" => ScriptedReply::Unavailable,
                body => ScriptedReply::Body(body.to_owned()),
            },
        },
        ["crash"] => StepAction::Crash,
        ["restart"] => StepAction::Restart,
        ["swap", file] => swap(file, None, false)?,
        ["swap", file, "refused"] => swap(file, None, true)?,
        ["swap", file, settings] => swap(file, Some(settings), false)?,
        ["swap", file, settings, "refused"] => swap(file, Some(settings), true)?,
        _ => return Ok(None),
    }))
}

fn swap(file: &str, settings: Option<&str>, refused: bool) -> error::Result<StepAction> {
    let object = |text: &str| {
        let parsed = serde_json::from_str(text).ok().filter(Value::is_object);
        parsed.ok_or_else(|| format!("{text}: expected the settings as a JSON object"))
    };
    Ok(StepAction::Swap {
        file: (file != "same").then(|| unquoted(file)),
        settings: settings.map(object).transpose()?,
        refused,
    })
}

/// A step that looks at something. `None` if these words are not one.
fn look(words: &[&str]) -> Option<Look> {
    Some(match words[..] {
        ["expect", output, ref paths @ ..] => Look::Output {
            name: unquoted(output),
            paths: paths.iter().map(ToString::to_string).collect(),
        },
        ["dead-letters"] => Look::DeadLetters,
        ["state", store] => Look::State(unquoted(store)),
        ["timers"] => Look::Timers,
        ["counters"] => Look::Counters,
        ["questions"] => Look::Questions,
        _ => return None,
    })
}

/// How a step of this name is written.
fn usage(name: &str) -> String {
    let line = GRAMMAR.lines().find(|line| line.trim().split(' ').next() == Some(name));
    let line = line.map_or(name, str::trim);
    format!("expected: {}", line.split("  ").next().unwrap_or(line))
}

/// Which steps there are, and which of them may be meant.
fn unknown(name: &str) -> String {
    let close = STEPS.iter().max_by(|a, b| {
        let like = |known: &str| strsim::jaro_winkler(known, name);
        like(a).total_cmp(&like(b))
    });
    let close = close.map_or(String::new(), |close| format!("; did you mean {close}?"));
    format!("there is no step `{name}`{close} There are: {}", STEPS.join(", "))
}

fn time(text: &str) -> error::Result<Millis> {
    let expected = || format!("{text}: expected a time since the start, such as 1m30s").into();
    parse_time(text).ok_or_else(expected)
}
