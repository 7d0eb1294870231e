//! `date_trunc` and `date_bin`.

use atoll_connector_api::types::oids::{INTERVAL, TEXT, TIMESTAMP, TIMESTAMPTZ};
use atoll_connector_api::types::temporal::{
    Interval, USECS_PER_DAY, USECS_PER_HOUR, USECS_PER_MINUTE, USECS_PER_SEC, civil, days_of, weekday,
};
use datafusion::error::Result;

use super::extract::period;
use super::moment::{is_infinite, join, split, timestamp};
use super::overload::{Overload, function};
use super::timezone::Zone;
use super::unit::{Unit, not_recognized, not_supported};
use super::value::Value;
use crate::error::{SqlError, SqlState};

/// The functions of this module.
pub(super) static FUNCTIONS: &[Overload] = &[
    function("date_trunc", &[TEXT, TIMESTAMP], TIMESTAMP, |call| {
        let usecs = call.timestamp(1)?;
        if is_infinite(usecs) {
            return Ok(Value::Timestamp(usecs));
        }
        local(call.text(0)?, "timestamp without time zone", usecs).map(|(local, _)| Value::Timestamp(local))
    }),
    function("date_trunc", &[TEXT, TIMESTAMPTZ], TIMESTAMPTZ, |call| {
        zoned(call.text(0)?, call.timestamp(1)?, &Zone::Named(call.zone())).map(Value::TimestampTz)
    }),
    function("date_trunc", &[TEXT, TIMESTAMPTZ, TEXT], TIMESTAMPTZ, |call| {
        zoned(call.text(0)?, call.timestamp(1)?, &Zone::parse(call.text(2)?)?).map(Value::TimestampTz)
    }),
    function("date_trunc", &[TEXT, INTERVAL], INTERVAL, |call| {
        interval(call.text(0)?, call.interval(1)?).map(Value::Interval)
    }),
    function("date_bin", &[INTERVAL, TIMESTAMP, TIMESTAMP], TIMESTAMP, |call| {
        bin(&call.interval(0)?, call.timestamp(1)?, call.timestamp(2)?).map(Value::Timestamp)
    }),
    function("date_bin", &[INTERVAL, TIMESTAMPTZ, TIMESTAMPTZ], TIMESTAMPTZ, |call| {
        bin(&call.interval(0)?, call.timestamp(1)?, call.timestamp(2)?).map(Value::TimestampTz)
    }),
];

/// A local time cut off, and whether its day may have another offset from Greenwich.
fn local(name: &str, type_name: &str, usecs: i64) -> Result<(i64, bool)> {
    let unit = Unit::length(name).ok_or_else(|| not_recognized(name, type_name))?;
    let (days, time) = split(usecs);
    let (year, month, _) = civil(days);
    let clock = match unit {
        Unit::Microsecond => Some(1),
        Unit::Millisecond => Some(1000),
        Unit::Second => Some(USECS_PER_SEC),
        Unit::Minute => Some(USECS_PER_MINUTE),
        Unit::Hour => Some(USECS_PER_HOUR),
        _ => None,
    };
    if let Some(unit) = clock {
        return Ok((join(days, time - time % unit)?, false));
    }
    let first = match unit {
        Unit::Day => days,
        Unit::Week => days - (weekday(days) + 6) % 7,
        Unit::Month => days_of(year, month, 1),
        Unit::Quarter => days_of(year, (month - 1) / 3 * 3 + 1, 1),
        Unit::Year => days_of(year, 1, 1),
        Unit::Decade => days_of(year.div_euclid(10) * 10, 1, 1),
        Unit::Century => days_of(first_year(year, 100), 1, 1),
        Unit::Millennium => days_of(first_year(year, 1000), 1, 1),
        _ => return Err(not_supported(name, type_name).into()),
    };
    Ok((join(first, 0)?, true))
}

/// The year with which a century or millennium begins.
fn first_year(year: i64, length: i64) -> i64 {
    let number = period(year, length);
    if number > 0 { (number - 1) * length + 1 } else { number * length + 1 }
}

fn zoned(name: &str, usecs: i64, zone: &Zone) -> Result<i64> {
    if is_infinite(usecs) {
        return Ok(usecs);
    }
    let offset = zone.offset_at(usecs);
    let shown = timestamp(i128::from(usecs) + i128::from(offset) * i128::from(USECS_PER_SEC))?;
    let (cut, other_day) = local(name, "timestamp with time zone", shown)?;
    // Within a day the offset stays: an hour that the clocks show twice is not mixed up.
    if other_day {
        zone.to_moment(cut)
    } else {
        timestamp(i128::from(cut) - i128::from(offset) * i128::from(USECS_PER_SEC))
    }
}

fn interval(name: &str, span: Interval) -> Result<Interval> {
    const TYPE: &str = "interval";
    let unit = Unit::length(name).ok_or_else(|| not_recognized(name, TYPE))?;
    let months = |length: i32| Interval { months: span.months / length * length, ..Interval::default() };
    let time = |length: i64| Interval { usecs: span.usecs / length * length, ..span };
    Ok(match unit {
        Unit::Millennium => months(12_000),
        Unit::Century => months(1200),
        Unit::Decade => months(120),
        Unit::Year => months(12),
        Unit::Quarter => months(3),
        Unit::Month => months(1),
        Unit::Day => Interval { usecs: 0, ..span },
        Unit::Hour => time(USECS_PER_HOUR),
        Unit::Minute => time(USECS_PER_MINUTE),
        Unit::Second => time(USECS_PER_SEC),
        Unit::Millisecond => time(1000),
        Unit::Microsecond => span,
        Unit::Week => {
            return Err(not_supported(name, TYPE).detail("Months usually have fractional weeks.").into());
        }
        _ => return Err(not_supported(name, TYPE).into()),
    })
}

fn bin(stride: &Interval, source: i64, origin: i64) -> Result<i64> {
    if is_infinite(source) {
        return Ok(source);
    }
    let range = |message: &str| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message);
    if is_infinite(origin) {
        return Err(range("origin out of range").into());
    }
    if stride.months != 0 {
        let message = "timestamps cannot be binned into intervals containing months or years";
        return Err(SqlError::unsupported(message).into());
    }
    let length = i128::from(stride.days) * i128::from(USECS_PER_DAY) + i128::from(stride.usecs);
    if i64::try_from(length).is_err() {
        return Err(range("interval out of range").into());
    }
    if length <= 0 {
        return Err(range("stride must be greater than zero").into());
    }
    let distance = i128::from(source) - i128::from(origin);
    timestamp(i128::from(origin) + distance.div_euclid(length) * length)
}
