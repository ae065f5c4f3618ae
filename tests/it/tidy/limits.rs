//! Reads `limits.txt`: what breaks a rule for now, and by how much.
//!
//! Rules:
//! - The list only shrinks. Nothing is added to it, and no number in it grows. It is compared with every version of it
//!   in git. A new rule may begin with what there is.
//! - What has moved is compared with what it was before, using the list's own table of moves. If places were split or
//!   joined, all of them together may break a rule only as much as all of them did before.

use super::source::root;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const FILE: &str = "tests/it/tidy/limits.txt";

pub struct Limits {
    /// By rule, and then by place.
    rules: BTreeMap<String, BTreeMap<String, usize>>,
    /// Where something was, and where it or a part of it is now.
    moves: BTreeSet<(String, String)>,
}

impl Limits {
    /// The limits as they are now.
    pub fn read() -> Limits {
        Limits::parse(&std::fs::read_to_string(root().join(FILE)).expect("the limits"))
    }

    /// Parses the list. A line has a rule, a number, and the place that may break the rule. Or it has `moved` and two
    /// paths.
    fn parse(text: &str) -> Limits {
        let mut rules: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        let mut moves = BTreeSet::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            if let Some(paths) = line.strip_prefix("moved ") {
                let (from, to) = paths.split_once(' ').expect("two paths");
                moves.insert((from.to_owned(), to.to_owned()));
                continue;
            }
            let (rule, number) = (words.next().expect("a rule"), words.next().expect("a number"));
            let number = number.parse().unwrap_or_else(|_| panic!("{FILE}: {line}"));
            let place = words.collect::<Vec<_>>().join(" ");
            let before = rules.entry(rule.to_owned()).or_default().insert(place, number);
            assert!(before.is_none(), "{FILE} has this twice: {line}");
        }
        Limits { rules, moves }
    }

    /// Compares the limits with what was found to break a rule. A number may be below its limit by less than `slack`.
    pub fn compare(&self, rule: &str, found: &BTreeMap<String, usize>, slack: usize) -> Vec<String> {
        let none = BTreeMap::new();
        let limits = self.rules.get(rule).unwrap_or(&none);
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

    /// Where this list is more lenient than an older version.
    fn laxer_than(&self, older: &Limits) -> Vec<String> {
        let moves: Vec<_> = self.moves.difference(&older.moves).collect();
        let mut wrong = vec![];
        for (rule, limits) in &self.rules {
            let Some(before) = older.rules.get(rule) else { continue };
            let mut left: BTreeSet<&str> = limits.keys().map(String::as_str).collect();
            while let Some(place) = left.first() {
                let group = together(place, &moves, limits.keys().chain(before.keys()));
                left.retain(|place| !group.contains(place));
                let sum = |of: &BTreeMap<String, usize>| group.iter().filter_map(|place| of.get(*place)).sum::<usize>();
                let (now, then) = (sum(limits), sum(before));
                let places = group.iter().filter(|place| limits.contains_key(**place));
                let places = places.copied().collect::<Vec<_>>().join(", ");
                match then {
                    0 => wrong.push(format!("{rule} {places}: is new on the list")),
                    _ if then < now => wrong.push(format!("{rule} {places}: was {then}, is {now}")),
                    _ => {}
                }
            }
        }
        wrong
    }
}

/// This place, with every place that it has come from or become, directly or not.
fn together<'a>(
    place: &'a str,
    moves: &[&(String, String)],
    places: impl Iterator<Item = &'a String>,
) -> BTreeSet<&'a str> {
    let mut left: BTreeSet<&str> = places.map(String::as_str).collect();
    let (mut group, mut next) = (BTreeSet::new(), vec![place]);
    while let Some(one) = next.pop() {
        group.insert(one);
        left.remove(one);
        let related = |other: &&str| {
            let path = |(from, to): &(String, String)| is_moved(one, other, from, to) || is_moved(other, one, from, to);
            moves.iter().any(|moved| path(moved))
        };
        next.extend(left.iter().filter(|other| related(other)));
    }
    group
}

/// Whether `new` is now the place of `old`, or of a part of it, if `from` has become `to`. A place may be a file
/// (`a/b.rs main`), or a folder that contains it.
fn is_moved(old: &str, new: &str, from: &str, to: &str) -> bool {
    let below = |place: &str, path: &str| {
        let rest = place.strip_prefix(path)?;
        let whole = rest.is_empty() || rest.starts_with(['/', '.']);
        whole.then(|| rest.to_owned())
    };
    let same = below(old, from).is_some_and(|rest| below(new, to) == Some(rest));
    let whole = below(from, old).is_some();
    same || whole && (below(to, new).is_some() || below(new, to).is_some())
}

/// Where the list has become more lenient than any version in git.
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

#[test]
fn what_has_moved_is_compared_with_what_it_was() {
    let before = Limits::parse("lines 450 a/b.rs\nfunction 90 a/b/c.rs run\nup 9 a\nup 2 d\n");
    let now = "moved a/b e/f/b\nmoved a a\nmoved d a\nlines 450 e/f/b.rs\nfunction 90 e/f/b/c.rs run\nup 8 e\nup 3 a\n";
    assert_eq!(Limits::parse(now).laxer_than(&before), [""; 0]);
    let laxer = now.replace("450", "500").replace("up 3", "up 4");
    let wrong = Limits::parse(&laxer).laxer_than(&before);
    assert_eq!(wrong, ["lines e/f/b.rs: was 450, is 500", "up a, e: was 11, is 12"]);
    // A version that knows the move is compared place by place.
    let (before, now) = (now, now.replace("up 8", "up 7").replace("up 3", "up 4"));
    let wrong = Limits::parse(&now).laxer_than(&Limits::parse(before));
    assert_eq!(wrong, ["up a: was 3, is 4"]);
}
