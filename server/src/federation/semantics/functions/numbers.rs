//! Functions of numbers.

use atoll_connector_api::types::{Arithmetic, Numeric, oids};
use num_bigint::BigInt;

use super::decimal::{self, Dec, power_of_ten};
use super::{
    Call, Datum, FLOAT4, FLOAT8, Function, INT2, INT4, INT8, NUMERIC, TEXT, invalid, of_type, out_of_range, strict,
    text,
};
use crate::error::{SqlError, SqlResult, SqlState};

const POWER_ERROR: SqlState = SqlState(*b"2201F");
const LOGARITHM_ERROR: SqlState = SqlState(*b"2201E");
const BUCKET_ERROR: SqlState = SqlState(*b"2201G");

pub(super) const FUNCTIONS: &[Function] = &[
    // `#`: DataFusion takes `x # x` for 0 where x may be NULL.
    strict("setseed", &[FLOAT8], TEXT, |call| {
        let seed = call.float(0);
        if !(-1.0..=1.0).contains(&seed) {
            let seed = super::strings::shown(call, 0)?;
            return Err(super::invalid(format!("setseed parameter {seed} is out of allowed range [-1,1]")));
        }
        Err(SqlError::unsupported("setseed is not supported"))
    }),
    strict("int_xor", &[INT2, INT2], INT2, |call| Ok(Datum::Int(call.int(0) ^ call.int(1)))),
    strict("int_xor", &[INT4, INT4], INT4, |call| Ok(Datum::Int(call.int(0) ^ call.int(1)))),
    strict("int_xor", &[INT8, INT8], INT8, |call| Ok(Datum::Int(call.int(0) ^ call.int(1)))),
    strict("abs", &[INT2], INT2, absolute),
    strict("abs", &[INT4], INT4, absolute),
    strict("abs", &[INT8], INT8, absolute),
    strict("abs", &[NUMERIC], NUMERIC, |call| negated_if(call.numeric(0), |sign| sign < 0)),
    strict("abs", &[FLOAT4], FLOAT4, |call| Ok(Datum::Float(call.float(0).abs()))),
    strict("abs", &[FLOAT8], FLOAT8, |call| Ok(Datum::Float(call.float(0).abs()))),
    strict("negate", &[INT2], INT2, negated),
    strict("negate", &[INT4], INT4, negated),
    strict("negate", &[INT8], INT8, negated),
    strict("negate", &[NUMERIC], NUMERIC, |call| match call.numeric(0) {
        Numeric::Infinity => Ok(Datum::Numeric(Numeric::MinusInfinity)),
        value => negated_if(value, |_| true),
    }),
    strict("negate", &[FLOAT4], FLOAT4, |call| Ok(Datum::Float(-call.float(0)))),
    strict("negate", &[FLOAT8], FLOAT8, |call| Ok(Datum::Float(-call.float(0)))),
    // For its type alone: the analyzer plans it as one of the functions of dates and times.
    strict("negate", &[super::Kind::Of(oids::INTERVAL)], super::Kind::Of(oids::INTERVAL), |_| {
        Err(SqlError::unsupported("negating an interval is not supported here"))
    }),
    strict("sign", &[NUMERIC], NUMERIC, |call| match sign(&call.numeric(0)) {
        None => Ok(Datum::Numeric(Numeric::NaN)),
        Some(sign) => whole(sign),
    }),
    strict("sign", &[FLOAT8], FLOAT8, |call| {
        let value = call.float(0);
        Ok(Datum::Float(if value.is_nan() || value == 0.0 { 0.0 } else { value.signum() }))
    }),
    strict("ceil", &[NUMERIC], NUMERIC, |call| towards(&call.numeric(0), true)),
    strict("ceil", &[FLOAT8], FLOAT8, |call| Ok(Datum::Float(call.float(0).ceil()))),
    strict("ceiling", &[NUMERIC], NUMERIC, |call| towards(&call.numeric(0), true)),
    strict("ceiling", &[FLOAT8], FLOAT8, |call| Ok(Datum::Float(call.float(0).ceil()))),
    strict("floor", &[NUMERIC], NUMERIC, |call| towards(&call.numeric(0), false)),
    strict("floor", &[FLOAT8], FLOAT8, |call| Ok(Datum::Float(call.float(0).floor()))),
    strict("round", &[NUMERIC], NUMERIC, |call| Ok(Datum::Numeric(call.numeric(0).round(0)))),
    strict("round", &[FLOAT8], FLOAT8, |call| Ok(Datum::Float(call.float(0).round_ties_even()))),
    strict("round", &[NUMERIC, INT4], NUMERIC, |call| Ok(Datum::Numeric(call.numeric(0).round(digits(call.int(1)))))),
    strict("trunc", &[NUMERIC], NUMERIC, |call| truncated(&call.numeric(0), 0)),
    strict("trunc", &[FLOAT8], FLOAT8, |call| Ok(Datum::Float(call.float(0).trunc()))),
    strict("trunc", &[NUMERIC, INT4], NUMERIC, |call| truncated(&call.numeric(0), digits(call.int(1)))),
    strict("mod", &[INT2, INT2], INT2, modulo),
    strict("mod", &[INT4, INT4], INT4, modulo),
    strict("mod", &[INT8, INT8], INT8, modulo),
    strict("mod", &[NUMERIC, NUMERIC], NUMERIC, |call| compute(call, Arithmetic::Remainder)),
    strict("div", &[NUMERIC, NUMERIC], NUMERIC, quotient),
    strict("power", &[NUMERIC, NUMERIC], NUMERIC, |call| {
        decimal::power(&call.numeric(0), &call.numeric(1)).map(Datum::Numeric)
    }),
    strict("power", &[FLOAT8, FLOAT8], FLOAT8, float_power),
    strict("pow", &[NUMERIC, NUMERIC], NUMERIC, |call| {
        decimal::power(&call.numeric(0), &call.numeric(1)).map(Datum::Numeric)
    }),
    strict("pow", &[FLOAT8, FLOAT8], FLOAT8, float_power),
    strict("sqrt", &[NUMERIC], NUMERIC, |call| decimal::sqrt(&call.numeric(0)).map(Datum::Numeric)),
    strict("sqrt", &[FLOAT8], FLOAT8, |call| {
        if call.float(0) < 0.0 {
            return Err(SqlError::new(POWER_ERROR, "cannot take square root of a negative number"));
        }
        Ok(Datum::Float(call.float(0).sqrt()))
    }),
    strict("cbrt", &[FLOAT8], FLOAT8, |call| Ok(Datum::Float(call.float(0).cbrt()))),
    strict("exp", &[NUMERIC], NUMERIC, |call| decimal::exp(&call.numeric(0)).map(Datum::Numeric)),
    strict("exp", &[FLOAT8], FLOAT8, |call| {
        let (value, result) = (call.float(0), call.float(0).exp());
        if value.is_finite() && result.is_infinite() {
            return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow"));
        }
        if value.is_finite() && result == 0.0 {
            return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow"));
        }
        Ok(Datum::Float(result))
    }),
    strict("ln", &[NUMERIC], NUMERIC, |call| decimal::ln(&call.numeric(0)).map(Datum::Numeric)),
    strict("ln", &[FLOAT8], FLOAT8, |call| float_logarithm(call.float(0), f64::ln)),
    strict("log", &[NUMERIC], NUMERIC, |call| decimal::log(&ten()?, &call.numeric(0)).map(Datum::Numeric)),
    strict("log", &[FLOAT8], FLOAT8, |call| float_logarithm(call.float(0), f64::log10)),
    strict("log", &[NUMERIC, NUMERIC], NUMERIC, |call| {
        decimal::log(&call.numeric(0), &call.numeric(1)).map(Datum::Numeric)
    }),
    strict("log10", &[NUMERIC], NUMERIC, |call| decimal::log(&ten()?, &call.numeric(0)).map(Datum::Numeric)),
    strict("log10", &[FLOAT8], FLOAT8, |call| float_logarithm(call.float(0), f64::log10)),
    strict("degrees", &[FLOAT8], FLOAT8, |call| Ok(Datum::Float(call.float(0) / (std::f64::consts::PI / 180.0)))),
    strict("radians", &[FLOAT8], FLOAT8, |call| Ok(Datum::Float(call.float(0) * (std::f64::consts::PI / 180.0)))),
    strict("gcd", &[INT4, INT4], INT4, |call| integer_gcd(call, oids::INT4)),
    strict("gcd", &[INT8, INT8], INT8, |call| integer_gcd(call, oids::INT8)),
    strict("gcd", &[NUMERIC, NUMERIC], NUMERIC, numeric_gcd),
    strict("lcm", &[INT4, INT4], INT4, |call| integer_lcm(call, oids::INT4)),
    strict("lcm", &[INT8, INT8], INT8, |call| integer_lcm(call, oids::INT8)),
    strict("lcm", &[NUMERIC, NUMERIC], NUMERIC, numeric_lcm),
    strict("factorial", &[INT8], NUMERIC, factorial),
    strict("scale", &[NUMERIC], INT4, |call| match call.numeric(0) {
        value @ Numeric::Finite(_) => Ok(Datum::Int(i64::try_from(value.scale()).unwrap_or(0))),
        _ => Ok(Datum::Null),
    }),
    strict("min_scale", &[NUMERIC], INT4, |call| match call.numeric(0) {
        value @ Numeric::Finite(_) => Ok(Datum::Int(i64::try_from(least_scale(&value)).unwrap_or(0))),
        _ => Ok(Datum::Null),
    }),
    strict("trim_scale", &[NUMERIC], NUMERIC, |call| {
        let value = call.numeric(0);
        let scale = i16::try_from(least_scale(&value)).unwrap_or(i16::MAX);
        Ok(Datum::Numeric(value.round(scale)))
    }),
    strict("width_bucket", &[NUMERIC, NUMERIC, NUMERIC, INT4], INT4, numeric_bucket),
    strict("width_bucket", &[FLOAT8, FLOAT8, FLOAT8, INT4], INT4, float_bucket),
    strict("to_hex", &[INT4], TEXT, |call| text(format!("{:x}", call.int(0) & 0xffff_ffff))),
    strict("to_hex", &[INT8], TEXT, |call| text(format!("{:x}", call.int(0)))),
];

fn absolute(call: &Call<'_>) -> SqlResult<Datum> {
    let value = call.int(0).checked_abs().filter(|value| match call.returns.oid {
        oids::INT2 => i16::try_from(*value).is_ok(),
        oids::INT4 => i32::try_from(*value).is_ok(),
        _ => true,
    });
    value.map(Datum::Int).ok_or_else(|| out_of_range(&call.returns.sql_name()))
}

fn negated(call: &Call<'_>) -> SqlResult<Datum> {
    let value = call.int(0).checked_neg().filter(|value| match call.returns.oid {
        oids::INT2 => i16::try_from(*value).is_ok(),
        oids::INT4 => i32::try_from(*value).is_ok(),
        _ => true,
    });
    value.map(Datum::Int).ok_or_else(|| out_of_range(&call.returns.sql_name()))
}

/// -1, 0 or 1; `None` for NaN.
fn sign(value: &Numeric) -> Option<i64> {
    match value {
        Numeric::NaN => None,
        Numeric::Infinity => Some(1),
        Numeric::MinusInfinity => Some(-1),
        Numeric::Finite(_) => Some(match Dec::of(value)?.unscaled.sign() {
            num_bigint::Sign::Minus => -1,
            num_bigint::Sign::NoSign => 0,
            num_bigint::Sign::Plus => 1,
        }),
    }
}

fn whole(value: i64) -> SqlResult<Datum> {
    Numeric::parse(&value.to_string()).map(Datum::Numeric).map_err(|error| of_type(&error))
}

fn ten() -> SqlResult<Numeric> {
    Numeric::parse("10").map_err(|error| of_type(&error))
}

fn negated_if(value: Numeric, condition: fn(i64) -> bool) -> SqlResult<Datum> {
    if !sign(&value).is_some_and(condition) {
        return Ok(Datum::Numeric(value));
    }
    Ok(Datum::Numeric(match Dec::of(&value) {
        Some(number) => Dec { unscaled: -number.unscaled, ..number }.to_numeric()?,
        None => Numeric::Infinity,
    }))
}

fn towards(value: &Numeric, up: bool) -> SqlResult<Datum> {
    let Some(number) = Dec::of(value) else { return Ok(Datum::Numeric(value.clone())) };
    let mut result = number.truncated();
    let rest = number.unscaled - &result * power_of_ten(number.scale);
    match rest.sign() {
        num_bigint::Sign::Plus if up => result += 1,
        num_bigint::Sign::Minus if !up => result -= 1,
        _ => {}
    }
    Dec { unscaled: result, scale: 0 }.to_numeric().map(Datum::Numeric)
}

fn digits(count: i64) -> i16 {
    // NUMERIC_MAX_RESULT_SCALE.
    i16::try_from(count.clamp(-2000, 2000)).unwrap_or(0)
}

fn truncated(value: &Numeric, scale: i16) -> SqlResult<Datum> {
    let Some(number) = Dec::of(value) else { return Ok(Datum::Numeric(value.clone())) };
    let result = match usize::try_from(scale) {
        Ok(scale) if scale >= number.scale => number.rounded(scale),
        Ok(scale) => Dec { unscaled: number.unscaled / power_of_ten(number.scale - scale), scale },
        Err(_) => {
            let power = power_of_ten(usize::from(scale.unsigned_abs()));
            Dec { unscaled: number.truncated() / &power * power, scale: 0 }
        }
    };
    result.to_numeric().map(Datum::Numeric)
}

fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

fn modulo(call: &Call<'_>) -> SqlResult<Datum> {
    if call.int(1) == 0 {
        return Err(division_by_zero());
    }
    Ok(Datum::Int(call.int(0).wrapping_rem(call.int(1))))
}

fn compute(call: &Call<'_>, operation: Arithmetic) -> SqlResult<Datum> {
    call.numeric(0).compute(operation, &call.numeric(1)).map(Datum::Numeric).map_err(|error| of_type(&error))
}

fn quotient(call: &Call<'_>) -> SqlResult<Datum> {
    let (Some(left), Some(right)) = (Dec::of(&call.numeric(0)), Dec::of(&call.numeric(1))) else {
        return match compute(call, Arithmetic::Divide)? {
            Datum::Numeric(value) => truncated(&value, 0),
            other => Ok(other),
        };
    };
    if right.unscaled == BigInt::ZERO {
        return Err(division_by_zero());
    }
    let scale = left.scale.max(right.scale);
    let unscaled = left.rounded(scale).unscaled / right.rounded(scale).unscaled;
    Dec { unscaled, scale: 0 }.to_numeric().map(Datum::Numeric)
}

fn float_power(call: &Call<'_>) -> SqlResult<Datum> {
    let (x, y) = (call.float(0), call.float(1));
    if x == 0.0 && y < 0.0 {
        return Err(SqlError::new(POWER_ERROR, "zero raised to a negative power is undefined"));
    }
    if x < 0.0 && x.is_finite() && y.is_finite() && y.fract() != 0.0 {
        return Err(SqlError::new(
            POWER_ERROR,
            "a negative number raised to a non-integer power yields a complex result",
        ));
    }
    let result = x.powf(y);
    if x.is_finite() && y.is_finite() {
        if result.is_infinite() {
            return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow"));
        }
        if result == 0.0 && x != 0.0 {
            return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow"));
        }
    }
    Ok(Datum::Float(result))
}

fn float_logarithm(value: f64, logarithm: fn(f64) -> f64) -> SqlResult<Datum> {
    if value == 0.0 {
        return Err(SqlError::new(LOGARITHM_ERROR, "cannot take logarithm of zero"));
    }
    if value < 0.0 {
        return Err(SqlError::new(LOGARITHM_ERROR, "cannot take logarithm of a negative number"));
    }
    Ok(Datum::Float(logarithm(value)))
}

fn gcd(left: BigInt, right: BigInt) -> BigInt {
    let (mut a, mut b) = (left, right);
    while b != BigInt::ZERO {
        (a, b) = (b.clone(), a % &b);
    }
    BigInt::from(a.magnitude().clone())
}

fn fits(value: &BigInt, oid: u32) -> SqlResult<Datum> {
    let name = if oid == oids::INT4 { "integer" } else { "bigint" };
    let value = i64::try_from(value).map_err(|_| out_of_range(name))?;
    if oid == oids::INT4 && i32::try_from(value).is_err() {
        return Err(out_of_range(name));
    }
    Ok(Datum::Int(value))
}

fn integer_gcd(call: &Call<'_>, oid: u32) -> SqlResult<Datum> {
    fits(&gcd(call.int(0).into(), call.int(1).into()), oid)
}

fn integer_lcm(call: &Call<'_>, oid: u32) -> SqlResult<Datum> {
    fits(&lcm(call.int(0).into(), call.int(1).into()), oid)
}

fn lcm(left: BigInt, right: BigInt) -> BigInt {
    if left == BigInt::ZERO || right == BigInt::ZERO {
        return BigInt::ZERO;
    }
    let divisor = gcd(left.clone(), right.clone());
    BigInt::from((left / divisor * right).magnitude().clone())
}

fn aligned(call: &Call<'_>) -> Option<(BigInt, BigInt, usize)> {
    let (left, right) = (Dec::of(&call.numeric(0))?, Dec::of(&call.numeric(1))?);
    let scale = left.scale.max(right.scale);
    Some((left.rounded(scale).unscaled, right.rounded(scale).unscaled, scale))
}

fn numeric_gcd(call: &Call<'_>) -> SqlResult<Datum> {
    let Some((left, right, scale)) = aligned(call) else { return Ok(Datum::Numeric(Numeric::NaN)) };
    Dec { unscaled: gcd(left, right), scale }.to_numeric().map(Datum::Numeric)
}

fn numeric_lcm(call: &Call<'_>) -> SqlResult<Datum> {
    let Some((left, right, scale)) = aligned(call) else { return Ok(Datum::Numeric(Numeric::NaN)) };
    Dec { unscaled: lcm(left, right), scale }.to_numeric().map(Datum::Numeric)
}

fn factorial(call: &Call<'_>) -> SqlResult<Datum> {
    let number = call.int(0);
    if number < 0 {
        return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "factorial of a negative number is undefined"));
    }
    if number > 32177 {
        return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format"));
    }
    let mut product = BigInt::from(1);
    for factor in 1..=number {
        crate::interrupt::check()?;
        product *= factor;
    }
    Dec { unscaled: product, scale: 0 }.to_numeric().map(Datum::Numeric)
}

fn least_scale(value: &Numeric) -> usize {
    let mut printed = String::new();
    value.write(&mut printed);
    printed.split_once('.').map_or(0, |(_, fraction)| fraction.trim_end_matches('0').len())
}

fn bucket_error(message: &str) -> SqlError {
    SqlError::new(BUCKET_ERROR, message)
}

fn bucket_count(call: &Call<'_>) -> SqlResult<i64> {
    if call.int(3) <= 0 {
        return Err(bucket_error("count must be greater than zero"));
    }
    Ok(call.int(3))
}

fn after_last(count: i64) -> SqlResult<Datum> {
    i32::try_from(count + 1).map(|count| Datum::Int(count.into())).map_err(|_| out_of_range("integer"))
}

fn numeric_bucket(call: &Call<'_>) -> SqlResult<Datum> {
    let count = bucket_count(call)?;
    let values = [call.numeric(0), call.numeric(1), call.numeric(2)];
    if values.contains(&Numeric::NaN) {
        return Err(bucket_error("operand, lower bound, and upper bound cannot be NaN"));
    }
    let [operand, low, high] = &values;
    let (Some(low_number), Some(high_number)) = (Dec::of(low), Dec::of(high)) else {
        return Err(bucket_error("lower and upper bounds must be finite"));
    };
    let order = low.compare(high);
    if order.is_eq() {
        return Err(bucket_error("lower bound cannot equal upper bound"));
    }
    let descending = order.is_gt();
    let (from_low, from_high) = (operand.compare(low), operand.compare(high));
    if if descending { from_low.is_gt() } else { from_low.is_lt() } {
        return Ok(Datum::Int(0));
    }
    if if descending { from_high.is_le() } else { from_high.is_ge() } {
        return after_last(count);
    }
    let Some(number) = Dec::of(operand) else { return Err(invalid("infinite operand")) };
    let scale = number.scale.max(low_number.scale).max(high_number.scale);
    let at = |value: &Dec| value.rounded(scale).unscaled;
    let bucket = (at(&number) - at(&low_number)) * count / (at(&high_number) - at(&low_number));
    Ok(Datum::Int(i64::try_from(&bucket).unwrap_or(0) + 1))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a bucket's number is below 2^31")]
fn float_bucket(call: &Call<'_>) -> SqlResult<Datum> {
    let count = bucket_count(call)?;
    let (operand, low, high) = (call.float(0), call.float(1), call.float(2));
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return Err(bucket_error("operand, lower bound, and upper bound cannot be NaN"));
    }
    if low.is_infinite() || high.is_infinite() {
        return Err(bucket_error("lower and upper bounds must be finite"));
    }
    if low == high {
        return Err(bucket_error("lower bound cannot equal upper bound"));
    }
    let ascending = low < high;
    if if ascending { operand < low } else { operand > low } {
        return Ok(Datum::Int(0));
    }
    if if ascending { operand >= high } else { operand <= high } {
        return after_last(count);
    }
    let share = if (high - low).is_finite() {
        (operand - low) / (high - low)
    } else {
        (operand / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)
    };
    let bucket = (count as f64 * share) as i64;
    Ok(Datum::Int(bucket.min(count - 1) + 1))
}
