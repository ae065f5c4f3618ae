//! A scenario for tests: it panics with a readable text if something is impossible or unexpected.

use super::done::done;
use pelton::record::Millis;
use pelton::service::Answer;
use pelton::testkit::{self, ScenarioError, differences, parse_time};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// What happens to a pipeline, and what results from it. See [`Pipeline`](crate::Pipeline).
pub struct Scenario(testkit::Scenario);

/// A time since the start, as text like `"1m30s"` or in milliseconds.
pub trait Time {
    /// Milliseconds since the start.
    fn millis(&self) -> Millis;
}

impl Time for &str {
    #[track_caller]
    fn millis(&self) -> Millis {
        parse_time(self).unwrap_or_else(|| panic!("{self}: expected a time since the start, such as 1m30s"))
    }
}

impl Time for Millis {
    fn millis(&self) -> Millis {
        *self
    }
}

impl Scenario {
    pub(super) fn of(engine: testkit::Scenario) -> Scenario {
        Scenario(engine)
    }

    /// The scenario itself, for what is not offered here.
    pub fn engine(&mut self) -> &mut testkit::Scenario {
        &mut self.0
    }

    /// Gives every later value of this input these fields, unless it has them itself.
    #[track_caller]
    pub fn base(&mut self, input: &str, value: Value) {
        done(self.0.base(input, &value.to_string()));
    }

    /// Sends a record to an input. `at` is its timestamp, and its event time unless the value has one.
    #[track_caller]
    pub fn send(&mut self, input: &str, key: &str, at: impl Time, value: Value) {
        let value = (!value.is_null()).then(|| value.to_string());
        done(self.0.send(input, key, at.millis(), value.as_deref()));
    }

    /// Sends any bytes to an input: a schema id and a datum, or something broken.
    #[track_caller]
    pub fn send_bytes(&mut self, input: &str, key: &[u8], at: impl Time, value: Vec<u8>) {
        done(self.0.send_bytes(input, key, at.millis(), Some(value)));
    }

    /// Advances the event time of every input to `at`. Everything before it is then final and processed, and earlier
    /// records are late.
    #[track_caller]
    pub fn advance_to(&mut self, at: impl Time) {
        done(self.0.advance_to(at.millis()));
    }

    /// Lets this much time pass by the clock without records. Silent inputs become idle as configured.
    #[track_caller]
    pub fn wait(&mut self, by: Duration) {
        done(self.0.wait(by));
    }

    /// Answers a lookup's open questions whose URL ends with `end` with this body.
    #[track_caller]
    pub fn reply(&mut self, lookup: &str, end: &str, body: Value) {
        self.answer(lookup, end, Answer::Body(body.to_string().into_bytes()));
    }

    /// Like [`reply`](Scenario::reply), but it can also answer that there is nothing, or not answer.
    #[track_caller]
    pub fn answer(&mut self, lookup: &str, end: &str, answer: Answer) {
        done(self.0.reply(lookup, end, answer));
    }

    /// Kills the process, so that everything open is lost, and starts it again.
    #[track_caller]
    pub fn crash(&mut self) {
        done(self.0.crash());
    }

    /// Stops the process and starts it again.
    #[track_caller]
    pub fn restart(&mut self) {
        done(self.0.restart());
    }

    /// Deploys another component.
    #[track_caller]
    pub fn swap(&mut self, rules: impl AsRef<Path>) {
        done(self.try_swap(Some(rules.as_ref()), None));
    }

    /// Deploys other rules or settings; `None` keeps the current ones. Fails if they are refused; then the old ones
    /// keep running.
    #[track_caller]
    pub fn try_swap(&mut self, rules: Option<&Path>, settings: Option<Value>) -> Result<(), ScenarioError> {
        let component = rules.map(|path| {
            let read = std::fs::read(path);
            done(read.map_err(|why| format!("{} can't be read: {why}", path.display())))
        });
        self.0.swap(component.as_deref(), settings)
    }

    /// The values of an output's records so far, in order.
    #[track_caller]
    pub fn outputs(&mut self, output: &str) -> Vec<Value> {
        let lines = done(self.0.outputs(output, &[])).into_iter();
        let value = |line: String| {
            // The words are the key, the time and the value. Only a key in quotes may contain spaces.
            let words =
                done(testkit::words(&line).map(|words| words.into_iter().map(str::to_owned).collect::<Vec<_>>()));
            done(serde_json::from_str(&words[2]).map_err(|why| format!("{line}: {why}")))
        };
        lines.map(value).collect()
    }

    /// Asserts the records of an output so far: `KEY TIME VALUE`. With `fields` (such as `a.b`), only the values of
    /// these fields.
    #[track_caller]
    pub fn expect<'a>(&mut self, output: &str, fields: &[&str], expected: impl IntoIterator<Item = &'a str>) {
        let came = done(self.0.outputs(output, fields));
        same(output, expected, &came);
    }

    /// Asserts the content of a store: `KEY VALUE` or `KEY ENTRY VALUE`, with ` until TIME` if it expires.
    #[track_caller]
    pub fn expect_state<'a>(&mut self, store: &str, expected: impl IntoIterator<Item = &'a str>) {
        let came = done(self.0.state(store));
        same(store, expected, &came);
    }

    /// Asserts the timers that are set: `KEY TIME NAME`.
    #[track_caller]
    pub fn expect_timers<'a>(&mut self, expected: impl IntoIterator<Item = &'a str>) {
        let came = done(self.0.timers());
        same("timers", expected, &came);
    }

    /// Asserts the refused inputs: `KEY FROM "REASON"`.
    #[track_caller]
    pub fn expect_dead_letters<'a>(&mut self, expected: impl IntoIterator<Item = &'a str>) {
        let came = done(self.0.dead_letters());
        same("dead letters", expected, &came);
    }

    /// Asserts the questions that wait for replies: `LOOKUP URL`.
    #[track_caller]
    pub fn expect_questions<'a>(&mut self, expected: impl IntoIterator<Item = &'a str>) {
        let came = done(self.0.questions()).into_iter();
        let came: Vec<String> = came
            .map(|question| format!("{} {}", question.lookup, question.url))
            .collect();
        same("questions", expected, &came);
    }

    /// Asserts a counter of the rules. Don't use it in random runs, because a counter starts again when its process
    /// does.
    #[track_caller]
    pub fn expect_count(&mut self, counter: &str, expected: u64) {
        done(self.0.settle());
        let stage = self.0.stage();
        if !stage.is_restless() {
            assert_eq!(stage.counted(counter), expected, "{counter}");
        }
    }

    /// Reads of state that were not announced, by store. Each needs a call of its own.
    #[track_caller]
    pub fn misses(&mut self) -> Vec<(String, u64)> {
        done(self.0.settle());
        self.0.stage().missed()
    }

    #[track_caller]
    pub(super) fn everything(&mut self) -> Vec<(String, Vec<String>)> {
        done(self.0.everything())
    }

    #[track_caller]
    pub(super) fn check_replay(&mut self) {
        done(self.0.check_replay());
    }
}

#[track_caller]
fn same<'a>(what: &str, expected: impl IntoIterator<Item = &'a str>, came: &[String]) {
    let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
    if let Some(text) = differences(&expected, came) {
        panic!("{what} (- expected, + came)\n{text}");
    }
}
