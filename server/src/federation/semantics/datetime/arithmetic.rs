//! `+`, `-`, `*`, `/` over dates, times and intervals.

use atoll_connector_api::types::oids::{DATE, FLOAT8, INT4, INTERVAL, TIME, TIMESTAMP, TIMESTAMPTZ, TIMETZ};
use atoll_connector_api::types::temporal::{Interval, USECS_PER_DAY, USECS_PER_SEC, interval, interval_text, rounded};
use atoll_connector_api::types::text::OutputStyle;
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::moment::{add, add_zoned, date, interval_range, is_infinite, join, justify_hours, negated, of_date};
use super::overload::{Call, Overload, Resolution, function, resolve, shown};
use super::udf::bind;
use super::value::Value;
use crate::error::{SqlError, SqlState};
use crate::federation::semantics::arithmetic::planned_operand;
use crate::federation::semantics::{Operand, Settings, external};

/// The operators, by their symbols.
pub(super) static OPERATORS: &[Overload] = &[
    function("+", &[DATE, INT4], DATE, |call| shift_date(call.date(0)?, call.int(1)?)),
    function("+", &[INT4, DATE], DATE, |call| shift_date(call.date(1)?, call.int(0)?)),
    function("-", &[DATE, INT4], DATE, |call| shift_date(call.date(0)?, -call.int(1)?)),
    function("-", &[DATE, DATE], INT4, |call| date_difference(call.date(0)?, call.date(1)?)),
    function("+", &[DATE, INTERVAL], TIMESTAMP, |call| date_plus(call, 0, 1)),
    function("+", &[INTERVAL, DATE], TIMESTAMP, |call| date_plus(call, 1, 0)),
    function("-", &[DATE, INTERVAL], TIMESTAMP, |call| {
        Ok(Value::Timestamp(add(of_date(call.date(0)?)?, &negated(&call.interval(1)?)?)?))
    }),
    function("+", &[DATE, TIME], TIMESTAMP, |call| date_and_time(call.date(0)?, call.time(1)?)),
    function("+", &[TIME, DATE], TIMESTAMP, |call| date_and_time(call.date(1)?, call.time(0)?)),
    function("+", &[DATE, TIMETZ], TIMESTAMPTZ, |call| date_and_timetz(call.date(0)?, call.timetz(1)?)),
    function("+", &[TIMETZ, DATE], TIMESTAMPTZ, |call| date_and_timetz(call.date(1)?, call.timetz(0)?)),
    function("+", &[TIMESTAMP, INTERVAL], TIMESTAMP, |call| timestamp_plus(call, 0, 1)),
    function("+", &[INTERVAL, TIMESTAMP], TIMESTAMP, |call| timestamp_plus(call, 1, 0)),
    function("-", &[TIMESTAMP, INTERVAL], TIMESTAMP, |call| {
        Ok(Value::Timestamp(add(call.timestamp(0)?, &negated(&call.interval(1)?)?)?))
    }),
    function("-", &[TIMESTAMP, TIMESTAMP], INTERVAL, difference),
    function("+", &[TIMESTAMPTZ, INTERVAL], TIMESTAMPTZ, |call| moment_plus(call, 0, 1)),
    function("+", &[INTERVAL, TIMESTAMPTZ], TIMESTAMPTZ, |call| moment_plus(call, 1, 0)),
    function("-", &[TIMESTAMPTZ, INTERVAL], TIMESTAMPTZ, |call| {
        let span = negated(&call.interval(1)?)?;
        Ok(Value::TimestampTz(add_zoned(call.timestamp(0)?, &span, call.zone())?))
    }),
    function("-", &[TIMESTAMPTZ, TIMESTAMPTZ], INTERVAL, difference),
    function("+", &[TIME, INTERVAL], TIME, |call| Ok(Value::Time(turn(call.time(0)?, call.interval(1)?.usecs)))),
    function("+", &[INTERVAL, TIME], TIME, |call| Ok(Value::Time(turn(call.time(1)?, call.interval(0)?.usecs)))),
    function("-", &[TIME, INTERVAL], TIME, |call| turn_back(call.time(0)?, &call.interval(1)?).map(Value::Time)),
    function("-", &[TIME, TIME], INTERVAL, |call| {
        Ok(Value::Interval(Interval { usecs: call.time(0)? - call.time(1)?, ..Interval::default() }))
    }),
    function("+", &[TIMETZ, INTERVAL], TIMETZ, |call| timetz_plus(call, 0, 1)),
    function("+", &[INTERVAL, TIMETZ], TIMETZ, |call| timetz_plus(call, 1, 0)),
    function("-", &[TIMETZ, INTERVAL], TIMETZ, |call| {
        let (time, offset) = call.timetz(0)?;
        Ok(Value::TimeTz(turn_back(time, &call.interval(1)?)?, offset))
    }),
    function("+", &[INTERVAL, INTERVAL], INTERVAL, |call| {
        Ok(Value::Interval(sum(&call.interval(0)?, &call.interval(1)?)?))
    }),
    function("-", &[INTERVAL, INTERVAL], INTERVAL, |call| {
        Ok(Value::Interval(less(&call.interval(0)?, &call.interval(1)?)?))
    }),
    function("*", &[INTERVAL, FLOAT8], INTERVAL, |call| {
        Ok(Value::Interval(product(&call.interval(0)?, call.float(1)?)?))
    }),
    function("*", &[FLOAT8, INTERVAL], INTERVAL, |call| {
        Ok(Value::Interval(product(&call.interval(1)?, call.float(0)?)?))
    }),
    function("/", &[INTERVAL, FLOAT8], INTERVAL, |call| {
        Ok(Value::Interval(quotient(&call.interval(0)?, call.float(1)?)?))
    }),
];

/// The sign.
pub(super) static NEGATION: Overload =
    function("-", &[INTERVAL], INTERVAL, |call| Ok(Value::Interval(negated(&call.interval(0)?)?)));

/// Whether a type is one of this module's.
pub(super) fn is_temporal(operand: &Operand) -> bool {
    matches!(operand, Operand::Typed(own) if own.user.is_none()
        && matches!(own.oid, DATE | TIME | TIMETZ | TIMESTAMP | TIMESTAMPTZ | INTERVAL))
}

/// Plans an operator; `None` where no side is a date, time or interval.
pub(in crate::federation::semantics) fn plan(
    settings: &Settings,
    left: &Expr,
    symbol: &str,
    right: &Expr,
    schema: &DFSchema,
) -> Result<Option<Expr>> {
    let (Some(left_type), Some(right_type)) = (planned_operand(left, schema), planned_operand(right, schema)) else {
        return Ok(None);
    };
    if !is_temporal(&left_type) && !is_temporal(&right_type) {
        return Ok(None);
    }
    let candidates: Vec<&'static Overload> = OPERATORS.iter().filter(|overload| overload.name == symbol).collect();
    let operands = [left_type, right_type];
    let args = vec![left.clone(), right.clone()];
    // An untyped side is first taken for the type of the other.
    let assumed = match &operands {
        [Operand::Unknown, known] | [known, Operand::Unknown] => Some([known.clone(), known.clone()]),
        _ => None,
    };
    if let Some(assumed) = assumed {
        let same = |overload: &&&'static Overload| {
            overload
                .parameters
                .iter()
                .zip(&assumed)
                .all(|(parameter, own)| matches!(own, Operand::Typed(own) if own.oid == *parameter))
        };
        if let Some(overload) = candidates.iter().find(same) {
            return bind(settings, overload, args, &operands).map(Some);
        }
    }
    match resolve(&candidates, &operands) {
        Resolution::One(overload) => bind(settings, overload, args, &operands).map(Some),
        Resolution::None => Err(missing(symbol, &operands, false).into()),
        Resolution::Ambiguous => Err(missing(symbol, &operands, true).into()),
    }
}

/// `42883` or `42725` of an operator.
fn missing(symbol: &str, operands: &[Operand; 2], ambiguous: bool) -> SqlError {
    let [left, right] = operands;
    let shown = format!("{} {symbol} {}", shown(left), shown(right));
    if ambiguous {
        SqlError::new(SqlState::AMBIGUOUS_FUNCTION, format!("operator is not unique: {shown}"))
            .hint("Could not choose a best candidate operator. You might need to add explicit type casts.")
    } else {
        SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {shown}"))
            .hint("No operator matches the given name and argument types. You might need to add explicit type casts.")
    }
}

fn shift_date(days: i32, by: i64) -> Result<Value> {
    if matches!(days, i32::MAX | i32::MIN) {
        return Ok(Value::Date(days));
    }
    date(i64::from(days) + by).map(Value::Date)
}

fn date_difference(left: i32, right: i32) -> Result<Value> {
    if Value::Date(left).is_infinite() || Value::Date(right).is_infinite() {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "cannot subtract infinite dates").into());
    }
    Ok(Value::Int(i64::from(left) - i64::from(right)))
}

fn date_plus(call: &Call<'_>, date: usize, span: usize) -> Result<Value> {
    Ok(Value::Timestamp(add(of_date(call.date(date)?)?, &call.interval(span)?)?))
}

fn date_and_time(days: i32, time: i64) -> Result<Value> {
    let midnight = of_date(days)?;
    if is_infinite(midnight) {
        return Ok(Value::Timestamp(midnight));
    }
    join(i64::from(days), time).map(Value::Timestamp)
}

fn date_and_timetz(days: i32, (time, offset): (i64, i64)) -> Result<Value> {
    let midnight = of_date(days)?;
    if is_infinite(midnight) {
        return Ok(Value::TimestampTz(midnight));
    }
    join(i64::from(days), time - offset * USECS_PER_SEC).map(Value::TimestampTz)
}

fn timestamp_plus(call: &Call<'_>, timestamp: usize, span: usize) -> Result<Value> {
    Ok(Value::Timestamp(add(call.timestamp(timestamp)?, &call.interval(span)?)?))
}

fn moment_plus(call: &Call<'_>, moment: usize, span: usize) -> Result<Value> {
    Ok(Value::TimestampTz(add_zoned(call.timestamp(moment)?, &call.interval(span)?, call.zone())?))
}

fn difference(call: &Call<'_>) -> Result<Value> {
    let (left, right) = (call.timestamp(0)?, call.timestamp(1)?);
    if is_infinite(left) || is_infinite(right) {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "cannot subtract infinite timestamps").into());
    }
    let usecs = left.checked_sub(right).ok_or_else(interval_range)?;
    justify_hours(Interval { usecs, ..Interval::default() }).map(Value::Interval)
}

/// A time of day so much later, round the clock.
fn turn(time: i64, by: i64) -> i64 {
    (time + by % USECS_PER_DAY).rem_euclid(USECS_PER_DAY)
}

fn turn_back(time: i64, span: &Interval) -> Result<i64> {
    Ok(turn(time, -(span.usecs % USECS_PER_DAY)))
}

fn timetz_plus(call: &Call<'_>, time: usize, span: usize) -> Result<Value> {
    let (time, offset) = call.timetz(time)?;
    Ok(Value::TimeTz(turn(time, call.interval(span)?.usecs), offset))
}

/// The sum of two intervals, part by part.
pub(super) fn sum(left: &Interval, right: &Interval) -> Result<Interval> {
    let sum = || {
        Some(Interval {
            months: left.months.checked_add(right.months)?,
            days: left.days.checked_add(right.days)?,
            usecs: left.usecs.checked_add(right.usecs)?,
        })
    };
    Ok(sum().ok_or_else(interval_range)?)
}

/// The difference of two intervals, part by part.
pub(super) fn less(left: &Interval, right: &Interval) -> Result<Interval> {
    let less = || {
        Some(Interval {
            months: left.months.checked_sub(right.months)?,
            days: left.days.checked_sub(right.days)?,
            usecs: left.usecs.checked_sub(right.usecs)?,
        })
    };
    Ok(less().ok_or_else(interval_range)?)
}

/// What lies between two intervals, of which the texts are given, at a fraction of the way.
///
/// # Errors
/// `22008`.
pub(in crate::federation::semantics) fn interval_between(low: &str, high: &str, fraction: f64) -> Result<String> {
    let read = |text: &str| interval(text, &OutputStyle::default(), -1).map_err(external);
    if fraction == 0.0 {
        return Ok(low.to_owned());
    }
    let low = read(low)?;
    let step = product(&less(&read(high)?, &low)?, fraction)?;
    Ok(interval_text(&sum(&step, &low)?))
}

const DAYS_PER_MONTH: f64 = 30.0;
const SECS_PER_DAY: f64 = 86_400.0;

/// To microseconds, half to even.
fn to_microseconds(seconds: f64) -> f64 {
    (seconds * 1e6).round_ties_even() / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "PostgreSQL multiplies as double precision, too")]
fn float(value: i64) -> f64 {
    value as f64
}

/// A whole number of an `int4` range.
fn whole(value: f64) -> Result<i32> {
    if value.is_nan() || !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value) {
        return Err(interval_range().into());
    }
    i32::try_from(rounded(value.trunc())).map_err(|_| interval_range().into())
}

/// An interval times a factor. What is left of a month goes to the days, a month being 30 days, and of a day to the time.
pub(super) fn product(span: &Interval, factor: f64) -> Result<Interval> {
    scaled(f64::from(span.months) * factor, f64::from(span.days) * factor, float(span.usecs) * factor)
}

/// An interval divided.
pub(super) fn quotient(span: &Interval, divisor: f64) -> Result<Interval> {
    if divisor == 0.0 {
        return Err(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero").into());
    }
    scaled(f64::from(span.months) / divisor, f64::from(span.days) / divisor, float(span.usecs) / divisor)
}

fn scaled(months: f64, days: f64, usecs: f64) -> Result<Interval> {
    let whole_months = whole(months)?;
    let mut whole_days = whole(days)?;
    let month_days = to_microseconds((months - f64::from(whole_months)) * DAYS_PER_MONTH);
    let mut seconds = to_microseconds((days - f64::from(whole_days) + month_days - month_days.trunc()) * SECS_PER_DAY);
    // Rounding may have made a day of it.
    if seconds.abs() >= SECS_PER_DAY {
        let more = (seconds / SECS_PER_DAY).trunc();
        whole_days = whole_days.checked_add(whole(more)?).ok_or_else(interval_range)?;
        seconds -= more * SECS_PER_DAY;
    }
    whole_days = whole_days.checked_add(whole(month_days.trunc())?).ok_or_else(interval_range)?;
    let usecs = (usecs + seconds * 1e6).round_ties_even();
    // 2^63, which a double holds exactly.
    let bound = 9_223_372_036_854_775_808.0;
    if usecs.is_nan() || !(-bound..bound).contains(&usecs) {
        return Err(interval_range().into());
    }
    Ok(Interval { months: whole_months, days: whole_days, usecs: rounded(usecs) })
}
