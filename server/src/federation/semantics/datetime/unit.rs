//! Names of fields and units of time, as `extract` and `date_trunc` take them.

use crate::error::{SqlError, SqlState};

/// A field of a date, time or interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Dow,
    IsoDow,
    Doy,
    IsoYear,
    Julian,
    Epoch,
    TimeZone,
    TimeZoneHour,
    TimeZoneMinute,
}

/// PostgreSQL looks no further into a word: `TOKMAXLEN` of src/include/utils/datetime.h.
const WORD_BYTES_MAX: usize = 10;

impl Unit {
    /// The unit of a name in any case; `None`: there is none.
    pub(super) fn named(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let word = lower.get(..WORD_BYTES_MAX).unwrap_or(&lower);
        Some(match word {
            "us" | "usec" | "usecond" | "useconds" | "usecs" | "microsecon" => Self::Microsecond,
            "ms" | "msec" | "msecond" | "mseconds" | "msecs" | "millisecon" => Self::Millisecond,
            "s" | "sec" | "second" | "seconds" | "secs" => Self::Second,
            "m" | "min" | "mins" | "minute" | "minutes" => Self::Minute,
            "h" | "hour" | "hours" | "hr" | "hrs" => Self::Hour,
            "d" | "day" | "days" => Self::Day,
            "w" | "week" | "weeks" => Self::Week,
            "mon" | "mons" | "month" | "months" => Self::Month,
            "qtr" | "quarter" => Self::Quarter,
            "y" | "year" | "years" | "yr" | "yrs" => Self::Year,
            "dec" | "decs" | "decade" | "decades" => Self::Decade,
            "c" | "cent" | "century" | "centuries" => Self::Century,
            "mil" | "mils" | "millennia" | "millennium" => Self::Millennium,
            "dow" => Self::Dow,
            "isodow" => Self::IsoDow,
            "doy" => Self::Doy,
            "isoyear" => Self::IsoYear,
            "j" | "jd" | "julian" => Self::Julian,
            "epoch" => Self::Epoch,
            "timezone" => Self::TimeZone,
            "timezone_h" => Self::TimeZoneHour,
            "timezone_m" => Self::TimeZoneMinute,
            _ => return None,
        })
    }
}

impl Unit {
    /// The unit of a name where only lengths of time have one.
    pub(super) fn length(name: &str) -> Option<Self> {
        Self::named(name).filter(|unit| {
            let point =
                matches!(unit, Self::Dow | Self::IsoDow | Self::Doy | Self::IsoYear | Self::Julian | Self::Epoch);
            !point
        })
    }
}

/// `0A000`: the type has no such field.
pub(super) fn not_supported(name: &str, type_name: &str) -> SqlError {
    let name = name.to_lowercase();
    SqlError::unsupported(format!("unit \"{name}\" not supported for type {type_name}"))
}

/// `22023`: no type has.
pub(super) fn not_recognized(name: &str, type_name: &str) -> SqlError {
    let name = name.to_lowercase();
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unit \"{name}\" not recognized for type {type_name}"))
}
