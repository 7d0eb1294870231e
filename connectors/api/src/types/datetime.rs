//! PostgreSQL's input functions for dates and times: `date`, `time`, `timetz`, `timestamp`, `timestamptz`.
//!
//! Text is cut into fields by their shape (numbers, dates with separators, clock times, words, zone offsets); what a
//! number means follows from the fields before it, as in PostgreSQL.

mod fields;

use chrono_tz::Tz;

use super::calendar::{self, DAYS_MAX, DAYS_MIN, USECS_PER_DAY, USECS_PER_HOUR, USECS_PER_MINUTE, USECS_PER_SEC};
use super::text::OutputStyle;
use crate::{ConnectorError, Notes, Result};

/// PostgreSQL's bound on the text of a date or time.
const TEXT_BYTES_MAX: usize = 128;
/// The largest displacement of a time zone: less than 16 hours.
const ZONE_SECONDS_MAX: i64 = 16 * 3600;
/// 294277-01-01, where PostgreSQL's timestamps end, in days since 1970.
const TIMESTAMP_DAYS_END: i64 = 106_751_983 + 10_957;

/// Why text is no date or time.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// It has not the form of one.
    Format,
    /// A field is beyond its range.
    Field,
    /// A field is beyond its range, perhaps because day and month are swapped.
    MonthOrDay,
    /// The zone is beyond its range.
    Displacement,
    /// No such zone.
    Zone(String),
}

/// A zone, as text names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zone {
    /// Seconds east of Greenwich.
    Offset(i64),
    Named(Tz),
}

/// Words that stand for a whole value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Special {
    Infinity,
    MinusInfinity,
    Epoch,
    Now,
    Today,
    Tomorrow,
    Yesterday,
}

/// What was read of a text so far.
#[derive(Debug, Default)]
struct Fields {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    julian_days: Option<i64>,
    /// The month was a word.
    month_word: bool,
    /// The year had one or two digits.
    short_year: bool,
    before_christ: bool,
    afternoon: Option<bool>,
    /// Microseconds of the day.
    time: Option<i64>,
    zone: Option<Zone>,
    special: Option<Special>,
    /// The last word was `t`: a time in ISO 8601's form follows.
    time_follows: bool,
    /// The last word was `j`: a Julian day follows.
    julian_follows: bool,
}

/// A field of the text by its shape.
#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Number(&'a str),
    Date(&'a str),
    Time(&'a str),
    Word(&'a str),
    Signed(&'a str),
}

/// `date`, in days since 1970-01-01; infinities are the extreme values.
pub fn date(text: &str, style: &OutputStyle) -> Result<i32> {
    read_date(text, style)
        .map_err(|fault| error(&fault, "date", text))?
        .ok_or_else(|| ConnectorError::value("22008", format!("date out of range: \"{text}\"")))
}

fn read_date(text: &str, style: &OutputStyle) -> Result<Option<i32>, Fault> {
    let fields = parse(text, style.day_first)?;
    let days = match fields.special {
        Some(Special::Infinity) => return Ok(Some(i32::MAX)),
        Some(Special::MinusInfinity) => return Ok(Some(i32::MIN)),
        Some(Special::Epoch) => 0,
        Some(word) => current_day(style, word),
        None => fields.days()?.ok_or(Fault::Format)?,
    };
    Ok((DAYS_MIN..=DAYS_MAX).contains(&days).then(|| i32::try_from(days).unwrap_or(i32::MAX - 1)))
}

/// `timestamp`, in microseconds since 1970; a zone in the text is ignored, as PostgreSQL does.
pub fn timestamp(text: &str, style: &OutputStyle, precision: Option<u32>) -> Result<i64> {
    let value = read_timestamp(text, style, false).map_err(|fault| error(&fault, "timestamp", text))?;
    bounded_timestamp(value, text, precision)
}

/// `timestamptz`, in microseconds since 1970 UTC. Text without a zone is in the style's zone.
pub fn timestamptz(text: &str, style: &OutputStyle, precision: Option<u32>) -> Result<i64> {
    let value = read_timestamp(text, style, true).map_err(|fault| error(&fault, "timestamp with time zone", text))?;
    bounded_timestamp(value, text, precision)
}

fn bounded_timestamp(value: Option<i64>, text: &str, precision: Option<u32>) -> Result<i64> {
    let value = value.ok_or_else(|| ConnectorError::value("22008", format!("timestamp out of range: \"{text}\"")))?;
    Ok(round_timestamp(value, precision))
}

/// Rounds to a number of digits after the seconds' point. PostgreSQL counts from 2000 and rounds away from there.
pub fn round_timestamp(value: i64, precision: Option<u32>) -> i64 {
    let Some(unit) = precision.filter(|digits| *digits < 6).map(|digits| 10_i64.pow(6 - digits)) else { return value };
    if value == i64::MAX || value == i64::MIN {
        return value;
    }
    let Some(since_2000) = value.checked_sub(calendar::POSTGRES_EPOCH_USECS) else { return value };
    round_to(since_2000, unit).saturating_add(calendar::POSTGRES_EPOCH_USECS)
}

/// Rounds to a multiple of `unit`, half away from zero.
pub(crate) fn round_to(value: i64, unit: i64) -> i64 {
    let half = unit / 2;
    if value >= 0 {
        value.saturating_add(half) / unit * unit
    } else {
        -(value.saturating_neg().saturating_add(half) / unit * unit)
    }
}

fn read_timestamp(text: &str, style: &OutputStyle, zoned: bool) -> Result<Option<i64>, Fault> {
    let fields = parse(text, style.day_first)?;
    let days = match fields.special {
        Some(Special::Infinity) => return Ok(Some(i64::MAX)),
        Some(Special::MinusInfinity) => return Ok(Some(i64::MIN)),
        Some(Special::Epoch) => return Ok(Some(0)),
        Some(Special::Now) => return Ok(Some(now(style, zoned))),
        Some(word) => current_day(style, word),
        None => fields.days()?.ok_or(Fault::Format)?,
    };
    if !(DAYS_MIN..TIMESTAMP_DAYS_END).contains(&days) {
        return Ok(None);
    }
    let Some(local) = days.checked_mul(USECS_PER_DAY).and_then(|start| start.checked_add(fields.time.unwrap_or(0)))
    else {
        return Ok(None);
    };
    if !zoned {
        return Ok(Some(local));
    }
    let offset = match fields.zone {
        Some(Zone::Offset(offset)) => offset,
        Some(Zone::Named(zone)) => calendar::offset_of_local(zone, local.div_euclid(USECS_PER_SEC)),
        None => calendar::offset_of_local(style.time_zone, local.div_euclid(USECS_PER_SEC)),
    };
    // The zone may carry a value over either end.
    let within = |value: &i64| (DAYS_MIN..TIMESTAMP_DAYS_END).contains(&value.div_euclid(USECS_PER_DAY));
    Ok(local.checked_sub(offset * USECS_PER_SEC).filter(within))
}

fn now(style: &OutputStyle, zoned: bool) -> i64 {
    let now = style.now_usecs.unwrap_or_else(|| chrono::Utc::now().timestamp_micros());
    if zoned {
        return now;
    }
    now + calendar::offset_at(style.time_zone, now.div_euclid(USECS_PER_SEC)) * USECS_PER_SEC
}

fn current_day(style: &OutputStyle, word: Special) -> i64 {
    let today = now(style, false).div_euclid(USECS_PER_DAY);
    match word {
        Special::Tomorrow => today + 1,
        Special::Yesterday => today - 1,
        _ => today,
    }
}

/// `time`, in microseconds of the day, 24:00 included.
pub fn time(text: &str, style: &OutputStyle, precision: Option<u32>) -> Result<i64> {
    let (time, _) = read_time(text, style).map_err(|fault| error(&fault, "time", text))?;
    Ok(round_time(time, precision))
}

/// `timetz`: microseconds of the day and seconds east of Greenwich.
pub fn timetz(text: &str, style: &OutputStyle, precision: Option<u32>) -> Result<(i64, i64)> {
    let fault = |fault| error(&fault, "time with time zone", text);
    let (time, fields) = read_time(text, style).map_err(fault)?;
    let offset = match fields.zone {
        Some(Zone::Offset(offset)) => offset,
        zone => {
            let zone = if let Some(Zone::Named(zone)) = zone { zone } else { style.time_zone };
            let today = now(style, false).div_euclid(USECS_PER_DAY);
            let days = fields.days().map_err(fault)?.unwrap_or(today);
            let local = days.saturating_mul(86_400).saturating_add(time / USECS_PER_SEC);
            calendar::offset_of_local(zone, local)
        }
    };
    Ok((round_time(time, precision), offset))
}

/// Rounds a time of day to a number of digits after the seconds' point.
pub fn round_time(value: i64, precision: Option<u32>) -> i64 {
    match precision {
        Some(digits @ 0..6) => round_to(value, 10_i64.pow(6 - digits)),
        _ => value,
    }
}

fn read_time(text: &str, style: &OutputStyle) -> Result<(i64, Fields), Fault> {
    let mut fields = parse_tokens(text, style.day_first, true)?;
    fields.finish()?;
    let time = match fields.special {
        Some(Special::Now) => now(style, false).rem_euclid(USECS_PER_DAY),
        Some(_) => return Err(Fault::Format),
        None => fields.time.ok_or(Fault::Format)?,
    };
    Ok((time, fields))
}

fn error(fault: &Fault, type_name: &str, text: &str) -> ConnectorError {
    match fault {
        Fault::Format => {
            ConnectorError::value("22007", format!("invalid input syntax for type {type_name}: \"{text}\""))
        }
        Fault::Field => ConnectorError::value("22008", format!("date/time field value out of range: \"{text}\"")),
        Fault::MonthOrDay => {
            let hint = Some("Perhaps you need a different \"datestyle\" setting.".to_owned());
            ConnectorError::value("22008", format!("date/time field value out of range: \"{text}\""))
                .with_notes(Notes { hint, ..Notes::default() })
        }
        Fault::Displacement => {
            ConnectorError::value("22009", format!("time zone displacement out of range: \"{text}\""))
        }
        Fault::Zone(name) => ConnectorError::value("22023", format!("time zone \"{name}\" not recognized")),
    }
}

fn parse(text: &str, day_first: bool) -> Result<Fields, Fault> {
    if let Some(fields) = parse_iso(text.as_bytes()) {
        return Ok(fields);
    }
    let mut fields = parse_tokens(text, day_first, false)?;
    fields.finish()?;
    Ok(fields)
}

/// The common case, `YYYY-MM-DD[ HH:MM:SS[.f]]`, without any allocation; `None` sends the text the long way round.
fn parse_iso(text: &[u8]) -> Option<Fields> {
    let (date, time) = match text.split_at_checked(10)? {
        (date, []) => (date, None),
        (date, [b' ' | b'T', time @ ..]) => (date, Some(time)),
        _ => return None,
    };
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else { return None };
    let year = two(*y1, *y2)? * 100 + two(*y3, *y4)?;
    let (month, day) = (two(*m1, *m2)?, two(*d1, *d2)?);
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > calendar::month_days(year, month) {
        return None;
    }
    let mut fields = Fields { year: Some(year), month: Some(month), day: Some(day), ..Fields::default() };
    if let Some(time) = time {
        let (clock, rest) = time.split_at_checked(8)?;
        let [h1, h2, b':', m1, m2, b':', s1, s2] = clock else { return None };
        let (hour, minute, second) = (two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let (fraction, zone) = iso_fraction(rest)?;
        fields.time = Some(hour * USECS_PER_HOUR + minute * USECS_PER_MINUTE + second * USECS_PER_SEC + fraction);
        fields.zone = match zone {
            [] => None,
            [b'Z'] => Some(Zone::Offset(0)),
            [b'+', a, b] => Some(Zone::Offset(two(*a, *b).filter(|hours| *hours < 15)? * 3600)),
            [b'-', a, b] => Some(Zone::Offset(two(*a, *b).filter(|hours| *hours < 15)? * -3600)),
            _ => return None,
        };
    }
    Some(fields)
}

fn iso_fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.', digits @ ..] = rest else { return Some((0, rest)) };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=6).contains(&count) {
        return None;
    }
    let (digits, rest) = digits.split_at_checked(count)?;
    let value = digits.iter().fold(0, |value, byte| value * 10 + i64::from(byte - b'0'));
    Some((value * 10_i64.pow(6 - u32::try_from(count).ok()?), rest))
}

fn two(high: u8, low: u8) -> Option<i64> {
    (high.is_ascii_digit() && low.is_ascii_digit()).then(|| i64::from(high - b'0') * 10 + i64::from(low - b'0'))
}

fn parse_tokens(text: &str, day_first: bool, time_only: bool) -> Result<Fields, Fault> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Fault::Format);
    }
    let lower = text.to_ascii_lowercase();
    let tokens = tokenize(&lower)?;
    if tokens.is_empty() {
        return Err(Fault::Format);
    }
    let mut fields = Fields::default();
    for token in &tokens {
        fields.take(token, day_first, time_only)?;
    }
    if fields.time_follows || fields.julian_follows {
        return Err(Fault::Format);
    }
    if fields.special.is_some() && (fields.year.is_some() || fields.month.is_some() || fields.day.is_some()) {
        return Err(Fault::Format);
    }
    Ok(fields)
}

/// Cuts lower-case text into fields.
fn tokenize(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let bytes = text.as_bytes();
    let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
    let run = |mut index: usize, wanted: &dyn Fn(u8) -> bool| {
        while index < bytes.len() && wanted(at(index)) {
            index += 1;
        }
        index
    };
    let digit = |byte: u8| byte.is_ascii_digit();
    let mut tokens = Vec::new();
    let mut index = 0;
    while index < bytes.len() {
        let start = index;
        let first = at(index);
        let slice = |end: usize| text.get(start..end).unwrap_or_default();
        if super::input::is_space(first) {
            index += 1;
        } else if digit(first) {
            index = run(index, &digit);
            match at(index) {
                b':' => {
                    index = run(index, &|byte| digit(byte) || byte == b':' || byte == b'.');
                    tokens.push(Token::Time(slice(index)));
                }
                separator @ (b'-' | b'/' | b'.') => {
                    index += 1;
                    if digit(at(index)) {
                        index = run(index, &digit);
                        if at(index) == separator {
                            index = run(index, &|byte| digit(byte) || byte == separator);
                            tokens.push(Token::Date(slice(index)));
                        } else if separator == b'.' {
                            tokens.push(Token::Number(slice(index)));
                        } else {
                            tokens.push(Token::Date(slice(index)));
                        }
                    } else if at(index).is_ascii_alphabetic() {
                        index = run(index, &|byte| byte.is_ascii_alphanumeric() || byte == separator);
                        tokens.push(Token::Date(slice(index)));
                    } else {
                        tokens.push(Token::Number(slice(index)));
                    }
                }
                _ => tokens.push(Token::Number(slice(index))),
            }
        } else if first == b'.' && digit(at(index + 1)) {
            index = run(index + 1, &digit);
            tokens.push(Token::Number(slice(index)));
        } else if first.is_ascii_alphabetic() {
            index = run(index, &|byte| byte.is_ascii_alphabetic());
            let joined = matches!(at(index), b'-' | b'/' | b'.' | b'_')
                || ((at(index) == b'+' || digit(at(index))) && !is_known_word(slice(index)));
            if joined && !(is_known_word(slice(index)) && at(index) == b'-' && !month_number_is(slice(index))) {
                index = run(index, &|byte| byte.is_ascii_alphanumeric() || b"+-/_.:".contains(&byte));
                tokens.push(Token::Date(slice(index)));
            } else {
                tokens.push(Token::Word(slice(index)));
            }
        } else if first == b'+' || first == b'-' {
            index = run(index + 1, &super::input::is_space);
            if digit(at(index)) {
                index = run(index, &|byte| digit(byte) || byte == b':' || byte == b'.' || byte == b'-');
                tokens.push(Token::Signed(slice(index)));
            } else if at(index).is_ascii_alphabetic() {
                index = run(index, &|byte| byte.is_ascii_alphabetic());
                tokens.push(Token::Signed(slice(index)));
            } else {
                return Err(Fault::Format);
            }
        } else if first.is_ascii_punctuation() {
            index += 1;
        } else {
            return Err(Fault::Format);
        }
    }
    Ok(tokens)
}

fn is_known_word(word: &str) -> bool {
    month_number(word).is_some()
        || is_weekday(word)
        || calendar::abbreviation(word).is_some()
        || matches!(word, "ad" | "bc" | "am" | "pm" | "t" | "j" | "at" | "on" | "jd" | "dst")
}

fn month_number_is(word: &str) -> bool {
    month_number(word).is_some()
}

/// The month that a word names.
fn month_number(word: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    if word == "sept" {
        return Some(9);
    }
    let found = MONTHS.iter().position(|month| *month == word || month.get(..3) == Some(word))?;
    i64::try_from(found + 1).ok()
}

fn is_weekday(word: &str) -> bool {
    matches!(
        word,
        "sun"
            | "sunday"
            | "mon"
            | "monday"
            | "tue"
            | "tues"
            | "tuesday"
            | "wed"
            | "weds"
            | "wednesday"
            | "thu"
            | "thur"
            | "thurs"
            | "thursday"
            | "fri"
            | "friday"
            | "sat"
            | "saturday"
    )
}

fn number(digits: &str) -> Result<i64, Fault> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::Format);
    }
    digits.parse().map_err(|_| Fault::Field)
}

/// `+08`, `-0530`, `+05:30`, `+05:30:15`: seconds east of Greenwich.
fn displacement(field: &str) -> Result<i64, Fault> {
    let (sign, digits) = field.split_at_checked(1).ok_or(Fault::Format)?;
    let mut parts = digits.split(':');
    let first = parts.next().unwrap_or_default();
    let (hours, minutes, seconds) = match parts.next() {
        Some(minutes) => (number(first)?, number(minutes)?, parts.next().map_or(Ok(0), number)?),
        None if first.len() > 2 => {
            let (hours, minutes) = first.split_at_checked(first.len() - 2).ok_or(Fault::Format)?;
            (number(hours)?, number(minutes)?, 0)
        }
        None => (number(first)?, 0, 0),
    };
    if parts.next().is_some() {
        return Err(Fault::Format);
    }
    let total = hours.saturating_mul(3600).saturating_add(minutes * 60).saturating_add(seconds);
    if minutes > 59 || seconds > 59 || total >= ZONE_SECONDS_MAX {
        return Err(Fault::Displacement);
    }
    Ok(if sign == "-" { -total } else { total })
}

/// `04:05`, `04:05:06`, `04:05:06.789`.
fn clock(field: &str) -> Result<i64, Fault> {
    let (whole, fraction) = field.split_once('.').unwrap_or((field, ""));
    let mut parts = whole.split(':');
    let hour = number(parts.next().unwrap_or_default())?;
    let minute = number(parts.next().unwrap_or_default())?;
    let second = match parts.next() {
        Some(second) => number(second)?,
        None if fraction.is_empty() => 0,
        // mm:ss.fff
        None => return clock_usecs(0, hour, minute, microseconds(fraction)?),
    };
    if parts.next().is_some() {
        return Err(Fault::Format);
    }
    clock_usecs(hour, minute, second, microseconds(fraction)?)
}

fn clock_usecs(hour: i64, minute: i64, second: i64, fraction: i64) -> Result<i64, Fault> {
    if minute > 59 || second > 60 || hour > 24 || (hour == 24 && (minute > 0 || second > 0 || fraction > 0)) {
        return Err(Fault::Field);
    }
    let total = hour * USECS_PER_HOUR + minute * USECS_PER_MINUTE + second * USECS_PER_SEC + fraction;
    if total > USECS_PER_DAY { Err(Fault::Field) } else { Ok(total) }
}

/// Microseconds of the digits after a point, rounded.
pub(crate) fn fraction_usecs(digits: &str) -> Option<i64> {
    if digits.is_empty() {
        return Some(0);
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // PostgreSQL goes through a double here, too.
    format!("0.{digits}").parse::<f64>().ok().map(|fraction| rounded(fraction * 1_000_000.0))
}

fn microseconds(digits: &str) -> Result<i64, Fault> {
    fraction_usecs(digits).ok_or(Fault::Format)
}

/// The nearest integer, half to even; beyond `i64` its ends.
#[expect(clippy::cast_possible_truncation, reason = "a float beyond i64 becomes its end, which callers refuse")]
pub fn rounded(value: f64) -> i64 {
    value.round_ties_even() as i64
}
