//! All formats, with one value of each kind, as bytes.
//!
//! Rules:
//! - What an earlier version has written is read with its meaning. As long as a format keeps its number, it is also
//!   written to the same bytes, because instances of both versions may share a pipeline.
//! - A new format fails a test until the fixture has a value of it.

mod samples;

use super::fixture;
use pelton::record::encoding::{ALL, CONTROL, Encoding, STORED};
use samples::{Sample, samples};

/// The text of the fixture.
pub fn text() -> String {
    let line = |sample: Sample| {
        let hex: String = sample.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}\t{hex}\n", sample.name)
    };
    samples().into_iter().map(line).collect()
}

/// When a format gets its next number, this compares with the fixture of that version: see the README.
#[test]
fn each_format_is_written_as_before() {
    fixture::same(&text(), &fixture::text("formats"));
}

/// The values of the fixture, with their names.
fn kept() -> Vec<(String, Vec<u8>)> {
    let text = fixture::text("formats");
    let kept = text.lines().map(|line| {
        let (name, hex) = line.split_once('\t').expect("a name and its bytes");
        let digits = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
        let bytes = digits.map(|digits| u8::from_str_radix(digits, 16).expect("hexadecimal"));
        (name.to_owned(), bytes.collect())
    });
    kept.collect()
}

#[test]
fn each_format_is_read_as_before() {
    let (kept, samples) = (kept(), samples());
    assert_eq!(kept.len(), samples.len());
    for ((name, bytes), sample) in kept.iter().zip(samples) {
        assert_eq!(*name, sample.name);
        assert!((sample.means)(bytes), "{name} means something else");
    }
}

/// The version in which the fixture's Pelton has written a format.
fn released(format: Encoding) -> u8 {
    if format == STORED {
        // It is in the fixture's RocksDB, which `stored` opens.
        return 1;
    }
    let (kept, samples) = (kept(), samples());
    let its = kept
        .iter()
        .zip(&samples)
        .filter(|(_, sample)| sample.format == Some(format));
    let versions: Vec<u8> = its.map(|((_, bytes), _)| bytes[0]).collect();
    let Some(version) = versions.first() else {
        panic!(
            "the fixture has no value of {}: see docs/internals/formats.md",
            format.what
        )
    };
    assert!(versions.iter().all(|other| other == version), "{}", format.what);
    *version
}

/// The test above shows that the readers are right. This one shows that every format has a reader, and that the rules
/// for a change are kept.
#[test]
fn each_format_has_a_reader_for_the_version_before() {
    let changed = |format: &Encoding| format.newest != released(*format);
    for format in ALL {
        let (what, before) = (format.what, released(format));
        assert!(
            format.oldest <= before,
            "{what}: nobody reads version {before} any more, which the release before has written"
        );
        assert!(
            format.newest <= before + 1,
            "{what}: one release brings one new version at most, and {before} is the one before"
        );
    }
    assert!(
        changed(&CONTROL) || !ALL.iter().any(changed),
        "a format has a new version: the control topic's records get one, too, so that an older instance in the group ends at \
         once, in words, and not when it meets the other format"
    );
}
