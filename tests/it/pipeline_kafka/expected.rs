//! The outputs that the auditor expects, and a check that they have come.
//!
//! Rule: values are compared byte for byte with those that are written here by hand, without the host's code.

use super::{Format, OUTPUT_PARTITIONS, PARTITIONS};
use pelton_demo::session_service::answer;
use pelton_demo::traffic::iso;
use pelton_tests::auditor::{self, Answer, Decimal, Enriched, Task, audit_with};
use pelton_tests::rig::{Read, Record};
use std::collections::HashMap;

/// A record that must come out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Wanted {
    key: Vec<u8>,
    value: Vec<u8>,
}

/// The expected outputs.
pub struct Expected {
    /// By task: outputs that must come in this order and with this timestamp.
    direct: Vec<Vec<(Wanted, i64)>>,
    /// Looked-up outputs. They come when their answer does.
    looked_up: HashMap<Wanted, usize>,
    /// By rank and partition: the first record that is not final.
    pub positions: Vec<Vec<i64>>,
    /// Unreadable records: (rank, partition, offset).
    pub dead_letters: Vec<(u16, i32, i64)>,
}

impl Expected {
    /// The expected outputs for these records, by rank and partition.
    pub fn of(format: Format, records: &[Vec<Vec<Record>>; 3]) -> Expected {
        let parameters = auditor::Parameters {
            format: match format {
                Format::Avro => auditor::Format::Avro,
                Format::Json => auditor::Format::Json,
            },
            ..auditor::Parameters::default()
        };
        let mut expected = Expected {
            direct: vec![],
            looked_up: HashMap::new(),
            positions: vec![vec![0; PARTITIONS as usize]; 3],
            dead_letters: vec![],
        };
        for partition in 0..PARTITIONS as usize {
            let log = |records: &Vec<Record>| {
                let read = |(offset, record): (usize, &Record)| auditor::Record {
                    offset: offset as i64,
                    key: record.key.clone(),
                    value: record.value.clone(),
                    appended: None,
                };
                records.iter().enumerate().map(read).collect()
            };
            let task = Task {
                partitions: records.iter().map(|topic| log(&topic[partition])).collect(),
                ..Task::default()
            };
            let audited = audit_with(&task, &parameters, |session| {
                Some(match answer(session.as_bytes()) {
                    Some(country) => Answer::Body(format!("{{\"clientCountryCode\":\"{country}\"}}").into_bytes()),
                    None => Answer::Absent,
                })
            });
            let mut direct = vec![];
            for output in audited.outputs {
                let wanted = Wanted {
                    value: match format {
                        Format::Avro => avro(&output.value),
                        Format::Json => json(&output.value),
                    },
                    key: output.key,
                };
                match output.looked_up {
                    true => *expected.looked_up.entry(wanted).or_default() += 1,
                    false => direct.push((wanted, output.timestamp)),
                }
            }
            expected.direct.push(direct);
            for (rank, positions) in expected.positions.iter_mut().enumerate() {
                let waiting = audited.waiting.iter().filter(|place| usize::from(place.rank) == rank);
                let read = records[rank][partition].len() as i64;
                positions[partition] = waiting.map(|place| place.offset).min().unwrap_or(read);
            }
            for letter in audited.dead_letters {
                expected
                    .dead_letters
                    .push((letter.place.rank, partition as i32, letter.place.offset));
            }
        }
        expected.dead_letters.sort();
        expected
    }

    /// The number of records that must come out.
    pub fn count(&self) -> usize {
        self.direct.iter().map(Vec::len).sum::<usize>() + self.looked_up.values().sum::<usize>()
    }

    /// How many of them were looked up.
    pub fn count_looked_up(&self) -> usize {
        self.looked_up.values().sum()
    }

    /// Checks that there are exactly these outputs, each once and in its partition. Those that were not looked up must
    /// have their timestamp, and be in the task's order.
    pub fn check(&self, records: &[Read]) {
        let mut looked_up = self.looked_up.clone();
        let mut direct: HashMap<(Wanted, i64), usize> = HashMap::new();
        for (wanted, timestamp) in self.direct.iter().flatten() {
            *direct.entry((wanted.clone(), *timestamp)).or_default() += 1;
        }
        let mut came: Vec<Vec<Vec<(Wanted, i64)>>> =
            vec![vec![vec![]; OUTPUT_PARTITIONS as usize]; PARTITIONS as usize];
        let mut unexpected = vec![];
        for record in records {
            let (Some(key), Some(value)) = (record.key.clone(), record.value.clone()) else {
                panic!("a record without key or value: {record:?}");
            };
            assert_eq!(
                record.partition,
                pelton::record::murmur2::partition(&key, OUTPUT_PARTITIONS).0,
                "{record:?}"
            );
            assert_eq!(record.headers, [], "{record:?}");
            let task = pelton::record::murmur2::partition(&key, PARTITIONS).index();
            let wanted = Wanted { key, value };
            let timed = (wanted.clone(), record.timestamp);
            if let Some(left) = direct.get_mut(&timed).filter(|left| **left > 0) {
                *left -= 1;
                came[task][record.partition as usize].push(timed);
            } else if let Some(left) = looked_up.get_mut(&wanted).filter(|left| **left > 0) {
                *left -= 1;
            } else {
                unexpected.push(record);
            }
        }
        let left = |left: &usize| *left > 0;
        let missing: Vec<_> = direct
            .iter()
            .filter(|(_, count)| left(count))
            .map(|(timed, _)| timed)
            .collect();
        let unanswered: Vec<_> = looked_up
            .iter()
            .filter(|(_, count)| left(count))
            .map(|(wanted, _)| wanted)
            .collect();
        let came_as = |wanted: &Wanted| {
            let id = &wanted.value[..60.min(wanted.value.len())];
            let near = unexpected
                .iter()
                .find(|record| record.value.as_ref().is_some_and(|value| value.starts_with(id)));
            near.map(|record| (record.timestamp, text(record.value.as_deref().unwrap_or_default())))
        };
        assert!(
            unexpected.is_empty() && missing.is_empty() && unanswered.is_empty(),
            "of {} records {} are unexpected, such as\n  {:?}\n{} are missing, such as\n  {:?}\n  came: {:?}\n{} looked up are missing, such \
             as\n  {:?}\n  came: {:?}",
            records.len(),
            unexpected.len(),
            unexpected
                .first()
                .map(|record| (record.timestamp, text(record.value.as_deref().unwrap_or_default()))),
            missing.len(),
            missing.first().map(|(wanted, at)| (at, text(&wanted.value))),
            missing.first().and_then(|(wanted, _)| came_as(wanted)),
            unanswered.len(),
            unanswered.first().map(|wanted| text(&wanted.value)),
            unanswered.first().and_then(|wanted| came_as(wanted)),
        );
        for (task, direct) in self.direct.iter().enumerate() {
            for (partition, came) in came[task].iter().enumerate() {
                let wanted = direct.iter().filter(|(wanted, _)| {
                    pelton::record::murmur2::partition(&wanted.key, OUTPUT_PARTITIONS).index() == partition
                });
                assert!(
                    wanted.eq(came),
                    "task {task} has written to partition {partition} in another order"
                );
            }
        }
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// An output's value in JSON.
fn json(value: &Enriched) -> Vec<u8> {
    let money = &value.money;
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let optional = |name: &str, text: &Option<String>| match text {
        Some(text) => format!("\"{name}\":{},", quoted(text)),
        None => String::new(),
    };
    let mut time = vec![];
    iso(&mut time, money.time);
    let mut all = format!(
        "{{\"money\":{{\"id\":{},\"userId\":{},{}\"processedAt\":\"{}\",\"amount\":{},\"currency\":{},\"closingBalance\":{},\
         \"moneyType\":{},\"isOldMoneyEvent\":{}}},",
        quoted(&money.id),
        quoted(&money.user),
        optional("userSessionId", &money.session),
        text(&time),
        plain(money.amount),
        quoted(&money.currency),
        plain(money.balance),
        quoted(&money.kind),
        money.old,
    );
    if let Some(user) = &value.user {
        let fields = optional("birthYear", &user.birth_year) + &optional("residentCountryCode", &user.country);
        all += &format!("\"userInfo\":{{{}}},", fields.trim_end_matches(','));
    }
    if let Some(country) = &value.session_country {
        all += &format!("\"sessionInfo\":{{\"clientCountryCode\":{}}},", quoted(country));
    }
    all += &format!("\"firstOccurrence\":{}}}", value.first);
    all.into_bytes()
}

/// A decimal without an exponent and trailing zeros.
fn plain(value: Decimal) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let (whole, part) = (value.unsigned_abs() / 10_000, value.unsigned_abs() % 10_000);
    match part {
        0 => format!("{sign}{whole}"),
        part => format!("{sign}{whole}.{}", format!("{part:04}").trim_end_matches('0')),
    }
}

/// An output's value in Avro, with the header of schema 4.
fn avro(value: &Enriched) -> Vec<u8> {
    let mut to = vec![0, 0, 0, 0, 4];
    let money = &value.money;
    string(&mut to, &money.id);
    string(&mut to, &money.user);
    nullable(&mut to, &money.session);
    long(&mut to, money.time);
    decimal(&mut to, money.amount);
    string(&mut to, &money.currency);
    decimal(&mut to, money.balance);
    string(&mut to, &money.kind);
    to.push(u8::from(money.old));
    match &value.user {
        None => to.push(0),
        Some(user) => {
            to.push(2);
            nullable(&mut to, &user.birth_year);
            nullable(&mut to, &user.country);
        }
    }
    nullable(&mut to, &value.session_country);
    to.push(u8::from(value.first));
    to
}

fn long(to: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest > 127 {
        to.push((rest & 127) as u8 | 128);
        rest >>= 7;
    }
    to.push(rest as u8);
}

fn string(to: &mut Vec<u8>, text: &str) {
    long(to, text.len() as i64);
    to.extend_from_slice(text.as_bytes());
}

fn nullable(to: &mut Vec<u8>, text: &Option<String>) {
    match text {
        None => to.push(0),
        Some(text) => {
            to.push(2);
            string(to, text);
        }
    }
}

/// The shortest two's complement.
fn decimal(to: &mut Vec<u8>, value: Decimal) {
    let bytes = value.to_be_bytes();
    let shortest = (1..=8).find(|size| {
        let sign = if value < 0 { 0xff } else { 0 };
        let (gone, kept) = bytes.split_at(8 - size);
        gone.iter().all(|byte| *byte == sign) && (kept[0] ^ sign) & 0x80 == 0
    });
    let size = shortest.expect("eight bytes hold it");
    long(to, size as i64);
    to.extend_from_slice(&bytes[8 - size..]);
}
