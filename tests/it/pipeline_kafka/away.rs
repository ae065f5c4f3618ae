//! The broker or the registry is away, at the start or later.

use super::*;
use pelton_tests::rig::Record;

#[test]
fn a_broker_that_is_away_is_waited_for_at_the_start_and_in_the_middle() {
    let rig: &'static Rig = Box::leak(Box::new(Rig::kafka().unwrap()));
    let mut stage = Stage::new(rig, Source::None);
    let mut parts = stage.parts(varied(Format::Json, 30_000), 4);
    parts.put(&mut stage);
    rig.stop();
    let mut process = stage.run(&["workers=2"]);
    process.says("trying again", PATIENCE);
    rig.start().unwrap();
    let mut tail = stage.tail();
    tail.until(500, PATIENCE, || process.lives());
    parts.put(&mut stage);
    tail.until(tail.records.len() + 100, PATIENCE, || process.lives());
    rig.stop();
    tail.follow(Duration::from_secs(2));
    rig.start().unwrap();
    for _ in 0..2 {
        parts.put(&mut stage);
    }
    let expected = stage.expected();
    tail.until(expected.count(), PATIENCE, || process.lives());
    process.stop();
    tail.follow(Duration::from_millis(300));
    expected.check(&tail.records);
    rig.stop();
}

#[test]
fn a_registry_that_is_away_is_waited_for_at_the_start_and_when_a_new_schema_comes() {
    let gate = Gate::to(registry().url());
    let mut stage = Stage::new(Rig::shared(), Source::Registry);
    let mut parts = stage.parts(varied(Format::Avro, 3_000), 3);
    parts.put(&mut stage);
    gate.shut();
    let mut process = stage.run(&[&format!("schemas.registry={}", gate.url())]);
    process.says("trying again", PATIENCE);
    gate.open();
    let mut tail = stage.tail();
    let first = stage.expected();
    tail.until(first.count(), PATIENCE, || process.lives());

    // To the registry, the same schema with one more word is a different one. Its datums have the same bytes.
    gate.shut();
    let (_, schema) = stage::schemas().swap_remove(0);
    let newer = schema.replacen("\"type\"", "\"doc\": \"newer\", \"type\"", 1);
    assert_ne!(newer, schema);
    let id = registry()
        .register(&format!("{}-value", stage.inputs[2]), &newer)
        .unwrap();
    assert!(id > 4, "{id}");
    let written_anew = move |record: &Record| {
        let value = record
            .value
            .as_ref()
            .map(|value| [&[0], &id.to_be_bytes()[..], &value[5..]].concat());
        Record {
            value,
            ..record.clone()
        }
    };
    let wallet = stage.inputs[2].clone();
    stage.rewrite = Some((wallet, Box::new(written_anew)));
    parts.put(&mut stage);
    process.says("wait for their schema", PATIENCE);
    assert!(tail.records.len() <= stage.expected().count());
    gate.open();
    let second = stage.expected();
    tail.until(second.count(), PATIENCE, || process.lives());
    parts.put(&mut stage);
    let all = stage.expected();
    tail.until(all.count(), PATIENCE, || process.lives());
    process.stop();
    tail.follow(Duration::from_millis(200));
    all.check(&tail.records);
}
