//! Values out of their parts, and intervals with their parts in order: `make_…`, `justify_…`, `age`, `isfinite`.

use atoll_connector_api::types::oids::{BOOL, DATE, FLOAT8, INT4, INTERVAL, TEXT, TIME, TIMESTAMP, TIMESTAMPTZ, XID};
use atoll_connector_api::types::temporal::{
    Interval, POSTGRES_EPOCH_USECS, USECS_PER_DAY, USECS_PER_HOUR, USECS_PER_MINUTE, USECS_PER_SEC, civil, days_of,
    month_days, offset_at, rounded,
};
use chrono_tz::Tz;
use datafusion::error::Result;

use super::clock::today;
use super::moment::{
    date, from_local, interval_range, is_infinite, join, justify_hours, of_date, split, timestamp, timestamp_range,
    to_local,
};
use super::overload::{Call, Overload, function};
use super::timezone::{Zone, not_recognized};
use super::value::Value;
use crate::error::{SqlError, SqlState};

/// The functions of this module.
pub(super) static FUNCTIONS: &[Overload] = &[
    function("make_date", &[INT4, INT4, INT4], DATE, |call| {
        make_date(call.int(0)?, call.int(1)?, call.int(2)?).and_then(date).map(Value::Date)
    }),
    function("make_time", &[INT4, INT4, FLOAT8], TIME, |call| {
        make_time(call.int(0)?, call.int(1)?, call.float(2)?).map(Value::Time)
    }),
    function("make_timestamp", &[INT4, INT4, INT4, INT4, INT4, FLOAT8], TIMESTAMP, |call| {
        make_timestamp(call).map(Value::Timestamp)
    }),
    function("make_timestamptz", &[INT4, INT4, INT4, INT4, INT4, FLOAT8], TIMESTAMPTZ, |call| {
        from_local(call.zone(), make_timestamp(call)?).map(Value::TimestampTz)
    }),
    function("make_timestamptz", &[INT4, INT4, INT4, INT4, INT4, FLOAT8, TEXT], TIMESTAMPTZ, |call| {
        sane_zone(call.text(6)?)?.to_moment(make_timestamp(call)?).map(Value::TimestampTz)
    }),
    function("make_interval", &[], INTERVAL, make_interval),
    function("make_interval", &[INT4], INTERVAL, make_interval),
    function("make_interval", &[INT4, INT4], INTERVAL, make_interval),
    function("make_interval", &[INT4, INT4, INT4], INTERVAL, make_interval),
    function("make_interval", &[INT4, INT4, INT4, INT4], INTERVAL, make_interval),
    function("make_interval", &[INT4, INT4, INT4, INT4, INT4], INTERVAL, make_interval),
    function("make_interval", &[INT4, INT4, INT4, INT4, INT4, INT4], INTERVAL, make_interval),
    function("make_interval", &[INT4, INT4, INT4, INT4, INT4, INT4, FLOAT8], INTERVAL, make_interval),
    function("justify_hours", &[INTERVAL], INTERVAL, |call| Ok(Value::Interval(justify_hours(call.interval(0)?)?))),
    function("justify_days", &[INTERVAL], INTERVAL, |call| Ok(Value::Interval(justify_days(call.interval(0)?)?))),
    function("justify_interval", &[INTERVAL], INTERVAL, |call| {
        Ok(Value::Interval(justify_interval(call.interval(0)?)?))
    }),
    function("age", &[TIMESTAMP, TIMESTAMP], INTERVAL, |call| local_age(call.timestamp(0)?, call.timestamp(1)?)),
    function("age", &[TIMESTAMPTZ, TIMESTAMPTZ], INTERVAL, |call| {
        moment_age(call, call.timestamp(0)?, call.timestamp(1)?)
    }),
    function("age", &[TIMESTAMP], INTERVAL, |call| local_age(of_date(today(call.settings)?)?, call.timestamp(0)?)),
    function("age", &[TIMESTAMPTZ], INTERVAL, |call| {
        let midnight = from_local(call.zone(), of_date(today(call.settings)?)?)?;
        moment_age(call, midnight, call.timestamp(0)?)
    }),
    // Not built; that it exists makes an untyped argument ambiguous, as in PostgreSQL.
    function("age", &[XID], INT4, |_| Err(SqlError::unsupported("age(xid) is not supported").into())),
    function("isfinite", &[DATE], BOOL, |call| Ok(Value::Bool(!Value::Date(call.date(0)?).is_infinite()))),
    function("isfinite", &[TIMESTAMP], BOOL, |call| Ok(Value::Bool(!is_infinite(call.timestamp(0)?)))),
    function("isfinite", &[TIMESTAMPTZ], BOOL, |call| Ok(Value::Bool(!is_infinite(call.timestamp(0)?)))),
    function("isfinite", &[INTERVAL], BOOL, |_| Ok(Value::Bool(true))),
];

fn field_range(message: String) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
}

/// Days since 1970. A negative year is one before Christ.
fn make_date(year: i64, month: i64, day: i64) -> Result<i64> {
    let proleptic = if year < 0 { year + 1 } else { year };
    let valid = year != 0 && (1..=12).contains(&month) && day >= 1 && day <= month_days(proleptic, month);
    if !valid {
        return Err(field_range(format!("date field value out of range: {year}-{month:02}-{day:02}")).into());
    }
    let days = days_of(proleptic, month, day);
    date(days).map(i64::from).map_err(|_| field_range(format!("date out of range: {year}-{month:02}-{day:02}")).into())
}

/// As C's `%02g` prints seconds.
fn shown_seconds(seconds: f64) -> String {
    let text = super::to_char::general(seconds, 6);
    if text.len() < 2 { format!("0{text}") } else { text }
}

/// Microseconds of the day.
fn make_time(hour: i64, minute: i64, seconds: f64) -> Result<i64> {
    let wrong = || field_range(format!("time field value out of range: {hour}:{minute:02}:{}", shown_seconds(seconds)));
    if !(0..=24).contains(&hour) || !(0..60).contains(&minute) || !(0.0..=60.0).contains(&seconds) {
        return Err(wrong().into());
    }
    let total = hour * USECS_PER_HOUR + minute * USECS_PER_MINUTE + rounded(seconds * 1e6);
    if total > USECS_PER_DAY {
        return Err(wrong().into());
    }
    Ok(total)
}

fn make_timestamp(call: &Call<'_>) -> Result<i64> {
    let (year, month, day) = (call.int(0)?, call.int(1)?, call.int(2)?);
    let (hour, minute, seconds) = (call.int(3)?, call.int(4)?, call.float(5)?);
    let days = make_date(year, month, day)?;
    let time = make_time(hour, minute, seconds)?;
    join(days, time).map_err(|_| {
        field_range(format!(
            "timestamp out of range: {year}-{month:02}-{day:02} {hour}:{minute:02}:{}",
            shown_seconds(seconds)
        ))
        .into()
    })
}

/// A zone of `make_timestamptz`: digits need a sign, and count eastwards.
fn sane_zone(text: &str) -> Result<Zone> {
    let first = text.bytes().next().unwrap_or(b' ');
    if first.is_ascii_digit() {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid input syntax for type numeric time zone: \"{text}\""),
        )
        .hint("Numeric time zones must have \"-\" or \"+\" as first character.")
        .into());
    }
    if first != b'+' && first != b'-' {
        return Zone::parse(text);
    }
    let digits = text.get(1..).unwrap_or_default();
    let parts: Vec<&str> = digits.split(':').collect();
    let number = |part: &str| -> Result<i64> {
        let valid = !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| valid).ok_or_else(|| not_recognized(text).into())
    };
    let (hours, minutes, seconds) = match parts.as_slice() {
        [packed] if packed.len() > 2 => {
            let (hours, minutes) = packed.split_at_checked(packed.len() - 2).unwrap_or((packed, "0"));
            (number(hours)?, number(minutes)?, 0)
        }
        [hours] => (number(hours)?, 0, 0),
        [hours, minutes] => (number(hours)?, number(minutes)?, 0),
        [hours, minutes, seconds] => (number(hours)?, number(minutes)?, number(seconds)?),
        _ => return Err(not_recognized(text).into()),
    };
    if hours > 15 || minutes > 59 || seconds > 59 {
        let message = format!("numeric time zone \"{text}\" out of range");
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).into());
    }
    let offset = hours * 3600 + minutes * 60 + seconds;
    Ok(Zone::Fixed(if first == b'-' { -offset } else { offset }))
}

/// Years, months, weeks, days, hours, minutes, seconds; what is missing at the end is 0.
fn make_interval(call: &Call<'_>) -> Result<Value> {
    let part = |index: usize| if index < call.arguments.len() { call.int(index) } else { Ok(0) };
    let seconds = if call.arguments.len() > 6 { call.float(6)? } else { 0.0 };
    let narrow = |value: i64| i32::try_from(value).map_err(|_| interval_range());
    let usecs = (seconds * 1e6).round_ties_even();
    if !seconds.is_finite() || usecs.abs() >= 9.2e18 {
        return Err(interval_range().into());
    }
    let time = part(4)? * USECS_PER_HOUR + part(5)? * USECS_PER_MINUTE;
    Ok(Value::Interval(Interval {
        months: narrow(part(0)? * 12 + part(1)?)?,
        days: narrow(part(2)? * 7 + part(3)?)?,
        usecs: time.checked_add(rounded(usecs)).ok_or_else(interval_range)?,
    }))
}

/// Adds whole months of 30 days to the months.
fn carry_months(span: &mut Interval) -> Result<()> {
    span.months = span.months.checked_add(span.days / 30).ok_or_else(interval_range)?;
    span.days %= 30;
    Ok(())
}

fn justify_days(mut span: Interval) -> Result<Interval> {
    carry_months(&mut span)?;
    if span.months > 0 && span.days < 0 {
        span.days += 30;
        span.months -= 1;
    } else if span.months < 0 && span.days > 0 {
        span.days -= 30;
        span.months += 1;
    }
    Ok(span)
}

fn justify_interval(mut span: Interval) -> Result<Interval> {
    // Months first where the days could overflow.
    if (span.days > 0 && span.usecs > 0) || (span.days < 0 && span.usecs < 0) {
        carry_months(&mut span)?;
    }
    let whole = i32::try_from(span.usecs / USECS_PER_DAY).map_err(|_| interval_range())?;
    span.days = span.days.checked_add(whole).ok_or_else(interval_range)?;
    span.usecs %= USECS_PER_DAY;
    carry_months(&mut span)?;
    if span.months > 0 && (span.days < 0 || (span.days == 0 && span.usecs < 0)) {
        span.days += 30;
        span.months -= 1;
    } else if span.months < 0 && (span.days > 0 || (span.days == 0 && span.usecs > 0)) {
        span.days -= 30;
        span.months += 1;
    }
    if span.days > 0 && span.usecs < 0 {
        span.usecs += USECS_PER_DAY;
        span.days -= 1;
    } else if span.days < 0 && span.usecs > 0 {
        span.usecs -= USECS_PER_DAY;
        span.days += 1;
    }
    Ok(span)
}

fn moment_age(call: &Call<'_>, left: i64, right: i64) -> Result<Value> {
    let zone = Some(call.zone());
    // The moments say which is later, the clocks how much.
    age(parts_of(left, zone)?, parts_of(right, zone)?, left < right).map(Value::Interval)
}

fn local_age(left: i64, right: i64) -> Result<Value> {
    age(parts_of(left, None)?, parts_of(right, None)?, left < right).map(Value::Interval)
}

/// Days and time of a timestamp, by the clocks of a zone. PostgreSQL 15 counts infinity as the last number it has, and
/// refuses the first.
fn parts_of(usecs: i64, zone: Option<Tz>) -> Result<(i64, i64)> {
    match usecs {
        i64::MIN => Err(timestamp_range().into()),
        i64::MAX => {
            let (days, time) = split(usecs);
            let (epoch_days, epoch_time) = split(POSTGRES_EPOCH_USECS);
            let offset = zone.map_or(0, |zone| offset_at(zone, usecs / USECS_PER_SEC)) * USECS_PER_SEC;
            let time = time + epoch_time + offset;
            Ok((days + epoch_days + time.div_euclid(USECS_PER_DAY), time.rem_euclid(USECS_PER_DAY)))
        }
        usecs => Ok(split(zone.map_or(Ok(usecs), |zone| to_local(zone, usecs))?)),
    }
}

/// A difference in years, months, days and time, as one counts an age.
fn age((left_days, left_time): (i64, i64), (right_days, right_time): (i64, i64), negative: bool) -> Result<Interval> {
    let sign = if negative { -1 } else { 1 };
    let ((left_year, left_month, left_day), (right_year, right_month, right_day)) =
        (civil(left_days), civil(right_days));
    let mut time = (left_time - right_time) * sign;
    let mut days = (left_day - right_day) * sign;
    let mut months = ((left_year - right_year) * 12 + left_month - right_month) * sign;
    if time < 0 {
        time += USECS_PER_DAY;
        days -= 1;
    }
    // A month is as long as the earlier one of the two.
    let borrowed = if negative { month_days(left_year, left_month) } else { month_days(right_year, right_month) };
    while days < 0 {
        days += borrowed;
        months -= 1;
    }
    let narrow = |value: i64| i32::try_from(value * sign).map_err(|_| interval_range());
    Ok(Interval { months: narrow(months)?, days: narrow(days)?, usecs: time * sign })
}

/// Keeps a moment within a second's part: for callers that count seconds as doubles.
pub(super) fn from_epoch(seconds: f64) -> Result<Value> {
    if seconds.is_nan() {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp cannot be NaN").into());
    }
    if seconds.is_infinite() {
        return Ok(Value::TimestampTz(if seconds > 0.0 { i64::MAX } else { i64::MIN }));
    }
    let out = || field_range(format!("timestamp out of range: \"{}\"", super::to_char::general(seconds, 6)));
    // PostgreSQL counts from 2000, and rounds what is left then.
    let since_2000 = seconds - 946_684_800.0;
    let usecs = (since_2000 * 1e6).round_ties_even();
    if usecs.abs() >= 9.223_371e18 {
        return Err(out().into());
    }
    let epoch = i128::from(946_684_800 * USECS_PER_SEC);
    timestamp(i128::from(rounded(usecs)) + epoch).map(Value::TimestampTz).map_err(|_| out().into())
}
