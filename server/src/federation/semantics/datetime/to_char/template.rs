//! Templates of dates and times cut into fields.

/// A field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// `AM`, `A.M.`: with dots or without.
    Meridiem {
        dots: bool,
    },
    /// `AD`, `B.C.`.
    Era {
        dots: bool,
    },
    Century,
    Day,
    DayShort,
    DayOfYear,
    IsoDayOfYear,
    DayOfMonth,
    DayOfWeek,
    IsoDayOfWeek,
    /// So many digits of a second's fraction; `FF3` and `MS` alike.
    Fraction(u8),
    Milliseconds,
    Microseconds,
    Fixed,
    Hour24,
    Hour12,
    IsoWeek,
    /// So many digits of ISO 8601's year.
    IsoYear(u8),
    Julian,
    Minute,
    Month,
    MonthName,
    MonthShort,
    Offset,
    Quarter,
    RomanMonth,
    SecondsOfDay,
    Second,
    ZoneName,
    ZoneHour,
    ZoneMinute,
    Week,
    WeekOfMonth,
    /// `Y,YYY`.
    YearWithComma,
    /// So many digits of the year.
    Year(u8),
}

/// How letters of a name are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Upper,
    Capital,
    Lower,
}

/// Which calendar a field belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Convention {
    Any,
    Gregorian,
    IsoWeek,
}

/// A field's name in templates.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Keyword {
    pub(super) name: &'static str,
    pub(super) field: Field,
}

impl Keyword {
    /// The case that the name asks for.
    pub(super) fn case(&self) -> Case {
        let mut letters = self.name.chars();
        match (letters.next(), letters.next()) {
            (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => Case::Capital,
            (Some(first), _) if first.is_uppercase() => Case::Upper,
            _ => Case::Lower,
        }
    }

    /// Whether its values are digits.
    pub(super) const fn is_digits(&self) -> bool {
        !matches!(
            self.field,
            Field::Meridiem { .. }
                | Field::Era { .. }
                | Field::Day
                | Field::DayShort
                | Field::Fixed
                | Field::MonthName
                | Field::MonthShort
                | Field::Offset
                | Field::RomanMonth
                | Field::ZoneName
                | Field::ZoneHour
        )
    }

    pub(super) const fn convention(&self) -> Convention {
        match self.field {
            Field::IsoDayOfYear | Field::IsoDayOfWeek | Field::IsoWeek | Field::IsoYear(_) => Convention::IsoWeek,
            Field::DayOfYear
            | Field::DayOfMonth
            | Field::DayOfWeek
            | Field::Month
            | Field::MonthName
            | Field::MonthShort
            | Field::RomanMonth
            | Field::Week
            | Field::WeekOfMonth
            | Field::YearWithComma
            | Field::Year(_) => Convention::Gregorian,
            _ => Convention::Any,
        }
    }
}

macro_rules! keywords {
    ($($name:literal => $field:expr,)*) => { &[$(Keyword { name: $name, field: $field },)*] };
}

/// All names; of those with one beginning the longer come first. Names in lower case follow below.
static KEYWORDS: &[Keyword] = keywords! {
    "A.D." => Field::Era { dots: true }, "A.M." => Field::Meridiem { dots: true },
    "AD" => Field::Era { dots: false }, "AM" => Field::Meridiem { dots: false },
    "B.C." => Field::Era { dots: true }, "BC" => Field::Era { dots: false },
    "CC" => Field::Century,
    "DAY" => Field::Day, "DDD" => Field::DayOfYear, "DD" => Field::DayOfMonth, "DY" => Field::DayShort,
    "Day" => Field::Day, "Dy" => Field::DayShort, "D" => Field::DayOfWeek,
    "FF1" => Field::Fraction(1), "FF2" => Field::Fraction(2), "FF3" => Field::Fraction(3),
    "FF4" => Field::Fraction(4), "FF5" => Field::Fraction(5), "FF6" => Field::Fraction(6),
    "FX" => Field::Fixed,
    "HH24" => Field::Hour24, "HH12" => Field::Hour12, "HH" => Field::Hour12,
    "IDDD" => Field::IsoDayOfYear, "ID" => Field::IsoDayOfWeek, "IW" => Field::IsoWeek,
    "IYYY" => Field::IsoYear(4), "IYY" => Field::IsoYear(3), "IY" => Field::IsoYear(2), "I" => Field::IsoYear(1),
    "J" => Field::Julian,
    "MI" => Field::Minute, "MM" => Field::Month, "MONTH" => Field::MonthName, "MON" => Field::MonthShort,
    "MS" => Field::Milliseconds, "Month" => Field::MonthName, "Mon" => Field::MonthShort,
    "OF" => Field::Offset,
    "P.M." => Field::Meridiem { dots: true }, "PM" => Field::Meridiem { dots: false },
    "Q" => Field::Quarter,
    "RM" => Field::RomanMonth,
    "SSSSS" => Field::SecondsOfDay, "SSSS" => Field::SecondsOfDay, "SS" => Field::Second,
    "TZH" => Field::ZoneHour, "TZM" => Field::ZoneMinute, "TZ" => Field::ZoneName,
    "US" => Field::Microseconds,
    "WW" => Field::Week, "W" => Field::WeekOfMonth,
    "Y,YYY" => Field::YearWithComma,
    "YYYY" => Field::Year(4), "YYY" => Field::Year(3), "YY" => Field::Year(2), "Y" => Field::Year(1),
    "a.d." => Field::Era { dots: true }, "a.m." => Field::Meridiem { dots: true },
    "ad" => Field::Era { dots: false }, "am" => Field::Meridiem { dots: false },
    "b.c." => Field::Era { dots: true }, "bc" => Field::Era { dots: false },
    "cc" => Field::Century,
    "day" => Field::Day, "ddd" => Field::DayOfYear, "dd" => Field::DayOfMonth, "dy" => Field::DayShort,
    "d" => Field::DayOfWeek,
    "ff1" => Field::Fraction(1), "ff2" => Field::Fraction(2), "ff3" => Field::Fraction(3),
    "ff4" => Field::Fraction(4), "ff5" => Field::Fraction(5), "ff6" => Field::Fraction(6),
    "fx" => Field::Fixed,
    "hh24" => Field::Hour24, "hh12" => Field::Hour12, "hh" => Field::Hour12,
    "iddd" => Field::IsoDayOfYear, "id" => Field::IsoDayOfWeek, "iw" => Field::IsoWeek,
    "iyyy" => Field::IsoYear(4), "iyy" => Field::IsoYear(3), "iy" => Field::IsoYear(2), "i" => Field::IsoYear(1),
    "j" => Field::Julian,
    "mi" => Field::Minute, "mm" => Field::Month, "month" => Field::MonthName, "mon" => Field::MonthShort,
    "ms" => Field::Milliseconds,
    "of" => Field::Offset,
    "p.m." => Field::Meridiem { dots: true }, "pm" => Field::Meridiem { dots: false },
    "q" => Field::Quarter,
    "rm" => Field::RomanMonth,
    "sssss" => Field::SecondsOfDay, "ssss" => Field::SecondsOfDay, "ss" => Field::Second,
    "tzh" => Field::ZoneHour, "tzm" => Field::ZoneMinute, "tz" => Field::ZoneName,
    "us" => Field::Microseconds,
    "ww" => Field::Week, "w" => Field::WeekOfMonth,
    "y,yyy" => Field::YearWithComma,
    "yyyy" => Field::Year(4), "yyy" => Field::Year(3), "yy" => Field::Year(2), "y" => Field::Year(1),
};

/// The ordinal ending that a field is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ordinal {
    None,
    Upper,
    Lower,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Field {
        keyword: &'static Keyword,
        /// `FM`: no padding.
        fill: bool,
        /// `TM`: names of the locale, which here is always C.
        translated: bool,
        ordinal: Ordinal,
    },
    Space(char),
    Separator(char),
    Char(char),
}

/// Cuts a template.
pub(super) fn parse(template: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let (mut fill, mut translated) = (false, false);
        if let Some(after) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            (fill, rest) = (true, after);
        } else if let Some(after) = rest.strip_prefix("TM").or_else(|| rest.strip_prefix("tm")) {
            (translated, rest) = (true, after);
        }
        if let Some(keyword) = KEYWORDS.iter().find(|keyword| rest.starts_with(keyword.name)) {
            rest = rest.get(keyword.name.len()..).unwrap_or_default();
            let mut ordinal = Ordinal::None;
            if let Some(after) = rest.strip_prefix("TH") {
                (ordinal, rest) = (Ordinal::Upper, after);
            } else if let Some(after) = rest.strip_prefix("th") {
                (ordinal, rest) = (Ordinal::Lower, after);
            } else if let Some(after) = rest.strip_prefix("SP") {
                // Spelled numbers were planned once; the letters vanish.
                rest = after;
            }
            pieces.push(Piece::Field { keyword, fill, translated, ordinal });
            continue;
        }
        rest = literal(rest, &mut pieces);
    }
    pieces
}

/// Takes one character, or a text in double quotes; returns what follows.
fn literal<'a>(text: &'a str, pieces: &mut Vec<Piece>) -> &'a str {
    let mut characters = text.chars();
    match characters.next() {
        Some('"') => {
            while let Some(next) = characters.next() {
                match next {
                    '"' => break,
                    '\\' if !characters.as_str().is_empty() => pieces.extend(characters.next().map(Piece::Char)),
                    other => pieces.push(Piece::Char(other)),
                }
            }
        }
        Some('\\') if characters.as_str().starts_with('"') => {
            characters.next();
            pieces.push(Piece::Separator('"'));
        }
        Some(other) if is_separator(other) => pieces.push(Piece::Separator(other)),
        Some(other) if is_space(other) => pieces.push(Piece::Space(other)),
        Some(other) => pieces.push(Piece::Char(other)),
        None => {}
    }
    characters.as_str()
}

/// White space as C's `isspace` has it.
pub(super) const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

/// Printable, and neither a letter nor a digit.
pub(super) const fn is_separator(c: char) -> bool {
    c.is_ascii_punctuation()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(template: &str) -> String {
        parse(template)
            .iter()
            .map(|piece| match piece {
                Piece::Field { keyword, fill, ordinal, .. } => {
                    format!(
                        "[{}{}{}]",
                        if *fill { "FM" } else { "" },
                        keyword.name,
                        match ordinal {
                            Ordinal::None => "",
                            Ordinal::Upper => "TH",
                            Ordinal::Lower => "th",
                        }
                    )
                }
                Piece::Space(c) | Piece::Separator(c) | Piece::Char(c) => c.to_string(),
            })
            .collect()
    }

    #[test]
    fn cuts_templates_into_the_longest_fields() {
        assert_eq!(shown("YYYY-MM-DD HH24:MI:SS.US"), "[YYYY]-[MM]-[DD] [HH24]:[MI]:[SS].[US]");
        assert_eq!(shown("FMDDth \"of\" FMMonth, YYYY"), "[FMDDth] of [FMMonth], [YYYY]");
        assert_eq!(shown("Y,YYYYYY"), "[Y,YYY][YYY]");
        assert_eq!(shown("Yyyy"), "[Y][yyy]");
        assert_eq!(shown("\\\"YYYY\\\" \"a\\\"b"), "\"[YYYY]\" a\"b");
    }
}
