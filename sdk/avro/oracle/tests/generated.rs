//! Tests of selected generated types: their names, their content, and what they refuse.

use pelton_avro_oracle::schema::*;
use pelton_sdk::avro::{Array, Datum, Decimal, Decoder, Malformed, Map, NullLast, Wire, decode_all};

fn encoded<T: Datum>(value: &T::Of<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    T::encode(value, &mut out);
    out
}

fn decoded<'a, T: Wire<'a>>(bytes: &'a [u8]) -> Result<T, Malformed> {
    T::read(&mut Decoder::new(bytes))
}

fn payment() -> PaymentEvent<'static> {
    PaymentEvent {
        id: "i",
        user_id: "u",
        user_session_id: Some("s"),
        processed_at: 1,
        amount: Decimal::new(-1).unwrap(),
        currency: "EUR",
        opening_balance: Decimal::new(0).unwrap(),
        closing_balance: Decimal::new(128).unwrap(),
        money_type: "m",
        payment_related_thing: "p",
        is_old_money_event: true,
    }
}

#[test]
fn each_field_stands_where_the_schema_says() {
    let bytes = encoded::<WalletEvent<'static>>(&WalletEvent::Payment(payment()));
    let expected = b"\x00\x02i\x02u\x02\x02s\x02\x02\xFF\x06EUR\x02\x00\x04\x00\x80\x02m\x02p\x01";
    assert_eq!(bytes, expected);
    assert_eq!(
        decode_all::<WalletEvent<'static>>(expected),
        Ok(WalletEvent::Payment(payment()))
    );
}

#[test]
fn what_is_wrong_is_named_by_its_path() {
    let say = |bytes: &[u8]| decode_all::<WalletEvent<'static>>(bytes).unwrap_err().to_string();
    assert_eq!(say(b"\x06"), "WalletEvent: expected a branch of the union, 0 to 2");
    assert_eq!(
        say(b"\x00\x02i"),
        "WalletEvent.PaymentEvent.userId: expected more bytes"
    );
    assert_eq!(
        say(b"\x00\x02\xFF"),
        "WalletEvent.PaymentEvent.id: expected text in UTF-8"
    );
    let mut bytes = encoded::<UserInfo<'static>>(&UserInfo::default());
    assert_eq!(bytes, [0, 0]);
    bytes.push(0);
    let error = decode_all::<UserInfo<'static>>(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "expected the end: there are bytes after the datum");
}

#[test]
fn every_cut_of_a_datum_is_refused() {
    let bytes = encoded::<WalletEvent<'static>>(&WalletEvent::Payment(payment()));
    for end in 0..bytes.len() {
        assert!(decode_all::<WalletEvent<'static>>(&bytes[..end]).is_err(), "{end}");
    }
}

#[test]
fn everything_comes_back() {
    let tags = [NullLast(Some("x")), NullLast(None)];
    let items = [
        Item {
            id: "1",
            tags: Array::new(&tags),
        },
        Item {
            id: "2",
            tags: Array::EMPTY,
        },
    ];
    let prices = [("k", items[1]), ("l", items[0])];
    let numbers = [5, -6, i64::MIN + 1];
    let value = Everything {
        r#type: (),
        yes: true,
        int: i32::MIN,
        long: i64::MAX,
        float: 1.5,
        double: -2.5,
        text: "ü",
        bytes: &[0, 255],
        md5: &[7; 16],
        md5_again: &[8; 16],
        currency: Currency::Usd,
        small: Decimal::new(999_999_999_999_999_999).unwrap(),
        large: Decimal::new(-(10i128.pow(38) - 1)).unwrap(),
        wide: Decimal::new(-5).unwrap(),
        first: Some(1),
        last: Some(2),
        source: EverythingSource::CardSource(CardSource { pan: "4" }),
        items: Array::new(&items),
        prices: Map::from(&prices[..]),
        nulls: Array::new(&[(), (), ()]),
        mixed: Array::new(&[EverythingMixedItem::Int(1), EverythingMixedItem::String("2")]),
        numbers: Array::from(&numbers),
    };
    let bytes = encoded::<Everything<'static>>(&value);
    let again = decode_all::<Everything<'static>>(&bytes).unwrap();
    assert_eq!(again, value);
    assert_eq!(encoded::<Everything<'static>>(&again), bytes);
    assert_eq!(again.items.iter().map(|item| item.id).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(
        again.items.iter().next().unwrap().tags.iter().last(),
        Some(NullLast(None))
    );
    assert_eq!(again.prices.get("l").unwrap(), items[0]);
    assert_eq!(again.prices.get("m"), None);
    assert_eq!((again.nulls.len(), again.numbers.iter().sum::<i64>()), (3, i64::MIN));
    assert_eq!(
        (Currency::Other.symbol(), Currency::default()),
        ("other", Currency::Other)
    );
    assert_eq!(format!("{:?} {:?}", again.small, again.wide), "99999999999999.9999 -5");
}

#[test]
fn defaults_are_those_of_the_schema() {
    let value = Defaults::default();
    assert_eq!((value.yes, value.int, value.float, value.double), (true, -3, 1.0, 2.5));
    assert_eq!(
        (value.text, value.bytes, value.two),
        ("a \"b\"\né", &b"\0\xFF\""[..], b"ab")
    );
    assert_eq!(
        (value.color, Color::default(), value.money.to_string()),
        (Color::Green, Color::Red, "-0.01".into())
    );
    assert_eq!(
        (value.none, value.some, value.either),
        (None, Some("some"), DefaultsEither::Int(5))
    );
    assert_eq!(
        value.list.iter().collect::<Vec<_>>(),
        [NullLast(Some("x")), NullLast(Some("y"))]
    );
    let nested: Vec<Vec<i32>> = value.nested.iter().map(|inner| inner.iter().collect()).collect();
    assert_eq!(nested, [vec![1], vec![], vec![2, 3]]);
    assert_eq!((value.empty.len(), value.map.get("k")), (0, Some(1)));
    assert_eq!(value.inner, Inner { a: 1, b: "b" });
    assert_eq!(
        decode_all::<Defaults<'static>>(&encoded::<Defaults<'static>>(&value)),
        Ok(value)
    );
}

#[test]
fn arrays_may_come_in_any_blocks_and_leave_in_one() {
    // Two blocks with a size, then one without.
    let bytes = [3, 4, 2, 4, 2, 6, 0];
    let array: Array<i64> = decoded(&bytes).unwrap();
    assert_eq!(array.iter().collect::<Vec<_>>(), [1, 2, 3]);
    let mut out = Vec::new();
    array.write(&mut out);
    assert_eq!(out, [6, 2, 4, 6, 0]);
    assert_eq!(array, Array::new(&[1, 2, 3]));
    assert_ne!(array, Array::new(&[1, 2, 4]));
}

#[test]
fn arrays_that_lie_are_refused_at_once() {
    let long = |value: i64| encoded::<i64>(&value);
    let refused = |bytes: &[u8]| {
        let (longs, nulls) = (decoded::<Array<i64>>(bytes), decoded::<Array<()>>(bytes));
        assert!(longs.is_err() && nulls.is_err(), "{bytes:?} {longs:?} {nulls:?}");
    };
    for count in [1 << 60, i64::MAX, i64::MIN, -(1 << 60)] {
        refused(&[long(count), long(0), vec![0]].concat());
        refused(&[long(count), vec![2; 40], vec![0]].concat());
    }
    // A count that is allowed, again and again.
    refused(&long(1 << 16).repeat(100));
    // The size is not that of the block.
    refused(&[3, 6, 2, 4, 0]);
    refused(&[]);
    // A varint without an end, and one of 70 bits.
    assert!(decoded::<i64>(&[0xFF; 20]).is_err());
    assert!(decoded::<i64>(&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2]).is_err());
    assert_eq!(
        decoded::<i64>(&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]),
        Ok(i64::MIN)
    );
    assert!(decoded::<i32>(&long(1 << 31)).is_err());
    // Invalid lengths.
    assert!(decoded::<&[u8]>(&long(-1)).is_err());
    assert!(decoded::<&str>(&long(i64::MAX)).is_err());
}

#[test]
fn decimals_have_no_more_digits_than_their_precision() {
    type Cents = Decimal<4, 2>;
    assert_eq!(Cents::new(9999).unwrap().to_string(), "99.99");
    assert_eq!(Cents::new(-5).unwrap().to_string(), "-0.05");
    assert_eq!(
        (Cents::new(10_000), Cents::new(-10_000), Cents::new(i64::MIN)),
        (None, None, None)
    );
    let one = Cents::new(1).unwrap();
    assert_eq!(Cents::new(9999).unwrap().checked_add(one), None);
    assert_eq!(Cents::new(-9999).unwrap().checked_sub(one), None);
    assert_eq!(one.checked_sub(one), Cents::new(0));
    assert_eq!((Cents::SCALE, Cents::PRECISION), (2, 4));
    for (bytes, value) in [
        (&[2, 0][..], Some(0)),
        (&[2, 0xFF], Some(-1)),
        (&[4, 0x27, 0x0F], Some(9999)),
        (&[4, 0x27, 0x10], None),
        (&[4, 0xD8, 0xF1], Some(-9999)),
        (&[4, 0xD8, 0xF0], None),
        // No bytes are not a number.
        (&[0], None),
        // Longer than necessary, even longer than the integer.
        (&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7], Some(7)),
        (
            &[20, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE],
            Some(-2),
        ),
        (&[18, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], None),
        (&[18, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1], None),
    ] {
        assert_eq!(decoded::<Cents>(bytes).ok().map(Cents::unscaled), value, "{bytes:?}");
    }
    type Wide = Decimal<38, 0, 0, i128>;
    let most = 10i128.pow(38) - 1;
    for value in [most, -most, 0, 127, 128, -128, -129, i128::from(i64::MIN) - 1] {
        let mut out = Vec::new();
        Wide::new(value).unwrap().write(&mut out);
        assert_eq!(decoded::<Wide>(&out).unwrap().unscaled(), value);
    }
    assert_eq!(
        (
            Wide::new(most + 1),
            Wide::new(most).unwrap().checked_add(Wide::new(most).unwrap())
        ),
        (None, None)
    );
}

/// Values with different lifetimes can be mixed, because views are covariant.
#[test]
fn a_borrowed_value_can_live_shorter() {
    fn shorter<'a>(item: Item<'static>, id: &'a str) -> Item<'a> {
        Item { id, ..item }
    }
    let id = String::from("local");
    assert_eq!(
        shorter(
            Item {
                id: "",
                tags: Array::EMPTY
            },
            &id
        )
        .id,
        "local"
    );
}
