//! `extract` and `date_part`: one field as a numeric with PostgreSQL's scale, or as a double.

use atoll_connector_api::types::oids::{DATE, FLOAT8, INTERVAL, NUMERIC, TEXT, TIME, TIMESTAMP, TIMESTAMPTZ, TIMETZ};
use atoll_connector_api::types::temporal::{
    DAYS_MIN, Interval, USECS_PER_DAY, USECS_PER_HOUR, USECS_PER_MINUTE, USECS_PER_SEC, civil, days_of, offset_at,
    weekday,
};
use atoll_connector_api::types::{Arithmetic, Numeric};
use datafusion::error::Result;

use super::moment::{is_infinite, of_date, split, to_local};
use super::overload::{Overload, function};
use super::unit::{Unit, not_recognized, not_supported};
use super::value::Value;
use crate::federation::semantics::external;

/// The functions of this module.
pub(super) static FUNCTIONS: &[Overload] = &[
    function("extract", &[TEXT, DATE], NUMERIC, |call| of_day(call.text(0)?, call.date(1)?)?.numeric()),
    function("extract", &[TEXT, TIME], NUMERIC, |call| of_time(call.text(0)?, call.time(1)?)?.numeric()),
    function("extract", &[TEXT, TIMETZ], NUMERIC, |call| of_timetz(call.text(0)?, call.timetz(1)?)?.numeric()),
    function("extract", &[TEXT, TIMESTAMP], NUMERIC, |call| of_timestamp(call.text(0)?, call.timestamp(1)?)?.numeric()),
    function("extract", &[TEXT, TIMESTAMPTZ], NUMERIC, |call| {
        of_moment(call.text(0)?, call.timestamp(1)?, call.zone())?.numeric()
    }),
    function("extract", &[TEXT, INTERVAL], NUMERIC, |call| of_interval(call.text(0)?, &call.interval(1)?)?.numeric()),
    function("date_part", &[TEXT, DATE], FLOAT8, |call| {
        Ok(of_timestamp(call.text(0)?, of_date(call.date(1)?)?)?.float())
    }),
    function("date_part", &[TEXT, TIME], FLOAT8, |call| Ok(of_time(call.text(0)?, call.time(1)?)?.float())),
    function("date_part", &[TEXT, TIMETZ], FLOAT8, |call| Ok(of_timetz(call.text(0)?, call.timetz(1)?)?.float())),
    function("date_part", &[TEXT, TIMESTAMP], FLOAT8, |call| {
        Ok(of_timestamp(call.text(0)?, call.timestamp(1)?)?.float())
    }),
    function("date_part", &[TEXT, TIMESTAMPTZ], FLOAT8, |call| {
        Ok(of_moment(call.text(0)?, call.timestamp(1)?, call.zone())?.float())
    }),
    function(
        "date_part",
        &[TEXT, INTERVAL],
        FLOAT8,
        |call| Ok(of_interval(call.text(0)?, &call.interval(1)?)?.float()),
    ),
];

/// A field's value.
#[derive(Debug, Clone, Copy)]
enum Part {
    Whole(i64),
    /// Seconds (divided by 1) or milliseconds (multiplied by 1000) of a minute: whole seconds and microseconds.
    Seconds {
        second: i64,
        usec: i64,
    },
    Millis {
        second: i64,
        usec: i64,
    },
    /// Microseconds shown as seconds.
    Epoch(i128),
    /// Seconds and microseconds of an interval, years being longer than twelve months.
    Span {
        seconds: i64,
        usecs: i64,
    },
    /// A Julian day and the microseconds of the day.
    Julian(i64, i64),
    Infinity,
    MinusInfinity,
    Null,
}

#[expect(clippy::cast_precision_loss, reason = "date_part is a double in PostgreSQL, too")]
fn float(value: i64) -> f64 {
    value as f64
}

impl Part {
    /// As `date_part` returns it.
    fn float(self) -> Value {
        Value::Float(match self {
            Self::Whole(value) => float(value),
            Self::Seconds { second, usec } => float(second) + float(usec) / 1e6,
            Self::Millis { second, usec } => float(second) * 1000.0 + float(usec) / 1000.0,
            #[expect(clippy::cast_precision_loss, reason = "date_part is a double in PostgreSQL, too")]
            Self::Epoch(usecs) => usecs as f64 / 1e6,
            Self::Span { seconds, usecs } => float(usecs) / 1e6 + float(seconds),
            Self::Julian(day, time) => {
                let seconds = float(time / USECS_PER_SEC) + float(time % USECS_PER_SEC) / 1e6;
                float(day) + seconds / 86_400.0
            }
            Self::Infinity => f64::INFINITY,
            Self::MinusInfinity => f64::NEG_INFINITY,
            Self::Null => return Value::Null,
        })
    }

    /// As `extract` returns it.
    fn numeric(self) -> Result<Value> {
        let text = match self {
            Self::Whole(value) => value.to_string(),
            Self::Seconds { second, usec } => scaled(i128::from(second * USECS_PER_SEC + usec), 6),
            Self::Millis { second, usec } => scaled(i128::from(second * USECS_PER_SEC + usec), 3),
            Self::Epoch(usecs) => scaled(usecs, 6),
            Self::Span { seconds, usecs } => {
                scaled(i128::from(seconds) * i128::from(USECS_PER_SEC) + i128::from(usecs), 6)
            }
            Self::Julian(day, time) => julian(day, time)?,
            Self::Infinity => "Infinity".to_owned(),
            Self::MinusInfinity => "-Infinity".to_owned(),
            Self::Null => return Ok(Value::Null),
        };
        Ok(Value::Numeric(text))
    }
}

/// A number with so many digits after its point.
fn scaled(value: i128, digits: usize) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let text = format!("{:0width$}", value.unsigned_abs(), width = digits + 1);
    let (whole, fraction) = text.split_at_checked(text.len() - digits).unwrap_or((&text, ""));
    format!("{sign}{whole}.{fraction}")
}

/// The day and its part, divided as numerics are.
fn julian(day: i64, time: i64) -> Result<String> {
    let number = |value: i64| Numeric::parse(&value.to_string()).map_err(external);
    let part = number(time)?.compute(Arithmetic::Divide, &number(USECS_PER_DAY)?).map_err(external)?;
    let sum = number(day)?.compute(Arithmetic::Add, &part).map_err(external)?;
    let mut text = String::new();
    sum.write(&mut text);
    Ok(text)
}

/// The field of a day, which has no time: `None` where a day has no such field.
fn day_part(unit: Unit, days: i64) -> Option<i64> {
    let (year, month, day) = civil(days);
    Some(match unit {
        Unit::Day => day,
        Unit::Month => month,
        Unit::Quarter => (month - 1) / 3 + 1,
        Unit::Week => iso_week(days).1,
        Unit::Year => shown_year(year),
        // Years are counted without a year 0, decades with one.
        Unit::Decade => year.div_euclid(10),
        Unit::Century => period(year, 100),
        Unit::Millennium => period(year, 1000),
        Unit::IsoYear => shown_year(iso_week(days).0),
        Unit::Dow => weekday(days),
        Unit::IsoDow => (weekday(days) + 6) % 7 + 1,
        Unit::Doy => days - days_of(year, 1, 1) + 1,
        Unit::Julian => days - DAYS_MIN,
        _ => return None,
    })
}

const fn shown_year(year: i64) -> i64 {
    if year > 0 { year } else { year - 1 }
}

/// The century or millennium of a year (0 is 1 BC): the first began with year 1, and none is numbered 0.
pub(super) const fn period(year: i64, length: i64) -> i64 {
    if year > 0 { (year + length - 1) / length } else { -((length - year) / length) }
}

/// ISO 8601's year and week of a day: a week belongs to the year of its Thursday.
pub(super) fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - (weekday(days) + 6) % 7 + 3;
    let (year, _, _) = civil(thursday);
    (year, (thursday - days_of(year, 1, 1)) / 7 + 1)
}

fn clock_part(unit: Unit, time: i64) -> Option<Part> {
    let (second, usec) = (time % USECS_PER_MINUTE / USECS_PER_SEC, time % USECS_PER_SEC);
    Some(match unit {
        Unit::Microsecond => Part::Whole(second * USECS_PER_SEC + usec),
        Unit::Millisecond => Part::Millis { second, usec },
        Unit::Second => Part::Seconds { second, usec },
        Unit::Minute => Part::Whole(time % USECS_PER_HOUR / USECS_PER_MINUTE),
        Unit::Hour => Part::Whole(time / USECS_PER_HOUR),
        _ => return None,
    })
}

fn zone_part(unit: Unit, offset: i64) -> Option<Part> {
    Some(Part::Whole(match unit {
        Unit::TimeZone => offset,
        Unit::TimeZoneHour => offset / 3600,
        Unit::TimeZoneMinute => offset / 60 % 60,
        _ => return None,
    }))
}

/// What an infinite value has of a field: those that only grow are infinite, the others are not known.
fn infinite_part(unit: Unit, negative: bool) -> Part {
    match unit {
        Unit::Year | Unit::Decade | Unit::Century | Unit::Millennium | Unit::Julian | Unit::IsoYear | Unit::Epoch => {
            if negative {
                Part::MinusInfinity
            } else {
                Part::Infinity
            }
        }
        _ => Part::Null,
    }
}

fn of_day(name: &str, days: i32) -> Result<Part> {
    const TYPE: &str = "date";
    let unit = Unit::named(name).ok_or_else(|| not_recognized(name, TYPE))?;
    let part = if unit == Unit::Epoch { Some(i64::from(days) * 86_400) } else { day_part(unit, i64::from(days)) };
    let part = part.ok_or_else(|| not_supported(name, TYPE))?;
    if Value::Date(days).is_infinite() {
        return Ok(infinite_part(unit, days < 0));
    }
    Ok(Part::Whole(part))
}

fn of_time(name: &str, time: i64) -> Result<Part> {
    const TYPE: &str = "time without time zone";
    let unit = Unit::named(name).ok_or_else(|| not_recognized(name, TYPE))?;
    if unit == Unit::Epoch {
        return Ok(Part::Epoch(i128::from(time)));
    }
    Ok(clock_part(unit, time).ok_or_else(|| not_supported(name, TYPE))?)
}

fn of_timetz(name: &str, (time, offset): (i64, i64)) -> Result<Part> {
    const TYPE: &str = "time with time zone";
    let unit = Unit::named(name).ok_or_else(|| not_recognized(name, TYPE))?;
    if unit == Unit::Epoch {
        return Ok(Part::Epoch(i128::from(time - offset * USECS_PER_SEC)));
    }
    let part = clock_part(unit, time).or_else(|| zone_part(unit, offset));
    Ok(part.ok_or_else(|| not_supported(name, TYPE))?)
}

fn local_part(unit: Unit, local: i64) -> Option<Part> {
    let (days, time) = split(local);
    match unit {
        Unit::Julian => Some(Part::Julian(days - DAYS_MIN, time)),
        unit => clock_part(unit, time).or_else(|| day_part(unit, days).map(Part::Whole)),
    }
}

fn of_timestamp(name: &str, usecs: i64) -> Result<Part> {
    const TYPE: &str = "timestamp without time zone";
    let unit = Unit::named(name).ok_or_else(|| not_recognized(name, TYPE))?;
    if is_infinite(usecs) {
        return Ok(infinite_part(unit, usecs < 0));
    }
    if unit == Unit::Epoch {
        return Ok(Part::Epoch(i128::from(usecs)));
    }
    Ok(local_part(unit, usecs).ok_or_else(|| not_supported(name, TYPE))?)
}

fn of_moment(name: &str, usecs: i64, zone: chrono_tz::Tz) -> Result<Part> {
    const TYPE: &str = "timestamp with time zone";
    let unit = Unit::named(name).ok_or_else(|| not_recognized(name, TYPE))?;
    if is_infinite(usecs) {
        return Ok(infinite_part(unit, usecs < 0));
    }
    if unit == Unit::Epoch {
        return Ok(Part::Epoch(i128::from(usecs)));
    }
    if let Some(part) = zone_part(unit, offset_at(zone, usecs.div_euclid(USECS_PER_SEC))) {
        return Ok(part);
    }
    Ok(local_part(unit, to_local(zone, usecs)?).ok_or_else(|| not_supported(name, TYPE))?)
}

fn of_interval(name: &str, span: &Interval) -> Result<Part> {
    const TYPE: &str = "interval";
    /// A year of 365.25 days, in seconds.
    const YEAR_SECONDS: i64 = 31_557_600;
    let unit = Unit::named(name).ok_or_else(|| not_recognized(name, TYPE))?;
    let (years, months) = (i64::from(span.months / 12), i64::from(span.months % 12));
    Ok(match unit {
        Unit::Epoch => {
            let seconds = years * YEAR_SECONDS + (months * 30 + i64::from(span.days)) * 86_400;
            Part::Span { seconds, usecs: span.usecs }
        }
        Unit::Day => Part::Whole(i64::from(span.days)),
        Unit::Month => Part::Whole(months),
        Unit::Quarter => Part::Whole(months / 3 + 1),
        Unit::Year => Part::Whole(years),
        Unit::Decade => Part::Whole(years / 10),
        Unit::Century => Part::Whole(years / 100),
        Unit::Millennium => Part::Whole(years / 1000),
        unit => clock_part(unit, span.usecs).ok_or_else(|| not_supported(name, TYPE))?,
    })
}
