//! Plays scenario files in every way, and reports differences.
//!
//! Rule: a file holds if the results are the expected ones in every way of cutting the inputs, and there are no
//! unexpected ones. The first way shows what the rules do. If another way differs, the rules are not deterministic.

use super::diff::meaning;
use super::error::{Result, ScenarioError};
use super::file::{Look, ScenarioFile, ScenarioStep, ScriptedReply, StepAction};
use super::{Scenario, Setup, Way, differences};
use crate::service::Answer;
use std::collections::BTreeMap;
use std::path::Path;

/// The result of playing a file.
#[derive(Clone, Debug, Default)]
pub struct PlayReport {
    /// Empty if the file holds.
    pub problems: Vec<Problem>,
    /// Reads that were not announced before their batch, by store, in the run with the largest batches.
    pub misses: Vec<(String, u64)>,
    /// The text that would hold, if that was requested and exists.
    pub updated: Option<String>,
}

/// A difference from the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, counted from 1.
    pub line: usize,
    /// Description, of one or more lines.
    pub text: String,
}

/// The results of one run.
struct Run {
    /// For each step that looks at results: their lines.
    looks: BTreeMap<usize, Vec<String>>,
    /// What was sent or refused after the last look at it: the step that would look, and the lines.
    unseen: Vec<(String, Vec<String>)>,
    misses: Vec<(String, u64)>,
    /// Whether a replay of the inputs and the journal gives the same results. If not, the difference.
    replayed: Result<()>,
}

/// Plays a file in every way. `folder` has the files for its swaps, `seed` is the seed of the first random way, and
/// `update` says whether to also make the text that would hold.
pub fn play(file: &ScenarioFile, setup: &Setup, folder: &Path, seed: u64, update: bool) -> PlayReport {
    let mut report = PlayReport::default();
    let mut first: Option<Run> = None;
    // After a crash, idleness is measured again. So a file that waits by the clock gets only random cuts.
    let waits = file.steps.iter().any(|step| matches!(step.what, StepAction::Wait(_)));
    for way in Way::all(seed) {
        let setup = Setup {
            way,
            restless: !waits,
            ..setup.clone()
        };
        let run = match run(file, setup, folder) {
            Ok(run) => run,
            Err(Problem { line, text }) => {
                let text = match first {
                    None => text,
                    Some(_) => format!("{text}\n(only {way})"),
                };
                report.problems.push(Problem { line, text });
                return report;
            }
        };
        match &first {
            None => {
                report.misses = run.misses.iter().filter(|(_, count)| *count > 0).cloned().collect();
                if update {
                    report.updated = Some(updated(file, &run));
                } else {
                    report.problems = compare(file, &run);
                }
            }
            Some(first) => report.problems = same(file, first, &run, way),
        }
        if let Err(why) = &run.replayed
            && report.problems.is_empty()
        {
            let (line, text) = (file.lines.len(), why.to_string());
            report.problems.push(Problem { line, text });
        }
        // The other ways would show the same problems.
        if !report.problems.is_empty() {
            report.updated = None;
            return report;
        }
        first.get_or_insert(run);
    }
    report
}

/// The differences from what the file expects.
fn compare(file: &ScenarioFile, run: &Run) -> Vec<Problem> {
    let mut problems = vec![];
    for (index, step) in file.steps.iter().enumerate() {
        let Some(came) = run.looks.get(&index) else { continue };
        if let Some(text) = differences(&step.expected(file), came) {
            let head = &file.lines[step.line];
            problems.push(Problem {
                line: step.line + 1,
                text: format!("{head}\n{}", text.trim_end()),
            });
        }
    }
    for (head, lines) in run.unseen.iter().filter(|(_, lines)| !lines.is_empty()) {
        let text: String = lines.iter().map(|line| format!("\n  + {line}")).collect();
        problems.push(Problem {
            line: file.lines.len(),
            text: format!("nothing at the end of the file expects these: {head}{text}"),
        });
    }
    problems
}

/// The differences from the first run.
fn same(file: &ScenarioFile, first: &Run, run: &Run, way: Way) -> Vec<Problem> {
    let differ = |line: usize, head: &str, text: String| Problem {
        line,
        text: format!(
            "{head}\nthe rules are not deterministic: {way}, they do something else (+) than {} (-)\n{}",
            Way::Burst,
            text.trim_end()
        ),
    };
    let restless = matches!(way, Way::Restless(_));
    for (index, step) in file.steps.iter().enumerate() {
        // Counters belong to a process, and count only epochs that it knows to be committed.
        if matches!(step.what, StepAction::Look(Look::Counters)) && restless {
            continue;
        }
        let none = vec![];
        let of = |run: &Run| run.looks.get(&index).unwrap_or(&none).clone();
        if let Some(text) = differences(&of(first), &of(run)) {
            return vec![differ(step.line + 1, &file.lines[step.line], text)];
        }
    }
    for ((head, old), (_, new)) in first.unseen.iter().zip(&run.unseen) {
        if let Some(text) = differences(old, new) {
            return vec![differ(file.lines.len(), head, text)];
        }
    }
    vec![]
}

/// The file's text with the actual results in place of the expected ones, where they differ.
fn updated(file: &ScenarioFile, run: &Run) -> String {
    let mut text = String::new();
    let mut at = 0;
    for (index, step) in file.steps.iter().enumerate() {
        let Some(came) = run.looks.get(&index) else { continue };
        let meant = |lines: &[String]| lines.iter().map(|line| meaning(line)).collect::<Vec<_>>();
        if meant(&step.expected(file)) == meant(came) {
            continue;
        }
        file.lines[at..=step.line]
            .iter()
            .for_each(|line| text += &format!("{line}\n"));
        came.iter().for_each(|line| text += &format!("  {line}\n"));
        at = step.body.end;
    }
    file.lines[at..].iter().for_each(|line| text += &format!("{line}\n"));
    for (head, lines) in run.unseen.iter().filter(|(_, lines)| !lines.is_empty()) {
        text += &format!("\n{head}\n");
        lines.iter().for_each(|line| text += &format!("  {line}\n"));
    }
    text
}

/// Plays the file once. Fails at a step that can't be done.
fn run(file: &ScenarioFile, setup: Setup, folder: &Path) -> std::result::Result<Run, Problem> {
    let begun = Scenario::new(setup);
    let mut scenario = begun.map_err(|why| Problem {
        line: 1,
        text: why.to_string(),
    })?;
    let mut player = ScenarioPlayer {
        seen: BTreeMap::new(),
        misses: BTreeMap::new(),
        folder,
    };
    let mut looks = BTreeMap::new();
    for (index, step) in file.steps.iter().enumerate() {
        let done = player.step(&mut scenario, file, step);
        let done = done.map_err(|why| Problem {
            line: step.line + 1,
            text: format!("{}\n  {why}", file.lines[step.line]),
        })?;
        if let Some(lines) = done {
            looks.insert(index, lines);
        }
    }
    let last = |why: ScenarioError| Problem {
        line: file.lines.len(),
        text: why.to_string(),
    };
    let unseen = player.unseen(&mut scenario).map_err(last)?;
    player.count(&mut scenario);
    Ok(Run {
        looks,
        unseen,
        misses: player.misses.into_iter().collect(),
        replayed: scenario.check_replay(),
    })
}

struct ScenarioPlayer<'a> {
    /// For each output, how many lines earlier steps have looked at.
    seen: BTreeMap<String, usize>,
    misses: BTreeMap<String, u64>,
    folder: &'a Path,
}

/// Stands for the dead letters among the names of outputs. No output has this name.
const DEAD_LETTERS: &str = "\0";

impl ScenarioPlayer<'_> {
    fn step(
        &mut self,
        scenario: &mut Scenario,
        file: &ScenarioFile,
        step: &ScenarioStep,
    ) -> Result<Option<Vec<String>>> {
        match &step.what {
            StepAction::Base { input, value } => scenario.base(input, value)?,
            StepAction::Send { input, key, at, value } => scenario.send(input, key, *at, value.as_deref())?,
            StepAction::Advance(at) => scenario.advance_to(*at)?,
            StepAction::Wait(by) => scenario.wait(*by)?,
            StepAction::Reply { lookup, end, answer } => {
                let answer = match answer {
                    ScriptedReply::Body(body) => Answer::Body(body.clone().into_bytes()),
                    ScriptedReply::Absent => Answer::Absent,
                    ScriptedReply::Unavailable => Answer::Unavailable,
                };
                scenario.reply(lookup, end, answer)?;
            }
            StepAction::Crash => {
                self.count(scenario);
                scenario.crash()?;
            }
            StepAction::Restart => {
                self.count(scenario);
                scenario.restart()?;
            }
            StepAction::Swap {
                file: component,
                settings,
                refused,
            } => {
                self.count(scenario);
                let component = component.as_ref().map(|name| {
                    let path = self.folder.join(name);
                    std::fs::read(&path)
                        .map_err(|why| format!("{} can't be read: {why}; build it first", path.display()))
                });
                let swapped = scenario.swap(component.transpose()?.as_deref(), settings.clone());
                match (swapped, refused) {
                    (Err(why), true) => {
                        let expected = step.expected(file).join(" ");
                        if !why.to_string().contains(&expected) {
                            return Err(format!("it is refused for another reason: {why}").into());
                        }
                    }
                    (Ok(()), true) => return Err("it is accepted, and should be refused".into()),
                    (swapped, false) => swapped?,
                }
            }
            StepAction::Look(look) => return self.look(scenario, look).map(Some),
        }
        Ok(None)
    }

    fn look(&mut self, scenario: &mut Scenario, look: &Look) -> Result<Vec<String>> {
        match look {
            Look::Output { name, paths } => {
                let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
                let lines = scenario.outputs(name, &paths)?;
                Ok(self.fresh(name, lines))
            }
            Look::DeadLetters => {
                let lines = scenario.dead_letters()?;
                Ok(self.fresh(DEAD_LETTERS, lines))
            }
            Look::State(store) => scenario.state(store),
            Look::Timers => scenario.timers(),
            Look::Counters => scenario.counters(),
            Look::Questions => {
                let line = |question: super::WaitingLookup| format!("{} {}", question.lookup, question.url);
                Ok(scenario.questions()?.into_iter().map(line).collect())
            }
        }
    }

    /// The lines that no step has looked at before.
    fn fresh(&mut self, name: &str, mut lines: Vec<String>) -> Vec<String> {
        let seen = self.seen.entry(name.to_owned()).or_default();
        lines.split_off(std::mem::replace(seen, lines.len()))
    }

    /// Results that no step has looked at. They are in the same order for every run, so that they can be compared.
    fn unseen(&mut self, scenario: &mut Scenario) -> Result<Vec<(String, Vec<String>)>> {
        let outputs = &scenario.stage().setup().config.outputs;
        let names: Vec<String> = outputs.iter().map(|output| output.name.clone()).collect();
        let mut unseen = vec![];
        for name in names {
            let lines = scenario.outputs(&name, &[])?;
            unseen.push((format!("expect {name}"), self.fresh(&name, lines)));
        }
        let lines = scenario.dead_letters()?;
        unseen.push(("dead-letters".to_owned(), self.fresh(DEAD_LETTERS, lines)));
        Ok(unseen)
    }

    /// Remembers the misses so far, because they are lost when an instance ends.
    fn count(&mut self, scenario: &mut Scenario) {
        for (store, count) in scenario.stage().missed() {
            let counted = self.misses.entry(store).or_default();
            *counted = count.max(*counted);
        }
    }
}
