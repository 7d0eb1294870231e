//! `to_char` of numbers, and the templates that it shares with `to_number`.

use atoll_connector_api::types::oids::{FLOAT4, FLOAT8, INT4, INT8, NUMERIC, TEXT};
use atoll_connector_api::types::temporal::rounded;
use atoll_connector_api::types::{Arithmetic, Numeric};
use datafusion::error::Result;

use super::super::overload::{Overload, function};
use super::super::value::Value;
use super::ordinal;
use crate::error::{SqlError, SqlState};
use crate::federation::semantics::external;

/// The functions of this module.
pub(super) static FUNCTIONS: &[Overload] = &[
    function("to_char", &[INT4, TEXT], TEXT, |call| integer(call.int(0)?, call.text(1)?, true)),
    function("to_char", &[INT8, TEXT], TEXT, |call| integer(call.int(0)?, call.text(1)?, false)),
    function("to_char", &[NUMERIC, TEXT], TEXT, |call| numeric(call.text(0)?, call.text(1)?)),
    function("to_char", &[FLOAT4, TEXT], TEXT, |call| float(call.float(0)?, call.text(1)?, SINGLE_DIGITS)),
    function("to_char", &[FLOAT8, TEXT], TEXT, |call| float(call.float(0)?, call.text(1)?, DOUBLE_DIGITS)),
];

/// Digits that a `real` and a `double precision` certainly have.
const SINGLE_DIGITS: usize = 6;
const DOUBLE_DIGITS: usize = 15;

/// A piece of a number's template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Comma,
    Group,
    Point,
    /// `D`: the locale's point, which here is the same.
    LocalePoint,
    Nine,
    Zero,
    Currency,
    Minus,
    Plus,
    SignOrNothing,
    Bracket,
    Roman {
        upper: bool,
    },
    Sign,
    Ordinal {
        upper: bool,
    },
    /// `B`, `FM`, `V`, `EEEE`: nothing is written in their place.
    Silent,
    Literal(char),
}

/// Where an `S` puts the sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LocaleSign {
    None,
    Before,
    After,
}

/// What a template says of the number as a whole.
#[expect(clippy::struct_excessive_bools, reason = "each is a mark that a template may have")]
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) marks: Vec<Mark>,
    /// Places before the point.
    pub(super) before: usize,
    /// Places after it.
    pub(super) after: usize,
    /// Places after a `V`.
    pub(super) shifted: usize,
    pub(super) sign: LocaleSign,
    /// Places before the point where the `S` stood.
    sign_place: usize,
    /// The first place with a `0`, and the last one, from 0.
    zero_start: Option<usize>,
    zero_end: usize,
    pub(super) decimal: bool,
    pub(super) fill: bool,
    pub(super) bracket: bool,
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) roman: bool,
    multiplied: bool,
    pub(super) scientific: bool,
    blank: bool,
}

fn wrong(message: &str) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

impl Shape {
    /// Reads a template.
    pub(super) fn parse(template: &str) -> Result<Self> {
        let mut shape = Self {
            marks: Vec::new(),
            before: 0,
            after: 0,
            shifted: 0,
            sign: LocaleSign::None,
            sign_place: 0,
            zero_start: None,
            zero_end: 0,
            decimal: false,
            fill: false,
            bracket: false,
            minus: false,
            plus: false,
            roman: false,
            multiplied: false,
            scientific: false,
            blank: false,
        };
        let mut rest = template;
        while !rest.is_empty() {
            let known = NAMES.iter().find(|(name, _)| rest.starts_with(name));
            if let Some((name, mark)) = known {
                rest = rest.get(name.len()..).unwrap_or_default();
                shape.mark(name, *mark)?;
            } else {
                rest = shape.literal(rest);
            }
        }
        Ok(shape)
    }

    fn literal<'a>(&mut self, text: &'a str) -> &'a str {
        let mut characters = text.chars();
        match characters.next() {
            Some('"') => {
                while let Some(next) = characters.next() {
                    match next {
                        '"' => break,
                        '\\' if !characters.as_str().is_empty() => {
                            self.marks.extend(characters.next().map(Mark::Literal));
                        }
                        other => self.marks.push(Mark::Literal(other)),
                    }
                }
            }
            Some('\\') if characters.as_str().starts_with('"') => {
                characters.next();
                self.marks.push(Mark::Literal('"'));
            }
            Some(other) => self.marks.push(Mark::Literal(other)),
            None => {}
        }
        characters.as_str()
    }

    fn mark(&mut self, name: &str, mark: Mark) -> Result<()> {
        if self.scientific && !name.eq_ignore_ascii_case("EEEE") {
            return Err(wrong("\"EEEE\" must be the last pattern used").into());
        }
        match mark {
            Mark::Nine | Mark::Zero => self.digit(mark)?,
            Mark::Point | Mark::LocalePoint => {
                if self.decimal {
                    return Err(wrong("multiple decimal points").into());
                }
                if self.multiplied {
                    return Err(wrong("cannot use \"V\" and decimal point together").into());
                }
                self.decimal = true;
            }
            Mark::Sign => self.locale_sign()?,
            Mark::Minus | Mark::Plus | Mark::SignOrNothing => {
                if self.sign != LocaleSign::None {
                    let shown = name.to_uppercase();
                    return Err(wrong(&format!("cannot use \"S\" and \"{shown}\" together")).into());
                }
                self.minus |= mark != Mark::Plus;
                self.plus |= mark != Mark::Minus;
            }
            Mark::Bracket => {
                if self.sign != LocaleSign::None || self.plus || self.minus {
                    return Err(wrong("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together").into());
                }
                self.bracket = true;
            }
            Mark::Roman { .. } => self.roman = true,
            Mark::Silent => self.silent(name)?,
            _ => {}
        }
        self.marks.push(mark);
        Ok(())
    }

    fn digit(&mut self, mark: Mark) -> Result<()> {
        let shown = if mark == Mark::Nine { '9' } else { '0' };
        if self.bracket {
            return Err(wrong(&format!("\"{shown}\" must be ahead of \"PR\"")).into());
        }
        if mark == Mark::Nine && self.multiplied {
            self.shifted += 1;
            return Ok(());
        }
        if mark == Mark::Zero && self.zero_start.is_none() && !self.decimal {
            self.zero_start = Some(self.before);
        }
        if self.decimal {
            self.after += 1;
        } else {
            self.before += 1;
        }
        if mark == Mark::Zero {
            self.zero_end = self.before + self.after;
        }
        Ok(())
    }

    fn locale_sign(&mut self) -> Result<()> {
        if self.sign != LocaleSign::None {
            return Err(wrong("cannot use \"S\" twice").into());
        }
        if self.plus || self.minus || self.bracket {
            return Err(wrong("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together").into());
        }
        if self.decimal {
            self.sign = LocaleSign::After;
        } else {
            self.sign = LocaleSign::Before;
            self.sign_place = self.before;
        }
        Ok(())
    }

    fn silent(&mut self, name: &str) -> Result<()> {
        match name.to_ascii_uppercase().as_str() {
            "FM" => self.fill = true,
            "B" => self.blank |= self.before == 0 && self.after == 0 && self.zero_start.is_none(),
            "V" => {
                if self.decimal {
                    return Err(wrong("cannot use \"V\" and decimal point together").into());
                }
                self.multiplied = true;
            }
            "EEEE" => {
                if self.scientific {
                    return Err(wrong("cannot use \"EEEE\" twice").into());
                }
                let others = self.blank
                    || self.fill
                    || self.sign != LocaleSign::None
                    || self.bracket
                    || self.minus
                    || self.plus
                    || self.roman
                    || self.multiplied;
                if others {
                    return Err(wrong("\"EEEE\" is incompatible with other formats")
                        .detail("\"EEEE\" may only be used together with digit and decimal point patterns.")
                        .into());
                }
                self.scientific = true;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Names of marks; of those with one beginning the longer come first.
#[rustfmt::skip]
static NAMES: &[(&str, Mark)] = &[
    (",", Mark::Comma), (".", Mark::Point), ("0", Mark::Zero), ("9", Mark::Nine),
    ("B", Mark::Silent), ("C", Mark::Silent), ("D", Mark::LocalePoint), ("EEEE", Mark::Silent), ("FM", Mark::Silent),
    ("G", Mark::Group), ("L", Mark::Currency), ("MI", Mark::Minus), ("PL", Mark::Plus), ("PR", Mark::Bracket),
    ("RN", Mark::Roman { upper: true }), ("SG", Mark::SignOrNothing), ("SP", Mark::Silent), ("S", Mark::Sign),
    ("TH", Mark::Ordinal { upper: true }), ("V", Mark::Silent),
    ("b", Mark::Silent), ("c", Mark::Silent), ("d", Mark::LocalePoint), ("eeee", Mark::Silent), ("fm", Mark::Silent),
    ("g", Mark::Group), ("l", Mark::Currency), ("mi", Mark::Minus), ("pl", Mark::Plus), ("pr", Mark::Bracket),
    ("rn", Mark::Roman { upper: false }), ("sg", Mark::SignOrNothing), ("sp", Mark::Silent), ("s", Mark::Sign),
    ("th", Mark::Ordinal { upper: false }), ("v", Mark::Silent),
];

/// A number ready to be put into its template.
struct Digits {
    negative: bool,
    /// Without its sign.
    text: String,
}

impl Digits {
    /// Of a number's text, which may begin with a minus sign.
    fn of(text: &str) -> Self {
        match text.strip_prefix('-') {
            Some(text) => Self { negative: true, text: text.to_owned() },
            None => Self { negative: false, text: text.to_owned() },
        }
    }

    fn whole(&self) -> usize {
        self.text.find('.').unwrap_or(self.text.len())
    }
}

/// Characters of an exponent: `e+00`.
const EXPONENT: usize = 4;

/// What is shown in place of a number that has too many digits.
fn overflow(before: usize, after: usize) -> String {
    format!("{}.{}", "#".repeat(before), "#".repeat(after))
}

fn integer(value: i64, template: &str, narrow: bool) -> Result<Value> {
    if template.is_empty() {
        return Ok(Value::Text(String::new()));
    }
    let shape = Shape::parse(template)?;
    if shape.scientific {
        if narrow {
            #[expect(clippy::cast_precision_loss, reason = "an int4 is exact")]
            return Ok(Value::Text(scientific(value as f64, shape.after)));
        }
        return numeric(&value.to_string(), template);
    }
    if shape.roman {
        return Ok(Value::Text(fill(&shape, 0, &Digits { negative: false, text: roman(Some(value)) })));
    }
    numeric(&value.to_string(), template)
}

fn numeric(text: &str, template: &str) -> Result<Value> {
    if template.is_empty() {
        return Ok(Value::Text(String::new()));
    }
    let mut shape = Shape::parse(template)?;
    let value = Numeric::parse(text).map_err(external)?;
    let finite = matches!(value, Numeric::Finite(_));
    if shape.roman {
        let whole = digits_of(&value, 0)?;
        return Ok(Value::Text(fill(&shape, 0, &Digits { negative: false, text: roman(whole.parse().ok()) })));
    }
    if shape.scientific {
        if !finite {
            return Ok(Value::Text(format!(" {}", overflow(shape.before, shape.after + EXPONENT))));
        }
        return Ok(Value::Text(scientific_numeric(&value, shape.after)?));
    }
    let value = if shape.multiplied && finite {
        let factor = format!("1{}", "0".repeat(shape.shifted));
        let factor = Numeric::parse(&factor).map_err(external)?;
        value.compute(Arithmetic::Multiply, &factor).map_err(external)?
    } else {
        value
    };
    shape.before += shape.shifted;
    let digits = Digits::of(&digits_of(&value, shape.after)?);
    Ok(Value::Text(placed(&shape, digits)))
}

/// A numeric's text with so many digits after its point.
fn digits_of(value: &Numeric, after: usize) -> Result<String> {
    let bounded = match value {
        Numeric::Finite(_) => {
            let scale = i16::try_from(after).unwrap_or(1000).min(1000);
            Some(value.clone().bounded(1000, scale).map_err(external)?)
        }
        _ => None,
    };
    let mut text = String::new();
    bounded.as_ref().unwrap_or(value).write(&mut text);
    Ok(text)
}

fn float(value: f64, template: &str, certain: usize) -> Result<Value> {
    if template.is_empty() {
        return Ok(Value::Text(String::new()));
    }
    let mut shape = Shape::parse(template)?;
    if shape.roman {
        let whole = value.round_ties_even();
        let number = (whole.abs() < 1e9).then(|| rounded(whole));
        return Ok(Value::Text(fill(&shape, 0, &Digits { negative: false, text: roman(number) })));
    }
    if shape.scientific {
        if !value.is_finite() {
            return Ok(Value::Text(format!(" {}", overflow(shape.before, shape.after + EXPONENT))));
        }
        return Ok(Value::Text(scientific(value, shape.after)));
    }
    let shift = i32::try_from(shape.shifted).unwrap_or(i32::MAX);
    let value = if shape.multiplied { value * 10_f64.powi(shift) } else { value };
    shape.before += shape.shifted;
    if !value.is_finite() {
        let name = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        return Ok(Value::Text(placed(&shape, Digits::of(name))));
    }
    let whole = format!("{:.0}", value.abs()).len();
    // Digits that a float does not have are not invented.
    let after = if whole >= certain { 0 } else { shape.after.min(certain - whole) };
    shape.after = after;
    Ok(Value::Text(placed(&shape, Digits::of(&format!("{value:.after$}")))))
}

/// A number with its whole digits counted against the places that the template has for them.
fn placed(shape: &Shape, mut digits: Digits) -> String {
    let whole = digits.whole();
    let spaces = shape.before.saturating_sub(whole);
    if whole > shape.before {
        digits.text = overflow(shape.before, shape.after);
    }
    fill(shape, spaces, &digits)
}

fn scientific(value: f64, after: usize) -> String {
    let text = format!("{value:.after$e}");
    with_exponent(&text)
}

/// `1.5e1` as `" 1.5e+01"`.
fn with_exponent(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let space = if mantissa.starts_with('-') { "" } else { " " };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{space}{mantissa}e{sign}{:02}", exponent.abs())
}

/// A numeric, whose digits are rounded as numerics are.
fn scientific_numeric(value: &Numeric, after: usize) -> Result<String> {
    let mut text = String::new();
    value.write(&mut text);
    let negative = text.starts_with('-');
    let plain = text.trim_start_matches('-');
    let point = plain.find('.').unwrap_or(plain.len());
    let digits: String = plain.chars().filter(char::is_ascii_digit).collect();
    let Some(first) = digits.find(|c| c != '0') else {
        let zeros = if after > 0 { format!(".{}", "0".repeat(after)) } else { String::new() };
        return Ok(format!(" 0{zeros}e+00"));
    };
    let exponent = i64::try_from(point).unwrap_or(0) - i64::try_from(first).unwrap_or(0) - 1;
    // One digit before the point: what is rounded is a number from 1 to 10.
    let significant = digits.get(first..).unwrap_or_default();
    let (head, tail) = significant.split_at_checked(1).unwrap_or((significant, ""));
    let mantissa = Numeric::parse(&format!("{head}.{tail}0")).map_err(external)?;
    // Rounding may make it 10: PostgreSQL leaves it so.
    let shown = digits_of(&mantissa, after)?;
    Ok(with_exponent(&format!("{}{shown}e{exponent}", if negative { "-" } else { "" })))
}

/// Roman numerals; beyond 1 to 3999 a row of `#`.
fn roman(value: Option<i64>) -> String {
    const NUMERALS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let Some(mut left) = value.filter(|value| (1..=3999).contains(value)) else { return "#".repeat(15) };
    let mut text = String::new();
    for (value, numeral) in NUMERALS {
        while left >= value {
            text.push_str(numeral);
            left -= value;
        }
    }
    text
}

/// Writes a number into its template.
struct Filler<'a> {
    shape: &'a Shape,
    digits: &'a [u8],
    negative: bool,
    sign: LocaleSign,
    bracket: bool,
    sign_written: bool,
    /// Spaces before the number's first digit.
    spaces: usize,
    /// Index of the last digit after the point that `FM` keeps.
    last: Option<usize>,
    /// Index of the next digit, and of the next place.
    digit: usize,
    place: usize,
    /// The place with which the number ends.
    end: usize,
    inside: bool,
    out: String,
}

fn fill(shape: &Shape, spaces: usize, digits: &Digits) -> String {
    let writes_own_sign = shape.plus || shape.minus;
    let mut sign = shape.sign;
    let mut bracket = shape.bracket;
    let mut sign_written = if writes_own_sign {
        // PL alone leaves the minus sign to the number.
        !shape.plus || shape.minus
    } else {
        if !digits.negative && shape.fill {
            bracket = false;
        }
        let written = !digits.negative && shape.fill && sign == LocaleSign::None;
        if sign == LocaleSign::Before && shape.before == shape.sign_place {
            sign = LocaleSign::After;
        }
        written
    };
    let (mut before, mut after) = (shape.before, shape.after);
    let mut spaces = spaces;
    if shape.roman {
        (before, after, spaces) = (0, 0, 0);
        (sign, bracket, sign_written) = (LocaleSign::None, false, true);
    }
    let bytes = digits.text.as_bytes();
    let last =
        if shape.fill && shape.decimal && !shape.roman { last_relevant(&digits.text, shape, spaces) } else { None };
    let count = (before + after).saturating_sub(1) + usize::from(!sign_written && spaces == 0);
    let end = count + usize::from(spaces > 0) + usize::from(shape.decimal && !shape.roman);
    let mut filler = Filler {
        shape,
        digits: bytes,
        negative: digits.negative,
        sign,
        bracket,
        sign_written,
        spaces,
        last,
        digit: 0,
        place: 0,
        end,
        inside: false,
        out: String::new(),
    };
    for mark in &shape.marks {
        filler.mark(*mark, &digits.text);
    }
    filler.out
}

/// The index of the last digit that is not a trailing zero of the fraction, or of the point; a `0` of the template keeps
/// its digit.
fn last_relevant(text: &str, shape: &Shape, spaces: usize) -> Option<usize> {
    let point = text.find('.')?;
    let found = text.rfind(|c| c != '0').unwrap_or(point).max(point);
    if shape.zero_end > spaces {
        let kept = (text.len() - 1).min(shape.zero_end - spaces);
        return Some(found.max(kept));
    }
    Some(found)
}

impl Filler<'_> {
    fn mark(&mut self, mark: Mark, text: &str) {
        let fill = self.shape.fill;
        match mark {
            Mark::Nine | Mark::Zero | Mark::Point | Mark::LocalePoint => {
                if !self.shape.roman {
                    self.place(mark == Mark::Zero);
                }
            }
            Mark::Comma | Mark::Group => match (self.inside, fill) {
                (true, _) => self.out.push(','),
                (false, false) => self.out.push(' '),
                (false, true) => {}
            },
            Mark::Currency => self.out.push(' '),
            Mark::Roman { upper } => {
                let shown = if upper { text.to_owned() } else { text.to_lowercase() };
                self.out.push_str(&if fill { shown } else { format!("{shown:>15}") });
            }
            Mark::Ordinal { upper } => {
                if self.shape.roman || text.starts_with('#') || self.negative || self.shape.decimal {
                    return;
                }
                let ending = ordinal(text);
                self.out.push_str(&if upper { ending.to_uppercase() } else { ending.to_owned() });
            }
            Mark::Minus | Mark::Plus => {
                let shown = if mark == Mark::Minus { self.negative } else { !self.negative };
                if shown {
                    self.out.push(if mark == Mark::Minus { '-' } else { '+' });
                } else if !fill {
                    self.out.push(' ');
                }
            }
            Mark::SignOrNothing => self.out.push(if self.negative { '-' } else { '+' }),
            Mark::Literal(c) => self.out.push(c),
            Mark::Bracket | Mark::Sign | Mark::Silent => {}
        }
    }

    fn current(&self) -> Option<u8> {
        self.digits.get(self.digit).copied()
    }

    /// The zero before the point where the template has no `0`: it is not shown.
    fn at_leading_zero(&self) -> bool {
        self.shape.zero_start.is_none() && self.digit == 0 && self.current() == Some(b'0') && self.shape.after != 0
    }

    fn last_is_point(&self) -> bool {
        self.last.is_some_and(|last| self.digits.get(last) == Some(&b'.'))
    }

    fn write_sign(&mut self) {
        let begins = self.place >= self.spaces || self.shape.zero_start == Some(self.place);
        if self.sign_written || !begins || (self.at_leading_zero() && !self.last_is_point()) {
            return;
        }
        match self.sign {
            LocaleSign::Before => {
                self.out.push(if self.negative { '-' } else { '+' });
                self.sign_written = true;
            }
            LocaleSign::After => {}
            LocaleSign::None => {
                let shown = match (self.bracket, self.negative) {
                    (true, true) => Some('<'),
                    (false, true) => Some('-'),
                    (true, false) => Some(' '),
                    (false, false) => (!self.shape.fill).then_some(' '),
                };
                self.out.extend(shown);
                self.sign_written = true;
            }
        }
    }

    /// One place of a digit or the point.
    fn place(&mut self, zero: bool) {
        self.inside = false;
        self.write_sign();
        let fill = self.shape.fill;
        let zero_reached = self.shape.zero_start.is_some_and(|start| start <= self.place);
        if self.place < self.spaces && !zero_reached {
            if !fill {
                self.out.push(' ');
            }
        } else if self.place < self.spaces {
            self.out.push('0');
            self.inside = true;
        } else {
            self.digit_or_point(zero);
            if self.digit < self.digits.len() {
                self.digit += 1;
            }
        }
        let end = if self.last.is_some() && self.last == Some(self.digit) { self.place } else { self.end };
        if self.place + 1 == end {
            if self.sign_written && self.bracket {
                self.out.push(if self.negative { '>' } else { ' ' });
            } else if self.sign == LocaleSign::After {
                self.out.push(if self.negative { '-' } else { '+' });
            }
        }
        self.place += 1;
    }

    fn digit_or_point(&mut self, zero: bool) {
        match self.current() {
            Some(b'.') => {
                if self.last.is_none() || !self.last_is_point() || self.shape.fill {
                    self.out.push('.');
                }
            }
            _ if self.last.is_some_and(|last| self.digit > last) && !zero => {}
            _ if self.at_leading_zero() => {
                if !self.shape.fill {
                    self.out.push(' ');
                } else if self.last_is_point() {
                    self.out.push('0');
                }
            }
            Some(digit) => {
                self.out.push(char::from(digit));
                self.inside = true;
            }
            None => self.inside = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str, template: &str) -> String {
        match numeric(text, template) {
            Ok(Value::Text(text)) => text,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn places_digits_signs_and_groups() {
        for (number, template, text) in [
            ("-12.34", "99.99", "-12.34"),
            ("0.1", "9.9", "  .1"),
            ("0.1", "0.9", " 0.1"),
            ("-0.1", "FM9.99", "-.1"),
            ("1485", "9,999.9", " 1,485.0"),
            ("148.5", "FM999.990", "148.500"),
            ("12", "9990999.9", "    0012.0"),
            ("-485", "999PR", "<485>"),
            ("1234", "999", " ###"),
            ("482", "999th", " 482nd"),
            ("485", "RN", "        CDLXXXV"),
            ("12.45", "99V9", " 125"),
            ("0.0004859", "9.99EEEE", " 4.86e-04"),
        ] {
            assert_eq!(shown(number, template), text, "{number} by {template}");
        }
    }

    #[test]
    fn refuses_marks_that_exclude_each_other() {
        for template in ["9.9.9", "S9S", "S9MI", "9PR9", "9V9.9", "9EEEE9", "FM9EEEE"] {
            assert!(Shape::parse(template).is_err(), "{template}");
        }
    }

    proptest! {
        #[test]
        fn no_template_panics(template in "[-09,.BCDEFMGLPRISTHVbcdefmglpristhv\"\\\\ x]{0,12}", number in "-?[0-9]{1,9}(\\.[0-9]{1,6})?") {
            let _ = numeric(&number, &template);
            let _ = float(number.parse().unwrap_or(0.0), &template, DOUBLE_DIGITS);
        }

        #[test]
        fn wide_templates_show_every_digit(number in 0..1_000_000_000_u32) {
            prop_assert_eq!(shown(&number.to_string(), "FM9999999999"), number.to_string());
            prop_assert_eq!(shown(&format!("-{number}"), "S0000000000"), format!("-{number:010}"));
        }
    }
}
