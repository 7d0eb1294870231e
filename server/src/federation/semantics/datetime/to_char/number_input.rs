//! `to_number`: text read by a number's template.

use atoll_connector_api::types::oids::{NUMERIC, TEXT};
use atoll_connector_api::types::{Arithmetic, Numeric};
use datafusion::error::Result;

use super::super::overload::{Overload, function};
use super::super::value::Value;
use super::number::{LocaleSign, Mark, Shape};
use crate::error::SqlError;
use crate::federation::semantics::external;

/// The function of this module.
pub(super) static FUNCTIONS: &[Overload] =
    &[function("to_number", &[TEXT, TEXT], NUMERIC, |call| read(call.text(0)?, call.text(1)?))];

/// What is read of a number.
struct Reader<'a> {
    shape: &'a Shape,
    rest: &'a str,
    sign: Option<char>,
    digits: String,
    before: usize,
    after: usize,
    point: bool,
}

fn read(text: &str, template: &str) -> Result<Value> {
    if template.is_empty() {
        return Ok(Value::Null);
    }
    let shape = Shape::parse(template)?;
    if shape.scientific {
        return Err(SqlError::unsupported("\"EEEE\" not supported for input").into());
    }
    if shape.roman {
        return Err(SqlError::unsupported("\"RN\" not supported for input").into());
    }
    let mut reader =
        Reader { shape: &shape, rest: text, sign: None, digits: String::new(), before: 0, after: 0, point: false };
    for mark in &shape.marks {
        if reader.rest.is_empty() {
            break;
        }
        reader.mark(*mark);
    }
    let digits = reader.digits.trim_end_matches('.');
    let number = format!("{}{digits}", reader.sign.unwrap_or(' '));
    let precision = shape.before + shape.shifted + reader.after;
    let scale = i16::try_from(reader.after).unwrap_or(i16::MAX);
    let value = Numeric::parse(&number).map_err(external)?;
    let precision = u16::try_from(precision).unwrap_or(u16::MAX);
    let value =
        if (1..=1000).contains(&precision) { value.bounded(precision, scale).map_err(external)? } else { value };
    let value = if shape.shifted > 0 {
        let divisor = Numeric::parse(&format!("1{}", "0".repeat(shape.shifted))).map_err(external)?;
        value.compute(Arithmetic::Divide, &divisor).map_err(external)?
    } else {
        value
    };
    let mut out = String::new();
    value.write(&mut out);
    Ok(Value::Numeric(out))
}

impl Reader<'_> {
    fn current(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn advance(&mut self) {
        let mut characters = self.rest.chars();
        characters.next();
        self.rest = characters.as_str();
    }

    /// Skips characters that can be no part of a number.
    fn skip_letters(&mut self, count: usize) {
        for _ in 0..count {
            match self.current() {
                None | Some('0'..='9' | '.' | ',' | '+' | '-') => return,
                Some(_) => self.advance(),
            }
        }
    }

    fn mark(&mut self, mark: Mark) {
        match mark {
            Mark::Nine | Mark::Zero | Mark::Point | Mark::LocalePoint => self.place(mark),
            Mark::Comma | Mark::Group => {
                if !self.shape.fill && self.current() == Some(',') {
                    self.advance();
                }
            }
            Mark::Currency => self.skip_letters(1),
            Mark::Ordinal { .. } => self.skip_letters(2),
            Mark::Minus | Mark::Plus | Mark::SignOrNothing => {
                let wanted = match self.current() {
                    Some(sign @ '-') if mark != Mark::Plus => Some(sign),
                    Some(sign @ '+') if mark != Mark::Minus => Some(sign),
                    _ => None,
                };
                match wanted {
                    Some(sign) => {
                        self.sign = Some(sign);
                        self.advance();
                    }
                    None => self.skip_letters(1),
                }
            }
            Mark::Literal(_) => self.advance(),
            Mark::Roman { .. } | Mark::Bracket | Mark::Sign | Mark::Silent => {}
        }
    }

    /// One place of a digit or the point.
    fn place(&mut self, mark: Mark) {
        if self.rest.starts_with(' ') {
            self.advance();
        }
        let is_digit = matches!(mark, Mark::Nine | Mark::Zero);
        if self.sign.is_none() && is_digit && self.before + self.after == 0 {
            self.leading_sign();
        }
        let Some(current) = self.current() else { return };
        let mut read = false;
        if current.is_ascii_digit() {
            if self.point && self.after == self.shape.after {
                return;
            }
            self.digits.push(current);
            if self.point {
                self.after += 1;
            } else {
                self.before += 1;
            }
            read = true;
        } else if self.shape.decimal && !self.point && current == '.' {
            self.digits.push('.');
            self.point = true;
            read = true;
        }
        if self.sign.is_none() && self.before + self.after > 0 {
            self.trailing_sign(read, current);
        }
        self.advance();
    }

    fn leading_sign(&mut self) {
        let anchored = self.shape.sign != LocaleSign::None && self.anchored_before();
        match self.current() {
            Some('-') => self.sign = Some('-'),
            Some('<') if self.shape.bracket && !anchored => self.sign = Some('-'),
            Some('+') => self.sign = Some('+'),
            _ => return,
        }
        self.advance();
    }

    fn anchored_before(&self) -> bool {
        self.shape.sign == LocaleSign::Before
    }

    /// An `S` behind the number's last digit; or the sign of `MI`, `PL` or `SG`, which a short number brings early.
    fn trailing_sign(&mut self, read: bool, current: char) {
        if self.shape.sign != LocaleSign::None {
            let next = self.rest.chars().nth(1);
            if read && let Some(sign @ ('-' | '+')) = next {
                self.sign = Some(sign);
                self.advance();
            }
        } else if !read && (self.shape.plus || self.shape.minus) && matches!(current, '-' | '+') {
            self.sign = Some(current);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_a_number_through_its_groups(number in 0..1_000_000_u32) {
            let grouped = format!("{},{:03}", number / 1000, number % 1000);
            let value = read(&grouped, "999,999").ok();
            prop_assert_eq!(value, Some(Value::Numeric(number.to_string())));
        }

        #[test]
        fn no_text_and_template_panic(text in "\\PC{0,16}", template in "[-09,.BCDFMGLPISTHV\"x]{0,12}") {
            let _ = read(&text, &template);
        }
    }
}
