//! Nanoseconds per record of each program of `convert`, on records like those of the money pipeline.
//!
//! `cargo run --release -p pelton-convert --example convert_speed`
#![expect(clippy::disallowed_methods, reason = "it measures")]

use pelton_convert::{AvroTime, JsonReader, JsonTime, JsonWriter, Resolver, Template, Validator};
use std::hint::black_box;
use std::time::Instant;

const WALLET: &str = include_str!("../src/tests/wallet.avsc");
const ENRICHED: &str = include_str!("../src/tests/enriched.avsc");
const MONEY: &str = r#"{"type":"PaymentEvent","id":"5f2b7f0e-6f1c-4a43-9d41-02c1a2a4f1d7","userId":"8d0d9c5e-0d58-4f7c-8c7e-3b8a9a6a2b11","userSessionId":"c3b1f5de-1a4e-4b0e-a9a6-6f3f9f6f0c01","processedAt":"2020-12-16T00:03:00.000Z","amount":-12.5,"currency":"EUR","openingBalance":1000.1234,"closingBalance":987.6234,"moneyType":"REAL_CASH","paymentRelatedThing":"card ending 4242","isOldMoneyEvent":false}"#;
const OUTPUT: &str = r#"{"money":{"id":"5f2b7f0e-6f1c-4a43-9d41-02c1a2a4f1d7","userId":"8d0d9c5e-0d58-4f7c-8c7e-3b8a9a6a2b11","userSessionId":"c3b1f5de-1a4e-4b0e-a9a6-6f3f9f6f0c01","processedAt":"2020-12-16T00:03:00.000Z","amount":-12.5,"currency":"EUR","closingBalance":987.6234,"moneyType":"REAL_CASH","isOldMoneyEvent":false},"userInfo":{"birthYear":"1980","residentCountryCode":"CA"},"sessionInfo":{"clientCountryCode":"DE"},"firstOccurrence":true}"#;

/// The median of 15 rounds.
fn measure(name: &str, mut convert: impl FnMut(&mut Vec<u8>)) {
    const CALLS: u32 = 20_000;
    let mut out = Vec::new();
    let mut rounds: Vec<_> = (0..15)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..CALLS {
                out.clear();
                convert(&mut out);
                black_box(&out);
            }
            start.elapsed().as_nanos() as f64 / f64::from(CALLS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{name:<44} {:>7.0} ns", rounds[rounds.len() / 2]);
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut wallet = Vec::new();
    JsonReader::new(WALLET)?.convert(MONEY.as_bytes(), &mut wallet)?;
    let mut enriched = Vec::new();
    JsonReader::new(ENRICHED)?.convert(OUTPUT.as_bytes(), &mut enriched)?;
    println!("wallet event: {} B of JSON, {} B of Avro", MONEY.len(), wallet.len());
    println!(
        "enriched event: {} B of JSON, {} B of Avro",
        OUTPUT.len(),
        enriched.len()
    );
    json(&wallet, &enriched)?;
    times(&wallet)?;
    resolvers(&wallet)?;
    template()
}

/// JSON to Avro and back.
fn json(wallet: &[u8], enriched: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let reader = JsonReader::new(WALLET)?;
    measure("JsonReader, wallet", |out| {
        reader.convert(black_box(MONEY.as_bytes()), out).unwrap_or_default()
    });
    let reversed = reversed();
    measure("JsonReader, wallet, members reversed", |out| {
        reader.convert(black_box(reversed.as_bytes()), out).unwrap_or_default();
    });
    let reader = JsonReader::new(ENRICHED)?;
    measure("JsonReader, enriched", |out| {
        reader.convert(black_box(OUTPUT.as_bytes()), out).unwrap_or_default()
    });
    let writer = JsonWriter::new(WALLET)?;
    measure("JsonWriter, wallet", |out| {
        writer.convert(black_box(wallet), out).unwrap_or_default()
    });
    let writer = JsonWriter::new(ENRICHED)?;
    measure("JsonWriter, enriched", |out| {
        writer.convert(black_box(enriched), out).unwrap_or_default()
    });
    Ok(())
}

/// Programs that only look at a value.
fn times(wallet: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let time = JsonTime::new("processedAt");
    measure("JsonTime, wallet", |_| {
        _ = black_box(time.of(black_box(MONEY.as_bytes())))
    });
    let time = AvroTime::new(WALLET, "processedAt")?;
    measure("AvroTime, wallet", |_| _ = black_box(time.of(black_box(wallet))));
    let validator = Validator::new(WALLET)?;
    measure("Validator, wallet", |_| {
        _ = black_box(validator.check(black_box(wallet)))
    });
    Ok(())
}

/// Avro of one schema to Avro of another.
fn resolvers(wallet: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let same = Resolver::new(WALLET, WALLET)?;
    measure("Resolver, same layout", |out| {
        same.convert(black_box(wallet), out).unwrap_or_default()
    });
    let currency = r#"{"name": "currency", "type": "string"},"#;
    let fewer = WALLET.replacen(r#"{"name": "moneyType", "type": "string"},"#, "", 1);
    let fewer = Resolver::new(WALLET, &fewer)?;
    measure("Resolver, a field removed", |out| {
        fewer.convert(black_box(wallet), out).unwrap_or_default()
    });
    let moved = WALLET
        .replacen(currency, "", 1)
        .replacen(r#""fields": ["#, &format!(r#""fields": [{currency}"#), 1);
    let moved = Resolver::new(WALLET, &moved)?;
    measure("Resolver, a field moved", |out| {
        moved.convert(black_box(wallet), out).unwrap_or_default()
    });
    Ok(())
}

/// The URL of a question.
fn template() -> Result<(), Box<dyn std::error::Error>> {
    let request = r#"{"type":"record","name":"Request","fields":[{"name":"userSessionId","type":"string"}]}"#;
    let template = Template::new("http://sessions/api/session/{userSessionId}", request)?;
    let mut asked = Vec::new();
    JsonReader::new(request)?.convert(
        br#"{"userSessionId":"c3b1f5de-1a4e-4b0e-a9a6-6f3f9f6f0c01"}"#,
        &mut asked,
    )?;
    measure("Template", |out| {
        template.render(black_box(&asked), out).unwrap_or_default()
    });
    Ok(())
}

/// The wallet event with its members in reverse: the worst order.
fn reversed() -> String {
    let members: Vec<_> = MONEY
        .trim_matches(['{', '}'])
        .split(",\"")
        .map(|member| member.trim_start_matches('"'))
        .collect();
    let members: Vec<_> = members.iter().rev().map(|member| format!("\"{member}")).collect();
    format!("{{{}}}", members.join(","))
}
