//! Tests that the traffic is what its parameters say.

use super::*;
use crate::session_service::country;
use std::collections::HashMap;

/// A copy of a record: stream, partition, key, arrival, value.
type Kept = (Stream, Partition, Vec<u8>, Millis, Vec<u8>);

fn all(parameters: Parameters) -> (Vec<Kept>, Made) {
    let mut traffic = Traffic::new(parameters);
    let mut records = Vec::new();
    while let Some(item) = traffic.next() {
        records.push((
            item.stream,
            item.partition,
            item.key.to_vec(),
            item.timestamp,
            item.value.to_vec(),
        ));
    }
    assert!(traffic.ended());
    (records, traffic.made())
}

fn small() -> Parameters {
    Parameters {
        money: 20_000,
        users: 1_000,
        span: 600_000,
        format: Format::Json,
        ..Parameters::default()
    }
}

fn time_of(value: &serde_json::Value) -> Millis {
    let text = value["processedAt"].as_str().unwrap();
    let number = |range: std::ops::Range<usize>| text[range].parse::<Millis>().unwrap();
    // All times are on one day or the next. 2020-12-16 is day 18,612.
    let day = 18_612 + number(8..10) - 16;
    (((day * 24 + number(11..13)) * 60 + number(14..16)) * 60 + number(17..19)) * 1000 + number(20..23)
}

#[test]
fn the_same_seed_gives_the_same_traffic_and_another_one_another() {
    assert_eq!(all(small()), all(small()));
    assert_ne!(all(small()).0, all(Parameters { seed: 2, ..small() }).0);
}

#[test]
fn the_benchmarks_shares_are_kept() {
    let (records, made) = all(small());
    assert_eq!((made.money, made.repeated, made.ignored), (20_000, 0, 12));
    assert_eq!(made.records(), records.len() as u64);
    assert!((1_999..=2_000).contains(&made.user_changes), "{made:?}");
    assert!((150..250).contains(&made.duplicates), "{made:?}");
    assert!((2_400..3_200).contains(&made.sessions), "{made:?}");
    let wallet = records.iter().filter(|record| record.0 == Stream::Wallet);
    let values: Vec<serde_json::Value> = wallet
        .map(|record| serde_json::from_slice(&record.4).unwrap())
        .collect();
    let without = values
        .iter()
        .filter(|v| v["moneyType"].is_string() && v["userSessionId"].is_null())
        .count();
    assert!((300..500).contains(&without), "{without}");
}

#[test]
fn arrivals_go_up_and_event_times_are_at_most_the_disorder_behind() {
    let parameters = small();
    let (records, _) = all(parameters.clone());
    let end = parameters.start + parameters.span;
    for pair in records.windows(2) {
        assert!(pair[0].3 <= pair[1].3);
    }
    let mut behind = 0;
    for (_, partition, key, arrival, value) in &records {
        let value: serde_json::Value = serde_json::from_slice(value).unwrap();
        let time = time_of(&value);
        let again = parameters.duplicate_delay;
        if time < end + 60_000 {
            assert!(
                time <= *arrival && time >= arrival - parameters.disorder - again,
                "{time} {arrival}"
            );
            behind = behind.max(arrival - time);
        }
        assert_eq!(
            *partition,
            pelton::record::murmur2::partition(key, parameters.partitions)
        );
        assert_eq!(value["userId"].as_str().unwrap().as_bytes(), key);
    }
    assert!(behind > 4_900);
    let closing = records.iter().rev().take(12);
    assert!(
        closing
            .clone()
            .all(|r| time_of(&serde_json::from_slice(&r.4).unwrap()) >= end + 3_600_000)
    );
    let places: std::collections::BTreeSet<_> = closing.map(|r| (r.0.topic(), r.1)).collect();
    assert_eq!(places.len(), 12);
}

#[test]
fn duplicates_are_equal_byte_by_byte() {
    let (records, made) = all(Parameters {
        duplicates_after_ttl: 0.01,
        ..small()
    });
    let mut seen: HashMap<&[u8], Vec<Millis>> = HashMap::new();
    for record in records.iter().filter(|record| record.0 == Stream::Wallet) {
        seen.entry(&record.4).or_default().push(record.3);
    }
    let delays: Vec<Millis> = seen
        .values()
        .flat_map(|at| at[1..].iter().map(move |again| again - at[0]))
        .collect();
    assert_eq!(delays.len() as u64, made.duplicates + made.repeated);
    assert!(made.repeated > 100);
    assert!(
        delays
            .iter()
            .all(|delay| (1..=20_000).contains(delay) || (90_000..=120_000).contains(delay))
    );
}

#[test]
fn sessions_come_before_their_money_but_for_a_few() {
    let (records, made) = all(small());
    let (mut opened, mut first) = (HashMap::new(), HashMap::new());
    for (at, record) in records.iter().enumerate() {
        let value: serde_json::Value = serde_json::from_slice(&record.4).unwrap();
        let time = time_of(&value);
        if let Some(session) = value["userSessionId"].as_str() {
            first.entry(session.to_owned()).or_insert((at, time));
        } else if record.0 == Stream::Session && value["clientCountryCode"].is_string() {
            assert_eq!(
                value["clientCountryCode"],
                country(value["id"].as_str().unwrap().as_bytes())
            );
            opened.insert(value["id"].as_str().unwrap().to_owned(), (at, time));
        }
    }
    assert_eq!(opened.len() as u64, made.sessions);
    assert!(first.keys().all(|session| opened.contains_key(session)));
    let after = first
        .iter()
        .filter(|(session, money)| opened[*session].0 > money.0)
        .count();
    assert!((40..140).contains(&after), "{after}");
    let before = first
        .iter()
        .filter(|(session, money)| opened[*session].0 < money.0 && opened[*session].1 > money.1);
    assert_eq!(before.count(), 0);
}

#[test]
fn what_is_wanted_beyond_the_benchmark_comes_too() {
    let (records, made) = all(Parameters {
        money: 20_000,
        users: 1_000,
        format: Format::Json,
        ..Parameters::varied()
    });
    assert!(made.repeated > 10 && made.ignored > 1_000);
    let mut late = 0;
    let mut old = 0;
    for record in records.iter().filter(|record| record.0 == Stream::Wallet) {
        let value: serde_json::Value = serde_json::from_slice(&record.4).unwrap();
        late += usize::from(record.3 - time_of(&value) >= 30_000);
        old += usize::from(value["isOldMoneyEvent"] == true);
    }
    assert!(late > 50 && old > 50, "{late} {old}");
}

#[test]
fn live_traffic_waits_for_the_clock() {
    let mut traffic = Traffic::new(Parameters {
        closing: None,
        ..small()
    });
    let start = small().start;
    let mut before = 0;
    for seconds in [0, 1, 60, 300, 700] {
        while let Some(item) = traffic.due(start + seconds * 1000) {
            assert!(item.timestamp <= start + seconds * 1000);
        }
        assert!(traffic.made().money > before || seconds == 700);
        before = traffic.made().money;
    }
    assert!(traffic.ended());
    assert_eq!(traffic.made().money, 20_000);
}
