//! Dead letters: unreadable input goes there as it came, with the reason and its origin.

use super::*;
use pelton_tests::rig::Record;

#[test]
fn what_can_not_be_read_goes_to_the_dead_letters_with_its_origin() {
    let mut stage = Stage::new(Rig::shared(), Source::Registry);
    let mut parts = stage.parts(varied(Format::Avro, 2_000), 2);
    parts.put(&mut stage);
    let wallet = 2;
    let record = |value: &[u8]| Record::new("somebody", value).at(1).time(7_000);
    let bad = [
        record(b"\0\0\0\0\x01\x00nonsense").header("trace", "t-1"),
        record(b"neither"),
        record(b""),
        // A schema that the registry does not know.
        record(b"\0\0\0\xff\xff\x00"),
        Record {
            key: None,
            ..record(b"\0\0\0\0\x01")
        },
        Record {
            value: None,
            ..record(b"")
        },
    ];
    let first = stage.records[wallet][1].len();
    stage.put(wallet, bad.to_vec());
    parts.put(&mut stage);
    let expected = stage.expected();
    let offsets: Vec<i64> = (first as i64..).take(bad.len()).collect();
    assert_eq!(expected.dead_letters.len(), bad.len());

    let process = stage.run(&[]);
    let mut letters = Tail::wait_for(stage.rig, &format!("{}-dead-letters", stage.name));
    letters.until(bad.len(), PATIENCE, || {});
    let mut tail = stage.tail();
    tail.until(expected.count(), PATIENCE, || {});
    process.stop();
    tail.follow(Duration::from_millis(200));
    letters.follow(Duration::from_millis(200));
    expected.check(&tail.records);

    assert_eq!(letters.records.len(), bad.len());
    for ((letter, sent), offset) in letters.records.iter().zip(&bad).zip(offsets) {
        assert_eq!(
            (&letter.key, &letter.value, letter.partition),
            (&sent.key, &sent.value, 1)
        );
        let header = |name: &str| {
            let found = letter.headers.iter().find(|(key, _)| key == name);
            let (_, value) = found.unwrap_or_else(|| panic!("no {name} in {letter:?}"));
            String::from_utf8(value.clone()).unwrap()
        };
        assert!(!header("pelton.reason").is_empty());
        assert_eq!(header("pelton.topic"), stage.inputs[wallet]);
        assert_eq!(header("pelton.partition"), "1");
        assert_eq!(header("pelton.offset"), offset.to_string());
        assert_eq!(header("pelton.version").len(), 12, "the head of a SHA-256");
        for (name, value) in &sent.headers {
            assert_eq!(header(name).as_bytes(), value);
        }
    }
}
