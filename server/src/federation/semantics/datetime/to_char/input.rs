//! `to_date` and `to_timestamp`: text read by a template.

use atoll_connector_api::types::oids::{DATE, FLOAT8, TEXT, TIMESTAMPTZ};
use atoll_connector_api::types::temporal::{
    DAYS_MIN, USECS_PER_HOUR, USECS_PER_MINUTE, USECS_PER_SEC, civil, days_of, is_leap, month_days, offset_of_local,
    weekday,
};
use datafusion::error::Result;

use super::super::make::from_epoch;
use super::super::moment::{date, join, timestamp, timestamp_range};
use super::super::overload::{Overload, function};
use super::super::value::Value;
use super::template::{Convention, Field, Keyword, Ordinal, Piece, is_separator, is_space, parse};
use super::{DAYS, MONTHS, ROMAN_MONTHS};
use crate::error::{SqlError, SqlState};

/// The functions of this module.
pub(super) static FUNCTIONS: &[Overload] = &[
    function("to_timestamp", &[FLOAT8], TIMESTAMPTZ, |call| from_epoch(call.float(0)?)),
    function("to_timestamp", &[TEXT, TEXT], TIMESTAMPTZ, |call| {
        let found = read(call.text(0)?, call.text(1)?)?;
        let local = join(found.days, found.time)?;
        let offset = match found.offset {
            Some(offset) => offset,
            None => offset_of_local(call.zone(), local.div_euclid(USECS_PER_SEC)),
        };
        let moment = i128::from(local) - i128::from(offset) * i128::from(USECS_PER_SEC);
        timestamp(moment).map(Value::TimestampTz).map_err(|_| timestamp_range().into())
    }),
    function("to_date", &[TEXT, TEXT], DATE, |call| {
        let text = call.text(0)?;
        let found = read(text, call.text(1)?)?;
        date(found.days).map(Value::Date).map_err(|_| {
            SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date out of range: \"{text}\"")).into()
        })
    }),
];

/// What a text says.
struct Found {
    days: i64,
    /// Microseconds of the day.
    time: i64,
    /// Seconds east of Greenwich.
    offset: Option<i64>,
}

/// Fields as they are read; 0 is "not given", as in PostgreSQL.
#[derive(Debug, Default)]
struct Fields {
    convention: Option<Convention>,
    twelve_hours: bool,
    afternoon: i64,
    hour: i64,
    minute: i64,
    second: i64,
    seconds_of_day: i64,
    millis: i64,
    micros: i64,
    /// 1 for Sunday.
    weekday: i64,
    day: i64,
    day_of_year: i64,
    month: i64,
    year: i64,
    year_digits: u8,
    before_christ: i64,
    century: i64,
    week: i64,
    week_of_month: i64,
    julian: i64,
    zone_sign: i64,
    zone_hour: i64,
    zone_minute: i64,
}

fn format_error(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
}

/// Sets a field once; again only to the same.
fn set(slot: &mut i64, value: i64, name: &str) -> Result<()> {
    if *slot != 0 && *slot != value {
        return Err(format_error(format!("conflicting values for \"{name}\" field in formatting string"))
            .detail("This value contradicts a previous setting for the same field type.")
            .into());
    }
    *slot = value;
    Ok(())
}

/// Reads a text along its template.
struct Reader<'a> {
    rest: &'a str,
    /// The character before `rest`.
    before: Option<char>,
    /// Characters skipped beyond what the template has: some text of the template need not be matched.
    skipped: i64,
    fixed: bool,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next()?;
        self.rest = characters.as_str();
        self.before = Some(next);
        Some(next)
    }

    fn skip_spaces(&mut self) {
        while self.rest.starts_with(is_space) {
            self.next();
            self.skipped += 1;
        }
    }

    fn advance(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.before = taken.chars().next_back().or(self.before);
        self.rest = rest;
    }

    /// One character of the template that is no field.
    fn literal(&mut self, separator: bool) {
        match (self.fixed, separator) {
            (true, _) => {
                self.next();
            }
            (false, true) => {
                self.skipped -= 1;
                if self.rest.starts_with(|c| is_space(c) || is_separator(c)) {
                    self.next();
                    self.skipped += 1;
                }
            }
            (false, false) if self.skipped > 0 => self.skipped -= 1,
            (false, false) => {
                self.next();
            }
        }
    }

    /// A whole number of at most `length` characters, or of any number of them where something else follows. Returns
    /// also how many characters it took.
    fn integer(&mut self, keyword: &Keyword, length: usize, greedy: bool) -> Result<(i64, usize)> {
        let before = self.rest.len();
        self.rest = self.rest.trim_start_matches(is_space);
        let name = keyword.name;
        let hint = "If your source string is not fixed-width, try using the \"FM\" modifier.";
        let window = if greedy { self.rest } else { clip(self.rest, length) };
        if !greedy && window.len() < length {
            return Err(format_error(format!("source string too short for \"{name}\" formatting field"))
                .detail(format!("Field requires {length} characters, but only {} remain.", window.len()))
                .hint(hint)
                .into());
        }
        let used = integer_length(window);
        if !greedy && used > 0 && used < length {
            return Err(format_error(format!("invalid value \"{window}\" for \"{name}\""))
                .detail(format!("Field requires {length} characters, but only {used} could be parsed."))
                .hint(hint)
                .into());
        }
        let digits = window.get(..used).unwrap_or_default().trim_start_matches(is_space).trim_start_matches('+');
        let value = digits.parse::<i64>();
        if used > 0 {
            self.advance(used);
        }
        let taken = before - self.rest.len();
        if taken == 0 || used == 0 {
            return Err(format_error(format!("invalid value \"{}\" for \"{name}\"", clip(self.rest, length)))
                .detail("Value must be an integer.")
                .into());
        }
        match value.ok().filter(|value| i32::try_from(*value).is_ok()) {
            Some(value) => Ok((value, taken)),
            None => Err(SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("value for \"{name}\" in source string is out of range"),
            )
            .detail("Value must be in the range -2147483648 to 2147483647.")
            .into()),
        }
    }

    /// One of several names, in any case.
    fn name(&mut self, keyword: &Keyword, names: &[&str]) -> Result<i64> {
        let found = names.iter().position(|name| {
            self.rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)) && !name.is_empty()
        });
        match found {
            Some(index) => {
                self.advance(names.get(index).map_or(0, |name| name.len()));
                Ok(i64::try_from(index).unwrap_or(0))
            }
            None => {
                let shown = self.rest.split(is_space).next().unwrap_or_default();
                Err(format_error(format!("invalid value \"{shown}\" for \"{}\"", keyword.name))
                    .detail("The given value did not match any of the allowed values for this field.")
                    .into())
            }
        }
    }
}

/// At most so many bytes, whole characters.
fn clip(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

/// How many bytes at the beginning are white space, a sign and digits.
fn integer_length(text: &str) -> usize {
    let start = text.len() - text.trim_start_matches(is_space).len();
    let rest = text.get(start..).unwrap_or_default();
    let sign = usize::from(rest.starts_with(['+', '-']));
    let digits = rest.bytes().skip(sign).take_while(u8::is_ascii_digit).count();
    if digits == 0 { 0 } else { start + sign + digits }
}

/// The names' first three letters.
fn short(names: &[&'static str]) -> Vec<&'static str> {
    names.iter().map(|name| name.get(..3).unwrap_or(name)).collect()
}

fn read(text: &str, template: &str) -> Result<Found> {
    let pieces = parse(template);
    let mut reader = Reader { rest: text, before: None, skipped: 0, fixed: false };
    let mut fields = Fields::default();
    for (index, piece) in pieces.iter().enumerate() {
        if reader.rest.is_empty() {
            break;
        }
        let is_field = matches!(piece, Piece::Field { .. });
        if !reader.fixed && (is_field || index == 0) {
            reader.skip_spaces();
        }
        match piece {
            Piece::Space(_) | Piece::Separator(_) => reader.literal(true),
            Piece::Char(_) => reader.literal(false),
            Piece::Field { keyword, fill, ordinal, .. } => {
                if keyword.convention() != Convention::Any {
                    let known = *fields.convention.get_or_insert(keyword.convention());
                    if known != keyword.convention() {
                        return Err(format_error("invalid combination of date conventions".to_owned())
                            .hint("Do not mix Gregorian and ISO week date conventions in a formatting template.")
                            .into());
                    }
                }
                let greedy = *fill || next_is_no_digit(*ordinal, pieces.get(index + 1));
                fields.take(&mut reader, keyword, greedy)?;
                if *ordinal != Ordinal::None && takes_ordinal(keyword) {
                    reader.next();
                    reader.next();
                }
                if !reader.fixed {
                    reader.skipped = 0;
                    reader.skip_spaces();
                }
            }
        }
    }
    fields.finish(text)
}

/// Whether a number may take as many digits as there are, because what follows cannot begin with one.
fn next_is_no_digit(ordinal: Ordinal, next: Option<&Piece>) -> bool {
    if ordinal != Ordinal::None {
        return true;
    }
    match next {
        None => true,
        Some(Piece::Field { keyword, .. }) => !keyword.is_digits(),
        Some(Piece::Char(c) | Piece::Space(c) | Piece::Separator(c)) => !c.is_ascii_digit(),
    }
}

/// Fields after which the two letters of an ordinal are skipped.
fn takes_ordinal(keyword: &Keyword) -> bool {
    !matches!(
        keyword.field,
        Field::Meridiem { .. }
            | Field::Era { .. }
            | Field::Day
            | Field::DayShort
            | Field::MonthName
            | Field::MonthShort
            | Field::RomanMonth
            | Field::Fixed
            | Field::ZoneHour
            | Field::ZoneMinute
    )
}

impl Fields {
    fn take(&mut self, reader: &mut Reader<'_>, keyword: &'static Keyword, greedy: bool) -> Result<()> {
        let name = keyword.name;
        let mut number = |length: usize| reader.integer(keyword, length, greedy).map(|(value, _)| value);
        match keyword.field {
            Field::Fixed => reader.fixed = true,
            Field::Meridiem { dots } => {
                let names = if dots { ["a.m.", "p.m."] } else { ["am", "pm"] };
                let value = reader.name(keyword, &names)?;
                set(&mut self.afternoon, value, name)?;
                self.twelve_hours = true;
            }
            Field::Era { dots } => {
                let names = if dots { ["a.d.", "b.c."] } else { ["ad", "bc"] };
                let value = reader.name(keyword, &names)?;
                set(&mut self.before_christ, value, name)?;
            }
            Field::Hour12 => {
                set(&mut self.hour, number(2)?, name)?;
                self.twelve_hours = true;
            }
            Field::Hour24 => set(&mut self.hour, number(2)?, name)?,
            Field::Minute => set(&mut self.minute, number(2)?, name)?,
            Field::Second => set(&mut self.second, number(2)?, name)?,
            Field::SecondsOfDay => set(&mut self.seconds_of_day, number(name.len())?, name)?,
            Field::Milliseconds => {
                let (value, taken) = reader.integer(keyword, 3, greedy)?;
                set(&mut self.millis, value, name)?;
                self.millis = self.millis.saturating_mul(power_of_ten(3, taken));
            }
            Field::Microseconds | Field::Fraction(_) => {
                let length = if let Field::Fraction(digits) = keyword.field { usize::from(digits) } else { 6 };
                let (value, taken) = reader.integer(keyword, length, greedy)?;
                set(&mut self.micros, value, name)?;
                self.micros = self.micros.saturating_mul(power_of_ten(6, taken));
            }
            Field::ZoneName | Field::Offset => {
                let message = format!("formatting field \"{name}\" is only supported in to_char");
                return Err(SqlError::unsupported(message).into());
            }
            Field::ZoneHour => self.zone_hours(reader, keyword, greedy)?,
            Field::ZoneMinute => {
                if self.zone_sign == 0 {
                    self.zone_sign = 1;
                }
                set(&mut self.zone_minute, number(2)?, name)?;
            }
            Field::MonthName => set(&mut self.month, reader.name(keyword, &MONTHS)? + 1, name)?,
            Field::MonthShort => set(&mut self.month, reader.name(keyword, &short(&MONTHS))? + 1, name)?,
            Field::RomanMonth => {
                // The longer come first: VIII begins with VI.
                let mut names = ROMAN_MONTHS;
                names.reverse();
                let value = reader.name(keyword, &names)?;
                set(&mut self.month, 12 - value, name)?;
            }
            Field::Month => set(&mut self.month, number(2)?, name)?,
            Field::Day => set(&mut self.weekday, reader.name(keyword, &DAYS)? + 1, name)?,
            Field::DayShort => set(&mut self.weekday, reader.name(keyword, &short(&DAYS))? + 1, name)?,
            Field::DayOfYear | Field::IsoDayOfYear => set(&mut self.day_of_year, number(3)?, name)?,
            Field::DayOfMonth => set(&mut self.day, number(2)?, name)?,
            Field::DayOfWeek => set(&mut self.weekday, number(1)?, name)?,
            Field::IsoDayOfWeek => {
                set(&mut self.weekday, number(1)?, name)?;
                // From Monday to Sunday, which counts as the first.
                self.weekday = if self.weekday >= 7 { 1 } else { self.weekday + 1 };
            }
            Field::Week | Field::IsoWeek => set(&mut self.week, number(2)?, name)?,
            // Which day of a quarter is meant nobody knows.
            Field::Quarter => {
                number(1)?;
            }
            Field::Century => set(&mut self.century, number(2)?, name)?,
            Field::YearWithComma => self.year_with_comma(reader, name)?,
            Field::Year(digits) | Field::IsoYear(digits) => {
                let (value, taken) = reader.integer(keyword, usize::from(digits), greedy)?;
                let value = if digits < 4 && taken < 4 { near_2020(value) } else { value };
                set(&mut self.year, value, name)?;
                self.year_digits = digits;
            }
            Field::WeekOfMonth => set(&mut self.week_of_month, number(1)?, name)?,
            Field::Julian => set(&mut self.julian, number(1)?, name)?,
        }
        Ok(())
    }

    fn zone_hours(&mut self, reader: &mut Reader<'_>, keyword: &'static Keyword, greedy: bool) -> Result<()> {
        if reader.rest.starts_with(['+', '-', ' ']) {
            self.zone_sign = if reader.next() == Some('-') { -1 } else { 1 };
        } else {
            // A minus sign may have been taken for a separator.
            self.zone_sign = if reader.skipped > 0 && reader.before == Some('-') { -1 } else { 1 };
        }
        let (value, _) = reader.integer(keyword, 2, greedy)?;
        set(&mut self.zone_hour, value, keyword.name)
    }

    fn year_with_comma(&mut self, reader: &mut Reader<'_>, name: &str) -> Result<()> {
        let wrong = || format_error("invalid input string for \"Y,YYY\"".to_owned());
        let text = reader.rest;
        let first = integer_length(text);
        let rest = text.get(first..).and_then(|rest| rest.strip_prefix(',')).ok_or_else(wrong)?;
        let digits = clip(rest, 3);
        let second = integer_length(digits);
        let number = |text: Option<&str>| text.and_then(|text| text.trim_start().parse::<i64>().ok());
        let (Some(thousands), Some(years)) = (number(text.get(..first)), number(digits.get(..second))) else {
            return Err(wrong().into());
        };
        set(&mut self.year, thousands.saturating_mul(1000).saturating_add(years), name)?;
        self.year_digits = 4;
        reader.advance(first + 1 + second);
        Ok(())
    }

    fn finish(mut self, text: &str) -> Result<Found> {
        let out_of_range = || {
            SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date/time field value out of range: \"{text}\""))
        };
        let time = self.time(&out_of_range)?;
        let days = self.days(&out_of_range)?;
        let offset = match self.zone_sign {
            0 => None,
            sign => {
                if !(0..=15).contains(&self.zone_hour) || !(0..60).contains(&self.zone_minute) {
                    return Err(SqlError::new(
                        SqlState::INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
                        format!("time zone displacement out of range: \"{text}\""),
                    )
                    .into());
                }
                Some(sign * (self.zone_hour * 3600 + self.zone_minute * 60))
            }
        };
        Ok(Found { days, time, offset })
    }

    fn time(&self, out_of_range: &dyn Fn() -> SqlError) -> Result<i64> {
        let given = |value: i64, other: i64| if value == 0 { other } else { value };
        let total = self.seconds_of_day;
        let mut hour = given(self.hour, total / 3600);
        let minute = given(self.minute, total % 3600 / 60);
        let second = given(self.second, total % 60);
        if self.twelve_hours {
            if !(1..=12).contains(&hour) {
                return Err(format_error(format!("hour \"{hour}\" is invalid for the 12-hour clock"))
                    .hint("Use the 24-hour clock, or give an hour between 1 and 12.")
                    .into());
            }
            if self.afternoon != 0 && hour < 12 {
                hour += 12;
            } else if self.afternoon == 0 && hour == 12 {
                hour = 0;
            }
        }
        let usecs = self.millis.saturating_mul(1000).saturating_add(self.micros);
        let valid = (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second)
            && (0..USECS_PER_SEC).contains(&usecs);
        if !valid {
            return Err(out_of_range().into());
        }
        Ok(hour * USECS_PER_HOUR + minute * USECS_PER_MINUTE + second * USECS_PER_SEC + usecs)
    }

    /// The year (0 is 1 BC), where there is one.
    fn proleptic_year(&mut self) -> Option<i64> {
        if self.before_christ != 0 {
            self.century = -self.century;
        }
        if self.year != 0 {
            if self.century != 0 && self.year_digits <= 2 {
                // The century says which: the 21st has the years 2001 to 2100.
                let year = self.year % 100;
                return Some(match (year, self.century) {
                    (0, century) if century >= 0 => century * 100,
                    (0, century) => century * 100 + 1,
                    (year, century) if century >= 0 => year + (century - 1) * 100,
                    (year, century) => (century + 1) * 100 - year + 1,
                });
            }
            let year = if self.before_christ != 0 { -self.year } else { self.year };
            return Some(if year < 0 { year + 1 } else { year });
        }
        match self.century {
            0 => None,
            century if century > 0 => Some((century - 1) * 100 + 1),
            century => Some(century * 100 + 1),
        }
    }

    /// Days since 1970.
    fn days(&mut self, out_of_range: &dyn Fn() -> SqlError) -> Result<i64> {
        let iso = self.convention == Some(Convention::IsoWeek);
        let year = self.proleptic_year();
        let (mut has_month, mut has_day) = (false, false);
        let (mut shown_year, mut month, mut day) = (year.unwrap_or(0), 1, 1);
        let mut has_year = year.is_some();
        let mut take = |days: i64| {
            (shown_year, month, day) = civil(days);
            (has_year, has_month, has_day) = (true, true, true);
        };
        if self.julian != 0 {
            take(self.julian + DAYS_MIN);
        }
        if self.week != 0 {
            if iso {
                let monday = iso_monday(year.unwrap_or(0), self.week);
                // Sunday, the first, ends the week.
                take(match self.weekday {
                    0 => monday,
                    1 => monday + 6,
                    weekday => monday + weekday - 2,
                });
            } else {
                self.day_of_year = (self.week - 1) * 7 + 1;
            }
        }
        if self.week_of_month != 0 {
            self.day = (self.week_of_month - 1) * 7 + 1;
        }
        if self.day != 0 {
            (day, has_day) = (self.day, true);
        }
        if self.month != 0 {
            (month, has_month) = (self.month, true);
        }
        if self.day_of_year != 0 && (month <= 1 || day <= 1) {
            if shown_year == 0 && self.before_christ == 0 {
                let message = "cannot calculate day of year without year information";
                return Err(format_error(message.to_owned()).into());
            }
            if iso {
                let days = iso_monday(shown_year, 1) - 1 + self.day_of_year;
                (shown_year, month, day) = civil(days);
                has_year = true;
            } else {
                let (found_month, found_day) = month_of(shown_year, self.day_of_year);
                if month <= 1 {
                    month = found_month;
                }
                if day <= 1 {
                    day = found_day;
                }
            }
            (has_month, has_day) = (true, true);
        }
        let wrong = (has_month && !(1..=12).contains(&month))
            || (has_day && !(1..=31).contains(&day))
            || (has_year && has_month && has_day && day > month_days(shown_year, month));
        if wrong {
            return Err(out_of_range().into());
        }
        Ok(days_of(shown_year.clamp(-10_000_000, 10_000_000), month, day))
    }
}

/// What digits are worth that stand at the beginning of so many places.
fn power_of_ten(places: u32, taken: usize) -> i64 {
    let taken = u32::try_from(taken).unwrap_or(places);
    10_i64.pow(places.saturating_sub(taken))
}

/// Years of fewer than four digits are those nearest to 2020.
const fn near_2020(year: i64) -> i64 {
    match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}

/// Monday of a week of ISO 8601's year.
fn iso_monday(year: i64, week: i64) -> i64 {
    // 4 January is always in the first week.
    let fourth = days_of(year, 1, 4);
    fourth - (weekday(fourth) + 6) % 7 + (week - 1) * 7
}

/// Month and day of a day of the year; past the last month the day runs on.
fn month_of(year: i64, day_of_year: i64) -> (i64, i64) {
    let mut left = day_of_year;
    for month in 1..=12 {
        let length = if month == 2 { 28 + i64::from(is_leap(year)) } else { month_days(year, month) };
        if left <= length {
            return (month, left);
        }
        left -= length;
    }
    (13, left)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str, template: &str) -> Option<(i64, i64, i64)> {
        read(text, template).ok().map(|found| civil(found.days))
    }

    #[test]
    fn reads_fields_in_any_order() {
        for (text, template, year, month, day_of_month) in [
            ("29.02.2024", "DD.MM.YYYY", 2024, 2, 29),
            ("2024060", "YYYYDDD", 2024, 2, 29),
            ("2451545", "J", 2000, 1, 1),
            ("2006-42-3", "IYYY-IW-ID", 2006, 10, 18),
            ("70-02-28", "YY-MM-DD", 1970, 2, 28),
            ("44-03-15 BC", "YYYY-MM-DD BC", -43, 3, 15),
            ("5 dec 2000", "FMDD mon YYYY", 2000, 12, 5),
        ] {
            assert_eq!(day(text, template), Some((year, month, day_of_month)), "{text} by {template}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_was_printed(days in -700_000..2_900_000_i64) {
            let (year, month, day_of_month) = civil(days);
            let shown = if year > 0 { year } else { 1 - year };
            let era = if year > 0 { "AD" } else { "BC" };
            let text = format!("{shown:04}-{month:02}-{day_of_month:02} {era}");
            prop_assert_eq!(day(&text, "YYYY-MM-DD BC"), Some((year, month, day_of_month)));
        }

        #[test]
        fn no_text_and_template_panic(text in "\\PC{0,24}", template in "[YMDHISWQJCTZFXAPRO0-9.,:/\" -]{0,16}") {
            let _ = read(&text, &template);
        }

        #[test]
        fn no_digits_panic(text in "[0-9:+ -]{0,24}", template in "(YYYY|MM|DD|DDD|IW|IYYY|ID|WW|W|CC|J|HH12|SSSS|MS|US|FF3|TZH|TZM|Y,YYY|[- ]){0,6}") {
            let _ = read(&text, &template);
        }
    }
}
