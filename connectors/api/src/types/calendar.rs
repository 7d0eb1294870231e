//! Days, clock times and time zones: the arithmetic under PostgreSQL's date and time types.

use std::collections::HashMap;
use std::sync::OnceLock;

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::{OffsetName, Tz};

/// Microseconds in a second.
pub const USECS_PER_SEC: i64 = 1_000_000;
/// Microseconds in a minute.
pub const USECS_PER_MINUTE: i64 = 60 * USECS_PER_SEC;
/// Microseconds in an hour.
pub const USECS_PER_HOUR: i64 = 60 * USECS_PER_MINUTE;
/// Microseconds in a day.
pub const USECS_PER_DAY: i64 = 24 * USECS_PER_HOUR;
/// Days from 1970-01-01 to 2000-01-01, from which PostgreSQL counts.
pub const POSTGRES_EPOCH_DAYS: i32 = 10_957;
/// Microseconds from 1970-01-01 to 2000-01-01.
pub const POSTGRES_EPOCH_USECS: i64 = 946_684_800 * USECS_PER_SEC;
/// Day 0 of the Julian count, the first day PostgreSQL has: 4714-11-24 BC.
pub const DAYS_MIN: i64 = -2_440_588;
/// PostgreSQL's last day: 5874897-12-31.
pub const DAYS_MAX: i64 = 2_145_042_905;

/// Year (0 is 1 BC), month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
pub fn civil(days: i64) -> (i64, i64, i64) {
    // Eras of 400 years that begin on 1 March, so that the leap day ends a year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`]; a day past the month's end runs on into the next.
pub fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Whether a year (0 is 1 BC) has 366 days.
pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The last day of a month.
pub fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The weekday, 0 for Sunday.
pub fn weekday(days: i64) -> i64 {
    (days + 4).rem_euclid(7)
}

/// 2100-01-01: the zone tables compiled in end about here, the rules do not.
const TABLES_END_SECONDS: i64 = 4_102_444_800;

/// What a zone says about a moment: seconds east of Greenwich, and the abbreviation.
pub struct ZoneMoment {
    /// Seconds east of Greenwich.
    pub offset: i64,
    /// Letters, or the offset where there are none.
    pub abbreviation: String,
}

/// Seconds east of Greenwich in `zone` at a moment, in seconds since 1970.
pub fn offset_at(zone: Tz, seconds: i64) -> i64 {
    if zone == Tz::UTC {
        return 0;
    }
    DateTime::from_timestamp(representative(seconds), 0)
        .map_or(0, |moment| i64::from(zone.offset_from_utc_datetime(&moment.naive_utc()).fix().local_minus_utc()))
}

/// The same with the zone's abbreviation at that moment.
pub fn zone_at(zone: Tz, seconds: i64) -> ZoneMoment {
    let Some(moment) = DateTime::from_timestamp(representative(seconds), 0) else {
        return ZoneMoment { offset: 0, abbreviation: String::new() };
    };
    let offset = zone.offset_from_utc_datetime(&moment.naive_utc());
    let seconds = i64::from(offset.fix().local_minus_utc());
    let abbreviation = offset.abbreviation().map_or_else(|| numeric_abbreviation(seconds), str::to_owned);
    ZoneMoment { offset: seconds, abbreviation }
}

/// What the time zone database calls an offset that has no letters: `-03`, `+1030`.
fn numeric_abbreviation(seconds: i64) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    match minutes % 60 {
        0 => format!("{sign}{:02}", minutes / 60),
        rest => format!("{sign}{:02}{rest:02}", minutes / 60),
    }
}

/// A moment at which every zone follows the same rule and which the zone tables cover.
fn representative(seconds: i64) -> i64 {
    if seconds < TABLES_END_SECONDS {
        // Long before the first transition of any zone.
        return seconds.max(-200_000_000_000);
    }
    let days = seconds.div_euclid(86_400);
    let (year, _, _) = civil(days);
    let first = days_of(year, 1, 1);
    // Within 28 years that no century interrupts, every calendar (weekday of 1 January, leap day) occurs.
    let same = (2072..2100)
        .find(|candidate| is_leap(*candidate) == is_leap(year) && weekday(days_of(*candidate, 1, 1)) == weekday(first));
    same.map_or(seconds, |same| seconds - (first - days_of(same, 1, 1)) * 86_400)
}

/// Seconds east of Greenwich for a local clock time in `zone`, in seconds since 1970 as if it were UTC.
///
/// A time that the clock skipped is read with the offset before the change; one that it showed twice with the one after.
pub fn offset_of_local(zone: Tz, local_seconds: i64) -> i64 {
    if zone == Tz::UTC {
        return 0;
    }
    let before = offset_at(zone, local_seconds.saturating_sub(86_400));
    let after = offset_at(zone, local_seconds.saturating_add(86_400));
    if before == after {
        return before;
    }
    if offset_at(zone, local_seconds.saturating_sub(after)) == after { after } else { before }
}

/// The zone with a name, in any case: `europe/berlin`.
pub fn zone_by_name(name: &str) -> Option<Tz> {
    static NAMES: OnceLock<HashMap<String, Tz>> = OnceLock::new();
    let names = NAMES
        .get_or_init(|| chrono_tz::TZ_VARIANTS.iter().map(|zone| (zone.name().to_ascii_lowercase(), *zone)).collect());
    names.get(&name.to_ascii_lowercase()).copied()
}

/// Seconds east of Greenwich of a zone abbreviation, lower case.
pub fn abbreviation(name: &str) -> Option<i64> {
    match name {
        "z" | "zulu" => return Some(0),
        _ => {}
    }
    let found = ABBREVIATIONS.binary_search_by(|(candidate, _)| (*candidate).cmp(name)).ok()?;
    ABBREVIATIONS.get(found).map(|(_, offset)| *offset)
}

/// The abbreviations of PostgreSQL's default set with their offsets, as `pg_timezone_abbrevs` lists them.
#[rustfmt::skip]
static ABBREVIATIONS: &[(&str, i64)] = &[
    ("acdt", 37800), ("acsst", 37800), ("acst", 34200), ("act", -18000), ("acwst", 31500), ("adt", -10800),
    ("aedt", 39600), ("aesst", 39600), ("aest", 36000), ("aft", 16200), ("akdt", -28800), ("akst", -32400),
    ("almst", 25200), ("almt", 21600), ("amst", 14400), ("amt", -14400), ("anast", 43200), ("anat", 43200),
    ("arst", -10800), ("art", -10800), ("ast", -14400), ("awsst", 32400), ("awst", 28800), ("azost", 0),
    ("azot", -3600), ("azst", 14400), ("azt", 14400), ("bdst", 7200), ("bdt", 21600), ("bnt", 28800),
    ("bort", 28800), ("bot", -14400), ("bra", -10800), ("brst", -7200), ("brt", -10800), ("bst", 3600),
    ("btt", 21600), ("cadt", 37800), ("cast", 34200), ("cct", 28800), ("cdt", -18000), ("cest", 7200), ("cet", 3600),
    ("cetdst", 7200), ("chadt", 49500), ("chast", 45900), ("chut", 36000), ("ckt", -36000), ("clst", -10800),
    ("clt", -10800), ("cot", -18000), ("cst", -21600), ("cxt", 25200), ("davt", 25200), ("ddut", 36000),
    ("easst", -18000), ("east", -18000), ("eat", 10800), ("edt", -14400), ("eest", 10800), ("eet", 7200),
    ("eetdst", 10800), ("egst", 0), ("egt", -3600), ("est", -18000), ("fet", 10800), ("fjst", 46800), ("fjt", 43200),
    ("fkst", -10800), ("fkt", -10800), ("fnst", -3600), ("fnt", -7200), ("galt", -21600), ("gamt", -32400),
    ("gest", 14400), ("get", 14400), ("gft", -10800), ("gilt", 43200), ("gmt", 0), ("gyt", -14400), ("hkt", 28800),
    ("hst", -36000), ("ict", 25200), ("idt", 10800), ("iot", 21600), ("irkst", 28800), ("irkt", 28800),
    ("irt", 12600), ("ist", 7200), ("jayt", 32400), ("jst", 32400), ("kdt", 36000), ("kgst", 21600), ("kgt", 21600),
    ("kost", 39600), ("krast", 25200), ("krat", 25200), ("kst", 32400), ("lhdt", 39600), ("lhst", 37800),
    ("ligt", 36000), ("lint", 50400), ("lkt", 19800), ("magst", 39600), ("magt", 39600), ("mart", -34200),
    ("mawt", 18000), ("mdt", -21600), ("mest", 7200), ("mesz", 7200), ("met", 3600), ("metdst", 7200), ("mez", 3600),
    ("mht", 43200), ("mmt", 23400), ("mpt", 36000), ("msd", 14400), ("msk", 10800), ("mst", -25200), ("must", 18000),
    ("mut", 14400), ("mvt", 18000), ("myt", 28800), ("ndt", -9000), ("nft", -12600), ("novst", 25200),
    ("novt", 25200), ("npt", 20700), ("nst", -12600), ("nut", -39600), ("nzdt", 46800), ("nzst", 43200),
    ("nzt", 43200), ("omsst", 21600), ("omst", 21600), ("pdt", -25200), ("pet", -18000), ("petst", 43200),
    ("pett", 43200), ("pgt", 36000), ("pht", 28800), ("pkst", 21600), ("pkt", 18000), ("pmdt", -7200),
    ("pmst", -10800), ("pont", 39600), ("pst", -28800), ("pwt", 32400), ("pyst", -10800), ("pyt", -10800),
    ("ret", 14400), ("sadt", 37800), ("sast", 7200), ("sct", 14400), ("sgt", 28800), ("taht", -36000),
    ("tft", 18000), ("tjt", 18000), ("tkt", 46800), ("tmt", 18000), ("tot", 46800), ("trut", 36000), ("tvt", 43200),
    ("uct", 0), ("ulast", 32400), ("ulat", 28800), ("ut", 0), ("utc", 0), ("uyst", -7200), ("uyt", -10800),
    ("uzst", 21600), ("uzt", 18000), ("vet", -14400), ("vlast", 36000), ("vlat", 36000), ("volt", 10800),
    ("vut", 39600), ("wadt", 28800), ("wakt", 43200), ("wast", 25200), ("wat", 3600), ("wdt", 32400), ("wet", 0),
    ("wetdst", 3600), ("wft", 43200), ("wgst", -7200), ("wgt", -10800), ("xjt", 21600), ("yakst", 32400),
    ("yakt", 32400), ("yapt", 36000), ("yekst", 21600), ("yekt", 18000),
];
