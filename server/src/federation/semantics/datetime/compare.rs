//! Comparisons between dates, timestamps and times of different types.

use atoll_connector_api::types::oids::{DATE, TIME, TIMESTAMP, TIMESTAMPTZ, TIMETZ};
use atoll_connector_api::types::temporal::{USECS_PER_DAY, USECS_PER_SEC};
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::interval_arithmetic::Interval;

use super::moment::{is_infinite, of_date};
use super::overload::{Overload, function};
use super::udf::bind;
use super::value::Value;
use crate::federation::semantics::cast::{cast_to, fold};
use crate::federation::semantics::{Operand, Settings};
use atoll_connector_api::types::temporal::offset_of_local;

/// A day beyond the last timestamp is later than every finite one, and so on: comparing never fails.
static AS_TIMESTAMP: Overload = function("pg_date_timestamp", &[DATE], TIMESTAMP, |call| {
    Ok(Value::Timestamp(of_date(call.date(0)?).unwrap_or(i64::MAX - 1)))
});
static AS_MOMENT: Overload = function("pg_date_timestamptz", &[DATE], TIMESTAMPTZ, |call| {
    Ok(Value::TimestampTz(clamped(of_date(call.date(0)?).unwrap_or(i64::MAX - 1), call.zone())))
});
static LOCAL_MOMENT: Overload = function("pg_timestamp_timestamptz", &[TIMESTAMP], TIMESTAMPTZ, |call| {
    Ok(Value::TimestampTz(clamped(call.timestamp(0)?, call.zone())))
});

/// The days that a conversion makes the constant of, half open: a date that is compared with midnight may as well be
/// compared with the day, which is what sources and files know of it.
pub(super) fn days_before(conversion: &Overload, constant: &Expr) -> Option<Interval> {
    let Expr::Literal(ScalarValue::TimestampMicrosecond(Some(usecs), None), _) = constant else { return None };
    let is_midnight = conversion.name == AS_TIMESTAMP.name && usecs.rem_euclid(USECS_PER_DAY) == 0;
    // No date is infinite that is before the last day that can be told.
    let day = i32::try_from(usecs.div_euclid(USECS_PER_DAY)).ok().filter(|_| is_midnight && !is_infinite(*usecs))?;
    let (day, next) = (ScalarValue::Date32(Some(day)), ScalarValue::Date32(Some(day.checked_add(1)?)));
    Interval::try_new(day, next).ok()
}

/// The moment of a local time, kept within what can be compared.
fn clamped(local: i64, zone: chrono_tz::Tz) -> i64 {
    if is_infinite(local) || local == i64::MAX - 1 {
        return local;
    }
    let offset = offset_of_local(zone, local.div_euclid(USECS_PER_SEC));
    local.saturating_sub(offset * USECS_PER_SEC).clamp(i64::MIN + 1, i64::MAX - 1)
}

/// Both sides in the type in which PostgreSQL compares them; others stay as they are.
pub(in crate::federation::semantics) fn common(
    settings: &Settings,
    left: Expr,
    left_type: &PgType,
    right: Expr,
    right_type: &PgType,
) -> Result<(Expr, Expr, Option<PgType>)> {
    let target = match (left_type.oid, right_type.oid) {
        (DATE, TIMESTAMP) | (TIMESTAMP, DATE) => TIMESTAMP,
        (DATE | TIMESTAMP, TIMESTAMPTZ) | (TIMESTAMPTZ, DATE | TIMESTAMP) => TIMESTAMPTZ,
        (TIME, TIMETZ) | (TIMETZ, TIME) => TIMETZ,
        _ => return Ok((left, right, None)),
    };
    let left = converted(settings, left, left_type, target)?;
    let right = converted(settings, right, right_type, target)?;
    Ok((left, right, Some(PgType::new(target))))
}

fn converted(settings: &Settings, expr: Expr, own: &PgType, target: u32) -> Result<Expr> {
    let wanted = PgType::new(target);
    // A constant becomes one, which connectors can send.
    if matches!(expr, Expr::Literal(..))
        && own.oid != target
        && let Ok(constant) = fold(settings, cast_to(settings, expr.clone(), &wanted))
    {
        return Ok(constant);
    }
    let overload = match (own.oid, target) {
        (oids::DATE, oids::TIMESTAMP) => &AS_TIMESTAMP,
        (oids::DATE, oids::TIMESTAMPTZ) => &AS_MOMENT,
        (oids::TIMESTAMP, oids::TIMESTAMPTZ) => &LOCAL_MOMENT,
        (oids::TIME, _) => return Ok(cast_to(settings, expr, &wanted)),
        _ => return Ok(expr),
    };
    bind(settings, overload, vec![expr], &[Operand::Typed(own.clone())])
}
