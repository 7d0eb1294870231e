//! `numeric` beyond the four operations: roots, powers, logarithms, with the scales that PostgreSQL shows.
//!
//! Scales follow src/backend/utils/adt/numeric.c; values are computed with digits to spare and rounded once.

use atoll_connector_api::types::Numeric;
use num_bigint::{BigInt, Sign};

use super::of_type;
use crate::error::{SqlError, SqlResult, SqlState};

/// `NUMERIC_MIN_SIG_DIGITS`.
const DIGITS_MIN: i64 = 16;
/// `NUMERIC_MAX_DISPLAY_SCALE`.
const SCALE_MAX: i64 = 1000;
/// Digits that are computed beyond those shown.
const GUARD: usize = 12;
/// Digits of a result beyond which nothing is computed here.
const RESULT_DIGITS_MAX: i64 = 10_000;
/// `log10(e)`.
const LOG10_E: f64 = std::f64::consts::LOG10_E;

/// `2201E`, `2201F`.
const INVALID_LOGARITHM: SqlState = SqlState(*b"2201E");
const INVALID_POWER: SqlState = SqlState(*b"2201F");

/// A number `unscaled * 10^-scale`.
#[derive(Debug, Clone)]
pub(super) struct Dec {
    pub(super) unscaled: BigInt,
    pub(super) scale: usize,
}

impl Dec {
    /// A finite number; `None` for NaN and the infinities.
    pub(super) fn of(value: &Numeric) -> Option<Self> {
        if !matches!(value, Numeric::Finite(_)) {
            return None;
        }
        let mut text = String::new();
        value.write(&mut text);
        let scale = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        text.retain(|c| c != '.');
        Some(Self { unscaled: text.parse().ok()?, scale })
    }

    /// The number as a `numeric`.
    pub(super) fn to_numeric(&self) -> SqlResult<Numeric> {
        let negative = self.unscaled.sign() == Sign::Minus;
        let mut digits = self.unscaled.magnitude().to_string();
        if self.scale > 0 {
            if digits.len() <= self.scale {
                digits = format!("{}{digits}", "0".repeat(self.scale + 1 - digits.len()));
            }
            digits.insert(digits.len() - self.scale, '.');
        }
        if negative {
            digits.insert(0, '-');
        }
        Numeric::parse(&digits).map_err(|error| of_type(&error))
    }

    /// Rounded half away from zero, or filled up with zeros.
    pub(super) fn rounded(&self, scale: usize) -> Self {
        if scale >= self.scale {
            return Self { unscaled: &self.unscaled * power_of_ten(scale - self.scale), scale };
        }
        Self { unscaled: divided(&self.unscaled, &power_of_ten(self.scale - scale)), scale }
    }

    fn is_zero(&self) -> bool {
        self.unscaled.sign() == Sign::NoSign
    }

    fn is_negative(&self) -> bool {
        self.unscaled.sign() == Sign::Minus
    }

    /// The integer that it is; `None` with a fraction.
    fn integer(&self) -> Option<BigInt> {
        let whole = self.truncated();
        (&whole * power_of_ten(self.scale) == self.unscaled).then_some(whole)
    }

    /// Without its fraction.
    pub(super) fn truncated(&self) -> BigInt {
        &self.unscaled / power_of_ten(self.scale)
    }

    fn to_f64(&self) -> f64 {
        // 1e-400 reads as 0, 1e400 as infinity, which is what estimates need.
        format!("{}e-{}", self.unscaled, self.scale).parse().unwrap_or(f64::NAN)
    }
}

/// `10^exponent`.
pub(super) fn power_of_ten(exponent: usize) -> BigInt {
    BigInt::from(10).pow(u32::try_from(exponent).unwrap_or(u32::MAX))
}

/// A quotient rounded half away from zero.
fn divided(value: &BigInt, by: &BigInt) -> BigInt {
    let (quotient, remainder) = (value / by, value % by);
    if remainder.magnitude() * 2_u32 >= *by.magnitude() {
        let one = if (value.sign() == Sign::Minus) == (by.sign() == Sign::Minus) { 1 } else { -1 };
        quotient + one
    } else {
        quotient
    }
}

fn usize_of(value: i64) -> usize {
    usize::try_from(value).unwrap_or(0)
}

fn i64_of(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn display_scale(scale: i64, least: &[usize]) -> usize {
    let scale = least.iter().fold(scale, |scale, least| scale.max(i64_of(*least)));
    usize_of(scale.clamp(0, SCALE_MAX))
}

/// Weight (in groups of four digits) and the first two groups, as PostgreSQL stores them; `None` for zero.
fn groups(value: &Dec) -> Option<(i64, u32, Option<u32>)> {
    if value.is_zero() {
        return None;
    }
    let digits = value.unscaled.magnitude().to_string();
    let whole = i64_of(digits.len()) - i64_of(value.scale);
    // Aligned at the point: the first group has as many digits as are left over.
    let weight = (whole + 3).div_euclid(4) - 1;
    let lead = usize_of((weight + 1) * 4 - whole);
    let padded = format!("{}{digits}{}", "0".repeat(lead), "0".repeat(8));
    let group = |index: usize| padded.get(index * 4..index * 4 + 4).and_then(|text| text.parse().ok());
    let trimmed = digits.trim_end_matches('0');
    let more = lead + trimmed.len() > 4;
    Some((weight, group(0)?, if more { group(1) } else { None }))
}

#[expect(clippy::cast_possible_truncation, reason = "an estimate; floats saturate")]
fn truncate(value: f64) -> i64 {
    value as i64
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn float_of(value: i64) -> f64 {
    value as f64
}

/// `estimate_ln_dweight`.
fn ln_weight(value: &Dec) -> i64 {
    if value.is_negative() || value.is_zero() {
        return 0;
    }
    let tenths = |n: i64| BigInt::from(n) * power_of_ten(value.scale);
    let scaled = &value.unscaled * 10;
    if scaled >= tenths(9) && scaled <= tenths(11) {
        let x = Dec { unscaled: &value.unscaled - power_of_ten(value.scale), scale: value.scale };
        return groups(&x).map_or(0, |(weight, first, _)| weight * 4 + truncate(f64::from(first).log10()));
    }
    groups(value).map_or(0, |(weight, first, second)| {
        let (mut digits, mut exponent) = (f64::from(first), weight * 4);
        if let Some(second) = second {
            digits = digits * 10000.0 + f64::from(second);
            exponent -= 4;
        }
        let ln = digits.ln() + float_of(exponent) * std::f64::consts::LN_10;
        truncate(ln.abs().log10())
    })
}

/// `ln(value)` with `digits` digits after the point, for a value above zero.
fn ln_fixed(value: &Dec, digits: usize) -> BigInt {
    let one = power_of_ten(digits);
    // value = m * 10^e with m from 0.1 to 10.
    let length = value.unscaled.magnitude().to_string().len();
    let exponent = i64_of(length) - i64_of(value.scale) - 1;
    let m = scaled(&value.unscaled, i64_of(digits) - i64_of(value.scale) - exponent);
    let ten = BigInt::from(10) * &one;
    let mut ln = ln_near(&m, &one);
    if exponent != 0 {
        ln += ln_near(&ten, &one) * exponent;
    }
    ln
}

/// `value * 10^shift`, cut off.
fn scaled(value: &BigInt, shift: i64) -> BigInt {
    if shift >= 0 { value * power_of_ten(usize_of(shift)) } else { value / power_of_ten(usize_of(-shift)) }
}

/// `ln(m)` in fixed point, by roots until the series is short.
fn ln_near(m: &BigInt, one: &BigInt) -> BigInt {
    const ROOTS: u32 = 6;
    let mut root = m.clone();
    for _ in 0..ROOTS {
        root = (root * one).sqrt();
    }
    // ln(r) = 2 atanh((r - 1) / (r + 1)).
    let z = (&root - one) * one / (&root + one);
    let square = &z * &z / one;
    let (mut term, mut sum, mut n) = (z.clone(), z, 1_u32);
    while term.sign() != Sign::NoSign {
        term = term * &square / one;
        n += 2;
        sum += &term / n;
    }
    sum * 2 * 2_u32.pow(ROOTS)
}

/// `e^value` for a value in fixed point.
fn exp_fixed(value: &BigInt, one: &BigInt) -> BigInt {
    const HALVINGS: u32 = 16;
    // Whole parts by their own power, so that the series sees a small number.
    let (whole, part) = (value / one, value % one);
    let x = part >> HALVINGS;
    let (mut term, mut sum, mut n) = (one.clone(), one.clone(), 1_u32);
    loop {
        term = term * &x / one / n;
        if term.sign() == Sign::NoSign {
            break;
        }
        sum += &term;
        n += 1;
    }
    for _ in 0..HALVINGS {
        sum = &sum * &sum / one;
    }
    let count = i64::try_from(&whole).unwrap_or(0);
    if count == 0 {
        return sum;
    }
    let e = {
        let (mut term, mut sum, mut n) = (one.clone(), one.clone(), 1_u32);
        while term.sign() != Sign::NoSign {
            term /= n;
            sum += &term;
            n += 1;
        }
        sum
    };
    let mut power = one.clone();
    let mut base = e;
    let mut left = count.unsigned_abs();
    while left > 0 {
        if left & 1 == 1 {
            power = power * &base / one;
        }
        base = &base * &base / one;
        left >>= 1;
    }
    if count > 0 { sum * power / one } else { sum * one / power }
}

fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

fn too_long() -> SqlError {
    SqlError::unsupported(format!("numeric results of more than {RESULT_DIGITS_MAX} digits are not supported"))
}

/// `sqrt(numeric)`.
pub(super) fn sqrt(value: &Numeric) -> SqlResult<Numeric> {
    let Some(number) = Dec::of(value) else {
        return match value {
            Numeric::MinusInfinity => Err(negative_root()),
            special => Ok(special.clone()),
        };
    };
    if number.is_negative() {
        return Err(negative_root());
    }
    // Zero has no digits, and the weight 0.
    let weight = groups(&number).map_or(0, |(weight, _, _)| weight);
    let root_weight = (weight + 1) * 4 / 2 - 1;
    let scale = display_scale(DIGITS_MIN - root_weight, &[number.scale]);
    root(&number, scale)
}

/// The root of a number that is not negative, with a scale.
pub(in crate::federation::semantics) fn sqrt_to_scale(value: &Numeric, scale: usize) -> SqlResult<Numeric> {
    match Dec::of(value) {
        Some(number) => root(&number, scale),
        None => Ok(value.clone()),
    }
}

fn root(number: &Dec, scale: usize) -> SqlResult<Numeric> {
    let digits = scale + 2;
    let root = scaled(&number.unscaled, 2 * i64_of(digits) - i64_of(number.scale)).sqrt();
    Dec { unscaled: root, scale: digits }.rounded(scale).to_numeric()
}

fn negative_root() -> SqlError {
    SqlError::new(INVALID_POWER, "cannot take square root of a negative number")
}

/// `exp(numeric)`.
pub(super) fn exp(value: &Numeric) -> SqlResult<Numeric> {
    let Some(number) = Dec::of(value) else {
        return Ok(match value {
            Numeric::MinusInfinity => Dec { unscaled: BigInt::ZERO, scale: 0 }.to_numeric()?,
            special => special.clone(),
        });
    };
    let weight = truncate(number.to_f64() * LOG10_E);
    if weight > RESULT_DIGITS_MAX {
        return Err(if weight > 131_072 { overflow() } else { too_long() });
    }
    let scale = display_scale(DIGITS_MIN - weight, &[number.scale]);
    exp_rounded(&number, weight, scale)
}

fn exp_rounded(number: &Dec, weight: i64, scale: usize) -> SqlResult<Numeric> {
    if weight < -(i64_of(scale) + 5) {
        return Dec { unscaled: BigInt::ZERO, scale }.to_numeric();
    }
    let digits = scale + usize_of(weight.abs()) + GUARD;
    let one = power_of_ten(digits);
    let x = scaled(&number.unscaled, i64_of(digits) - i64_of(number.scale));
    Dec { unscaled: exp_fixed(&x, &one), scale: digits }.rounded(scale).to_numeric()
}

fn check_logarithm(number: &Dec) -> SqlResult<()> {
    if number.is_zero() {
        return Err(SqlError::new(INVALID_LOGARITHM, "cannot take logarithm of zero"));
    }
    if number.is_negative() {
        return Err(SqlError::new(INVALID_LOGARITHM, "cannot take logarithm of a negative number"));
    }
    Ok(())
}

/// `ln(numeric)`.
pub(super) fn ln(value: &Numeric) -> SqlResult<Numeric> {
    let Some(number) = Dec::of(value) else {
        return match value {
            Numeric::MinusInfinity => {
                Err(SqlError::new(INVALID_LOGARITHM, "cannot take logarithm of a negative number"))
            }
            special => Ok(special.clone()),
        };
    };
    check_logarithm(&number)?;
    let scale = display_scale(DIGITS_MIN - ln_weight(&number), &[number.scale]);
    let digits = scale + GUARD;
    Dec { unscaled: ln_fixed(&number, digits), scale: digits }.rounded(scale).to_numeric()
}

/// `log(base, value)`.
pub(super) fn log(base: &Numeric, value: &Numeric) -> SqlResult<Numeric> {
    let (Some(base), Some(number)) = (Dec::of(base), Dec::of(value)) else {
        return match (base, value) {
            (Numeric::NaN, _) | (_, Numeric::NaN) => Ok(Numeric::NaN),
            (Numeric::Finite(_), Numeric::Infinity) => Ok(Numeric::Infinity),
            (Numeric::Infinity, Numeric::Finite(_)) => Dec { unscaled: BigInt::ZERO, scale: 0 }.to_numeric(),
            (Numeric::Infinity, Numeric::Infinity) => Ok(Numeric::NaN),
            _ => Err(SqlError::new(INVALID_LOGARITHM, "cannot take logarithm of a negative number")),
        };
    };
    check_logarithm(&base)?;
    check_logarithm(&number)?;
    let weight = ln_weight(&number) - ln_weight(&base);
    let scale = display_scale(DIGITS_MIN - weight, &[base.scale, number.scale]);
    let digits = scale + GUARD + usize_of(ln_weight(&number).abs().max(ln_weight(&base).abs())) * 2;
    let divisor = ln_fixed(&base, digits);
    if divisor.sign() == Sign::NoSign {
        return Err(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
    }
    let quotient = divided(&(ln_fixed(&number, digits) * power_of_ten(digits)), &divisor);
    Dec { unscaled: quotient, scale: digits }.rounded(scale).to_numeric()
}

/// `power(numeric, numeric)`.
pub(super) fn power(base: &Numeric, exponent: &Numeric) -> SqlResult<Numeric> {
    let (Some(x), Some(y)) = (Dec::of(base), Dec::of(exponent)) else { return special_power(base, exponent) };
    let whole = y.integer().and_then(|whole| i32::try_from(&whole).ok());
    if x.is_zero() && y.is_negative() {
        return Err(SqlError::new(INVALID_POWER, "zero raised to a negative power is undefined"));
    }
    if x.is_negative() && y.integer().is_none() {
        return Err(SqlError::new(
            INVALID_POWER,
            "a negative number raised to a non-integer power yields a complex result",
        ));
    }
    if let Some(whole) = whole {
        let scale = display_scale(DIGITS_MIN, &[x.scale]);
        return whole_power(&x, whole, scale);
    }
    if x.is_zero() {
        return Dec { unscaled: BigInt::ZERO, scale: usize_of(DIGITS_MIN) }.to_numeric();
    }
    let negative = x.is_negative() && y.integer().is_some_and(|whole| whole.bit(0));
    let x = Dec { unscaled: BigInt::from(x.unscaled.magnitude().clone()), scale: x.scale };
    // A first look at the size of the result, as PostgreSQL takes it.
    let local = usize_of(8 - ln_weight(&x)).max(8);
    let ln = Dec { unscaled: ln_fixed(&x, local + 4), scale: local + 4 };
    let estimate = ln.to_f64() * y.to_f64() * LOG10_E;
    let weight = truncate(estimate);
    if weight > RESULT_DIGITS_MAX {
        return Err(if weight > 131_072 { overflow() } else { too_long() });
    }
    if weight < -6000 {
        return Dec { unscaled: BigInt::ZERO, scale: usize_of(SCALE_MAX) }.to_numeric();
    }
    let scale = display_scale(DIGITS_MIN - weight, &[x.scale, y.scale]);
    let digits = scale + usize_of(weight.abs()) + GUARD + y.unscaled.magnitude().to_string().len();
    let ln = ln_fixed(&x, digits);
    let product = divided(&(ln * &y.unscaled), &power_of_ten(y.scale));
    let result = Dec { unscaled: exp_fixed(&product, &power_of_ten(digits)), scale: digits }.rounded(scale);
    if negative { Dec { unscaled: -result.unscaled, scale }.to_numeric() } else { result.to_numeric() }
}

fn whole_power(x: &Dec, exponent: i32, scale: usize) -> SqlResult<Numeric> {
    let one = Dec { unscaled: BigInt::from(1), scale: 0 };
    if exponent == 0 {
        return one.rounded(scale).to_numeric();
    }
    if x.is_zero() {
        return Dec { unscaled: BigInt::ZERO, scale }.to_numeric();
    }
    let size = x.unscaled.magnitude().to_string().len();
    let weight = float_of(i64_of(size) - i64_of(x.scale)) * f64::from(exponent);
    if weight > float_of(131_072 + 1000) && exponent > 0 && size > x.scale + 1 {
        return Err(overflow());
    }
    let count = exponent.unsigned_abs();
    let bits = u64::from(count) * u64::try_from(size).unwrap_or(u64::MAX);
    if bits <= 20_000 {
        let (unscaled, power_scale) = (x.unscaled.pow(count), x.scale * usize::try_from(count).unwrap_or(usize::MAX));
        if exponent > 0 {
            return Dec { unscaled, scale: power_scale }.rounded(scale).to_numeric();
        }
        let quotient = divided(&power_of_ten(scale + power_scale), &unscaled);
        return Dec { unscaled: quotient, scale }.to_numeric();
    }
    // Too many digits to multiply out: through logarithms.
    let negative = x.is_negative() && exponent % 2 != 0;
    let magnitude = Dec { unscaled: BigInt::from(x.unscaled.magnitude().clone()), scale: x.scale };
    let estimate = Dec { unscaled: ln_fixed(&magnitude, 30), scale: 30 }.to_f64() * f64::from(exponent) * LOG10_E;
    let weight = truncate(estimate);
    if weight > RESULT_DIGITS_MAX {
        return Err(if weight > 131_072 { overflow() } else { too_long() });
    }
    if weight < -(i64_of(scale) + 5) {
        return Dec { unscaled: BigInt::ZERO, scale }.to_numeric();
    }
    let digits = scale + usize_of(weight.abs()) + GUARD + 12;
    let ln = ln_fixed(&magnitude, digits) * exponent;
    let result = Dec { unscaled: exp_fixed(&ln, &power_of_ten(digits)), scale: digits }.rounded(scale);
    if negative { Dec { unscaled: -result.unscaled, scale }.to_numeric() } else { result.to_numeric() }
}

/// One of the two is no number: what POSIX says of `pow`.
fn special_power(base: &Numeric, exponent: &Numeric) -> SqlResult<Numeric> {
    let (x, y) = (Dec::of(base), Dec::of(exponent));
    let one = |scale| Dec { unscaled: BigInt::from(1), scale: 0 }.rounded(scale).to_numeric();
    let is_one = |value: &Dec| value.integer() == Some(BigInt::from(1));
    match (base, exponent) {
        (Numeric::NaN, _) if y.as_ref().is_some_and(Dec::is_zero) => one(0),
        (_, Numeric::NaN) if x.as_ref().is_some_and(is_one) => one(0),
        (Numeric::NaN, _) | (_, Numeric::NaN) => Ok(Numeric::NaN),
        _ => Err(SqlError::unsupported("powers of infinite numerics are not supported")),
    }
}
