//! Conversion of times to and from ISO-8601 text.
//!
//! Rule: a text must name one instant, so it needs an offset. Digits finer than the unit are rounded down.
//!
//! Accepted: `2020-12-16T00:03:00.123Z`; `t`, `z` or a space instead of the capital letters; no seconds; any number of
//! fraction digits, also after a comma; an offset `+01:00`, `+0100` or `+01`; years of more than four digits if they
//! have a sign. A leap second is read as the first second of the next minute, and `24:00` as midnight.

const DAY: i64 = 86_400;

/// Parses ISO-8601 text with an offset to seconds and nanoseconds since 1970.
#[inline]
pub(super) fn parse(text: &[u8]) -> Option<(i64, u32)> {
    let mut rest = text;
    let year = year(&mut rest)?;
    expect(&mut rest, b'-')?;
    let month = two(&mut rest)?;
    expect(&mut rest, b'-')?;
    let day = two(&mut rest)?;
    if !(1..=12).contains(&month) || !(1..=days_of_month(year, month)).contains(&day) {
        return None;
    }
    let [b'T' | b't' | b' ', time @ ..] = rest else {
        return None;
    };
    rest = time;
    let hour = two(&mut rest)?;
    expect(&mut rest, b':')?;
    let minute = two(&mut rest)?;
    let mut second = 0;
    let mut nanos = 0;
    if let [b':', time @ ..] = rest {
        rest = time;
        second = two(&mut rest)?;
        if let [b'.' | b',', time @ ..] = rest {
            rest = time;
            nanos = fraction(&mut rest)?;
        }
    }
    let midnight = hour == 24 && minute == 0 && second == 0 && nanos == 0;
    if (hour > 23 && !midnight) || minute > 59 || second > 60 {
        return None;
    }
    let offset = offset(rest)?;
    Some((
        days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset,
        nanos,
    ))
}

/// Milliseconds since 1970, or `None` if it is no valid text or exceeds 64 bits.
#[inline]
pub(super) fn parse_millis(text: &[u8]) -> Option<i64> {
    let (seconds, nanos) = parse(text)?;
    seconds.checked_mul(1_000)?.checked_add(i64::from(nanos / 1_000_000))
}

/// Microseconds since 1970, or `None` if it is no valid text or exceeds 64 bits.
pub(super) fn parse_micros(text: &[u8]) -> Option<i64> {
    let (seconds, nanos) = parse(text)?;
    seconds.checked_mul(1_000_000)?.checked_add(i64::from(nanos / 1_000))
}

/// Appends a time like `2020-12-16T00:03:00.000Z`.
#[inline]
pub fn write_millis(millis: i64, out: &mut Vec<u8>) {
    write_seconds(millis.div_euclid(1_000), out);
    write_digits(millis.rem_euclid(1_000), 3, out);
    out.push(b'Z');
}

/// Appends a time like `2020-12-16T00:03:00.000000Z`.
pub(super) fn write_micros(micros: i64, out: &mut Vec<u8>) {
    write_seconds(micros.div_euclid(1_000_000), out);
    write_digits(micros.rem_euclid(1_000_000), 6, out);
    out.push(b'Z');
}

fn write_seconds(seconds: i64, out: &mut Vec<u8>) {
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    match year {
        0..=9999 => write_digits(year, 4, out),
        _ => {
            out.push(if year < 0 { b'-' } else { b'+' });
            let year = year.abs();
            write_digits(year, year.ilog10().max(3) as usize + 1, out);
        }
    }
    for (mark, number) in [
        (b'-', month),
        (b'-', day),
        (b'T', second / 3600),
        (b':', second / 60 % 60),
        (b':', second % 60),
    ] {
        out.extend_from_slice(&[mark, b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
    }
    out.push(b'.');
}

/// Appends the last `count` digits of a number.
fn write_digits(number: i64, count: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + count, b'0');
    let mut rest = number;
    for place in out[start..].iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// Days since 1970 of a Gregorian date. This is Hinnant's algorithm, with eras of 400 years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The Gregorian date of a number of days since 1970.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Reads a year: four digits, or a sign and four to nine digits.
#[inline]
fn year(rest: &mut &[u8]) -> Option<i64> {
    let (sign, most) = match rest.first()? {
        b'-' => (-1, 9),
        b'+' => (1, 9),
        _ => (0, 4),
    };
    if sign != 0 {
        *rest = &rest[1..];
    }
    let count = rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    if count < 4 {
        return None;
    }
    let value = rest[..count]
        .iter()
        .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    *rest = &rest[count..];
    Some(if sign < 0 { -value } else { value })
}

#[inline]
fn two(rest: &mut &[u8]) -> Option<i64> {
    let [tens @ b'0'..=b'9', ones @ b'0'..=b'9', behind @ ..] = *rest else {
        return None;
    };
    *rest = behind;
    Some(i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

#[inline]
fn expect(rest: &mut &[u8], byte: u8) -> Option<()> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    (*first == byte).then_some(())
}

/// Reads at least one digit, as a fraction in nanoseconds.
#[inline]
fn fraction(rest: &mut &[u8]) -> Option<u32> {
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, behind) = rest.split_at(count);
    *rest = behind;
    let mut nanos = 0;
    for place in 0..9 {
        nanos = nanos * 10 + digits.get(place).map_or(0, |digit| u32::from(digit - b'0'));
    }
    (count > 0).then_some(nanos)
}

/// Reads the offset, which must be all that is left, as seconds east of Greenwich.
#[inline]
fn offset(rest: &[u8]) -> Option<i64> {
    let (sign, mut rest) = match rest {
        [b'Z' | b'z'] => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let hours = two(&mut rest)?;
    let minutes = match rest {
        [] => 0,
        [b':', minutes @ ..] | minutes => {
            rest = minutes;
            two(&mut rest)?
        }
    };
    (rest.is_empty() && hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}
