//! Checks the pages of the repository (`*.md`).
//!
//! Rule: every link leads somewhere, every page of `docs/` is in its index, and the pages that newcomers read from
//! start to end stay short.

use super::none;
use super::source::{files, root};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The pages that newcomers read from start to end, and the most lines that they may have.
const ENTRY_PAGES: &[(&str, usize)] = &[("ARCHITECTURE.md", 200), ("README.md", 150)];

/// The most characters in a line of prose. Tables, code and pictures may be wider.
const PROSE_MAX: usize = 120;

const INDEX: &str = "docs/README.md";

#[test]
fn links_lead_somewhere() {
    let pages: Vec<(String, String)> = files(&["md"]).collect();
    assert!(pages.len() > 20, "the pages are read");
    let wrong = pages.iter().flat_map(|(path, text)| broken_links(path, text));
    none(wrong.collect(), "mend the link, or restore what it leads to");
}

#[test]
fn broken_links_are_found() {
    let page = "# A page\n[a](LICENSE-MIT) [b](nowhere.md) [c](#a-page)\n\
                [d](#nothing) [e](README.md#try-it) [f](README.md#try) ![g](no.svg) [h](https://example.org/x)\n\
                ```\n[i](nowhere)\n```\n";
    let broken = broken_links("PAGE.md", page);
    assert_eq!(
        broken,
        [
            "PAGE.md:2: nowhere.md",
            "PAGE.md:3: #nothing",
            "PAGE.md:3: README.md#try",
            "PAGE.md:3: no.svg"
        ]
    );
}

#[test]
fn headings_have_the_anchors_that_github_gives_them() {
    let page = "# `pelton dev`: see it\n## Why?\n## Why?\n```\n# no heading\n```\n## State, and time-outs\n";
    assert_eq!(
        anchors(page),
        ["pelton-dev-see-it", "why", "why-1", "state-and-time-outs"]
    );
}

#[test]
fn pages_are_in_the_index() {
    let index = fs::read_to_string(root().join(INDEX)).expect("the index");
    let listed: Vec<&str> = links(&index).map(|(_, target)| target).collect();
    let below = |path: &String| path.strip_prefix("docs/").is_some_and(|page| !listed.contains(&page));
    let wrong = files(&["md"])
        .map(|(path, _)| path)
        .filter(|path| path != INDEX && below(path));
    none(wrong.collect(), "add it to docs/README.md");
}

#[test]
fn entry_pages_are_short() {
    let lines: BTreeMap<String, usize> = files(&["md"])
        .map(|(path, text)| (path, text.lines().count()))
        .collect();
    let wrong = ENTRY_PAGES.iter().filter(|(page, max)| lines[*page] > *max);
    none(
        wrong
            .map(|(page, max)| format!("{page}: {} lines, at most {max}", lines[*page]))
            .collect(),
        "move what only some readers need to docs/",
    );
}

#[test]
fn lines_of_prose_are_short() {
    let mut wrong = Vec::new();
    for (path, text) in files(&["md"]) {
        let wide_by_nature = |line: &str| ["|", "#", "![", "    "].iter().any(|start| line.starts_with(start));
        for (number, line) in outside_of_code(&text) {
            let length = line.chars().count();
            if length > PROSE_MAX && !wide_by_nature(line) {
                wrong.push(format!("{path}:{number}: {length} characters, at most {PROSE_MAX}"));
            }
        }
    }
    none(wrong, "break the line");
}

/// The relative links of a page whose file or heading does not exist.
fn broken_links(page: &str, text: &str) -> Vec<String> {
    let here = root().join(page);
    let folder = here.parent().expect("a page is in a folder");
    let mut broken = Vec::new();
    for (number, target) in links(text) {
        if target.contains("://") {
            continue;
        }
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let exists = match (path, anchor) {
            ("", anchor) => anchors(text).iter().any(|known| known == anchor),
            (path, "") => folder.join(path).exists(),
            (path, anchor) => has_anchor(&folder.join(path), anchor),
        };
        if !exists {
            broken.push(format!("{page}:{number}: {target}"));
        }
    }
    broken
}

fn has_anchor(page: &Path, anchor: &str) -> bool {
    fs::read_to_string(page).is_ok_and(|text| anchors(&text).iter().any(|known| known == anchor))
}

/// The targets of a page's links and pictures, each with its line number.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    outside_of_code(text).flat_map(|(number, line)| {
        let targets = line.split("](").skip(1);
        targets.filter_map(move |rest| Some((number, rest.split_once(')')?.0)))
    })
}

/// The anchors of a page's headings.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (_, line) in outside_of_code(text) {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let slug: String = title
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let count = seen.entry(slug.clone()).or_default();
        anchors.push(if *count == 0 { slug } else { format!("{slug}-{count}") });
        *count += 1;
    }
    anchors
}

/// The lines of a page that are not between fences, each with its number.
fn outside_of_code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((index + 1, line))
    })
}
