//! Trigonometric functions of degrees, exact at the angles where PostgreSQL's are.

use std::f64::consts::PI;

use super::{Call, Datum, FLOAT8, Function, strict};
use crate::error::{SqlError, SqlResult, SqlState};

pub(super) const FUNCTIONS: &[Function] = &[
    strict("sind", &[FLOAT8], FLOAT8, |call| of_angle(call, sine)),
    strict("cosd", &[FLOAT8], FLOAT8, |call| of_angle(call, cosine)),
    strict("tand", &[FLOAT8], FLOAT8, |call| of_angle(call, |angle| turned(angle, Turn::Tangent))),
    strict("cotd", &[FLOAT8], FLOAT8, |call| of_angle(call, |angle| turned(angle, Turn::Cotangent))),
    strict("asind", &[FLOAT8], FLOAT8, |call| {
        of_ratio(call, |ratio| if ratio >= 0.0 { arc_sine(ratio) } else { -arc_sine(-ratio) })
    }),
    strict("acosd", &[FLOAT8], FLOAT8, |call| {
        of_ratio(call, |ratio| if ratio >= 0.0 { arc_cosine(ratio) } else { 90.0 + arc_sine(-ratio) })
    }),
    strict("atand", &[FLOAT8], FLOAT8, |call| Ok(Datum::Float(call.float(0).atan() / 1.0_f64.atan() * 45.0))),
    strict("atan2d", &[FLOAT8, FLOAT8], FLOAT8, |call| {
        Ok(Datum::Float(call.float(0).atan2(call.float(1)) / 1.0_f64.atan() * 45.0))
    }),
];

fn out_of_range() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}

fn of_angle(call: &Call<'_>, of: fn(f64) -> f64) -> SqlResult<Datum> {
    let angle = call.float(0);
    if angle.is_infinite() {
        return Err(out_of_range());
    }
    Ok(Datum::Float(if angle.is_nan() { angle } else { of(angle) }))
}

fn of_ratio(call: &Call<'_>, of: fn(f64) -> f64) -> SqlResult<Datum> {
    let ratio = call.float(0);
    if ratio.is_nan() {
        return Ok(Datum::Float(ratio));
    }
    if !(-1.0..=1.0).contains(&ratio) {
        return Err(out_of_range());
    }
    Ok(Datum::Float(of(ratio)))
}

/// Sine up to 30 degrees, where it is exactly a half.
fn low_sine(angle: f64) -> f64 {
    (angle * (PI / 180.0)).sin() / (30.0 * (PI / 180.0)).sin() / 2.0
}

/// Cosine up to 60 degrees, where it is exactly a half.
fn low_cosine(angle: f64) -> f64 {
    let below_one = |angle: f64| 1.0 - (angle * (PI / 180.0)).cos();
    1.0 - below_one(angle) / below_one(60.0) / 2.0
}

/// Of the first quadrant.
fn quarter_sine(angle: f64) -> f64 {
    if angle <= 30.0 { low_sine(angle) } else { low_cosine(90.0 - angle) }
}

/// Of the first quadrant.
fn quarter_cosine(angle: f64) -> f64 {
    if angle <= 60.0 { low_cosine(angle) } else { low_sine(90.0 - angle) }
}

fn sine(angle: f64) -> f64 {
    let mut angle = angle % 360.0;
    let mut sign = 1.0;
    if angle < 0.0 {
        (angle, sign) = (-angle, -sign);
    }
    if angle > 180.0 {
        (angle, sign) = (360.0 - angle, -sign);
    }
    if angle > 90.0 {
        angle = 180.0 - angle;
    }
    sign * quarter_sine(angle)
}

fn cosine(angle: f64) -> f64 {
    let mut angle = (angle % 360.0).abs();
    let mut sign = 1.0;
    if angle > 180.0 {
        angle = 360.0 - angle;
    }
    if angle > 90.0 {
        (angle, sign) = (180.0 - angle, -sign);
    }
    sign * quarter_cosine(angle)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Tangent,
    Cotangent,
}

fn turned(angle: f64, turn: Turn) -> f64 {
    let mut angle = angle % 360.0;
    let mut sign = 1.0;
    if angle < 0.0 {
        (angle, sign) = (-angle, -sign);
    }
    if angle > 180.0 {
        (angle, sign) = (360.0 - angle, -sign);
    }
    if angle > 90.0 {
        (angle, sign) = (180.0 - angle, -sign);
    }
    // At 45 degrees both are exactly one.
    let ratio = |angle: f64| match turn {
        Turn::Tangent => quarter_sine(angle) / quarter_cosine(angle),
        Turn::Cotangent => quarter_cosine(angle) / quarter_sine(angle),
    };
    let result = sign * (ratio(angle) / ratio(45.0));
    // No negative zero.
    if result == 0.0 { 0.0 } else { result }
}

/// Of ratios from zero on.
fn arc_sine(ratio: f64) -> f64 {
    if ratio <= 0.5 { ratio.asin() / 0.5_f64.asin() * 30.0 } else { 90.0 - ratio.acos() / 0.5_f64.acos() * 60.0 }
}

/// Of ratios from zero on.
fn arc_cosine(ratio: f64) -> f64 {
    if ratio <= 0.5 { 90.0 - ratio.asin() / 0.5_f64.asin() * 30.0 } else { ratio.acos() / 0.5_f64.acos() * 60.0 }
}
