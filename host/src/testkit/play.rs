//! Files played: each in every way, with what differs.
//!
//! Rule: a file holds when what comes is what it expects, in every way in which its inputs may be cut; and when nothing came that it does
//! not expect. The first way says what the rules do; another one that differs says that they are not deterministic.

use super::diff::meaning;
use super::file::{File, Look, Reply, Step, What};
use super::{Scenario, Setup, Way, differences};
use crate::service::Answer;
use std::collections::BTreeMap;
use std::path::Path;

/// What became of a file.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Empty: it holds.
    pub problems: Vec<Problem>,
    /// Reads that were not named before their batch, by store, when everything came at once.
    pub misses: Vec<(String, u64)>,
    /// The file's text as it must be to hold, when that was asked for and is possible.
    pub updated: Option<String>,
}

/// Something that is not as the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, from 1 on.
    pub line: usize,
    /// What, over one or more lines.
    pub text: String,
}

/// How one run went.
struct Run {
    /// By step that looks: its lines.
    looks: BTreeMap<usize, Vec<String>>,
    /// What was sent or refused after it was looked at last: the step that would look, and its lines.
    unseen: Vec<(String, Vec<String>)>,
    misses: Vec<(String, u64)>,
    /// Inputs and journal, read again from their start, come to the same; else how not.
    replayed: Result<(), String>,
}

/// Plays a file in every way. `setup`: the pipeline; `folder`: where the files of its swaps are; `seed`: of the first of the
/// random ways; `update`: the file may become what the rules do.
pub fn play(file: &File, setup: &Setup, folder: &Path, seed: u64, update: bool) -> Report {
    let mut report = Report::default();
    let mut first: Option<Run> = None;
    // Silence is measured anew after each crash: what waits by the clock is cut at random, and nothing more.
    let waits = file.steps.iter().any(|step| matches!(step.what, What::Wait(_)));
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
        if let Err(text) = &run.replayed
            && report.problems.is_empty()
        {
            let (line, text) = (file.lines.len(), text.clone());
            report.problems.push(Problem { line, text });
        }
        // What is wrong in one way is not shown again for the others.
        if !report.problems.is_empty() {
            report.updated = None;
            return report;
        }
        first.get_or_insert(run);
    }
    report
}

/// What is not as expected.
fn compare(file: &File, run: &Run) -> Vec<Problem> {
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

/// What is not as in the first run.
fn same(file: &File, first: &Run, run: &Run, way: Way) -> Vec<Problem> {
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
        // Numbers are of a process, and of what it knows to be committed.
        if matches!(step.what, What::Look(Look::Counters)) && restless {
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

/// The file's text, with what came in place of what was expected, where that differs.
fn updated(file: &File, run: &Run) -> String {
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

/// One run. Err: a step that can't be done.
fn run(file: &File, setup: Setup, folder: &Path) -> Result<Run, Problem> {
    let begun = Scenario::new(setup);
    let mut scenario = begun.map_err(|text| Problem { line: 1, text })?;
    let mut player = Player {
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
    let last = |text| Problem {
        line: file.lines.len(),
        text,
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

struct Player<'a> {
    /// How many lines of an output were expected already.
    seen: BTreeMap<String, usize>,
    misses: BTreeMap<String, u64>,
    folder: &'a Path,
}

/// What the dead letters are counted under, which is no name of an output.
const DEAD_LETTERS: &str = "\0";

impl Player<'_> {
    fn step(&mut self, scenario: &mut Scenario, file: &File, step: &Step) -> Result<Option<Vec<String>>, String> {
        match &step.what {
            What::Base { input, value } => scenario.base(input, value)?,
            What::Send { input, key, at, value } => scenario.send(input, key, *at, value.as_deref())?,
            What::Advance(at) => scenario.advance_to(*at)?,
            What::Wait(by) => scenario.wait(*by)?,
            What::Reply { lookup, end, answer } => {
                let answer = match answer {
                    Reply::Body(body) => Answer::Body(body.clone().into_bytes()),
                    Reply::Absent => Answer::Absent,
                    Reply::Unavailable => Answer::Unavailable,
                };
                scenario.reply(lookup, end, answer)?;
            }
            What::Crash => {
                self.count(scenario);
                scenario.crash()?;
            }
            What::Restart => {
                self.count(scenario);
                scenario.restart()?;
            }
            What::Swap {
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
                        if !why.contains(&expected) {
                            return Err(format!("it is refused for another reason: {why}"));
                        }
                    }
                    (Ok(()), true) => return Err("it is accepted, and should be refused".into()),
                    (swapped, false) => swapped?,
                }
            }
            What::Look(look) => return self.look(scenario, look).map(Some),
        }
        Ok(None)
    }

    fn look(&mut self, scenario: &mut Scenario, look: &Look) -> Result<Vec<String>, String> {
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
                let line = |question: super::Question| format!("{} {}", question.lookup, question.url);
                Ok(scenario.questions()?.into_iter().map(line).collect())
            }
        }
    }

    /// Those that were not looked at before.
    fn fresh(&mut self, name: &str, mut lines: Vec<String>) -> Vec<String> {
        let seen = self.seen.entry(name.to_owned()).or_default();
        lines.split_off(std::mem::replace(seen, lines.len()))
    }

    /// What nobody has looked at. In every run the same places, so that they can be compared.
    fn unseen(&mut self, scenario: &mut Scenario) -> Result<Vec<(String, Vec<String>)>, String> {
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

    /// Misses so far: those of a life end with it.
    fn count(&mut self, scenario: &mut Scenario) {
        for (store, count) in scenario.stage().missed() {
            let counted = self.misses.entry(store).or_default();
            *counted = count.max(*counted);
        }
    }
}
