//! Compares decoding and encoding with apache-avro's `Value`: `cargo run --release -p pelton-avro-oracle --example
//! speed`. Prints the best and the median of 41 rounds.
#![expect(clippy::disallowed_methods, reason = "it measures")]

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use pelton_avro_oracle::schema::{Money, MoneyEnriched, PaymentEvent, SessionInfo, UserInfo, WalletEvent};
use pelton_sdk::avro::{Datum, Decimal, decode_all};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 41;

fn main() {
    let decimal = |unscaled| Decimal::new(unscaled).unwrap();
    let payment = PaymentEvent {
        id: "0b5b1f1c-8a55-4b0e-9d1b-0d4b9a6f0c11",
        user_id: "7d9f4c1e-2f7a-4a39-8a54-6b1d3e2c9a77",
        user_session_id: Some("f3a1c2d4-5e6f-4a7b-8c9d-0e1f2a3b4c5d"),
        processed_at: 1_608_076_980_000,
        amount: decimal(1_234_500),
        currency: "EUR",
        opening_balance: decimal(99_999_999_999),
        closing_balance: decimal(100_001_234_499),
        money_type: "CARD_PAYMENT_WITH_3DS",
        payment_related_thing: "a thing that is related to the payment, and is text of about eighty bytes",
        is_old_money_event: false,
    };
    let enriched = MoneyEnriched {
        money: Money {
            id: payment.id,
            user_id: payment.user_id,
            user_session_id: payment.user_session_id,
            processed_at: payment.processed_at,
            amount: payment.amount,
            currency: payment.currency,
            closing_balance: payment.closing_balance,
            money_type: payment.money_type,
            is_old_money_event: false,
        },
        user_info: Some(UserInfo {
            birth_year: Some("1984"),
            resident_country_code: Some("CA"),
        }),
        session_info: Some(SessionInfo {
            client_country_code: "CA",
        }),
        first_occurrence: true,
    };
    measure::<PaymentEvent<'static>>("PaymentEvent", &payment);
    measure::<WalletEvent<'static>>("WalletEvent", &WalletEvent::Payment(payment));
    measure::<MoneyEnriched<'static>>("MoneyEnriched", &enriched);
}

fn measure<T: Datum>(name: &str, value: &T::Of<'_>) {
    let mut bytes = Vec::new();
    T::encode(value, &mut bytes);
    let schema = Schema::parse_str(T::SCHEMA).unwrap();
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    let theirs = reader.read_value(&mut &bytes[..]).unwrap();
    println!("{name}, {} bytes (ns, best / median)", bytes.len());
    report("decode", 20_000, || {
        black_box(decode_all::<T>(black_box(&bytes)).unwrap());
    });
    let mut out = Vec::with_capacity(1024);
    report("encode", 20_000, || {
        out.clear();
        T::encode(black_box(value), &mut out);
        black_box(&out);
    });
    report("apache-avro decode", 500, || {
        black_box(reader.read_value(&mut black_box(&bytes[..])).unwrap());
    });
    report("apache-avro encode", 500, || {
        out.clear();
        writer.write_value_ref(&mut out, black_box(&theirs)).unwrap();
        black_box(&out);
    });
}

fn report(what: &str, times: u32, mut run: impl FnMut()) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..times).for_each(|_| run());
            start.elapsed().as_nanos() as f64 / f64::from(times)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("  {what:<20} {:>6.0} / {:>6.0}", rounds[0], rounds[ROUNDS / 2]);
}
