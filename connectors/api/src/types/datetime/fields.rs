//! What the fields of a text mean, one after the other.

use super::super::calendar::{self, DAYS_MIN, USECS_PER_HOUR};
use super::{
    Fault, Fields, Special, Token, Zone, clock, clock_usecs, displacement, is_weekday, microseconds, month_number,
    number, rounded,
};

impl Fields {
    pub(super) fn take(&mut self, token: &Token<'_>, day_first: bool, time_only: bool) -> Result<(), Fault> {
        let julian = std::mem::take(&mut self.julian_follows);
        let time_follows = std::mem::take(&mut self.time_follows);
        match token {
            Token::Number(field) if julian => self.julian(field),
            Token::Number(field) if time_follows => self.concatenated_time(field),
            Token::Number(field) => self.number_field(field, day_first, time_only),
            Token::Date(field) => {
                let is_time = time_follows || (time_only && is_zoned_time(field));
                self.date_field(field, day_first, is_time)
            }
            Token::Time(field) if self.time.is_none() => {
                self.time = Some(clock(field)?);
                Ok(())
            }
            Token::Time(_) => Err(Fault::Format),
            Token::Word(word) => self.word(word),
            Token::Signed(field) => self.signed(field),
        }
    }

    fn julian(&mut self, field: &str) -> Result<(), Fault> {
        let (whole, fraction) = field.split_once('.').unwrap_or((field, ""));
        self.julian_days = Some(number(whole)?.checked_add(DAYS_MIN).ok_or(Fault::Field)?);
        if !fraction.is_empty() {
            let fraction: f64 = format!("0.{fraction}").parse().map_err(|_| Fault::Format)?;
            self.time = Some(rounded(fraction * 86_400_000_000.0));
        }
        Ok(())
    }

    fn has_date(&self) -> bool {
        self.julian_days.is_some()
            || (self.year.is_some() && (self.day_of_year.is_some() || (self.month.is_some() && self.day.is_some())))
    }

    fn number_field(&mut self, field: &str, day_first: bool, time_only: bool) -> Result<(), Fault> {
        let (whole, fraction) = field.split_once('.').map_or((field, None), |(whole, rest)| (whole, Some(rest)));
        let no_date = self.year.is_none() && self.month.is_none() && self.day.is_none() && self.julian_days.is_none();
        if fraction.is_some() {
            return if no_date && !time_only && whole.len() <= 4 {
                // 1999.008: a year and a day of it.
                self.year = Some(number(whole)?);
                self.day_of_year = Some(number(fraction.unwrap_or_default())?);
                Ok(())
            } else if whole.len() >= 4 && self.time.is_none() {
                self.concatenated_time(field)
            } else {
                Err(Fault::Format)
            };
        }
        if time_only && no_date && self.time.is_none() {
            return self.concatenated_time(field);
        }
        if field.len() >= 6 && !self.has_date() && no_date {
            return self.concatenated_date(field);
        }
        if field.len() >= 4 && self.has_date() && self.time.is_none() {
            return self.concatenated_time(field);
        }
        self.date_number(field, day_first)
    }

    /// `19990108`, `990108`: the last four digits are month and day.
    fn concatenated_date(&mut self, field: &str) -> Result<(), Fault> {
        let (year, rest) = field.split_at_checked(field.len() - 4).ok_or(Fault::Format)?;
        let (month, day) = rest.split_at_checked(2).ok_or(Fault::Format)?;
        self.year = Some(number(year)?);
        self.short_year = year.len() == 2;
        self.month = Some(number(month)?);
        self.day = Some(number(day)?);
        Ok(())
    }

    /// `040506.789`, `040506`, `0405`.
    fn concatenated_time(&mut self, field: &str) -> Result<(), Fault> {
        let (whole, fraction) = field.split_once('.').unwrap_or((field, ""));
        if self.time.is_some() || !matches!(whole.len(), 4 | 6) {
            return Err(Fault::Format);
        }
        let hour = number(whole.get(..2).ok_or(Fault::Format)?)?;
        let minute = number(whole.get(2..4).ok_or(Fault::Format)?)?;
        let second = whole.get(4..6).map_or(Ok(0), number)?;
        self.time = Some(clock_usecs(hour, minute, second, microseconds(fraction)?)?);
        Ok(())
    }

    /// A number whose meaning follows from what is already known.
    fn date_number(&mut self, field: &str, day_first: bool) -> Result<(), Fault> {
        let value = number(field)?;
        let length = field.len();
        match (self.year.is_some(), self.month.is_some(), self.day.is_some()) {
            (true, false, false) if length == 3 => self.day_of_year = Some(value),
            (false, false, false) if length >= 3 => self.set_year(value, length),
            (false, false, false) if day_first => self.day = Some(value),
            (false, false, false) | (true, false, _) | (false, false, true) => self.month = Some(value),
            (false, true, false) if self.month_word && length >= 3 => self.set_year(value, length),
            (false, true, false) => self.day = Some(value),
            (true, true, false) if self.month_word && length >= 3 && self.short_year => {
                // 08-Jan-1999 read year first: what seemed a year was the day.
                self.day = self.year.take();
                self.set_year(value, length);
            }
            (true, true, false) => self.day = Some(value),
            (false, true, true) => self.set_year(value, length),
            (true, true, true) => return Err(Fault::Format),
        }
        Ok(())
    }

    fn set_year(&mut self, value: i64, length: usize) {
        self.year = Some(value);
        self.short_year = length <= 2;
    }

    fn date_field(&mut self, field: &str, day_first: bool, time_follows: bool) -> Result<(), Fault> {
        let starts_with_word = field.starts_with(|c: char| c.is_ascii_alphabetic());
        if time_follows || (self.has_date() && !starts_with_word) {
            // 040506-08: a time with its zone.
            let cut = field.find('-').ok_or(Fault::Format)?;
            let (time, zone) = field.split_at_checked(cut).ok_or(Fault::Format)?;
            self.concatenated_time(time)?;
            self.zone = Some(Zone::Offset(displacement(zone)?));
            return Ok(());
        }
        let first_word = field.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let known = month_number(first_word).is_some();
        if starts_with_word && !known && !self.has_date() && self.time.is_none() {
            // A zone follows a date or a time.
            return Err(Fault::Format);
        }
        if starts_with_word && (self.has_date() || !known) {
            let zone = calendar::zone_by_name(field).ok_or_else(|| Fault::Zone(field.to_owned()))?;
            return self.set_zone(Zone::Named(zone));
        }
        let parts: Vec<&str> = field.split(['-', '/', '.']).filter(|part| !part.is_empty()).collect();
        if !(2..=3).contains(&parts.len()) {
            return Err(Fault::Format);
        }
        for part in &parts {
            if let Some(month) = month_number(part) {
                self.month = Some(month);
                self.month_word = true;
            }
        }
        for part in parts.into_iter().filter(|part| month_number(part).is_none()) {
            if self.has_date() {
                return Err(Fault::Format);
            }
            self.date_number(part, day_first)?;
        }
        Ok(())
    }

    fn set_zone(&mut self, zone: Zone) -> Result<(), Fault> {
        if self.zone.is_some() {
            return Err(Fault::Format);
        }
        self.zone = Some(zone);
        Ok(())
    }

    fn signed(&mut self, field: &str) -> Result<(), Fault> {
        let (sign, rest) = field.split_at_checked(1).ok_or(Fault::Format)?;
        match super::super::input::trim(rest) {
            "infinity" | "inf" => {
                self.special = Some(if sign == "-" { Special::MinusInfinity } else { Special::Infinity });
                Ok(())
            }
            rest if rest.starts_with(|c: char| c.is_ascii_digit()) => {
                let offset = displacement(&format!("{sign}{rest}"))?;
                self.set_zone(Zone::Offset(offset))
            }
            _ => Err(Fault::Format),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        if let Some(month) = month_number(word) {
            // A number taken for the month was the day: 8 January 1999.
            if self.month.is_some() && !self.month_word && self.day.is_none() {
                self.day = self.month;
            } else if self.month.is_some() {
                return Err(Fault::Format);
            }
            self.month = Some(month);
            self.month_word = true;
            return Ok(());
        }
        match word {
            "infinity" | "inf" => self.special = Some(Special::Infinity),
            "epoch" => self.special = Some(Special::Epoch),
            "now" => self.special = Some(Special::Now),
            "today" => self.special = Some(Special::Today),
            "tomorrow" => self.special = Some(Special::Tomorrow),
            "yesterday" => self.special = Some(Special::Yesterday),
            "allballs" => {
                self.time = Some(0);
                self.zone = Some(Zone::Offset(0));
            }
            "ad" => self.before_christ = false,
            "bc" => self.before_christ = true,
            "am" => self.afternoon = Some(false),
            "pm" => self.afternoon = Some(true),
            "t" => self.time_follows = true,
            "j" | "jd" | "julian" => self.julian_follows = true,
            "at" | "on" => {}
            _ if is_weekday(word) => {}
            _ => {
                let zone = match calendar::abbreviation(word) {
                    Some(offset) => Zone::Offset(offset),
                    None => Zone::Named(calendar::zone_by_name(word).ok_or(Fault::Format)?),
                };
                return self.set_zone(zone);
            }
        }
        Ok(())
    }

    /// Applies what counts for the whole: centuries, BC, afternoon.
    pub(super) fn finish(&mut self) -> Result<(), Fault> {
        if let Some(year) = self.year {
            self.year = Some(if self.before_christ {
                if year < 1 {
                    return Err(Fault::Field);
                }
                1 - year
            } else if self.short_year {
                if year < 70 { year + 2000 } else { year + 1900 }
            } else if year < 1 {
                return Err(Fault::Field);
            } else {
                year
            });
        } else if self.before_christ {
            return Err(Fault::Format);
        }
        if let (Some(afternoon), Some(time)) = (self.afternoon, self.time) {
            let hour = time / USECS_PER_HOUR;
            if hour > 12 {
                return Err(Fault::Field);
            }
            if afternoon && hour != 12 {
                self.time = Some(time + 12 * USECS_PER_HOUR);
            } else if !afternoon && hour == 12 {
                self.time = Some(time - 12 * USECS_PER_HOUR);
            }
        }
        Ok(())
    }

    /// The day, in days since 1970; `None` where the text has none.
    pub(super) fn days(&self) -> Result<Option<i64>, Fault> {
        if let Some(days) = self.julian_days {
            return Ok(Some(days));
        }
        let Some(year) = self.year else { return Ok(None) };
        // Beyond every type; keeps the arithmetic below from overflowing.
        let year = year.min(10_000_000);
        if let Some(day) = self.day_of_year {
            if day < 1 || day > 365 + i64::from(calendar::is_leap(year)) {
                return Err(Fault::Field);
            }
            return Ok(Some(calendar::days_of(year, 1, 1) + day - 1));
        }
        let (Some(month), Some(day)) = (self.month, self.day) else { return Ok(None) };
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(Fault::MonthOrDay);
        }
        if day > calendar::month_days(year, month) {
            return Err(Fault::Field);
        }
        Ok(Some(calendar::days_of(year, month, day)))
    }
}

/// `040506-08`: a time without separators, and its zone.
fn is_zoned_time(field: &str) -> bool {
    field.split_once('-').is_some_and(|(time, zone)| matches!(time.len(), 4 | 6) && !zone.contains('-'))
}
