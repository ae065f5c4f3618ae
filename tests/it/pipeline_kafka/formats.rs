//! The same pipeline on topics in JSON, and in Avro with a registry and with a folder of schemas.

use super::*;

/// The number of money events in each.
const MONEY: u64 = 20_000;

fn runs(source: Source, format: Format) {
    let mut stage = Stage::new(Rig::shared(), source);
    stage.produce(varied(format, MONEY));
    let expected = stage.expected();
    assert!(expected.count_looked_up() > 100, "the traffic asks the service");
    let mut tail = stage.tail();
    let mut process = stage.run(&[]);
    tail.until(expected.count(), PATIENCE, || process.lives());
    process.stop();
    tail.follow(Duration::from_millis(200));
    expected.check(&tail.records);
}

#[test]
fn topics_in_json_are_enriched_as_the_contract_says() {
    runs(Source::None, Format::Json);
}

#[test]
fn topics_in_avro_are_enriched_with_a_registry() {
    runs(Source::Registry, Format::Avro);
}

#[test]
fn topics_in_avro_are_enriched_with_a_folder_of_schemas() {
    runs(Source::Folder, Format::Avro);
}
