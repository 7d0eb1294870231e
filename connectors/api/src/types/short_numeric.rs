//! Numerics of a few digits, which is nearly all of them: computed in a machine's integers, and exact. What does not fit is
//! left to [`Numeric`].

use std::fmt::Write as _;

use arrow::array::{Array, AsArray, StringViewArray};
use arrow::datatypes::{DataType, Decimal128Type, Int16Type, Int32Type, Int64Type, i256};

use super::arithmetic::quotient_scale;
use super::{Arithmetic, DECIMAL128_NAN, Numeric, PgType, oids};

/// Digits after the point.
const SCALE_MAX: u32 = 36;
/// Digits that are read; products may have more.
const DIGITS_MAX: usize = 36;

/// The number `unscaled * 10^-scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortNumeric {
    unscaled: i128,
    scale: u32,
}

impl ShortNumeric {
    /// The number `unscaled * 10^-scale`; `None` for too many digits after the point.
    pub fn new(unscaled: i128, scale: u32) -> Option<Self> {
        (scale <= SCALE_MAX).then_some(Self { unscaled, scale })
    }

    /// Its digits as an integer.
    pub const fn unscaled(self) -> i128 {
        self.unscaled
    }

    /// Digits after the point.
    pub const fn scale(self) -> u32 {
        self.scale
    }

    /// Reads a number as PostgreSQL prints it; `None` for one that is long, or is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        if digits.len() > DIGITS_MAX + 1 || !digits.as_bytes().first()?.is_ascii_digit() {
            return None;
        }
        let (mut unscaled, mut scale, mut point) = (0_i128, 0, false);
        for byte in digits.bytes() {
            match byte {
                b'0'..=b'9' => {
                    unscaled = unscaled.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
                    scale += u32::from(point);
                }
                b'.' if !point => point = true,
                _ => return None,
            }
        }
        // A point is followed by a digit.
        (point == (scale > 0)).then_some(Self { unscaled: if negative { -unscaled } else { unscaled }, scale })
    }

    /// Adds, subtracts, multiplies or divides, with the scale that PostgreSQL gives the result; `None` where the result is
    /// long, or none at all, and for the remainder.
    #[inline]
    pub fn compute(self, operation: Arithmetic, other: Self) -> Option<Self> {
        match operation {
            Arithmetic::Add | Arithmetic::Subtract => {
                let scale = self.scale.max(other.scale);
                let (left, right) = (self.at_scale(scale)?, other.at_scale(scale)?);
                let sum = match operation {
                    Arithmetic::Add => left.checked_add(right),
                    _ => left.checked_sub(right),
                };
                Some(Self { unscaled: sum?, scale })
            }
            Arithmetic::Multiply => {
                let scale = self.scale + other.scale;
                let unscaled = self.unscaled.checked_mul(other.unscaled)?;
                (scale <= SCALE_MAX).then_some(Self { unscaled, scale })
            }
            Arithmetic::Divide => self.divide(other),
            Arithmetic::Remainder => None,
        }
    }

    fn divide(self, by: Self) -> Option<Self> {
        let side = |number: Self| (number.first_group(), usize::try_from(number.scale).unwrap_or(usize::MAX));
        let scale = u32::try_from(quotient_scale(side(self), side(by))).ok()?;
        // a·10^-l / b·10^-r with the wanted scale: a·10^(scale + r - l) / b.
        let power = |digits: Option<u32>| digits.map_or(Some(1), |digits| 10_i128.checked_pow(digits));
        let (up, down) = (scale + by.scale, self.scale);
        let left = self.unscaled.checked_mul(power(up.checked_sub(down))?)?;
        let right = by.unscaled.checked_mul(power(down.checked_sub(up))?)?;
        let (quotient, remainder) = (left.checked_div(right)?, left.checked_rem(right)?);
        let away = if (left < 0) == (right < 0) { 1 } else { -1 };
        let half = remainder.unsigned_abs().checked_mul(2)? >= right.unsigned_abs();
        let unscaled = if half { quotient.checked_add(away)? } else { quotient };
        (scale <= SCALE_MAX).then_some(Self { unscaled, scale })
    }

    /// Weight (in powers of 10000) and value of the first group of four digits that is not zero, as PostgreSQL divides a
    /// number from its point on.
    fn first_group(self) -> (i64, u16) {
        let magnitude = self.unscaled.unsigned_abs();
        let Some(last) = magnitude.checked_ilog10() else { return (0, 0) };
        // The place of the first digit: 0 for units, -1 for tenths.
        let place = i64::from(last) - i64::from(self.scale);
        let digits = u32::try_from(place.rem_euclid(4)).unwrap_or(0);
        let group = match last.checked_sub(digits) {
            Some(more) => magnitude / 10_u128.pow(more),
            None => magnitude * 10_u128.pow(digits - last),
        };
        // Four digits at most.
        (place.div_euclid(4), u16::try_from(group).unwrap_or(u16::MAX))
    }

    #[inline]
    fn at_scale(self, scale: u32) -> Option<i128> {
        if scale == self.scale {
            return Some(self.unscaled);
        }
        self.unscaled.checked_mul(10_i128.checked_pow(scale.checked_sub(self.scale)?)?)
    }

    /// Appends it as PostgreSQL prints it.
    pub fn write(self, out: &mut String) {
        let magnitude = self.unscaled.unsigned_abs();
        if self.unscaled < 0 {
            out.push('-');
        }
        let width = usize::try_from(self.scale).unwrap_or(0);
        // Writing to a string does not fail. Machine words divide ten times as fast as two of them.
        let _ = match (u64::try_from(magnitude), 10_u64.checked_pow(self.scale)) {
            (Ok(magnitude), _) if self.scale == 0 => write!(out, "{magnitude}"),
            (Ok(magnitude), Some(unit)) => write!(out, "{}.{:0width$}", magnitude / unit, magnitude % unit),
            _ if self.scale == 0 => write!(out, "{magnitude}"),
            _ => {
                let unit = 10_u128.pow(self.scale.min(SCALE_MAX));
                write!(out, "{}.{:0width$}", magnitude / unit, magnitude % unit)
            }
        };
    }

    /// The same as one that may be long.
    pub fn to_numeric(self) -> Numeric {
        Numeric::from_i256(i256::from_i128(self.unscaled), usize::try_from(self.scale).unwrap_or(0))
    }
}

/// The short numerics of an array.
#[derive(Debug, Clone, Copy)]
pub enum ShortNumerics<'a> {
    /// Stored as integers with a scale.
    Decimals(&'a [i128], u32),
    /// As they are printed.
    Text(&'a StringViewArray),
    /// Integers.
    Int2(&'a [i16]),
    /// Integers.
    Int4(&'a [i32]),
    /// Integers.
    Int8(&'a [i64]),
}

impl<'a> ShortNumerics<'a> {
    /// Of an array that holds values of a type; `None` for a type or a storage that has none.
    pub fn of(array: &'a dyn Array, data_type: &PgType) -> Option<Self> {
        match (data_type.oid, array.data_type()) {
            (oids::NUMERIC, DataType::Decimal128(_, scale)) => {
                let scale = u32::try_from(*scale).ok().filter(|scale| *scale <= SCALE_MAX)?;
                Some(Self::Decimals(array.as_primitive::<Decimal128Type>().values(), scale))
            }
            (oids::NUMERIC, DataType::Utf8View) => Some(Self::Text(array.as_string_view())),
            (oids::INT2, DataType::Int16) => Some(Self::Int2(array.as_primitive::<Int16Type>().values())),
            (oids::INT4, DataType::Int32) => Some(Self::Int4(array.as_primitive::<Int32Type>().values())),
            (oids::INT8, DataType::Int64) => Some(Self::Int8(array.as_primitive::<Int64Type>().values())),
            _ => None,
        }
    }

    /// The value of a row that is not NULL; `None` where it is long, or no number.
    #[inline]
    pub fn get(self, row: usize) -> Option<ShortNumeric> {
        let integer = |unscaled: i128| ShortNumeric { unscaled, scale: 0 };
        match self {
            Self::Decimals(values, scale) => {
                let unscaled = values.get(row).copied().filter(|value| *value != DECIMAL128_NAN)?;
                Some(ShortNumeric { unscaled, scale })
            }
            Self::Text(values) => (row < values.len()).then(|| ShortNumeric::parse(values.value(row)))?,
            Self::Int2(values) => values.get(row).map(|value| integer(i128::from(*value))),
            Self::Int4(values) => values.get(row).map(|value| integer(i128::from(*value))),
            Self::Int8(values) => values.get(row).map(|value| integer(i128::from(*value))),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn printed(numeric: &Numeric) -> String {
        let mut text = String::new();
        numeric.write(&mut text);
        text
    }

    fn written(short: ShortNumeric) -> String {
        let mut text = String::new();
        short.write(&mut text);
        text
    }

    #[test]
    fn only_what_is_printed_so_is_read() {
        for text in ["0", "-1", "0.00", "12345678901234567890.0000000001", "-0.5"] {
            assert_eq!(written(ShortNumeric::parse(text).unwrap()), text);
        }
        let long = "1".repeat(40);
        for text in ["", "-", ".5", "1.", "1.2.3", "NaN", "Infinity", "1e5", "+1", " 1", "$1.00", long.as_str()] {
            assert_eq!(ShortNumeric::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn short_and_long_numerics_compute_the_same(
            left in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,12})?",
            right in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,12})?",
        ) {
            let (a, b) = (ShortNumeric::parse(&left).unwrap(), ShortNumeric::parse(&right).unwrap());
            let (long_a, long_b) = (Numeric::parse(&left).unwrap(), Numeric::parse(&right).unwrap());
            prop_assert_eq!(written(a), printed(&long_a));
            prop_assert_eq!(a.to_numeric(), long_a.clone());
            for operation in [Arithmetic::Add, Arithmetic::Subtract, Arithmetic::Multiply, Arithmetic::Divide] {
                if let Some(value) = a.compute(operation, b) {
                    let expected = long_a.compute(operation, &long_b).unwrap();
                    prop_assert_eq!(written(value), printed(&expected));
                    prop_assert_eq!(value.to_numeric(), expected);
                }
            }
            prop_assert!(a.compute(Arithmetic::Add, b).is_some());
            prop_assert!(a.compute(Arithmetic::Remainder, b).is_none());
        }

        #[test]
        fn averages_are_divided_as_numerics_are(sum in "-?(0|[1-9][0-9]{0,9})(\\.[0-9]{1,4})?", count in 1..100_000_i64) {
            let short = ShortNumeric::parse(&sum).unwrap().divide(ShortNumeric::new(count.into(), 0).unwrap());
            let count = Numeric::from_i256(i256::from_i128(count.into()), 0);
            let long = Numeric::parse(&sum).unwrap().compute(Arithmetic::Divide, &count).unwrap();
            prop_assert_eq!(short.map(written), Some(printed(&long)));
        }
    }
}
