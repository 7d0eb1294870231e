//! Arithmetic of `numeric` with PostgreSQL's scales, and its order as bytes.
//!
//! Numbers are computed in 256 bits: what needs more than 76 digits is `22003`.

use arrow::datatypes::i256;

use super::numeric::{Decimal, Numeric};
use crate::{ConnectorError, Result};

/// `NUMERIC_MIN_SIG_DIGITS`: a quotient has at least so many digits that count.
const QUOTIENT_DIGITS_MIN: i64 = 16;
/// `NUMERIC_MAX_DISPLAY_SCALE`.
const DISPLAY_SCALE_MAX: usize = 1000;

/// The four operations and the remainder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

fn overflow() -> ConnectorError {
    ConnectorError::value("22003", "numeric value out of range")
}

fn division_by_zero() -> ConnectorError {
    ConnectorError::value("22012", "division by zero")
}

impl Numeric {
    /// Computes as PostgreSQL does, scale included.
    ///
    /// # Errors
    /// `22012`; `22003` beyond 76 digits.
    pub fn compute(&self, operation: Arithmetic, other: &Self) -> Result<Self> {
        match (self, other) {
            (Self::Finite(left), Self::Finite(right)) => finite(operation, left, right),
            _ => self.compute_special(operation, other),
        }
    }

    fn sign(&self) -> i8 {
        match self {
            Self::NaN => 0,
            Self::Infinity => 1,
            Self::MinusInfinity => -1,
            Self::Finite(decimal) => decimal.sign(),
        }
    }

    /// At least one of the two is no number.
    fn compute_special(&self, operation: Arithmetic, other: &Self) -> Result<Self> {
        let infinity = |sign: i8| match sign {
            0 => Self::NaN,
            1.. => Self::Infinity,
            _ => Self::MinusInfinity,
        };
        let zero = || Self::Finite(Decimal::from_unscaled(i256::ZERO, 0));
        if *self == Self::NaN || *other == Self::NaN {
            return Ok(Self::NaN);
        }
        let (left_finite, right_finite) = (matches!(self, Self::Finite(_)), matches!(other, Self::Finite(_)));
        Ok(match operation {
            Arithmetic::Add | Arithmetic::Subtract => {
                let right = if operation == Arithmetic::Add { other.sign() } else { -other.sign() };
                match (left_finite, right_finite) {
                    (true, _) => infinity(right),
                    (_, true) => infinity(self.sign()),
                    _ if self.sign() == right => infinity(right),
                    _ => Self::NaN,
                }
            }
            Arithmetic::Multiply => infinity(self.sign() * other.sign()),
            Arithmetic::Divide if right_finite && other.sign() == 0 => return Err(division_by_zero()),
            Arithmetic::Divide if right_finite => infinity(self.sign() * other.sign()),
            Arithmetic::Divide if left_finite => zero(),
            Arithmetic::Remainder if right_finite && other.sign() == 0 => return Err(division_by_zero()),
            Arithmetic::Remainder if left_finite => self.clone(),
            Arithmetic::Divide | Arithmetic::Remainder => Self::NaN,
        })
    }

    /// Rounds to a number of digits after the point (before it, where negative), half away from zero. The scale becomes
    /// that number, or 0.
    #[must_use]
    pub fn round(self, scale: i16) -> Self {
        match self {
            Self::Finite(decimal) => Self::Finite(decimal.rounded(scale)),
            special => special,
        }
    }

    /// The whole number that it rounds to, half away from zero; `None` where it does not fit or is none.
    pub fn to_i64(&self) -> Option<i64> {
        match self {
            Self::Finite(decimal) => i64::try_from(decimal.clone().rounded(0).unscaled_128(0)?).ok(),
            _ => None,
        }
    }

    /// The scale in which it prints.
    pub fn scale(&self) -> usize {
        match self {
            Self::Finite(decimal) => decimal.scale(),
            _ => 0,
        }
    }

    /// The number `unscaled * 10^-scale`.
    pub fn from_i256(unscaled: i256, scale: usize) -> Self {
        Self::Finite(Decimal::from_unscaled(unscaled, scale))
    }

    /// The unscaled number of a scale that is at least its own; `None` beyond 256 bits or for no number.
    pub fn to_i256(&self, scale: usize) -> Option<i256> {
        match self {
            Self::Finite(decimal) => decimal.unscaled_256(scale),
            _ => None,
        }
    }

    /// Appends bytes whose order is that of the values; equal values have equal bytes, whatever their scale.
    pub fn write_key(&self, out: &mut Vec<u8>) {
        match self {
            Self::MinusInfinity => out.push(0),
            Self::Infinity => out.push(4),
            Self::NaN => out.push(5),
            Self::Finite(decimal) => decimal.write_key(out),
        }
    }
}

fn finite(operation: Arithmetic, left: &Decimal, right: &Decimal) -> Result<Numeric> {
    let scale = left.scale().max(right.scale());
    let aligned = || Some((left.unscaled_256(scale)?, right.unscaled_256(scale)?));
    let (value, scale) = match operation {
        Arithmetic::Add | Arithmetic::Subtract => {
            let (a, b) = aligned().ok_or_else(overflow)?;
            let sum = if operation == Arithmetic::Add { a.checked_add(b) } else { a.checked_sub(b) };
            (sum, scale)
        }
        Arithmetic::Multiply => {
            let factors = (left.unscaled_256(left.scale()), right.unscaled_256(right.scale()));
            let (Some(a), Some(b)) = factors else { return Err(overflow()) };
            (a.checked_mul(b), left.scale() + right.scale())
        }
        Arithmetic::Divide => return divide(left, right),
        Arithmetic::Remainder => {
            if right.sign() == 0 {
                return Err(division_by_zero());
            }
            let (a, b) = aligned().ok_or_else(overflow)?;
            (a.checked_rem(b), scale)
        }
    };
    Ok(Numeric::from_i256(value.ok_or_else(overflow)?, scale))
}

fn divide(left: &Decimal, right: &Decimal) -> Result<Numeric> {
    if right.sign() == 0 {
        return Err(division_by_zero());
    }
    let scale = quotient_scale((left.first_group(), left.scale()), (right.first_group(), right.scale()));
    let (a, b) = (left.unscaled_256(left.scale()), right.unscaled_256(right.scale()));
    let (Some(a), Some(b)) = (a, b) else { return Err(overflow()) };
    // a·10^-l / b·10^-r with the wanted scale: a·10^(scale + r - l) / b.
    let shift = i64::try_from(scale + right.scale()).unwrap_or(i64::MAX) - i64::try_from(left.scale()).unwrap_or(0);
    let power = |exponent: i64| -> Option<i256> {
        i256::from_i128(10).checked_pow(u32::try_from(exponent).ok().filter(|exponent| *exponent <= 76)?)
    };
    let (a, b) = if shift >= 0 {
        (a.checked_mul(power(shift).ok_or_else(overflow)?).ok_or_else(overflow)?, b)
    } else {
        (a, b.checked_mul(power(-shift).ok_or_else(overflow)?).ok_or_else(overflow)?)
    };
    let quotient = a.checked_div(b).ok_or_else(overflow)?;
    let remainder = a.checked_rem(b).ok_or_else(overflow)?;
    let twice = remainder.wrapping_abs().checked_mul(i256::from_i128(2)).ok_or_else(overflow)?;
    let rounded = if twice >= b.wrapping_abs() {
        let one = if a.is_negative() == b.is_negative() { i256::ONE } else { i256::MINUS_ONE };
        quotient.checked_add(one).ok_or_else(overflow)?
    } else {
        quotient
    };
    Ok(Numeric::from_i256(rounded, scale))
}

/// PostgreSQL's `select_div_scale`: it works on groups of four digits. Of both sides the first group, and the scale.
pub(super) fn quotient_scale(left: ((i64, u16), usize), right: ((i64, u16), usize)) -> usize {
    let (((left_weight, left_group), left_scale), ((right_weight, right_group), right_scale)) = (left, right);
    let weight = left_weight - right_weight - i64::from(left_group <= right_group);
    let digits = usize::try_from(QUOTIENT_DIGITS_MIN - weight * 4).unwrap_or(0);
    digits.max(left_scale).max(right_scale).min(DISPLAY_SCALE_MAX)
}
