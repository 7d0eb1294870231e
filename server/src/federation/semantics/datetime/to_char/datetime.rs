//! `to_char` of timestamps and intervals.

use std::fmt::Write;

use atoll_connector_api::types::oids::{INTERVAL, TEXT, TIMESTAMP, TIMESTAMPTZ};
use atoll_connector_api::types::temporal::{
    DAYS_MIN, Interval, USECS_PER_HOUR, USECS_PER_MINUTE, USECS_PER_SEC, civil, days_of, weekday, zone_at,
};
use datafusion::error::Result;

use super::super::extract::iso_week;
use super::super::moment::{is_infinite, split, to_local};
use super::super::overload::{Overload, function};
use super::super::value::Value;
use super::template::{Case, Field, Keyword, Ordinal, Piece, parse};
use super::{DAYS, MONTHS, ROMAN_MONTHS, ordinal};
use crate::error::{SqlError, SqlState};

/// The functions of this module.
pub(super) static FUNCTIONS: &[Overload] = &[
    function("to_char", &[TIMESTAMP, TEXT], TEXT, |call| {
        let usecs = call.timestamp(0)?;
        if is_infinite(usecs) { Ok(Value::Null) } else { print(call.text(1)?, &Parts::of(usecs)) }
    }),
    function("to_char", &[TIMESTAMPTZ, TEXT], TEXT, |call| {
        let usecs = call.timestamp(0)?;
        if is_infinite(usecs) {
            return Ok(Value::Null);
        }
        let moment = zone_at(call.zone(), usecs.div_euclid(USECS_PER_SEC));
        let local = to_local(call.zone(), usecs)?;
        print(call.text(1)?, &Parts { offset: moment.offset, zone: moment.abbreviation, ..Parts::of(local) })
    }),
    function("to_char", &[INTERVAL, TEXT], TEXT, |call| print(call.text(1)?, &Parts::of_interval(&call.interval(0)?))),
];

/// A value taken apart.
#[derive(Debug, Default)]
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    usec: i64,
    /// Days since 1970; of an interval meaningless.
    days: i64,
    day_of_year: i64,
    offset: i64,
    zone: String,
    interval: bool,
}

impl Parts {
    fn of(local: i64) -> Self {
        let (days, time) = split(local);
        let (year, month, day) = civil(days);
        Self { year, month, day, days, day_of_year: days - days_of(year, 1, 1) + 1, ..Self::clock(time) }
    }

    fn clock(time: i64) -> Self {
        Self {
            hour: time / USECS_PER_HOUR,
            minute: time % USECS_PER_HOUR / USECS_PER_MINUTE,
            second: time % USECS_PER_MINUTE / USECS_PER_SEC,
            usec: time % USECS_PER_SEC,
            ..Self::default()
        }
    }

    fn of_interval(span: &Interval) -> Self {
        let (year, month) = (i64::from(span.months / 12), i64::from(span.months % 12));
        let day = i64::from(span.days);
        let day_of_year = i64::from(span.months) * 30 + day;
        Self { year, month, day, day_of_year, interval: true, ..Self::clock(span.usecs) }
    }

    /// The year as it is written: without a year 0, the era apart.
    fn shown_year(&self, year: i64) -> i64 {
        if !self.interval && year <= 0 { 1 - year } else { year }
    }
}

fn print(template: &str, parts: &Parts) -> Result<Value> {
    if template.is_empty() {
        return Ok(Value::Null);
    }
    let mut out = String::new();
    for piece in parse(template) {
        match piece {
            Piece::Space(c) | Piece::Separator(c) | Piece::Char(c) => out.push(c),
            Piece::Field { keyword, fill, translated, ordinal } => {
                let style = Style { keyword, fill, translated, ordinal };
                style.field(parts, &mut out)?;
            }
        }
    }
    Ok(Value::Text(out))
}

struct Style {
    keyword: &'static Keyword,
    fill: bool,
    translated: bool,
    ordinal: Ordinal,
}

impl Style {
    /// A number of a width that does not count a minus sign.
    fn number(&self, value: i64, width: usize, out: &mut String) {
        let start = out.len();
        let width = if self.fill { 0 } else { width + usize::from(value < 0) };
        // Writing to a String cannot fail.
        let _ = write!(out, "{value:0width$}");
        let ending = ordinal(out.get(start..).unwrap_or_default());
        match self.ordinal {
            Ordinal::None => {}
            Ordinal::Upper => out.push_str(&ending.to_uppercase()),
            Ordinal::Lower => out.push_str(ending),
        }
    }

    fn cased(&self, text: &str) -> String {
        match self.keyword.case() {
            Case::Upper => text.to_uppercase(),
            Case::Capital => text.to_owned(),
            Case::Lower => text.to_lowercase(),
        }
    }

    /// A name, padded with spaces.
    fn name(&self, names: &[&str], index: i64, width: usize, out: &mut String) {
        let name = usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default();
        let width = if self.fill || self.translated { 0 } else { width };
        let _ = write!(out, "{:width$}", self.cased(name));
    }

    fn short_name(&self, names: &[&str], index: i64, out: &mut String) {
        let name = usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default();
        out.push_str(&self.cased(name.get(..3).unwrap_or(name)));
    }

    fn year(&self, year: i64, digits: u8, out: &mut String) {
        match digits {
            4.. => self.number(year, 4, out),
            3 => self.number(year % 1000, 3, out),
            2 => self.number(year % 100, 2, out),
            _ => self.number(year % 10, 1, out),
        }
    }

    fn field(&self, parts: &Parts, out: &mut String) -> Result<()> {
        use Field::{
            Century, Day, DayOfMonth, DayOfWeek, DayOfYear, DayShort, Era, Fixed, Fraction, Hour12, Hour24,
            IsoDayOfWeek, IsoDayOfYear, IsoWeek, IsoYear, Julian, Meridiem, Microseconds, Milliseconds, Minute, Month,
            MonthName, MonthShort, Offset, Quarter, RomanMonth, Second, SecondsOfDay, Week, WeekOfMonth, Year,
            YearWithComma, ZoneHour, ZoneMinute, ZoneName,
        };
        if parts.interval {
            self.check_interval()?;
        }
        match self.keyword.field {
            Fixed => {}
            Meridiem { dots } => {
                let afternoon = parts.hour.rem_euclid(24) >= 12;
                let text = match (dots, afternoon) {
                    (true, false) => "A.M.",
                    (true, true) => "P.M.",
                    (false, false) => "AM",
                    (false, true) => "PM",
                };
                out.push_str(&self.cased(text));
            }
            Era { dots } => {
                let text = match (dots, parts.year <= 0) {
                    (true, false) => "A.D.",
                    (true, true) => "B.C.",
                    (false, false) => "AD",
                    (false, true) => "BC",
                };
                out.push_str(&self.cased(text));
            }
            Hour12 => self.number(if parts.hour % 12 == 0 { 12 } else { parts.hour % 12 }, 2, out),
            Hour24 => self.number(parts.hour, 2, out),
            Minute => self.number(parts.minute, 2, out),
            Second => self.number(parts.second, 2, out),
            Fraction(digits) => {
                let unit = 10_i64.pow(6 - u32::from(digits.min(6)));
                self.fraction(parts.usec / unit, usize::from(digits), out);
            }
            Milliseconds => self.fraction(parts.usec / 1000, 3, out),
            Microseconds => self.fraction(parts.usec, 6, out),
            SecondsOfDay => self.number(parts.hour * 3600 + parts.minute * 60 + parts.second, 0, out),
            ZoneName => out.push_str(&self.cased(&parts.zone)),
            ZoneHour => {
                let sign = if parts.offset < 0 { '-' } else { '+' };
                let _ = write!(out, "{sign}{:02}", parts.offset.abs() / 3600);
            }
            ZoneMinute => {
                let _ = write!(out, "{:02}", parts.offset.abs() % 3600 / 60);
            }
            Offset => {
                let width = if self.fill { 0 } else { 2 };
                let sign = if parts.offset < 0 { '-' } else { '+' };
                let _ = write!(out, "{sign}{:0width$}", parts.offset.abs() / 3600);
                if parts.offset % 3600 != 0 {
                    let _ = write!(out, ":{:02}", parts.offset.abs() % 3600 / 60);
                }
            }
            MonthName if parts.month != 0 => self.name(&MONTHS, parts.month - 1, 9, out),
            MonthShort if parts.month != 0 => self.short_name(&MONTHS, parts.month - 1, out),
            MonthName | MonthShort => {}
            Month => self.number(parts.month, 2, out),
            Day => self.name(&DAYS, weekday(parts.days), 9, out),
            DayShort => self.short_name(&DAYS, weekday(parts.days), out),
            DayOfYear => self.number(parts.day_of_year, signed_width(parts.day_of_year, 3), out),
            IsoDayOfYear => self.number((iso_week(parts.days).1 - 1) * 7 + iso_weekday(parts.days), 3, out),
            DayOfMonth => self.number(parts.day, signed_width(parts.day, 2), out),
            DayOfWeek => self.number(weekday(parts.days) + 1, 1, out),
            IsoDayOfWeek => self.number(iso_weekday(parts.days), 1, out),
            Week => {
                let week = (parts.day_of_year - 1) / 7 + 1;
                self.number(week, signed_width(week, 2), out);
            }
            IsoWeek => self.number(iso_week(parts.days).1, 2, out),
            WeekOfMonth => self.number((parts.day - 1) / 7 + 1, 1, out),
            Quarter if parts.month != 0 => self.number((parts.month - 1) / 3 + 1, 1, out),
            Quarter => {}
            Century => {
                let century = if parts.interval {
                    parts.year / 100
                } else if parts.year > 0 {
                    (parts.year - 1) / 100 + 1
                } else {
                    parts.year / 100 - 1
                };
                self.number(century, 2, out);
            }
            YearWithComma => {
                let year = parts.shown_year(parts.year);
                let thousands = year / 1000;
                let start = out.len();
                let _ = write!(out, "{thousands},{:03}", year - thousands * 1000);
                let ending = ordinal(out.get(start..).unwrap_or_default());
                match self.ordinal {
                    Ordinal::None => {}
                    Ordinal::Upper => out.push_str(&ending.to_uppercase()),
                    Ordinal::Lower => out.push_str(ending),
                }
            }
            Year(digits) => self.year(parts.shown_year(parts.year), digits, out),
            IsoYear(digits) => self.year(parts.shown_year(iso_week(parts.days).0), digits, out),
            RomanMonth => {
                // Of an interval the months count backwards from December where they are negative, and whole years
                // are December.
                let index = match (parts.month, parts.year) {
                    (0, 0) => return Ok(()),
                    (0, year) => {
                        if year >= 0 {
                            11
                        } else {
                            0
                        }
                    }
                    (month, _) if month < 0 => 12 + month,
                    (month, _) => month - 1,
                };
                self.name(&ROMAN_MONTHS, index, 4, out);
            }
            Julian => self.number(parts.days - DAYS_MIN, 0, out),
        }
        Ok(())
    }

    /// Digits of a fraction, which are never left out.
    fn fraction(&self, value: i64, width: usize, out: &mut String) {
        let padded = Self { keyword: self.keyword, fill: false, translated: false, ordinal: self.ordinal };
        // Here a minus sign counts.
        padded.number(value, signed_width(value, width), out);
    }

    /// What an interval does not have.
    fn check_interval(&self) -> Result<()> {
        match self.keyword.field {
            Field::Era { .. }
            | Field::MonthName
            | Field::MonthShort
            | Field::Day
            | Field::DayShort
            | Field::DayOfWeek
            | Field::IsoDayOfWeek
            | Field::ZoneName
            | Field::ZoneHour
            | Field::ZoneMinute
            | Field::Offset => Err(SqlError::new(
                SqlState::INVALID_DATETIME_FORMAT,
                "invalid format specification for an interval value",
            )
            .hint("Intervals are not tied to specific calendar dates.")
            .into()),
            Field::IsoDayOfYear | Field::IsoWeek | Field::IsoYear(_) | Field::Julian => {
                Err(SqlError::unsupported(format!("to_char(interval, '{}') is not supported", self.keyword.name))
                    .into())
            }
            _ => Ok(()),
        }
    }
}

/// The width without its minus sign of what is to be so wide with it.
const fn signed_width(value: i64, width: usize) -> usize {
    if value < 0 { width - 1 } else { width }
}

/// 1 for Monday, 7 for Sunday.
fn iso_weekday(days: i64) -> i64 {
    (weekday(days) + 6) % 7 + 1
}
