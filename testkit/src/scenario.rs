//! A scenario that panics with a readable text where something can't be, or is not as expected.

use super::done;
use pelton::record::Millis;
use pelton::service::Answer;
use pelton::testkit::{self, differences, parse_time};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// What happens to a pipeline, and what comes of it. See [`Pipeline`](crate::Pipeline).
pub struct Scenario(testkit::Scenario);

/// A time since the start: `"1m30s"`, or milliseconds.
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

    /// What is below, for what has no word here.
    pub fn engine(&mut self) -> &mut testkit::Scenario {
        &mut self.0
    }

    /// Every value of this input has these fields from now on, unless it says otherwise.
    #[track_caller]
    pub fn base(&mut self, input: &str, value: Value) {
        done(self.0.base(input, &value.to_string()));
    }

    /// A record comes into an input. `at`: its timestamp, and its event time unless the value has one.
    #[track_caller]
    pub fn send(&mut self, input: &str, key: &str, at: impl Time, value: Value) {
        let value = (!value.is_null()).then(|| value.to_string());
        done(self.0.send(input, key, at.millis(), value.as_deref()));
    }

    /// Any bytes come into an input: a datum with its schema id in front, or something broken.
    #[track_caller]
    pub fn send_bytes(&mut self, input: &str, key: &[u8], at: impl Time, value: Vec<u8>) {
        done(self.0.send_bytes(input, key, at.millis(), Some(value)));
    }

    /// Event time of every input comes to `at`: what is before it is final, and done; what comes later for it is late.
    #[track_caller]
    pub fn advance_to(&mut self, at: impl Time) {
        done(self.0.advance_to(at.millis()));
    }

    /// Nothing comes for so long, by the clock: silent inputs become idle, as the pipeline's file says.
    #[track_caller]
    pub fn wait(&mut self, by: Duration) {
        done(self.0.wait(by));
    }

    /// The service answers the open questions of a lookup whose URL ends so with this body.
    #[track_caller]
    pub fn reply(&mut self, lookup: &str, end: &str, body: Value) {
        self.answer(lookup, end, Answer::Body(body.to_string().into_bytes()));
    }

    /// As [`reply`](Scenario::reply), also that there is nothing, or not at all.
    #[track_caller]
    pub fn answer(&mut self, lookup: &str, end: &str, answer: Answer) {
        done(self.0.reply(lookup, end, answer));
    }

    /// The process is killed, with what is open, and started again.
    #[track_caller]
    pub fn crash(&mut self) {
        done(self.0.crash());
    }

    /// The process is stopped and started again.
    #[track_caller]
    pub fn restart(&mut self) {
        done(self.0.restart());
    }

    /// Another component from here on, as a deploy brings it.
    #[track_caller]
    pub fn swap(&mut self, rules: impl AsRef<Path>) {
        done(self.try_swap(Some(rules.as_ref()), None));
    }

    /// Other rules or settings from here on; what is none stays. Err: they are refused, why; the old ones run on.
    #[track_caller]
    pub fn try_swap(&mut self, rules: Option<&Path>, settings: Option<Value>) -> Result<(), String> {
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
            // The key, the time, the value: only a key in quotes may hold spaces.
            let words =
                done(testkit::words(&line).map(|words| words.into_iter().map(str::to_owned).collect::<Vec<_>>()));
            done(serde_json::from_str(&words[2]).map_err(|why| format!("{line}: {why}")))
        };
        lines.map(value).collect()
    }

    /// Asserts the records of an output so far: `KEY TIME VALUE`; with fields (`a.b`): what stands there, instead of the value.
    #[track_caller]
    pub fn expect<'a>(&mut self, output: &str, fields: &[&str], expected: impl IntoIterator<Item = &'a str>) {
        let came = done(self.0.outputs(output, fields));
        same(output, expected, &came);
    }

    /// Asserts what a store holds: `KEY VALUE` or `KEY ENTRY VALUE`, with ` until TIME` where it is gone at some time.
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

    /// Asserts what was refused: `KEY FROM "REASON"`.
    #[track_caller]
    pub fn expect_dead_letters<'a>(&mut self, expected: impl IntoIterator<Item = &'a str>) {
        let came = done(self.0.dead_letters());
        same("dead letters", expected, &came);
    }

    /// Asserts the questions that wait for their replies: `LOOKUP URL`.
    #[track_caller]
    pub fn expect_questions<'a>(&mut self, expected: impl IntoIterator<Item = &'a str>) {
        let came = done(self.0.questions()).into_iter();
        let came: Vec<String> = came
            .map(|question| format!("{} {}", question.lookup, question.url))
            .collect();
        same("questions", expected, &came);
    }

    /// Asserts what the rules have counted. Not where processes die at random: counters are of a process.
    #[track_caller]
    pub fn expect_count(&mut self, counter: &str, expected: u64) {
        done(self.0.settle());
        let stage = self.0.stage();
        if !stage.is_restless() {
            assert_eq!(stage.counted(counter), expected, "{counter}");
        }
    }

    /// Reads of state that `reads` had not named, by store: each costs a call of its own.
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
