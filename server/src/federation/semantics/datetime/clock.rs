//! What time it is: `now()` and its kin.

use std::fmt::Write;

use atoll_connector_api::types::oids::{DATE, INT4, TEXT, TIME, TIMESTAMP, TIMESTAMPTZ, TIMETZ};
use atoll_connector_api::types::temporal::{
    USECS_PER_DAY, USECS_PER_HOUR, USECS_PER_MINUTE, USECS_PER_SEC, civil, offset_at, round_time, round_timestamp,
    weekday, zone_at,
};
use datafusion::error::Result;

use super::moment::{date, split, to_local};
use super::overload::{Call, Overload, function};
use super::to_char::{DAYS, MONTHS};
use super::value::Value;
use crate::error::{SqlError, SqlState};
use crate::federation::semantics::Settings;

/// The functions of this module.
pub(super) static FUNCTIONS: &[Overload] = &[
    function("now", &[], TIMESTAMPTZ, transaction),
    function("transaction_timestamp", &[], TIMESTAMPTZ, transaction),
    function("current_timestamp", &[], TIMESTAMPTZ, transaction),
    function("current_timestamp", &[INT4], TIMESTAMPTZ, |call| {
        let usecs = call.settings.clock().transaction();
        Ok(Value::TimestampTz(round_timestamp(usecs, Some(precision(call)?))))
    }),
    function("statement_timestamp", &[], TIMESTAMPTZ, |call| Ok(Value::TimestampTz(call.settings.clock().statement()))),
    volatile("clock_timestamp", TIMESTAMPTZ, |_| Ok(Value::TimestampTz(chrono::Utc::now().timestamp_micros()))),
    volatile("timeofday", TEXT, |call| time_of_day(chrono::Utc::now().timestamp_micros(), call.zone())),
    function("current_date", &[], DATE, |call| today(call.settings).map(Value::Date)),
    function("localtimestamp", &[], TIMESTAMP, |call| local(call.settings).map(Value::Timestamp)),
    function("localtimestamp", &[INT4], TIMESTAMP, |call| {
        Ok(Value::Timestamp(round_timestamp(local(call.settings)?, Some(precision(call)?))))
    }),
    function("localtime", &[], TIME, |call| Ok(Value::Time(split(local(call.settings)?).1))),
    function("localtime", &[INT4], TIME, |call| {
        Ok(Value::Time(round_time(split(local(call.settings)?).1, Some(precision(call)?))))
    }),
    function("current_time", &[], TIMETZ, |call| current_time(call, None)),
    function("current_time", &[INT4], TIMETZ, |call| current_time(call, Some(precision(call)?))),
];

const fn volatile(name: &'static str, result: u32, body: super::overload::Body) -> Overload {
    Overload { name, parameters: &[], result, body, strict: true, volatile: true }
}

fn transaction(call: &Call<'_>) -> Result<Value> {
    Ok(Value::TimestampTz(call.settings.clock().transaction()))
}

/// Digits after the seconds' point; more than six are six.
fn precision(call: &Call<'_>) -> Result<u32> {
    let digits = call.int(0)?;
    u32::try_from(digits).map(|digits| digits.min(6)).map_err(|_| {
        let message = format!("TIMESTAMP({digits}) precision must not be negative");
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).into()
    })
}

fn local(settings: &Settings) -> Result<i64> {
    to_local(settings.style().time_zone, settings.clock().transaction())
}

/// The day in the session's zone.
pub(super) fn today(settings: &Settings) -> Result<i32> {
    date(split(local(settings)?).0)
}

fn current_time(call: &Call<'_>, digits: Option<u32>) -> Result<Value> {
    let offset = offset_at(call.zone(), call.settings.clock().transaction().div_euclid(USECS_PER_SEC));
    let time = round_time(split(local(call.settings)?).1, digits);
    Ok(Value::TimeTz(time.min(USECS_PER_DAY), offset))
}

/// `Wed Feb 26 14:00:00.123456 2020 PST`.
fn time_of_day(usecs: i64, zone: chrono_tz::Tz) -> Result<Value> {
    let (days, time) = split(to_local(zone, usecs)?);
    let (year, month, day) = civil(days);
    let short = |names: &[&'static str], index: i64| {
        usize::try_from(index).ok().and_then(|index| names.get(index)).and_then(|name| name.get(..3)).unwrap_or("")
    };
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "{} {} {day:02} {:02}:{:02}:{:02}.{:06} {year:04} {}",
        short(&DAYS, weekday(days)),
        short(&MONTHS, month - 1),
        time / USECS_PER_HOUR,
        time % USECS_PER_HOUR / USECS_PER_MINUTE,
        time % USECS_PER_MINUTE / USECS_PER_SEC,
        time % USECS_PER_SEC,
        zone_at(zone, usecs.div_euclid(USECS_PER_SEC)).abbreviation
    );
    Ok(Value::Text(text))
}
