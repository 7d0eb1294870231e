//! Arithmetic of `money`, in hundredths.

use atoll_connector_api::types::oids;

use super::{Call, Datum, FLOAT8, Function, INT2, INT4, INT8, Kind, out_of_range, strict, text};
use crate::error::{SqlError, SqlResult, SqlState};

const MONEY: Kind = Kind::Of(oids::MONEY);

pub(super) const FUNCTIONS: &[Function] = &[
    strict("money_add", &[MONEY, MONEY], MONEY, |call| printed(cents(call, 0)?.checked_add(cents(call, 1)?))),
    strict("money_subtract", &[MONEY, MONEY], MONEY, |call| printed(cents(call, 0)?.checked_sub(cents(call, 1)?))),
    strict("money_multiply", &[MONEY, INT2], MONEY, times),
    strict("money_multiply", &[MONEY, INT4], MONEY, times),
    strict("money_multiply", &[MONEY, INT8], MONEY, times),
    strict("money_multiply", &[INT2, MONEY], MONEY, times_money),
    strict("money_multiply", &[INT4, MONEY], MONEY, times_money),
    strict("money_multiply", &[INT8, MONEY], MONEY, times_money),
    strict("money_multiply", &[MONEY, FLOAT8], MONEY, |call| rounded(float(cents(call, 0)?) * call.float(1))),
    strict("money_multiply", &[FLOAT8, MONEY], MONEY, |call| rounded(float(cents(call, 1)?) * call.float(0))),
    strict("money_divide", &[MONEY, INT2], MONEY, parts),
    strict("money_divide", &[MONEY, INT4], MONEY, parts),
    strict("money_divide", &[MONEY, INT8], MONEY, parts),
    strict("money_divide", &[MONEY, FLOAT8], MONEY, |call| {
        if call.float(1) == 0.0 { Err(division_by_zero()) } else { rounded(float(cents(call, 0)?) / call.float(1)) }
    }),
    strict("money_divide", &[MONEY, MONEY], FLOAT8, |call| {
        let divisor = cents(call, 1)?;
        if divisor == 0 { Err(division_by_zero()) } else { Ok(Datum::Float(float(cents(call, 0)?) / float(divisor))) }
    }),
];

fn times(call: &Call<'_>) -> SqlResult<Datum> {
    printed(cents(call, 0)?.checked_mul(call.int(1)))
}

fn times_money(call: &Call<'_>) -> SqlResult<Datum> {
    printed(cents(call, 1)?.checked_mul(call.int(0)))
}

/// Towards zero, unlike a division by a float.
fn parts(call: &Call<'_>) -> SqlResult<Datum> {
    if call.int(1) == 0 { Err(division_by_zero()) } else { printed(cents(call, 0)?.checked_div(call.int(1))) }
}

fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

/// An amount as it prints, `-$1,234.56`, in hundredths.
fn cents(call: &Call<'_>, index: usize) -> SqlResult<i64> {
    let digits: String = call.text(index).chars().filter(|c| c.is_ascii_digit() || *c == '-').collect();
    digits.parse().map_err(|_| out_of_range("money"))
}

fn printed(cents: Option<i64>) -> SqlResult<Datum> {
    let cents = cents.ok_or_else(|| out_of_range("money"))?;
    let sign = if cents < 0 { "-" } else { "" };
    text(format!("{sign}{}.{:02}", cents.unsigned_abs() / 100, cents.unsigned_abs() % 100))
}

#[expect(clippy::cast_precision_loss, reason = "as PostgreSQL computes money with floats")]
fn float(cents: i64) -> f64 {
    cents as f64
}

/// To the nearest hundredth, halves to the even one.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked before")]
fn rounded(cents: f64) -> SqlResult<Datum> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let cents = cents.round_ties_even();
    printed((-LIMIT..LIMIT).contains(&cents).then_some(cents as i64))
}
