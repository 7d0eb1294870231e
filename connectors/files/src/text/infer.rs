//! Finding the type of a column from its first values.

use atoll_connector_api::types::{PgType, oids};

/// Significant digits that a double precision number keeps: DBL_DIG.
const FLOAT_DIGITS: usize = 15;

/// What all values of a column seen so far have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guess {
    any: bool,
    boolean: bool,
    whole: bool,
    /// Whole, and every one fits `bigint`.
    bigint: bool,
    number: bool,
    /// Numbers, and every one keeps its digits as `double precision`.
    double: bool,
    date: bool,
    timestamp: bool,
    timestamptz: bool,
    /// JSON only: an object or array was seen.
    nested: bool,
}

impl Default for Guess {
    fn default() -> Self {
        Self {
            any: false,
            boolean: true,
            whole: true,
            bigint: true,
            number: true,
            double: true,
            date: true,
            timestamp: true,
            timestamptz: true,
            nested: false,
        }
    }
}

impl Guess {
    /// Takes a value of a CSV file into account.
    pub(crate) fn text(&mut self, value: &str) {
        self.number_text(value);
        self.boolean &= value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false");
        let (date, moment) = (is_date(value), timestamp(value));
        self.date &= date;
        self.timestamp &= date || moment == Some(false);
        self.timestamptz &= moment == Some(true);
    }

    /// Takes a JSON number into account.
    pub(crate) fn json_number(&mut self, value: &str) {
        self.number_text(value);
        self.boolean = false;
        self.no_time();
    }

    /// Takes a JSON boolean into account.
    pub(crate) fn json_boolean(&mut self) {
        self.any = true;
        self.no_number();
        self.no_time();
    }

    /// Takes a JSON string into account: a string stays text, whatever it holds.
    pub(crate) fn json_string(&mut self) {
        self.any = true;
        self.boolean = false;
        self.no_number();
        self.no_time();
    }

    /// Takes a JSON object or array into account.
    pub(crate) fn json_nested(&mut self) {
        self.json_string();
        self.nested = true;
    }

    fn number_text(&mut self, value: &str) {
        self.any = true;
        let number = Number::parse(value);
        self.number &= number.is_some();
        self.whole &= number.is_some_and(|number| number.whole);
        self.double &= number.is_some_and(|number| number.digits <= FLOAT_DIGITS);
        self.bigint &= value.parse::<i64>().is_ok();
    }

    fn no_number(&mut self) {
        (self.number, self.whole, self.bigint, self.double) = (false, false, false, false);
    }

    fn no_time(&mut self) {
        (self.date, self.timestamp, self.timestamptz) = (false, false, false);
    }

    /// Takes what another sample of the column has in common into account.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.any |= other.any;
        self.nested |= other.nested;
        self.boolean &= other.boolean;
        self.whole &= other.whole;
        self.bigint &= other.bigint;
        self.number &= other.number;
        self.double &= other.double;
        self.date &= other.date;
        self.timestamp &= other.timestamp;
        self.timestamptz &= other.timestamptz;
    }

    /// The narrowest type that holds all values; text where nothing was seen.
    pub(crate) fn data_type(&self) -> PgType {
        PgType::new(match self {
            Self { nested: true, .. } => oids::JSONB,
            Self { any: false, .. } => oids::TEXT,
            Self { boolean: true, .. } => oids::BOOL,
            Self { whole: true, bigint: true, .. } => oids::INT8,
            Self { number: true, double: true, .. } => oids::FLOAT8,
            // More digits than a double keeps: no digit is lost in numeric.
            Self { number: true, .. } => oids::NUMERIC,
            Self { date: true, .. } => oids::DATE,
            Self { timestamp: true, .. } => oids::TIMESTAMP,
            Self { timestamptz: true, .. } => oids::TIMESTAMPTZ,
            _ => oids::TEXT,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Number {
    whole: bool,
    digits: usize,
}

impl Number {
    /// Reads a number as JSON writes it, and `.5`. Leading zeros and a plus sign mean something else: postcodes and
    /// telephone numbers lose both as numbers.
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (text, None),
        };
        if let Some(exponent) = exponent {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            // Beyond the range of double precision a number would become infinite.
            if digits.is_empty() || digits.len() > 2 || !all_digits(digits) {
                return None;
            }
        }
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        if !all_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        match fraction {
            None if whole.is_empty() => return None,
            Some(fraction) if fraction.is_empty() || !all_digits(fraction) => return None,
            _ => {}
        }
        let significant = whole.trim_start_matches('0').len() + fraction.map_or(0, str::len);
        Some(Self { whole: fraction.is_none() && exponent.is_none(), digits: significant })
    }
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text is a date in ISO 8601's extended form.
pub(crate) fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

/// Whether a text is a moment in ISO 8601's extended form, and if so whether it has a time zone.
fn timestamp(text: &str) -> Option<bool> {
    let (date, time) = text.get(..10).filter(|date| is_date(date)).map(|date| (date, &text[10..]))?;
    debug_assert_eq!(date.len(), 10, "taken by length");
    let time = time.strip_prefix(['T', ' '])?;
    let zone_at = time.find(['Z', '+', '-']);
    let (clock, zone) = time.split_at(zone_at.unwrap_or(time.len()));
    let clock_ok = ["%H:%M", "%H:%M:%S", "%H:%M:%S%.f"]
        .iter()
        .any(|format| chrono::NaiveTime::parse_from_str(clock, format).is_ok());
    let zone_ok = zone.is_empty()
        || zone == "Z"
        || (all_digits(&zone[1..].replace(':', "")) && matches!(zone.len(), 3 | 5 | 6) && !zone.starts_with('Z'));
    (clock_ok && zone_ok).then_some(!zone.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> String {
        let mut guess = Guess::default();
        values.iter().for_each(|value| guess.text(value));
        guess.data_type().sql_name()
    }

    #[test]
    fn finds_the_narrowest_type() {
        assert_eq!(of(&["1", "-20", "0"]), "bigint");
        assert_eq!(of(&["1", "2.5", "1e3", ".5"]), "double precision");
        assert_eq!(of(&["true", "FALSE"]), "boolean");
        assert_eq!(of(&["2024-02-29", "1999-12-31"]), "date");
        assert_eq!(of(&["2024-02-29 10:00", "2024-02-29T10:00:01.25", "2024-03-01"]), "timestamp without time zone");
        assert_eq!(of(&["2024-02-29T10:00:00Z", "2024-02-29 10:00:00+09:00"]), "timestamp with time zone");
        assert_eq!(of(&[]), "text");
    }

    #[test]
    fn keeps_text_whose_digits_mean_something() {
        assert_eq!(of(&["007"]), "text");
        assert_eq!(of(&["+4915112345"]), "text");
        assert_eq!(of(&["1", "x"]), "text");
        assert_eq!(of(&["2023-02-29"]), "text");
        assert_eq!(of(&["NaN"]), "text");
        assert_eq!(of(&["2024-02-29 10:00", "2024-02-29T10:00:00Z"]), "text");
        assert_eq!(of(&["ünïcödé 10 chars"]), "text");
        assert_eq!(of(&["1e999"]), "text");
    }

    #[test]
    fn loses_no_digit() {
        assert_eq!(of(&["9223372036854775807"]), "bigint");
        assert_eq!(of(&["9223372036854775808"]), "numeric");
        assert_eq!(of(&["0.1234567890123456789"]), "numeric");
        assert_eq!(of(&["1234567890123456.5"]), "numeric");
        assert_eq!(of(&["19.99"]), "double precision");
    }
}
