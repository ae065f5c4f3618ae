//! Shows the progress of a save: for people as a growing line, and for programs as one JSON object per line.
//!
//! Rule: longer text in between, such as differences and refusals, gets lines of its own, and the progress continues
//! below it.

use crate::say;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::time::{Duration, Instant};

/// Shows the progress of saves.
pub struct Reporter<'a> {
    out: &'a mut dyn Write,
    json: bool,
    /// When the current save happened.
    since: Instant,
    /// "saving", or "the start".
    from: &'static str,
    /// Whether a line is begun and not ended.
    open: bool,
    steps: Vec<(&'static str, Duration)>,
    record: Map<String, Value>,
}

impl<'a> Reporter<'a> {
    /// Starts with nothing shown.
    pub fn new(out: &'a mut dyn Write, json: bool) -> Reporter<'a> {
        Reporter {
            out,
            json,
            since: Instant::now(),
            from: "",
            open: false,
            steps: vec![],
            record: Map::new(),
        }
    }

    /// Begins a save.
    pub fn begin(&mut self, what: &str, files: Vec<String>, since: Instant) {
        (self.since, self.steps, self.record) = (since, vec![], Map::new());
        self.from = if files.is_empty() { "the start" } else { "saving" };
        self.event("saved", json!({ "files": files }));
        self.text(what);
    }

    /// Shows that a step is done. `name` is for the JSON, `text` for people.
    pub fn step(&mut self, name: &'static str, text: &str, took: Duration) {
        self.steps.push((name, took));
        self.event("step", json!({ "step": name, "ms": millis(took) }));
        self.text(&format!(" -> {text} {}", seconds(took)));
    }

    /// Shows text on lines of its own.
    pub fn block(&mut self, text: &str) {
        let text = text.trim_end();
        self.close();
        self.event("text", json!({ "text": text }));
        if !self.json {
            say(self.out, &format!("{text}\n"));
        }
    }

    /// Adds a value to the JSON object of the save's end.
    pub fn note(&mut self, name: &str, value: Value) {
        self.record.insert(name.into(), value);
    }

    /// Ends the save. `outcome` is for the JSON, `text` for people.
    pub fn end(&mut self, outcome: &str, text: &str) {
        let total = self.since.elapsed();
        let mut record = std::mem::take(&mut self.record);
        record.insert("outcome".into(), json!(outcome));
        record.insert("text".into(), json!(text));
        for (name, took) in &self.steps {
            record.insert(format!("{name}_ms"), json!(millis(*took)));
        }
        record.insert("total_ms".into(), json!(millis(total)));
        self.event("end", Value::Object(record));
        self.text(&format!(" -> {text}"));
        self.close();
    }

    /// Ends the save by saying that the new rules run.
    pub fn runs(&mut self, version: &str) {
        let total = self.since.elapsed();
        let of = |name: &str| -> Duration {
            let took = self.steps.iter().filter(|(step, _)| *step == name);
            took.map(|(_, took)| *took).sum()
        };
        let (build, compare) = (of("build"), of("compare"));
        let rest = total.saturating_sub(build);
        let own = rest.saturating_sub(compare);
        self.note("version", json!(version));
        self.note("without_build_ms", json!(millis(rest)));
        let mut text = format!("{version} runs ({} since {}", seconds(total), self.from);
        if !build.is_zero() {
            text += &format!("; {} without the build", seconds(rest));
        }
        if !compare.is_zero() {
            text += &format!("; {} without the comparison as well", seconds(own));
        }
        self.end("running", &(text + ")"));
    }

    /// Shows a line between saves.
    pub fn line(&mut self, event: &str, text: &str) {
        self.close();
        self.event(event, json!({ "text": text }));
        if !self.json {
            say(self.out, &format!("{text}\n"));
        }
    }

    /// Writes a JSON object for programs.
    fn event(&mut self, event: &str, of: Value) {
        if let (true, Value::Object(of)) = (self.json, of) {
            let mut record = Map::from_iter([("event".to_owned(), json!(event))]);
            record.extend(of);
            say(self.out, &format!("{}\n", Value::Object(record)));
        }
    }

    fn text(&mut self, text: &str) {
        if !self.json {
            // After a block, the line begins again.
            let text = if self.open {
                text
            } else {
                text.strip_prefix(' ').unwrap_or(text)
            };
            say(self.out, text);
            self.open = true;
        }
    }

    /// Ends the line, because the compiler will write lines of its own.
    pub fn close(&mut self) {
        if std::mem::take(&mut self.open) {
            say(self.out, "\n");
        }
    }
}

fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 10_000.0).round() / 10.0
}

/// Seconds as `0.05 s` or `3.2 s`.
fn seconds(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match seconds < 0.95 {
        true => format!("{seconds:.2} s"),
        false => format!("{seconds:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(json: bool) -> String {
        let mut out = vec![];
        let mut telling = Reporter::new(&mut out, json);
        telling.begin("saved src/lib.rs", vec!["src/lib.rs".into()], Instant::now());
        telling.step("build", "built", Duration::from_millis(3210));
        telling.step("scenarios", "12 scenarios", Duration::from_millis(50));
        telling.block("2 differences\n");
        telling.step("ready", "ready", Duration::from_millis(949));
        telling.end("held", "held");
        telling.begin("start", vec![], Instant::now());
        telling.step("compare", "compared", Duration::ZERO);
        telling.runs("abc");
        telling.line("gone", "the demo has ended");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_save_is_one_line_around_what_is_shown() {
        let expected = "saved src/lib.rs -> built 3.2 s -> 12 scenarios 0.05 s\n2 differences\n-> ready 0.95 s -> held\n\
                        start -> compared 0.00 s -> abc runs (0.00 s since the start)\nthe demo has ended\n";
        assert_eq!(printed(false), expected);
    }

    #[test]
    fn programs_get_an_object_a_line() {
        let text = printed(true);
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let events: Vec<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
        let expected = [
            "saved", "step", "step", "text", "step", "end", "saved", "step", "end", "gone",
        ];
        assert_eq!(events, expected);
        assert_eq!(lines[0]["files"], json!(["src/lib.rs"]));
        assert_eq!(lines[1], json!({ "event": "step", "step": "build", "ms": 3210.0 }));
        assert_eq!(
            (&lines[5]["outcome"], &lines[5]["build_ms"]),
            (&json!("held"), &json!(3210.0))
        );
        assert_eq!(
            (&lines[8]["outcome"], &lines[8]["version"]),
            (&json!("running"), &json!("abc"))
        );
    }
}
