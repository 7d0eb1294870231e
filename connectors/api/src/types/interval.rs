//! PostgreSQL's `interval`: input in every form it reads, output in its four styles.

use std::fmt::Write;

use super::calendar::{USECS_PER_HOUR, USECS_PER_MINUTE, USECS_PER_SEC};
use super::datetime::{fraction_usecs, round_to, rounded};
use super::text::{IntervalStyle, OutputStyle};
use crate::{ConnectorError, Result};

/// The three parts of an interval, as PostgreSQL keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub usecs: i64,
}

const SECS_PER_DAY: f64 = 86_400.0;
const DAYS_PER_MONTH: f64 = 30.0;

/// Bits of the fields in an interval's modifier: src/include/utils/datetime.h.
mod mask {
    pub(super) const MONTH: u32 = 1 << 1;
    pub(super) const DAY: u32 = 1 << 3;
    pub(super) const HOUR: u32 = 1 << 10;
    pub(super) const MINUTE: u32 = 1 << 11;
    pub(super) const SECOND: u32 = 1 << 12;
}

/// Sums of an interval while it is read, wide enough that nothing overflows before the end.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    months: i128,
    days: i128,
    usecs: i128,
}

enum Fault {
    Format,
    Field,
}

/// `interval_in`, the modifier applied.
pub fn interval(text: &str, style: &OutputStyle, modifier: i32) -> Result<Interval> {
    let read = if super::input::trim(text).starts_with(['P', 'p']) {
        iso8601(super::input::trim(text)).or_else(|_| plain(text, style, modifier))
    } else {
        plain(text, style, modifier)
    };
    let sum = read.map_err(|fault| match fault {
        Fault::Format => ConnectorError::value("22007", format!("invalid input syntax for type interval: \"{text}\"")),
        Fault::Field => ConnectorError::value("22015", format!("interval field value out of range: \"{text}\"")),
    })?;
    let interval = sum
        .interval()
        .ok_or_else(|| ConnectorError::value("22015", format!("interval field value out of range: \"{text}\"")))?;
    Ok(adjust(interval, modifier))
}

/// Keeps the fields that a modifier names and rounds to its precision.
pub fn adjust(mut interval: Interval, modifier: i32) -> Interval {
    if modifier < 0 {
        return interval;
    }
    let bits = modifier.cast_unsigned();
    let (range, precision) = ((bits >> 16) & 0x7fff, bits & 0xffff);
    if range != 0x7fff && range != 0 {
        let has = |field: u32| range & field != 0;
        if !has(mask::MONTH | mask::DAY | mask::HOUR | mask::MINUTE | mask::SECOND) {
            interval.months = interval.months / 12 * 12;
        }
        if !has(mask::DAY | mask::HOUR | mask::MINUTE | mask::SECOND) {
            interval.days = 0;
        }
        if !has(mask::SECOND) {
            let unit = if has(mask::MINUTE) {
                USECS_PER_MINUTE
            } else if has(mask::HOUR) {
                USECS_PER_HOUR
            } else {
                i64::MAX
            };
            interval.usecs = interval.usecs / unit * unit;
        }
    }
    if precision < 6 {
        interval.usecs = round_to(interval.usecs, 10_i64.pow(6 - precision));
    }
    interval
}

impl Sum {
    fn interval(self) -> Option<Interval> {
        Some(Interval {
            months: i32::try_from(self.months).ok()?,
            days: i32::try_from(self.days).ok()?,
            usecs: i64::try_from(self.usecs).ok()?,
        })
    }

    /// Adds a number of a unit; what is left of a fraction goes to the next smaller part.
    fn add(&mut self, number: &Number, unit: Unit) -> Result<(), Fault> {
        let whole = i128::from(number.whole);
        let fraction = number.fraction;
        match unit {
            Unit::Usecs(usecs) => {
                self.usecs += whole * i128::from(usecs) + i128::from(rounded(fraction * float(usecs)));
            }
            Unit::Days(days) => {
                self.days += whole * i128::from(days);
                self.add_days(fraction * float(days));
            }
            Unit::Months => {
                self.months += whole;
                self.add_days(fraction * DAYS_PER_MONTH);
            }
            Unit::Years(years) => {
                self.months += whole * i128::from(years) * 12;
                self.months += i128::from(rounded(fraction * float(years) * 12.0));
            }
        }
        // Far beyond every part; keeps a long text from overflowing the sums.
        let bound = 1_i128 << 100;
        if [self.months, self.days, self.usecs].iter().any(|part| !(-bound..bound).contains(part)) {
            return Err(Fault::Field);
        }
        Ok(())
    }

    fn add_days(&mut self, days: f64) {
        let whole = days.trunc();
        self.days += i128::from(rounded(whole));
        self.usecs += i128::from(rounded((days - whole) * SECS_PER_DAY * 1_000_000.0));
    }

    fn negate(&mut self) {
        *self = Self { months: -self.months, days: -self.days, usecs: -self.usecs };
    }
}

#[expect(clippy::cast_precision_loss, reason = "units are small")]
fn float(value: i64) -> f64 {
    value as f64
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    Usecs(i64),
    Days(i64),
    Months,
    Years(i64),
}

/// Fields of which each may stand in a text once.
mod bits {
    pub(super) const MICROSECOND: u16 = 1;
    pub(super) const MILLISECOND: u16 = 1 << 1;
    pub(super) const SECOND: u16 = 1 << 2;
    pub(super) const MINUTE: u16 = 1 << 3;
    pub(super) const HOUR: u16 = 1 << 4;
    pub(super) const DAY: u16 = 1 << 5;
    pub(super) const WEEK: u16 = 1 << 6;
    pub(super) const MONTH: u16 = 1 << 7;
    pub(super) const YEAR: u16 = 1 << 8;
    pub(super) const DECADE: u16 = 1 << 9;
    pub(super) const CENTURY: u16 = 1 << 10;
    pub(super) const MILLENNIUM: u16 = 1 << 11;
    pub(super) const SECONDS: u16 = SECOND | MILLISECOND | MICROSECOND;
    pub(super) const CLOCK: u16 = HOUR | MINUTE | SECONDS;
}

impl Unit {
    /// What a number of this unit gives.
    fn bits(self, number: &Number) -> u16 {
        match self {
            Self::Usecs(1) => bits::MICROSECOND,
            Self::Usecs(1000) => bits::MILLISECOND,
            Self::Usecs(USECS_PER_SEC) if number.fraction != 0.0 => bits::SECONDS,
            Self::Usecs(USECS_PER_SEC) => bits::SECOND,
            Self::Usecs(USECS_PER_MINUTE) => bits::MINUTE,
            Self::Usecs(_) => bits::HOUR,
            Self::Days(7) => bits::WEEK,
            Self::Days(_) => bits::DAY,
            Self::Months => bits::MONTH,
            Self::Years(1) => bits::YEAR,
            Self::Years(10) => bits::DECADE,
            Self::Years(100) => bits::CENTURY,
            Self::Years(_) => bits::MILLENNIUM,
        }
    }
}

fn unit(word: &str) -> Option<Unit> {
    Some(match word {
        "us" | "usec" | "usecs" | "useconds" | "usecond" | "microsecond" | "microseconds" | "microsecon" => {
            Unit::Usecs(1)
        }
        "ms" | "msec" | "msecs" | "mseconds" | "msecond" | "millisecond" | "milliseconds" | "millisecon" => {
            Unit::Usecs(1000)
        }
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Usecs(USECS_PER_SEC),
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Usecs(USECS_PER_MINUTE),
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Usecs(USECS_PER_HOUR),
        "d" | "day" | "days" => Unit::Days(1),
        "w" | "week" | "weeks" => Unit::Days(7),
        "mon" | "mons" | "month" | "months" => Unit::Months,
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Years(1),
        "dec" | "decs" | "decade" | "decades" => Unit::Years(10),
        "c" | "cent" | "century" | "centuries" => Unit::Years(100),
        "mil" | "mils" | "millennia" | "millennium" => Unit::Years(1000),
        _ => return None,
    })
}

/// The unit of a number without one: what the modifier names last, else seconds.
fn default_unit(modifier: i32) -> Unit {
    if modifier < 0 {
        return Unit::Usecs(USECS_PER_SEC);
    }
    let range = (modifier.cast_unsigned() >> 16) & 0x7fff;
    let has = |field: u32| range & field != 0;
    if has(mask::SECOND) {
        Unit::Usecs(USECS_PER_SEC)
    } else if has(mask::MINUTE) {
        Unit::Usecs(USECS_PER_MINUTE)
    } else if has(mask::HOUR) {
        Unit::Usecs(USECS_PER_HOUR)
    } else if has(mask::DAY) {
        Unit::Days(1)
    } else if has(mask::MONTH) {
        Unit::Months
    } else {
        Unit::Years(1)
    }
}

/// A signed number, whole and fraction apart so that no digit is lost.
#[derive(Debug, Clone, Copy)]
struct Number {
    whole: i64,
    fraction: f64,
    negative: bool,
}

fn read_number(text: &str) -> Result<Number, Fault> {
    let (negative, digits) = match text.split_at_checked(1) {
        Some(("-", digits)) => (true, digits),
        Some(("+", digits)) => (false, digits),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(Fault::Format);
    }
    let magnitude: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| Fault::Field)? };
    let fraction: f64 =
        if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse().map_err(|_| Fault::Format)? };
    let sign = if negative { -1.0 } else { 1.0 };
    Ok(Number { whole: if negative { -magnitude } else { magnitude }, fraction: fraction * sign, negative })
}

/// Everything but ISO 8601: `1 year 2 mons -3 days 04:05:06.7`, `@ 1 minute ago`, `1-2 3 4:05:06`.
fn plain(text: &str, style: &OutputStyle, modifier: i32) -> Result<Sum, Fault> {
    if text.len() > 256 {
        return Err(Fault::Format);
    }
    let lower = text.to_ascii_lowercase();
    let fields: Vec<String> = cut(&lower)?;
    if fields.is_empty() {
        return Err(Fault::Format);
    }
    // In the SQL standard's style a leading sign counts for every field, if it is the only one.
    let leading_minus = style.interval_style == IntervalStyle::SqlStandard
        && fields.first().is_some_and(|field| field.starts_with('-'))
        && !fields.iter().skip(1).any(|field| field.starts_with(['-', '+']));
    let mut sum = Sum::default();
    let mut index = 0;
    let mut seen = false;
    let mut given = 0_u16;
    let mut once = |bits: u16| {
        let repeated = given & bits != 0;
        given |= bits;
        if repeated { Err(Fault::Format) } else { Ok(()) }
    };
    while let Some(field) = fields.get(index) {
        index += 1;
        if field == "ago" {
            if index != fields.len() || !seen {
                return Err(Fault::Format);
            }
            sum.negate();
            continue;
        }
        let negative = leading_minus && seen;
        let signed = if negative { format!("-{field}") } else { field.clone() };
        seen = true;
        if field.contains(':') {
            once(bits::CLOCK)?;
            sum.usecs += i128::from(clock(&signed, modifier)?);
        } else if field.get(1..).is_some_and(|rest| rest.contains('-')) {
            let (years, months) = signed.rsplit_once('-').ok_or(Fault::Format)?;
            let (years, months) = (read_number(years)?, read_number(months)?);
            if months.whole > 11 || months.fraction != 0.0 || years.fraction != 0.0 {
                return Err(Fault::Field);
            }
            let months = if years.negative { -months.whole } else { months.whole };
            once(bits::MONTH)?;
            sum.months += i128::from(years.whole) * 12 + i128::from(months);
        } else {
            let number = read_number(&signed)?;
            let next = fields.get(index).map(String::as_str);
            let unit = unit_at(&fields, index - 1, modifier)?;
            index += usize::from(next.is_some_and(is_unit));
            once(unit.bits(&number))?;
            sum.add(&number, unit)?;
        }
    }
    if seen { Ok(sum) } else { Err(Fault::Format) }
}

fn is_unit(field: &str) -> bool {
    field.starts_with(|c: char| c.is_ascii_alphabetic()) && field != "ago"
}

/// The unit of the number at a place: the word behind it, or what the number behind it leaves: a number before a clock time
/// or before hours is one of days.
fn unit_at(fields: &[String], place: usize, modifier: i32) -> Result<Unit, Fault> {
    let mut last = place;
    while fields.get(last + 1).is_some_and(|field| !is_unit(field) && field != "ago" && !field.contains(':')) {
        last += 1;
    }
    let own = match fields.get(last + 1) {
        Some(word) if is_unit(word) => unit(word).ok_or(Fault::Format)?,
        Some(next) if next.contains(':') => Unit::Days(1),
        _ => default_unit(modifier),
    };
    Ok(if last > place && matches!(own, Unit::Usecs(USECS_PER_HOUR)) { Unit::Days(1) } else { own })
}

/// Cuts the text into numbers with their signs, clock times, `years-months` and words. Between a sign and what it is for
/// there may be space, which is left out.
fn cut(text: &str) -> Result<Vec<String>, Fault> {
    let bytes = text.as_bytes();
    let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
    let mut fields = Vec::new();
    let mut index = 0;
    while index < bytes.len() {
        let mut start = index;
        let mut sign = "";
        if matches!(at(index), b'+' | b'-') {
            sign = text.get(index..=index).ok_or(Fault::Format)?;
            index += 1;
            while super::input::is_space(at(index)) {
                index += 1;
            }
            start = index;
            if !matches!(at(index), b'.' | b'0'..=b'9') {
                return Err(Fault::Format);
            }
        }
        match at(index) {
            byte if super::input::is_space(byte) || byte == b'@' || byte == b',' => {
                index += 1;
                continue;
            }
            b'a'..=b'z' => {
                while at(index).is_ascii_alphabetic() {
                    index += 1;
                }
            }
            b'.' | b'0'..=b'9' => {
                index += 1;
                while at(index).is_ascii_digit()
                    || matches!(at(index), b':' | b'.')
                    || (at(index) == b'-' && at(index - 1).is_ascii_digit() && at(index + 1).is_ascii_digit())
                {
                    index += 1;
                }
            }
            _ => return Err(Fault::Format),
        }
        fields.push(format!("{sign}{}", text.get(start..index).ok_or(Fault::Format)?));
    }
    Ok(fields)
}

/// `[-]hh:mm[:ss[.f]]`, `mm:ss.f`.
fn clock(field: &str, modifier: i32) -> Result<i64, Fault> {
    let (negative, field) = match field.split_at_checked(1) {
        Some(("-", rest)) => (true, rest),
        Some(("+", rest)) => (false, rest),
        _ => (false, field),
    };
    let (whole, fraction) = field.split_once('.').unwrap_or((field, ""));
    let numbers: Vec<i64> = whole
        .split(':')
        .map(|part| if part.is_empty() { Err(Fault::Format) } else { part.parse().map_err(|_| Fault::Field) })
        .collect::<Result<_, _>>()?;
    let range = (modifier.max(0).cast_unsigned() >> 16) & 0x7fff;
    let minute_to_second = modifier >= 0 && range == mask::MINUTE | mask::SECOND;
    let (hour, minute, second) = match numbers.as_slice() {
        [hour, minute, second] => (*hour, *minute, *second),
        [minute, second] if minute_to_second || !fraction.is_empty() => (0, *minute, *second),
        [hour, minute] => (*hour, *minute, 0),
        _ => return Err(Fault::Format),
    };
    if minute > 59 || second > 60 {
        return Err(Fault::Field);
    }
    let fraction = fraction_usecs(fraction).ok_or(Fault::Format)?;
    let total = hour
        .checked_mul(USECS_PER_HOUR)
        .and_then(|total| total.checked_add(minute * USECS_PER_MINUTE + second * USECS_PER_SEC + fraction))
        .ok_or(Fault::Field)?;
    Ok(if negative { -total } else { total })
}

/// `P1Y2M3DT4H5M6S`, `P1W`, `P0001-02-03T04:05:06`.
fn iso8601(text: &str) -> Result<Sum, Fault> {
    let rest = text.get(1..).ok_or(Fault::Format)?;
    let (date, time) = match rest.split_once(['T', 't']) {
        Some((date, time)) => (date, Some(time)),
        None => (rest, None),
    };
    if rest.is_empty() || time.is_some_and(str::is_empty) {
        return Err(Fault::Format);
    }
    let mut sum = Sum::default();
    if !date.is_empty() && !date.contains(|c: char| c.is_ascii_alphabetic()) {
        let mut parts = date.splitn(3, '-');
        for unit in [Unit::Years(1), Unit::Months, Unit::Days(1)] {
            if let Some(part) = parts.next() {
                sum.add(&read_number(part)?, unit)?;
            }
        }
    } else {
        iso_fields(date, &mut sum, |unit| {
            Some(match unit {
                b'Y' | b'y' => Unit::Years(1),
                b'M' | b'm' => Unit::Months,
                b'W' | b'w' => Unit::Days(7),
                b'D' | b'd' => Unit::Days(1),
                _ => return None,
            })
        })?;
    }
    match time {
        Some(time) if time.contains(':') => sum.usecs += i128::from(clock(time, -1)?),
        Some(time) => iso_fields(time, &mut sum, |unit| {
            Some(match unit {
                b'H' | b'h' => Unit::Usecs(USECS_PER_HOUR),
                b'M' | b'm' => Unit::Usecs(USECS_PER_MINUTE),
                b'S' | b's' => Unit::Usecs(USECS_PER_SEC),
                _ => return None,
            })
        })?,
        None => {}
    }
    Ok(sum)
}

fn iso_fields(mut text: &str, sum: &mut Sum, unit_of: impl Fn(u8) -> Option<Unit>) -> Result<(), Fault> {
    while let Some(end) = text.find(|c: char| c.is_ascii_alphabetic()) {
        let (number, rest) = text.split_at_checked(end).ok_or(Fault::Format)?;
        let unit = rest.bytes().next().and_then(&unit_of).ok_or(Fault::Format)?;
        sum.add(&read_number(number)?, unit)?;
        text = rest.get(1..).ok_or(Fault::Format)?;
    }
    if text.is_empty() { Ok(()) } else { Err(Fault::Format) }
}

/// An interval taken apart for printing.
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    usec: i64,
}

impl Parts {
    fn of(interval: &Interval) -> Self {
        Self {
            year: i64::from(interval.months / 12),
            month: i64::from(interval.months % 12),
            day: i64::from(interval.days),
            hour: interval.usecs / USECS_PER_HOUR,
            minute: interval.usecs % USECS_PER_HOUR / USECS_PER_MINUTE,
            second: interval.usecs % USECS_PER_MINUTE / USECS_PER_SEC,
            usec: interval.usecs % USECS_PER_SEC,
        }
    }

    fn time_is_negative(&self) -> bool {
        self.hour < 0 || self.minute < 0 || self.second < 0 || self.usec < 0
    }

    fn has_time(&self) -> bool {
        self.hour != 0 || self.minute != 0 || self.second != 0 || self.usec != 0
    }
}

/// An interval as it prints in the default style.
pub fn interval_text(interval: &Interval) -> String {
    let mut out = String::new();
    write_interval(interval, IntervalStyle::Postgres, &mut out);
    out
}

/// Appends an interval as PostgreSQL prints it.
pub(crate) fn write_interval(interval: &Interval, style: IntervalStyle, out: &mut String) {
    let parts = Parts::of(interval);
    // Writing to a String cannot fail.
    let _ = match style {
        IntervalStyle::Postgres => write_postgres(&parts, out),
        IntervalStyle::PostgresVerbose => write_verbose(&parts, out),
        IntervalStyle::SqlStandard => write_standard(&parts, out),
        IntervalStyle::Iso8601 => write_iso(&parts, out),
    };
}

/// Seconds and their fraction, trailing zeros left out.
fn seconds(second: i64, usec: i64, width: usize, out: &mut String) -> std::fmt::Result {
    write!(out, "{:0width$}", second.abs())?;
    super::text::write_fraction(usec.abs(), out);
    Ok(())
}

fn write_postgres(parts: &Parts, out: &mut String) -> std::fmt::Result {
    let (mut first, mut before_negative) = (true, false);
    for (value, unit) in [(parts.year, "year"), (parts.month, "mon"), (parts.day, "day")] {
        if value == 0 {
            continue;
        }
        let space = if first { "" } else { " " };
        let plus = if before_negative && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        write!(out, "{space}{plus}{value} {unit}{plural}")?;
        before_negative = value < 0;
        first = false;
    }
    if first || parts.has_time() {
        let space = if first { "" } else { " " };
        let sign = if parts.time_is_negative() {
            "-"
        } else if before_negative {
            "+"
        } else {
            ""
        };
        write!(out, "{space}{sign}{:02}:{:02}:", parts.hour.abs(), parts.minute.abs())?;
        seconds(parts.second, parts.usec, 2, out)?;
    }
    Ok(())
}

fn write_verbose(parts: &Parts, out: &mut String) -> std::fmt::Result {
    out.push('@');
    let (mut zero, mut before) = (true, false);
    let fields =
        [(parts.year, "year"), (parts.month, "mon"), (parts.day, "day"), (parts.hour, "hour"), (parts.minute, "min")];
    for (value, unit) in fields {
        if value == 0 {
            continue;
        }
        // The first field's sign becomes "ago"; later ones count relative to it.
        let value = if zero {
            before = value < 0;
            value.abs()
        } else if before {
            -value
        } else {
            value
        };
        write!(out, " {value} {unit}{}", if value == 1 { "" } else { "s" })?;
        zero = false;
    }
    if parts.second != 0 || parts.usec != 0 {
        out.push(' ');
        if parts.second < 0 || parts.usec < 0 {
            if !zero && !before {
                out.push('-');
            }
            before |= zero;
        } else if before {
            out.push('-');
        }
        seconds(parts.second, parts.usec, 1, out)?;
        out.push_str(if parts.second.abs() != 1 || parts.usec != 0 { " secs" } else { " sec" });
        zero = false;
    }
    if zero {
        out.push_str(" 0");
    }
    if before {
        out.push_str(" ago");
    }
    Ok(())
}

fn write_iso(parts: &Parts, out: &mut String) -> std::fmt::Result {
    if parts.year == 0 && parts.month == 0 && parts.day == 0 && !parts.has_time() {
        out.push_str("PT0S");
        return Ok(());
    }
    out.push('P');
    for (value, unit) in [(parts.year, 'Y'), (parts.month, 'M'), (parts.day, 'D')] {
        if value != 0 {
            write!(out, "{value}{unit}")?;
        }
    }
    if parts.has_time() {
        out.push('T');
    }
    for (value, unit) in [(parts.hour, 'H'), (parts.minute, 'M')] {
        if value != 0 {
            write!(out, "{value}{unit}")?;
        }
    }
    if parts.second != 0 || parts.usec != 0 {
        if parts.second < 0 || parts.usec < 0 {
            out.push('-');
        }
        seconds(parts.second, parts.usec, 1, out)?;
        out.push('S');
    }
    Ok(())
}

fn write_standard(parts: &Parts, out: &mut String) -> std::fmt::Result {
    let all = [parts.year, parts.month, parts.day, parts.hour, parts.minute, parts.second, parts.usec];
    let negative = all.iter().any(|part| *part < 0);
    let positive = all.iter().any(|part| *part > 0);
    let has_months = parts.year != 0 || parts.month != 0;
    let has_day_time = parts.day != 0 || parts.has_time();
    let (mixed_signs, mixed_units) = (negative && positive, has_months && has_day_time);
    let standard = !mixed_signs && !mixed_units;
    if !negative && !positive {
        out.push('0');
        return Ok(());
    }
    let [year, month, day, hour, minute] =
        [parts.year.abs(), parts.month.abs(), parts.day.abs(), parts.hour.abs(), parts.minute.abs()];
    if !standard {
        let sign = |negative: bool| if negative { '-' } else { '+' };
        let months_sign = sign(parts.year < 0 || parts.month < 0);
        let (day_sign, time_sign) = (sign(parts.day < 0), sign(parts.time_is_negative()));
        write!(out, "{months_sign}{year}-{month} {day_sign}{day} {time_sign}{hour}:{minute:02}:")?;
        return seconds(parts.second, parts.usec, 2, out);
    }
    if negative {
        out.push('-');
    }
    if has_months {
        write!(out, "{year}-{month}")
    } else {
        if parts.day != 0 {
            write!(out, "{day} ")?;
        }
        write!(out, "{hour}:{minute:02}:")?;
        seconds(parts.second, parts.usec, 2, out)
    }
}
