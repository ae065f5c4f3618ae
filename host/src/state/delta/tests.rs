use super::*;
use crate::error::Failure;
use proptest::prelude::*;

fn cell(schema: u16, expires: Millis, value: &[u8]) -> StoreEntry<'_> {
    StoreEntry { schema, expires, value }
}

/// Each kind of change in each form, with the bytes of version 1 as they are on disks and in changelogs.
#[test]
fn version_1_is_pinned() {
    let mut delta = Delta::new();
    delta.meta(b"M");
    delta.names(b"NN");
    delta.put(b"k1", 3, b"e", cell(300, 1_700_000_000_123, b"value"));
    delta.put(b"k1", 3, b"", cell(0, FOREVER, b""));
    delta.put(b"k1", 0, b"x", cell(1, i64::MIN, b"v"));
    delta.put(b"k1", 0, b"x", cell(1, -2, b"v"));
    delta.delete(b"k2", 65535, b"ent");
    delta.set_timer(b"k2", 5, 7, b"t");
    delta.cancel_timer(b"k2", 5, 7, b"t");
    delta.push(Change::Ask {
        key: b"k2",
        lookup: 9,
        tag: b"tag",
        id: b"id",
        request: b"http://x",
    });
    delta.answered(b"", 9, b"tag");
    let expected: &[u8] = &[
        &[1][..],
        &[0, 1, b'M'],
        &[1, 2, b'N', b'N'],
        &[
            2, 2, b'k', b'1', 0x7b, 0x68, 0xe5, 0xcf, 0x8b, 0x01, 3, 0xac, 0x02, 1, b'e', 5, b'v', b'a', b'l', b'u',
            b'e',
        ],
        &[2 | 8 | 16, 3, 0, 0, 0],
        &[2 | 8 | 32, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 1, 1, b'x', 1, b'v'],
        &[2 | 8, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 1, 1, b'x', 1, b'v'],
        &[3, 2, b'k', b'2', 0xff, 0xff, 0x03, 3, b'e', b'n', b't'],
        &[4 | 8, 5, 0, 0, 0, 0, 0, 7, 1, b't'],
        &[5 | 8, 5, 0, 0, 0, 0, 0, 7, 1, b't'],
        &[
            6 | 8,
            9,
            3,
            b't',
            b'a',
            b'g',
            2,
            b'i',
            b'd',
            8,
            b'h',
            b't',
            b't',
            b'p',
            b':',
            b'/',
            b'/',
            b'x',
        ],
        &[7, 0, 9, 3, b't', b'a', b'g'],
    ]
    .concat();
    let records: Vec<&[u8]> = delta.records().collect();
    assert_eq!(records, [expected]);
    let back: Vec<Change> = read(expected).collect::<Result<_, _>>().unwrap();
    assert_eq!(back.len(), 11);
    assert_eq!(
        back[4],
        Change::Put {
            key: b"k1",
            store: 0,
            entry: b"x",
            cell: cell(1, i64::MIN, b"v"),
        }
    );
    assert_eq!(
        back[10],
        Change::Answered {
            key: b"",
            lookup: 9,
            tag: b"tag"
        }
    );
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => prop::collection::vec(any::<u8>(), 0..20), 1 => prop::collection::vec(any::<u8>(), 120..300)]
}

fn time() -> impl Strategy<Value = Millis> {
    prop_oneof![
        4 => 0..2_000_000_000_000i64,
        1 => any::<i64>(),
        1 => Just(FOREVER),
        1 => Just(SHORT_TIME),
        1 => Just(-SHORT_TIME),
        1 => Just(SHORT_TIME - 1),
    ]
}

/// The fields of any change: kind, key, two ids, strings, time.
type Any = (u8, Vec<u8>, u16, u16, Vec<u8>, Vec<u8>, Vec<u8>, Millis);

fn any_change() -> impl Strategy<Value = Any> {
    let key = prop_oneof![3 => Just(b"same".to_vec()), 1 => bytes()];
    (
        0..8u8,
        key,
        any::<u16>(),
        any::<u16>(),
        bytes(),
        bytes(),
        bytes(),
        time(),
    )
}

fn change((kind, key, id, schema, a, b, c, time): &Any) -> Change<'_> {
    match kind {
        0 => Change::Meta(a),
        1 => Change::Names(a),
        2 => Change::Put {
            key,
            store: *id,
            entry: a,
            cell: cell(*schema, *time, b),
        },
        3 => Change::Delete {
            key,
            store: *id,
            entry: a,
        },
        4 => Change::SetTimer {
            key,
            at: *time,
            kind: *id,
            tag: a,
        },
        5 => Change::CancelTimer {
            key,
            at: *time,
            kind: *id,
            tag: a,
        },
        6 => Change::Ask {
            key,
            lookup: *id,
            tag: a,
            id: b,
            request: c,
        },
        _ => Change::Answered {
            key,
            lookup: *id,
            tag: a,
        },
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(changes in prop::collection::vec(any_change(), 0..60)) {
        let mut delta = Delta::new();
        for c in &changes {
            delta.push(change(c));
        }
        let read: Vec<Change> = delta.records().flat_map(read).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(read, changes.iter().map(change).collect::<Vec<_>>());
    }

    #[test]
    fn hostile_bytes_never_panic(mut record in prop::collection::vec(any::<u8>(), 0..300), versioned: bool) {
        if versioned && !record.is_empty() {
            record[0] = DELTA.newest;
        }
        let read: Vec<_> = read(&record).collect();
        prop_assert!(read.iter().rev().skip(1).all(Result::is_ok));
    }

    #[test]
    fn damage_never_panics(changes in prop::collection::vec(any_change(), 1..10), at: prop::sample::Index, to: u8, cut: prop::sample::Index) {
        let mut delta = Delta::new();
        for c in &changes {
            delta.push(change(c));
        }
        let mut record = delta.records().next().unwrap().to_vec();
        let at = at.index(record.len());
        record[at] = to;
        record.truncate(cut.index(record.len()) + 1);
        read(&record).for_each(drop);
    }
}

#[test]
fn records_are_cut_below_their_limit() {
    let mut delta = Delta::new();
    let value = vec![7; 1000];
    for n in 0..2000u32 {
        delta.put(b"key", 1, &n.to_be_bytes(), cell(1, 5, &value));
    }
    delta.put(b"key", 1, b"large", cell(1, 5, &vec![1; 2 * RECORD_MAX]));
    delta.put(b"key", 1, b"after", cell(1, 5, b""));
    let sizes: Vec<usize> = delta.records().map(<[u8]>::len).collect();
    assert_eq!(sizes.len(), 6);
    assert!(sizes[..3].iter().all(|&n| n <= RECORD_MAX && n > RECORD_MAX - 1200));
    assert!(sizes[4] > 2 * RECORD_MAX && sizes[5] < 50);
    assert_eq!(delta.records().flat_map(read).filter(|c| c.is_ok()).count(), 2002);
    delta.clear();
    assert!(delta.is_empty() && delta.records().next().is_none());
}

#[test]
fn an_unknown_version_is_refused_in_words() {
    let refused = |record| match read(record).next() {
        Some(Err(torn)) => torn,
        other => panic!("{other:?}"),
    };
    let newer = refused(&[DELTA.newest + 1, META, 0]);
    assert!(
        newer
            .to_string()
            .starts_with("a record of state changes has format version 2"),
        "{newer}"
    );
    assert!(matches!(newer.into(), Failure::Fatal(_)));
    assert!(matches!(refused(&[]).into(), Failure::Corrupted(_)));
    assert!(matches!(
        refused(&[DELTA.newest, META, 9]).into(),
        Failure::Corrupted(_)
    ));
}
