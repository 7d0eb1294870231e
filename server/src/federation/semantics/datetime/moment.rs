//! Timestamps taken apart and put together, within PostgreSQL's range.

use atoll_connector_api::types::temporal::{
    DAYS_MAX, DAYS_MIN, Interval, USECS_PER_DAY, USECS_PER_SEC, civil, days_of, month_days, offset_at, offset_of_local,
};
use chrono_tz::Tz;
use datafusion::error::Result;

use crate::error::{SqlError, SqlState};

/// `22008` for timestamps.
pub(super) fn timestamp_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

/// `22008` for dates.
pub(super) fn date_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range")
}

/// `22008` for intervals.
pub(super) fn interval_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range")
}

/// Whether a timestamp is one of the infinities.
pub(super) const fn is_infinite(usecs: i64) -> bool {
    matches!(usecs, i64::MAX | i64::MIN)
}

/// A timestamp that is finite and in range.
pub(super) fn timestamp(usecs: i128) -> Result<i64> {
    let first = i128::from(DAYS_MIN) * i128::from(USECS_PER_DAY);
    let value = i64::try_from(usecs).ok().filter(|value| usecs >= first && !is_infinite(*value));
    Ok(value.ok_or_else(timestamp_range)?)
}

/// A day that is finite and in range.
pub(super) fn date(days: i64) -> Result<i32> {
    let value = i32::try_from(days).ok().filter(|_| (DAYS_MIN..=DAYS_MAX).contains(&days));
    Ok(value.ok_or_else(date_range)?)
}

/// Days since 1970 and microseconds of the day.
pub(super) const fn split(usecs: i64) -> (i64, i64) {
    (usecs.div_euclid(USECS_PER_DAY), usecs.rem_euclid(USECS_PER_DAY))
}

/// The inverse of [`split`].
pub(super) fn join(days: i64, time: i64) -> Result<i64> {
    timestamp(i128::from(days) * i128::from(USECS_PER_DAY) + i128::from(time))
}

/// What the clocks of a zone show at a moment.
pub(super) fn to_local(zone: Tz, usecs: i64) -> Result<i64> {
    let offset = offset_at(zone, usecs.div_euclid(USECS_PER_SEC));
    timestamp(i128::from(usecs) + i128::from(offset) * i128::from(USECS_PER_SEC))
}

/// The moment at which the clocks of a zone show this.
pub(super) fn from_local(zone: Tz, local: i64) -> Result<i64> {
    let offset = offset_of_local(zone, local.div_euclid(USECS_PER_SEC));
    timestamp(i128::from(local) - i128::from(offset) * i128::from(USECS_PER_SEC))
}

/// Midnight of a day; infinities stay.
pub(super) fn of_date(days: i32) -> Result<i64> {
    match days {
        i32::MAX => Ok(i64::MAX),
        i32::MIN => Ok(i64::MIN),
        days => join(i64::from(days), 0)
            .map_err(|_| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range for timestamp").into()),
    }
}

/// A day so many months later; the last day of the month where that has fewer days.
pub(super) fn add_months(days: i64, months: i64) -> i64 {
    let (year, month, day) = civil(days);
    let total = year * 12 + (month - 1) + months;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    days_of(year, month, day.min(month_days(year, month)))
}

/// A timestamp plus an interval: months, then days, then time, each in range.
pub(super) fn add(usecs: i64, span: &Interval) -> Result<i64> {
    if is_infinite(usecs) {
        return Ok(usecs);
    }
    let usecs = add_calendar(usecs, span)?;
    timestamp(i128::from(usecs) + i128::from(span.usecs))
}

/// The months and days of an interval.
fn add_calendar(mut usecs: i64, span: &Interval) -> Result<i64> {
    if span.months != 0 {
        let (days, time) = split(usecs);
        usecs = join(add_months(days, i64::from(span.months)), time)?;
    }
    if span.days != 0 {
        let (days, time) = split(usecs);
        usecs = join(days + i64::from(span.days), time)?;
    }
    Ok(usecs)
}

/// The same for a moment: months and days by the clocks of a zone, time by the moment.
pub(super) fn add_zoned(mut usecs: i64, span: &Interval, zone: Tz) -> Result<i64> {
    if is_infinite(usecs) {
        return Ok(usecs);
    }
    if span.months != 0 {
        let months = Interval { months: span.months, ..Interval::default() };
        usecs = from_local(zone, add_calendar(to_local(zone, usecs)?, &months)?)?;
    }
    if span.days != 0 {
        let days = Interval { days: span.days, ..Interval::default() };
        usecs = from_local(zone, add_calendar(to_local(zone, usecs)?, &days)?)?;
    }
    timestamp(i128::from(usecs) + i128::from(span.usecs))
}

/// An interval with every part's sign turned.
pub(super) fn negated(span: &Interval) -> Result<Interval> {
    let negated = || {
        Some(Interval {
            months: span.months.checked_neg()?,
            days: span.days.checked_neg()?,
            usecs: span.usecs.checked_neg()?,
        })
    };
    Ok(negated().ok_or_else(interval_range)?)
}

/// Whole days of the time go to the days; the signs are made to agree.
pub(super) fn justify_hours(span: Interval) -> Result<Interval> {
    let whole = i32::try_from(span.usecs / USECS_PER_DAY).map_err(|_| interval_range())?;
    let mut days = span.days.checked_add(whole).ok_or_else(interval_range)?;
    let mut usecs = span.usecs % USECS_PER_DAY;
    if days > 0 && usecs < 0 {
        usecs += USECS_PER_DAY;
        days -= 1;
    } else if days < 0 && usecs > 0 {
        usecs -= USECS_PER_DAY;
        days += 1;
    }
    Ok(Interval { months: span.months, days, usecs })
}
