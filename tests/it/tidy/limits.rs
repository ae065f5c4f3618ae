//! What breaks a rule for now, and by how much: `limits.txt`.
//!
//! Rule: the list only shrinks. Nothing is added to it and no number in it grows; it is compared with every version of it that
//! git has. A rule that is new may begin with what there is.

use super::source::root;
use std::collections::BTreeMap;
use std::process::Command;

const FILE: &str = "tests/it/tidy/limits.txt";

/// By rule, and by what breaks it.
pub struct Limits(BTreeMap<String, BTreeMap<String, usize>>);

impl Limits {
    /// As they are now.
    pub fn read() -> Limits {
        Limits::parse(&std::fs::read_to_string(root().join(FILE)).expect("the limits"))
    }

    /// Lines of a rule, a number, and the rest: what may break the rule.
    fn parse(text: &str) -> Limits {
        let mut rules: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let (rule, number) = (words.next().expect("a rule"), words.next().expect("a number"));
            let number = number.parse().unwrap_or_else(|_| panic!("{FILE}: {line}"));
            let place = words.collect::<Vec<_>>().join(" ");
            let before = rules.entry(rule.to_owned()).or_default().insert(place, number);
            assert!(before.is_none(), "{FILE} has this twice: {line}");
        }
        Limits(rules)
    }

    /// What is wrong with what was found to break a rule. A number may be below its limit by less than `slack`.
    pub fn compare(&self, rule: &str, found: &BTreeMap<String, usize>, slack: usize) -> Vec<String> {
        let none = BTreeMap::new();
        let limits = self.0.get(rule).unwrap_or(&none);
        let mut wrong = vec![];
        for (place, number) in found {
            match limits.get(place) {
                None => wrong.push(format!("{place}: {number}")),
                Some(limit) if number > limit => wrong.push(format!("{place}: {number}, at most {limit}")),
                Some(limit) if limit - number >= slack => {
                    wrong.push(format!("{place}: only {number} now: write that into {FILE}"));
                }
                Some(_) => {}
            }
        }
        let better = limits.keys().filter(|place| !found.contains_key(*place));
        wrong.extend(better.map(|place| format!("{place}: keeps the rule now: take it off {FILE}")));
        wrong
    }

    /// Where this is laxer than an older version.
    fn laxer_than(&self, older: &Limits) -> Vec<String> {
        let mut wrong = vec![];
        for (rule, limits) in &self.0 {
            let Some(before) = older.0.get(rule) else { continue };
            for (place, limit) in limits {
                match before.get(place) {
                    None => wrong.push(format!("{rule} {place}: is new on the list")),
                    Some(before) if before < limit => wrong.push(format!("{rule} {place}: was {before}, is {limit}")),
                    Some(_) => {}
                }
            }
        }
        wrong
    }
}

/// Where the list has become laxer, by any version that git has.
pub fn laxer() -> Vec<String> {
    let now = Limits::read();
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(root())
            .args(arguments)
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // Without git, or without its history, there is nothing to compare with.
    let commits = git(&["log", "--format=%h", "--", FILE]).unwrap_or_default();
    let mut wrong = vec![];
    for commit in commits.lines() {
        if let Some(text) = git(&["show", &format!("{commit}:{FILE}")]) {
            let laxer = now.laxer_than(&Limits::parse(&text)).into_iter();
            wrong.extend(laxer.map(|what| format!("{what}, at {commit}")));
        }
    }
    wrong
}

#[test]
fn limits_only_shrink() {
    let (before, now) = ("up 3 a\nup 2 b\nlines 450 c\n", "up 2 a\nup 3 b\nup 1 d\nnew 7 e\n");
    let wrong = Limits::parse(now).laxer_than(&Limits::parse(before));
    assert_eq!(wrong, ["up b: was 2, is 3", "up d: is new on the list"]);
    let found = [("a".to_owned(), 1), ("f".to_owned(), 1)].into();
    let wrong = Limits::parse(now).compare("up", &found, 1);
    assert_eq!(wrong.len(), 4, "{wrong:?}");
}
