//! PostgreSQL's `numeric`: decimal digits with a scale that is part of the value.

use std::cmp::Ordering;

use arrow::datatypes::i256;
use bytes::{BufMut, BytesMut};

use super::input::{bad_binary, invalid_syntax, trim};
use super::{DECIMAL128_NAN, DECIMAL256_NAN};
use crate::{ConnectorError, Result};

/// Digits before the decimal point that PostgreSQL stores at most.
const WHOLE_DIGITS_MAX: usize = 131_072;
/// Digits after the decimal point that PostgreSQL stores at most.
const SCALE_MAX: usize = 16_383;

/// Signs in the binary format: src/backend/utils/adt/numeric.c.
const SIGN_POSITIVE: u16 = 0x0000;
const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xC000;
const SIGN_INFINITY: u16 = 0xD000;
const SIGN_MINUS_INFINITY: u16 = 0xF000;

/// A `numeric` value of any size. Equality is of digits and scale; [`Numeric::compare`] is of the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Numeric {
    /// Not a number.
    NaN,
    /// Above every number.
    Infinity,
    /// Below every number.
    MinusInfinity,
    /// A number.
    Finite(Decimal),
}

/// Decimal digits with a scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// Values 0 to 9; none before the first that is not zero, apart from those after the point.
    digits: Vec<u8>,
    /// How many digits stand before the point.
    whole: usize,
}

fn overflow() -> ConnectorError {
    ConnectorError::value("22003", "value overflows numeric format")
}

/// `numeric field overflow`, which PostgreSQL explains in a DETAIL.
fn field_overflow(precision: u16, scale: i16, infinite: bool) -> ConnectorError {
    let rule = match i32::from(precision) - i32::from(scale) {
        _ if infinite => "cannot hold an infinite value".to_owned(),
        0 => "must round to an absolute value less than 1".to_owned(),
        digits => format!("must round to an absolute value less than 10^{digits}"),
    };
    ConnectorError::value("22003", "numeric field overflow")
        .with_detail(format!("A field with precision {precision}, scale {scale} {rule}."))
}

impl Numeric {
    /// `numeric_in` without a modifier.
    ///
    /// # Errors
    /// `22P02`, `22003`.
    pub fn parse(text: &str) -> Result<Self> {
        let trimmed = trim(text);
        if let Some(decimal) = Decimal::parse(trimmed).map_err(|()| overflow())? {
            return Ok(Self::Finite(decimal));
        }
        let (negative, word) = match trimmed.split_at_checked(1) {
            Some(("-", word)) => (true, word),
            Some(("+", word)) => (false, word),
            _ => (false, trimmed),
        };
        if word.eq_ignore_ascii_case("infinity") || word.eq_ignore_ascii_case("inf") {
            Ok(if negative { Self::MinusInfinity } else { Self::Infinity })
        } else if trimmed.eq_ignore_ascii_case("nan") {
            Ok(Self::NaN)
        } else {
            Err(invalid_syntax("numeric", text))
        }
    }

    /// `numeric_recv`.
    pub(crate) fn from_binary(bytes: &[u8]) -> Result<Self> {
        let bad = || bad_binary("numeric");
        let (header, groups) = bytes.split_first_chunk::<8>().ok_or_else(bad)?;
        let [c0, c1, w0, w1, s0, s1, d0, d1] = *header;
        let count = usize::from(u16::from_be_bytes([c0, c1]));
        let weight = i64::from(i16::from_be_bytes([w0, w1]));
        let scale = usize::from(u16::from_be_bytes([d0, d1]));
        let negative = match u16::from_be_bytes([s0, s1]) {
            SIGN_POSITIVE => false,
            SIGN_NEGATIVE => true,
            SIGN_NAN => return Ok(Self::NaN),
            SIGN_INFINITY => return Ok(Self::Infinity),
            SIGN_MINUS_INFINITY => return Ok(Self::MinusInfinity),
            _ => return Err(bad()),
        };
        if groups.len() != count * 2 || scale > SCALE_MAX {
            return Err(bad());
        }
        let group = |index: i64| -> u16 {
            usize::try_from(index)
                .ok()
                .and_then(|index| groups.get(index * 2..index * 2 + 2))
                .and_then(|pair| pair.try_into().ok())
                .map_or(0, u16::from_be_bytes)
        };
        if (0..i64::from(u16::try_from(count).unwrap_or(0))).any(|index| group(index) > 9999) {
            return Err(bad());
        }
        let mut digits = Vec::new();
        for index in 0..=weight {
            push_group(group(index), &mut digits);
        }
        let whole = digits.len();
        for index in 0..i64::try_from(scale.div_ceil(4)).unwrap_or(0) {
            // A group before the first one stored is zero.
            push_group(group(weight + 1 + index), &mut digits);
        }
        digits.truncate(whole + scale);
        Ok(Self::Finite(Decimal { negative, digits, whole }.canonical()))
    }

    /// Appends it as `numeric_send` does.
    pub(crate) fn write_binary(&self, out: &mut BytesMut) {
        let decimal = match self {
            Self::NaN => return special(SIGN_NAN, out),
            Self::Infinity => return special(SIGN_INFINITY, out),
            Self::MinusInfinity => return special(SIGN_MINUS_INFINITY, out),
            Self::Finite(decimal) => decimal,
        };
        decimal.write_binary(out);
    }

    /// Appends it as PostgreSQL prints it.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::NaN => out.push_str("NaN"),
            Self::Infinity => out.push_str("Infinity"),
            Self::MinusInfinity => out.push_str("-Infinity"),
            Self::Finite(decimal) => decimal.write(out),
        }
    }

    /// Rounds to a scale and checks the precision, as `numeric(precision, scale)` does.
    ///
    /// # Errors
    /// `22003`.
    pub fn bounded(self, precision: u16, scale: i16) -> Result<Self> {
        match self {
            Self::NaN => Ok(Self::NaN),
            Self::Infinity | Self::MinusInfinity => Err(field_overflow(precision, scale, true)),
            Self::Finite(decimal) => {
                let rounded = decimal.rounded(scale);
                let allowed = i32::from(precision) - i32::from(scale);
                // The digits that count are those before the point, or with precision < scale those after zeros.
                let integer_digits = rounded.magnitude();
                if integer_digits > allowed {
                    return Err(field_overflow(precision, scale, false));
                }
                Ok(Self::Finite(rounded))
            }
        }
    }

    /// The total order of PostgreSQL: NaN after everything.
    pub fn compare(&self, other: &Self) -> Ordering {
        let rank = |value: &Self| match value {
            Self::MinusInfinity => 0,
            Self::Finite(_) => 1,
            Self::Infinity => 2,
            Self::NaN => 3,
        };
        match (self, other) {
            (Self::Finite(left), Self::Finite(right)) => left.compare(right),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

fn push_group(group: u16, digits: &mut Vec<u8>) {
    let digit = |divisor: u16| u8::try_from(group / divisor % 10).unwrap_or(0);
    digits.extend([digit(1000), digit(100), digit(10), digit(1)]);
}

fn special(sign: u16, out: &mut BytesMut) {
    out.put_u16(0);
    out.put_u16(0);
    out.put_u16(sign);
    // PostgreSQL sends what its display scale's bits hold there: 32 for the infinities.
    out.put_u16(if sign == SIGN_NAN { 0 } else { 32 });
}

impl Decimal {
    /// Digits with sign, point and exponent; `None` where the text is something else.
    fn parse(text: &str) -> std::result::Result<Option<Self>, ()> {
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let mut digits = Vec::with_capacity(rest.len());
        let mut whole = None;
        let mut exponent = None;
        for (index, byte) in rest.iter().enumerate() {
            match byte {
                b'0'..=b'9' => digits.push(byte - b'0'),
                b'.' if whole.is_none() => whole = Some(digits.len()),
                b'e' | b'E' if !digits.is_empty() => {
                    exponent = Some(rest.get(index + 1..).unwrap_or_default());
                    break;
                }
                _ => return Ok(None),
            }
        }
        if digits.is_empty() {
            return Ok(None);
        }
        let mut decimal = Self { negative, whole: whole.unwrap_or(digits.len()), digits };
        if let Some(exponent) = exponent {
            let Some(exponent) = std::str::from_utf8(exponent).ok().filter(|text| is_exponent(text)) else {
                return Ok(None);
            };
            decimal.shift(exponent.parse().map_err(|_| ())?)?;
        }
        let decimal = decimal.canonical();
        if decimal.whole > WHOLE_DIGITS_MAX || decimal.scale() > SCALE_MAX {
            return Err(());
        }
        Ok(Some(decimal))
    }

    /// Moves the point; the scale never becomes negative.
    fn shift(&mut self, exponent: i32) -> std::result::Result<(), ()> {
        let amount = usize::try_from(exponent.unsigned_abs()).map_err(|_| ())?;
        if amount > WHOLE_DIGITS_MAX {
            return Err(());
        }
        if exponent >= 0 {
            self.whole += amount;
            if self.digits.len() < self.whole {
                self.digits.resize(self.whole, 0);
            }
        } else if amount <= self.whole {
            self.whole -= amount;
        } else {
            let zeros = amount - self.whole;
            self.digits.splice(0..0, std::iter::repeat_n(0, zeros));
            self.whole = 0;
        }
        Ok(())
    }

    /// Drops zeros before the first digit that counts, and the sign of zero.
    fn canonical(mut self) -> Self {
        let zeros = self.digits.iter().take(self.whole).take_while(|digit| **digit == 0).count();
        if zeros > 0 {
            self.digits.drain(..zeros);
            self.whole -= zeros;
        }
        if self.negative && self.digits.iter().all(|digit| *digit == 0) {
            self.negative = false;
        }
        self
    }

    /// Digits after the point.
    pub(crate) fn scale(&self) -> usize {
        self.digits.len().saturating_sub(self.whole)
    }

    /// The place of the first digit that is not zero: 1 for units, 0 for tenths …; the least number for zero.
    fn magnitude(&self) -> i32 {
        let leading = self.digits.iter().position(|digit| *digit != 0);
        leading.map_or(i32::MIN, |leading| {
            i32::try_from(self.whole).unwrap_or(i32::MAX) - i32::try_from(leading).unwrap_or(0)
        })
    }

    /// Rounds to a scale, half away from zero, or fills it up with zeros. A negative scale rounds before the point.
    pub(crate) fn rounded(mut self, scale: i16) -> Self {
        let keep = i64::try_from(self.whole).unwrap_or(i64::MAX) + i64::from(scale);
        let Ok(keep) = usize::try_from(keep) else {
            return Self { negative: false, digits: Vec::new(), whole: 0 };
        };
        if keep >= self.digits.len() {
            self.digits.resize(keep, 0);
            return self;
        }
        let up = self.digits.get(keep).is_some_and(|digit| *digit >= 5);
        self.digits.truncate(keep);
        if up {
            let mut carry = true;
            for digit in self.digits.iter_mut().rev() {
                if *digit < 9 {
                    *digit += 1;
                    carry = false;
                    break;
                }
                *digit = 0;
            }
            if carry {
                self.digits.insert(0, 1);
                self.whole += 1;
            }
        }
        if self.digits.len() < self.whole {
            self.digits.resize(self.whole, 0);
        }
        self.canonical()
    }

    fn write(&self, out: &mut String) {
        if self.negative {
            out.push('-');
        }
        if self.whole == 0 {
            out.push('0');
        }
        out.reserve(self.digits.len() + 1);
        for (index, digit) in self.digits.iter().enumerate() {
            if index == self.whole {
                out.push('.');
            }
            out.push(char::from(b'0' + digit));
        }
    }

    fn write_binary(&self, out: &mut BytesMut) {
        // Groups of four digits aligned at the point.
        let lead = (4 - self.whole % 4) % 4;
        let digit = |index: usize| {
            index.checked_sub(lead).and_then(|index| self.digits.get(index)).map_or(0, |digit| u16::from(*digit))
        };
        let group = |index: usize| {
            let at = index * 4;
            digit(at) * 1000 + digit(at + 1) * 100 + digit(at + 2) * 10 + digit(at + 3)
        };
        let groups = (self.digits.len() + lead).div_ceil(4);
        let first = (0..groups).find(|index| group(*index) != 0);
        let last = (0..groups).rev().find(|index| group(*index) != 0);
        let whole_groups = i64::try_from(self.whole.div_ceil(4)).unwrap_or(0);
        let scale = u16::try_from(self.scale()).unwrap_or(u16::MAX);
        let (Some(first), Some(last)) = (first, last) else {
            out.put_u16(0);
            out.put_u16(0);
            out.put_u16(SIGN_POSITIVE);
            out.put_u16(scale);
            return;
        };
        let weight = whole_groups - 1 - i64::try_from(first).unwrap_or(0);
        out.put_u16(u16::try_from(last - first + 1).unwrap_or(u16::MAX));
        out.put_i16(i16::try_from(weight).unwrap_or(i16::MAX));
        out.put_u16(if self.negative { SIGN_NEGATIVE } else { SIGN_POSITIVE });
        out.put_u16(scale);
        (first..=last).for_each(|index| out.put_u16(group(index)));
    }

    /// -1, 0 or 1.
    pub(crate) fn sign(&self) -> i8 {
        if self.is_zero() {
            0
        } else if self.negative {
            -1
        } else {
            1
        }
    }

    /// The number `unscaled * 10^-scale`.
    pub(crate) fn from_unscaled(unscaled: i256, scale: usize) -> Self {
        let text = unscaled.to_string();
        let (negative, text) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.as_str()),
        };
        let mut digits: Vec<u8> = text.bytes().map(|digit| digit.wrapping_sub(b'0')).collect();
        if digits.len() < scale {
            digits.splice(0..0, std::iter::repeat_n(0, scale - digits.len()));
        }
        Self { negative, whole: digits.len() - scale, digits }.canonical()
    }

    /// Weight (in powers of 10000) and value of the first group of four digits that is not zero.
    pub(crate) fn first_group(&self) -> (i64, u16) {
        let Some(first) = self.digits.iter().position(|digit| *digit != 0) else { return (0, 0) };
        // The place of a digit: 0 for units, -1 for tenths.
        let place = i64::try_from(self.whole).unwrap_or(0) - 1 - i64::try_from(first).unwrap_or(0);
        let weight = place.div_euclid(4);
        let count = usize::try_from(place.rem_euclid(4) + 1).unwrap_or(1);
        let group = (first..first + count)
            .fold(0, |group, index| group * 10 + self.digits.get(index).map_or(0, |digit| u16::from(*digit)));
        (weight, group)
    }

    /// Appends bytes in the order of the values.
    pub(crate) fn write_key(&self, out: &mut Vec<u8>) {
        if self.is_zero() {
            out.push(2);
            return;
        }
        out.push(if self.negative { 1 } else { 3 });
        let start = out.len();
        out.extend((self.magnitude().cast_unsigned() ^ 0x8000_0000).to_be_bytes());
        let first = self.digits.iter().position(|digit| *digit != 0).unwrap_or(0);
        let last = self.digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1);
        // Digits from 1 on, so that the end comes before every digit.
        out.extend(self.digits.get(first..last).unwrap_or_default().iter().map(|digit| digit + 1));
        out.push(0);
        if self.negative {
            out.iter_mut().skip(start).for_each(|byte| *byte = !*byte);
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        let sign = |decimal: &Self| {
            if decimal.is_zero() {
                0
            } else if decimal.negative {
                -1
            } else {
                1
            }
        };
        match sign(self).cmp(&sign(other)) {
            Ordering::Equal if self.is_zero() => Ordering::Equal,
            Ordering::Equal if self.negative => other.compare_magnitude(self),
            Ordering::Equal => self.compare_magnitude(other),
            unequal => unequal,
        }
    }

    fn is_zero(&self) -> bool {
        self.digits.iter().all(|digit| *digit == 0)
    }

    fn compare_magnitude(&self, other: &Self) -> Ordering {
        let digits = |decimal: &Self| {
            let start = decimal.digits.iter().position(|digit| *digit != 0).unwrap_or(0);
            let mut digits = decimal.digits.get(start..).unwrap_or_default().to_vec();
            while digits.last() == Some(&0) {
                digits.pop();
            }
            digits
        };
        self.magnitude().cmp(&other.magnitude()).then_with(|| digits(self).cmp(&digits(other)))
    }

    /// The unscaled integer for a scale that is not less than its own.
    pub(crate) fn unscaled_128(&self, scale: usize) -> Option<i128> {
        let mut value: i128 = 0;
        for digit in &self.digits {
            value = value.checked_mul(10)?.checked_add(i128::from(*digit))?;
        }
        for _ in 0..scale.checked_sub(self.scale())? {
            value = value.checked_mul(10)?;
        }
        Some(if self.negative { -value } else { value })
    }

    pub(crate) fn unscaled_256(&self, scale: usize) -> Option<i256> {
        let ten = i256::from_i128(10);
        let mut value = i256::ZERO;
        for digit in &self.digits {
            value = value.checked_mul(ten)?.checked_add(i256::from_i128(i128::from(*digit)))?;
        }
        for _ in 0..scale.checked_sub(self.scale())? {
            value = value.checked_mul(ten)?;
        }
        Some(if self.negative { value.wrapping_neg() } else { value })
    }
}

fn is_exponent(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Text as a `Decimal128` of a precision and scale.
pub(crate) fn decimal128(text: &str, precision: u16, scale: i16) -> Result<i128> {
    if let Some(value) = short_decimal(trim(text).as_bytes(), precision, scale) {
        return Ok(value);
    }
    to_decimal128(Numeric::parse(text)?, precision, scale)
}

/// The common case: sign, at most 37 digits, a scale that needs no rounding.
fn short_decimal(text: &[u8], precision: u16, scale: i16) -> Option<i128> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let scale = usize::try_from(scale).ok()?;
    if digits.is_empty() || digits.len() > 20 || scale > 17 {
        return None;
    }
    let (mut value, mut after) = (0_i128, None);
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + i128::from(byte - b'0');
                after = after.map(|count| count + 1);
            }
            b'.' if after.is_none() => after = Some(0_usize),
            _ => return None,
        }
    }
    let missing = scale.checked_sub(after.unwrap_or(0))?;
    if digits == b"." {
        return None;
    }
    value *= 10_i128.pow(u32::try_from(missing).ok()?);
    (value < power_of_ten(precision)).then_some(if negative { -value } else { value })
}

/// 10^n, saturating above 38.
fn power_of_ten(exponent: u16) -> i128 {
    10_i128.checked_pow(u32::from(exponent)).unwrap_or(i128::MAX)
}

/// A value as a `Decimal128` of a precision and scale.
pub(crate) fn to_decimal128(value: Numeric, precision: u16, scale: i16) -> Result<i128> {
    match value.bounded(precision, scale)? {
        Numeric::Finite(decimal) => decimal
            .unscaled_128(usize::try_from(scale).unwrap_or(0))
            .ok_or_else(|| ConnectorError::value("22003", "numeric field overflow")),
        _ => Ok(DECIMAL128_NAN),
    }
}

/// A value as a `Decimal256` of a precision and scale.
pub(crate) fn to_decimal256(value: Numeric, precision: u16, scale: i16) -> Result<i256> {
    match value.bounded(precision, scale)? {
        Numeric::Finite(decimal) => decimal
            .unscaled_256(usize::try_from(scale).unwrap_or(0))
            .ok_or_else(|| ConnectorError::value("22003", "numeric field overflow")),
        _ => Ok(DECIMAL256_NAN),
    }
}

/// The binary format of a `numeric(precision, scale)` as a `Decimal128`, without a digit vector in the common case.
pub(crate) fn decimal128_from_binary(bytes: &[u8], precision: u16, scale: i16) -> Result<i128> {
    match short_binary(bytes, precision, scale) {
        Some(value) => Ok(value),
        None => to_decimal128(Numeric::from_binary(bytes)?, precision, scale),
    }
}

fn short_binary(bytes: &[u8], precision: u16, scale: i16) -> Option<i128> {
    let (header, groups) = bytes.split_first_chunk::<8>()?;
    let [c0, c1, w0, w1, s0, s1, _, _] = *header;
    let count = usize::from(u16::from_be_bytes([c0, c1]));
    let weight = i32::from(i16::from_be_bytes([w0, w1]));
    let negative = match u16::from_be_bytes([s0, s1]) {
        SIGN_POSITIVE => false,
        SIGN_NEGATIVE => true,
        _ => return None,
    };
    if groups.len() != count * 2 || count > 8 {
        return None;
    }
    let mut value = 0_i128;
    for pair in groups.chunks_exact(2) {
        let group = u16::from_be_bytes(pair.try_into().ok()?);
        if group > 9999 {
            return None;
        }
        value = value * 10_000 + i128::from(group);
    }
    // The last group stands for units of 10000^(weight - count + 1).
    let places = (i32::try_from(count).ok()? - 1 - weight) * 4 - i32::from(scale);
    if places <= 0 {
        value = value.checked_mul(10_i128.checked_pow(places.unsigned_abs())?)?;
    } else {
        let divisor = 10_i128.checked_pow(places.unsigned_abs())?;
        if value % divisor != 0 {
            return None;
        }
        value /= divisor;
    }
    (value < power_of_ten(precision)).then_some(if negative { -value } else { value })
}

/// Appends a decimal given as an unscaled integer's digits.
pub(crate) fn write_unscaled(digits: &str, scale: i8, out: &mut String) {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    out.push_str(sign);
    let Ok(scale) = usize::try_from(scale) else {
        out.push_str(digits);
        if digits != "0" {
            (0..scale.unsigned_abs()).for_each(|_| out.push('0'));
        }
        return;
    };
    match digits.len().checked_sub(scale).and_then(|whole| digits.split_at_checked(whole)) {
        Some((whole, fraction)) => {
            out.push_str(if whole.is_empty() { "0" } else { whole });
            if !fraction.is_empty() {
                out.push('.');
                out.push_str(fraction);
            }
        }
        None => {
            out.push_str("0.");
            (digits.len()..scale).for_each(|_| out.push('0'));
            out.push_str(digits);
        }
    }
}

/// Appends the binary format of an unscaled `i128`.
pub(crate) fn write_binary_128(value: i128, scale: i8, out: &mut BytesMut) {
    if value == DECIMAL128_NAN {
        return special(SIGN_NAN, out);
    }
    let dscale = u16::try_from(scale).unwrap_or(0);
    let mut magnitude = value.unsigned_abs();
    if magnitude == 0 {
        out.put_u16(0);
        out.put_u16(0);
        out.put_u16(SIGN_POSITIVE);
        out.put_u16(dscale);
        return;
    }
    // Align the last digit with a group's end, then cut groups off from there.
    let scale = i32::from(scale);
    let filler = (4 - scale.rem_euclid(4)) % 4;
    let Some(aligned) = magnitude.checked_mul(10_u128.pow(filler.unsigned_abs())) else {
        let mut text = String::new();
        write_unscaled(&value.to_string(), i8::try_from(scale).unwrap_or(0), &mut text);
        if let Ok(numeric) = Numeric::parse(&text) {
            numeric.write_binary(out);
        }
        return;
    };
    magnitude = aligned;
    let mut weight = -((scale + filler) / 4);
    let mut groups = [0_u16; 12];
    let mut start = groups.len();
    let mut trailing = true;
    let mut end = groups.len();
    while magnitude > 0 && start > 0 {
        let group = u16::try_from(magnitude % 10_000).unwrap_or(0);
        magnitude /= 10_000;
        start -= 1;
        if let Some(slot) = groups.get_mut(start) {
            *slot = group;
        }
        if trailing && group == 0 {
            end = start;
        } else {
            trailing = false;
        }
        weight += 1;
    }
    out.put_u16(u16::try_from(end - start).unwrap_or(0));
    out.put_i16(i16::try_from(weight - 1).unwrap_or(0));
    out.put_u16(if value < 0 { SIGN_NEGATIVE } else { SIGN_POSITIVE });
    out.put_u16(dscale);
    groups.get(start..end).unwrap_or_default().iter().for_each(|group| out.put_u16(*group));
}
