//! MySQL's values as PostgreSQL's.

use atoll_connector_api::types::{ColumnBuilder, PgType, oids};
use atoll_connector_api::{ConnectorError, Result};
use mysql_async::Value;

use crate::metadata::Class;

/// PostgreSQL's `invalid_text_representation`, `numeric_value_out_of_range`, `datetime_field_overflow`,
/// `character_not_in_repertoire`, `null_value_not_allowed`.
const INVALID: &str = "22P02";
const OUT_OF_RANGE: &str = "22003";
const DATE_OUT_OF_RANGE: &str = "22008";
const BAD_ENCODING: &str = "22021";
const UNEXPECTED_NULL: &str = "22004";

const MICROS_A_SECOND: i64 = 1_000_000;
const MICROS_A_DAY: i64 = 86_400 * MICROS_A_SECOND;
/// The widest `bit` of MySQL, in bytes.
const BIT_BYTES_MAX: usize = 8;

/// What a type takes, apart from its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Integer,
    Float,
    Numeric,
    Bytes,
    Bit,
    Date,
    /// Both kinds of timestamp: sessions run in UTC.
    Timestamp,
    Time,
    Interval,
    Enum,
    Text,
}

impl Kind {
    fn of(data_type: &PgType) -> Self {
        if data_type.user.is_some() {
            return if data_type.labels().is_empty() { Self::Text } else { Self::Enum };
        }
        match data_type.oid {
            oids::BOOL => Self::Bool,
            oids::INT2 | oids::INT4 | oids::INT8 => Self::Integer,
            oids::FLOAT4 | oids::FLOAT8 => Self::Float,
            oids::NUMERIC => Self::Numeric,
            oids::BYTEA => Self::Bytes,
            oids::BIT | oids::VARBIT => Self::Bit,
            oids::DATE => Self::Date,
            oids::TIMESTAMP | oids::TIMESTAMPTZ => Self::Timestamp,
            oids::TIME => Self::Time,
            oids::INTERVAL => Self::Interval,
            _ => Self::Text,
        }
    }
}

/// In which form the remote declares a column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RemoteForm {
    /// The bytes of a `bit` are a number, and a `date` has no time of day.
    pub(crate) class: Class,
    /// Digits of a second's fraction.
    pub(crate) fraction: usize,
}

/// Reads one column of a scan.
#[derive(Debug)]
pub(crate) struct ColumnReader {
    name: String,
    data_type: PgType,
    kind: Kind,
    form: RemoteForm,
    nullable: bool,
    builder: ColumnBuilder,
}

/// Whose column it is, for errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) server: &'a str,
    pub(crate) table: &'a str,
}

impl ColumnReader {
    pub(crate) fn new(name: &str, data_type: PgType, form: RemoteForm, nullable: bool, capacity: usize) -> Self {
        let builder = ColumnBuilder::new(&data_type, capacity);
        Self { name: name.to_owned(), kind: Kind::of(&data_type), data_type, form, nullable, builder }
    }

    pub(crate) fn finish(&mut self) -> arrow::array::ArrayRef {
        self.builder.finish()
    }

    /// Appends a value; returns about how many bytes it takes.
    pub(crate) fn append(&mut self, place: Place<'_>, value: &Value) -> Result<usize> {
        let size = match value {
            Value::Bytes(bytes) => bytes.len() + size_of::<u128>(),
            _ => size_of::<u128>(),
        };
        self.append_value(value).map(|()| size).map_err(|sqlstate| self.misfit(place, value, sqlstate))
    }

    fn append_value(&mut self, value: &Value) -> Result<(), &'static str> {
        match value {
            Value::NULL => self.append_null(),
            Value::Int(number) => match self.kind {
                Kind::Integer | Kind::Float | Kind::Numeric | Kind::Text => code(self.builder.append_i64(*number)),
                Kind::Bool if *number == 0 || *number == 1 => code(self.builder.append_bool(*number == 1)),
                _ => Err(INVALID),
            },
            Value::UInt(number) => self.append_unsigned(*number),
            Value::Float(number) => match self.kind {
                Kind::Float => code(self.builder.append_f64(f64::from(*number))),
                Kind::Numeric | Kind::Text => code(self.builder.append_text(&number.to_string())),
                _ => Err(INVALID),
            },
            Value::Double(number) => match self.kind {
                Kind::Float | Kind::Numeric | Kind::Text => code(self.builder.append_f64(*number)),
                _ => Err(INVALID),
            },
            Value::Bytes(bytes) if self.form.class == Class::Bit && self.kind != Kind::Bytes => self.append_bits(bytes),
            Value::Bytes(bytes) => self.append_bytes(bytes),
            Value::Date(year, month, day, hour, minute, second, micros) => {
                self.append_moment(&Moment::new(*year, *month, *day, [*hour, *minute, *second], *micros))
            }
            Value::Time(negative, days, hours, minutes, seconds, micros) => {
                let micros = duration_micros(*days, [*hours, *minutes, *seconds], *micros)?;
                self.append_duration(if *negative { -micros } else { micros })
            }
        }
    }

    fn append_null(&mut self) -> Result<(), &'static str> {
        if !self.nullable {
            return Err(UNEXPECTED_NULL);
        }
        self.builder.append_null();
        Ok(())
    }

    fn append_unsigned(&mut self, value: u64) -> Result<(), &'static str> {
        match self.kind {
            Kind::Integer | Kind::Float | Kind::Numeric | Kind::Text => code(self.builder.append_u64(value)),
            Kind::Bool if value <= 1 => code(self.builder.append_bool(value == 1)),
            _ => Err(INVALID),
        }
    }

    fn append_bytes(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        match self.kind {
            Kind::Bytes => code(self.builder.append_bytes(bytes)),
            // MySQL's mark for a label that it could not store.
            Kind::Enum if bytes.is_empty() && !self.data_type.labels().iter().any(String::is_empty) => {
                self.append_null()
            }
            Kind::Bool => Err(INVALID),
            _ => code(self.builder.append_text(utf8(bytes)?)),
        }
    }

    fn append_bits(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        if bytes.len() > BIT_BYTES_MAX {
            return Err(INVALID);
        }
        let number = bytes.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        if self.kind != Kind::Bit && self.kind != Kind::Text {
            return self.append_unsigned(number);
        }
        let width = usize::try_from(self.data_type.modifier).ok().filter(|_| self.kind == Kind::Bit);
        let width = width.filter(|width| *width <= BIT_BYTES_MAX * 8).unwrap_or(bytes.len() * 8);
        code(self.builder.append_text(&format!("{number:0width$b}")))
    }

    fn append_moment(&mut self, moment: &Moment) -> Result<(), &'static str> {
        // Zero dates, dates with a zero part, and with ALLOW_INVALID_DATES the thirty-first of February.
        let Some(days) = moment.days() else { return self.append_null() };
        match self.kind {
            Kind::Date if moment.micros_of_day == 0 => {
                code(self.builder.append_date(i32::try_from(days).map_err(|_| DATE_OUT_OF_RANGE)?))
            }
            Kind::Timestamp => code(self.builder.append_timestamp(days * MICROS_A_DAY + moment.micros_of_day)),
            Kind::Text => code(self.builder.append_text(&moment.text(self.form))),
            _ => Err(INVALID),
        }
    }

    fn append_duration(&mut self, micros: i64) -> Result<(), &'static str> {
        match self.kind {
            Kind::Interval => code(self.builder.append_interval(0, 0, micros)),
            Kind::Time if (0..=MICROS_A_DAY).contains(&micros) => code(self.builder.append_time(micros)),
            Kind::Time => Err(DATE_OUT_OF_RANGE),
            Kind::Text => code(self.builder.append_text(&duration_text(micros, self.form.fraction))),
            _ => Err(INVALID),
        }
    }

    fn misfit(&self, place: Place<'_>, value: &Value, sqlstate: &'static str) -> ConnectorError {
        let kind = match value {
            Value::NULL => "NULL",
            Value::Int(_) | Value::UInt(_) => "an integer",
            Value::Float(_) | Value::Double(_) => "a floating-point number",
            Value::Bytes(_) => "a string",
            Value::Date(..) => "a date",
            Value::Time(..) => "a time",
        };
        let type_name = self.data_type.sql_name();
        let problem = match sqlstate {
            OUT_OF_RANGE | DATE_OUT_OF_RANGE => format!("{kind} that is out of range for type {type_name}"),
            BAD_ENCODING => format!("{kind} that is not valid UTF-8 or contains a zero byte"),
            UNEXPECTED_NULL => "NULL, or a date or label that is read as NULL, although it is declared NOT NULL".into(),
            _ => format!("{kind} that is not a value of type {type_name}"),
        };
        let hint = match sqlstate {
            UNEXPECTED_NULL => "Declare the column without NOT NULL in CREATE FOREIGN TABLE.",
            BAD_ENCODING => "Declare the column as bytea in CREATE FOREIGN TABLE.",
            _ if self.kind == Kind::Enum => "The label is new at the source: import the table again.",
            _ if self.kind == Kind::Date && matches!(value, Value::Date(..)) => {
                "It has a time of day: declare the column as timestamp in CREATE FOREIGN TABLE, or as text."
            }
            _ => {
                "Declare the column in CREATE FOREIGN TABLE with the type that IMPORT FOREIGN SCHEMA gives it, or as text."
            }
        };
        ConnectorError::Remote {
            server: place.server.to_owned(),
            sqlstate: sqlstate.to_owned(),
            message: format!("column \"{}\" of foreign table \"{}\" holds {problem}", self.name, place.table),
            detail: None,
            hint: Some(hint.to_owned()),
            remote_sql: None,
        }
    }
}

/// Keeps an input function's SQLSTATE; its message may hold the value.
fn code(result: Result<()>) -> Result<(), &'static str> {
    result.map_err(|error| match error {
        ConnectorError::Value { sqlstate, .. } => sqlstate,
        _ => INVALID,
    })
}

fn utf8(bytes: &[u8]) -> Result<&str, &'static str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(BAD_ENCODING),
    }
}

/// A date with a time of day, as the binary protocol brings it: anything may stand in its parts.
#[derive(Debug, Clone, Copy)]
struct Moment {
    year: u16,
    month: u8,
    day: u8,
    micros_of_day: i64,
}

impl Moment {
    fn new(year: u16, month: u8, day: u8, [hour, minute, second]: [u8; 3], micros: u32) -> Self {
        let seconds = (i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second);
        Self { year, month, day, micros_of_day: seconds * MICROS_A_SECOND + i64::from(micros) }
    }

    /// Days since 1970-01-01; `None` where the calendar has no such day.
    fn days(&self) -> Option<i64> {
        let (year, month, day) = (i64::from(self.year), i64::from(self.month), i64::from(self.day));
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let length = match month {
            2 => 28 + i64::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        if year == 0 || !(1..=length).contains(&day) {
            return None;
        }
        // Years begin in March here, so that the leap day is the last: 153 days are five months.
        let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let day_of_year = (153 * months + 2) / 5 + day - 1;
        const DAYS_TO_EPOCH: i64 = 719_468;
        Some(years * 365 + years / 4 - years / 100 + years / 400 + day_of_year - DAYS_TO_EPOCH)
    }

    /// As MySQL prints it.
    fn text(&self, form: RemoteForm) -> String {
        let date = format!("{:04}-{:02}-{:02}", self.year, self.month, self.day);
        if form.class == Class::Date {
            return date;
        }
        format!("{date} {}", duration_text(self.micros_of_day, form.fraction))
    }
}

fn duration_micros(days: u32, [hours, minutes, seconds]: [u8; 3], micros: u32) -> Result<i64, &'static str> {
    let seconds = (i64::from(hours) * 60 + i64::from(minutes)) * 60 + i64::from(seconds);
    i64::from(days)
        .checked_mul(MICROS_A_DAY)
        .and_then(|whole| whole.checked_add(seconds * MICROS_A_SECOND + i64::from(micros)))
        .ok_or(DATE_OUT_OF_RANGE)
}

/// A duration as MySQL prints it: `-838:59:59.000001`, with the digits of a second's fraction that its type has.
fn duration_text(micros: i64, digits: usize) -> String {
    let absolute = micros.unsigned_abs();
    let (seconds, fraction) = (absolute / 1_000_000, absolute % 1_000_000);
    let sign = if micros < 0 { "-" } else { "" };
    let whole = format!("{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    // No digit is lost where the type has fewer than the value.
    let mut shown = format!("{fraction:06}");
    while shown.len() > digits && shown.ends_with('0') {
        shown.pop();
    }
    if shown.is_empty() { whole } else { format!("{whole}.{shown}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(year: u16, month: u8, day: u8) -> Option<i64> {
        Moment::new(year, month, day, [0; 3], 0).days()
    }

    #[test]
    fn counts_days_from_the_epoch() {
        assert_eq!(days(1970, 1, 1), Some(0));
        assert_eq!(days(1969, 12, 31), Some(-1));
        assert_eq!(days(2000, 1, 1), Some(10_957));
        assert_eq!(days(2000, 3, 1), Some(11_017));
        assert_eq!(days(1, 1, 1), Some(-719_162));
        assert_eq!(days(9999, 12, 31), Some(2_932_896));
        assert_eq!(days(2024, 2, 29), Some(19_782));
    }

    #[test]
    fn knows_no_day_that_the_calendar_does_not_have() {
        for (year, month, day) in [
            (0, 0, 0),
            (2024, 0, 1),
            (2024, 1, 0),
            (2023, 2, 29),
            (1900, 2, 29),
            (2024, 13, 1),
            (0, 1, 1),
            (2024, 4, 31),
            (1, 255, 255),
        ] {
            assert_eq!(days(year, month, day), None);
        }
    }

    #[test]
    fn prints_durations_as_mysql_does() {
        assert_eq!(duration_text(duration_micros(34, [22, 59, 59], 0).unwrap_or_default(), 0), "838:59:59");
        assert_eq!(duration_text(-1, 6), "-00:00:00.000001");
        assert_eq!(duration_text(1_500_000, 3), "00:00:01.500");
        assert_eq!(duration_text(1_500_000, 0), "00:00:01.5");
        assert_eq!(duration_text(0, 2), "00:00:00.00");
        assert_eq!(duration_micros(u32::MAX, [255; 3], u32::MAX), Err(DATE_OUT_OF_RANGE));
    }
}
