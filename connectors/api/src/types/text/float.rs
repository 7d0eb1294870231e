//! Floating point numbers as PostgreSQL prints them.

use std::fmt::Write;

/// The width of a float, as far as printing asks.
#[derive(Clone, Copy)]
struct Width {
    /// Digits from which a number is printed with an exponent: `FLT_DIG`, `DBL_DIG`.
    digits: i32,
    /// Digits that tell every two numbers apart.
    digits_max: usize,
    /// Whether text reads back as the number.
    reads_back: fn(&str, f64) -> bool,
    /// The gap to the next number up and down, as far as it is a whole number.
    neighbours: fn(f64) -> Option<(f64, f64)>,
}

const SINGLE: Width = Width {
    digits: 6,
    digits_max: 9,
    reads_back: |text, value| text.parse::<f32>().is_ok_and(|read| f64::from(read) == value),
    neighbours: |value| {
        let value = narrow(value);
        (value.abs() >= 8_388_608.0 && value.abs() < 1e38)
            .then(|| (f64::from(value.next_down()), f64::from(value.next_up())))
    },
};

const DOUBLE: Width = Width {
    digits: 15,
    digits_max: 17,
    reads_back: |text, value| text.parse::<f64>().is_ok_and(|read| read == value),
    neighbours: |value| {
        (value.abs() >= 4_503_599_627_370_496.0 && value.abs() < 1e38).then(|| (value.next_down(), value.next_up()))
    },
};

#[expect(clippy::cast_possible_truncation, reason = "the value was a f32 before")]
fn narrow(value: f64) -> f32 {
    value as f32
}

/// Appends a `float4`.
pub(crate) fn write_float4(value: f32, extra_digits: i32, out: &mut String) {
    // The shortest text differs by width, so a f32 is not printed as the f64 that equals it.
    write_float(f64::from(value), &SINGLE, extra_digits, out, |scratch| write!(scratch, "{:e}", value.abs()));
}

/// Appends a `float8`.
pub(crate) fn write_float8(value: f64, extra_digits: i32, out: &mut String) {
    write_float(value, &DOUBLE, extra_digits, out, |scratch| write!(scratch, "{:e}", value.abs()));
}

/// Text on the stack.
pub(crate) struct Scratch {
    bytes: [u8; 48],
    length: usize,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { bytes: [0; 48], length: 0 }
    }
}

impl Scratch {
    pub(crate) fn text(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl Write for Scratch {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

fn write_float(
    value: f64,
    width: &Width,
    extra_digits: i32,
    out: &mut String,
    shortest: impl FnOnce(&mut Scratch) -> std::fmt::Result,
) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_sign_negative() {
        out.push('-');
    }
    if value.is_infinite() {
        return out.push_str("Infinity");
    }
    let mut scratch = Scratch::default();
    let precision = if extra_digits > 0 {
        // Writing so few characters cannot fail.
        let _ = shortest(&mut scratch);
        if is_boundary(scratch.text(), value, width) {
            scratch = inner(value, width);
        }
        width.digits
    } else {
        let digits = usize::try_from(width.digits + extra_digits).unwrap_or(0).max(1);
        let _ = write!(scratch, "{:.*e}", digits - 1, value.abs());
        i32::try_from(digits).unwrap_or(width.digits)
    };
    layout(scratch.text(), precision, out);
}

/// Whether text is exactly half way between two numbers. PostgreSQL does not print such text, although reading it
/// (half to even) would give the number back.
fn is_boundary(text: &str, value: f64, width: &Width) -> bool {
    let Some((down, up)) = (width.neighbours)(value.abs()) else { return false };
    let Some(decimal) = whole_number(text) else { return false };
    let (value, down, up) = (whole(value.abs()), whole(down), whole(up));
    decimal * 2 == value + down || decimal * 2 == value + up
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive whole number below 2^127")]
fn whole(value: f64) -> u128 {
    value as u128
}

/// The number that `d.ddde+n` spells, if it is a whole one.
fn whole_number(text: &str) -> Option<u128> {
    let (mantissa, exponent) = text.split_once('e')?;
    let exponent: u32 = exponent.parse().ok()?;
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: u128 = format!("{first}{rest}").parse().ok()?;
    let shift = exponent.checked_sub(u32::try_from(rest.len()).ok()?)?;
    digits.checked_mul(10_u128.checked_pow(shift)?)
}

/// The shortest text strictly between the half way points.
fn inner(value: f64, width: &Width) -> Scratch {
    let mut scratch = Scratch::default();
    for digits in 1..width.digits_max {
        scratch = Scratch::default();
        let _ = write!(scratch, "{:.*e}", digits, value.abs());
        if (width.reads_back)(scratch.text(), value.abs()) && !is_boundary(scratch.text(), value, width) {
            break;
        }
    }
    scratch
}

/// Lays `d.ddde-n` out as `%g` does: plain from 1e-4 up to the precision, else with at least two digits of exponent.
fn layout(text: &str, precision: i32, out: &mut String) {
    let Some((mantissa, exponent)) = text.split_once('e') else { return out.push_str(text) };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let rest = rest.trim_end_matches('0');
    if exponent < -4 || exponent >= precision {
        out.push_str(first);
        if !rest.is_empty() {
            out.push('.');
            out.push_str(rest);
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "e{sign}{:02}", exponent.abs());
    } else if exponent < 0 {
        out.push_str("0.");
        (1..-exponent).for_each(|_| out.push('0'));
        out.push_str(first);
        out.push_str(rest);
    } else {
        let whole = usize::try_from(exponent).unwrap_or(0);
        out.push_str(first);
        match rest.split_at_checked(whole) {
            Some((integer, fraction)) => {
                out.push_str(integer);
                if !fraction.is_empty() {
                    out.push('.');
                    out.push_str(fraction);
                }
            }
            None => {
                out.push_str(rest);
                (rest.len()..whole).for_each(|_| out.push('0'));
            }
        }
    }
}
