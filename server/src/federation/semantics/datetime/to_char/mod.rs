//! `to_char`, `to_date`, `to_timestamp`, `to_number`: values by templates.

mod datetime;
mod input;
mod number;
mod number_input;
mod template;

use super::overload::Overload;

/// Months in their order.
pub(super) static MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// Weekdays from Sunday.
pub(super) static DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// Roman numerals of the months.
static ROMAN_MONTHS: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// The functions of this module.
pub(super) fn functions() -> impl Iterator<Item = &'static Overload> {
    datetime::FUNCTIONS.iter().chain(input::FUNCTIONS).chain(number::FUNCTIONS).chain(number_input::FUNCTIONS)
}

/// A number as PostgreSQL's `%.*g` prints it.
pub(super) fn general(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        let name = if value.is_nan() { "NaN" } else { "Infinity" };
        return if value < 0.0 { format!("-{name}") } else { name.to_owned() };
    }
    let scientific = format!("{:.*e}", digits.saturating_sub(1), value);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| -> String {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    let digits = i32::try_from(digits).unwrap_or(17);
    if exponent < -4 || exponent >= digits {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(digits - 1 - exponent).unwrap_or(0);
    trimmed(&format!("{value:.decimals$}"))
}

/// The ending of an ordinal number given by its digits: `st`, `nd`, `rd`, `th`.
fn ordinal(digits: &str) -> &'static str {
    let mut last = digits.bytes().rev();
    match (last.next(), last.next()) {
        (_, Some(b'1')) => "th",
        (Some(b'1'), _) => "st",
        (Some(b'2'), _) => "nd",
        (Some(b'3'), _) => "rd",
        _ => "th",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_doubles_as_c_does() {
        for (value, text) in [
            (0.5, "0.5"),
            (60.0, "60"),
            (61.25, "61.25"),
            (1e20, "1e+20"),
            (0.000_012_5, "1.25e-05"),
            (123_456_789.0, "1.23457e+08"),
            (-3.0, "-3"),
        ] {
            assert_eq!(general(value, 6), text);
        }
    }

    #[test]
    fn ends_ordinals() {
        for (digits, ending) in
            [("1", "st"), ("2", "nd"), ("3", "rd"), ("4", "th"), ("11", "th"), ("112", "th"), ("21", "st")]
        {
            assert_eq!(ordinal(digits), ending, "{digits}");
        }
    }
}
