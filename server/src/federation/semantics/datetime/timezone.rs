//! `AT TIME ZONE` and `timezone(zone, value)`.

use atoll_connector_api::types::oids::{INTERVAL, TEXT, TIMESTAMP, TIMESTAMPTZ, TIMETZ};
use atoll_connector_api::types::temporal::{
    Interval, USECS_PER_DAY, USECS_PER_SEC, abbreviation, offset_at, offset_of_local, zone_at, zone_by_name,
};
use atoll_connector_api::types::{PgType, format_scalar, oids};
use chrono_tz::Tz;
use datafusion::common::ScalarValue;
use datafusion::error::Result;

use super::moment::{is_infinite, timestamp};
use super::overload::{Overload, function};
use super::value::Value;
use crate::error::{SqlError, SqlState};
use crate::federation::semantics::{Settings, external};

/// The functions of this module.
pub(super) static FUNCTIONS: &[Overload] = &[
    function("timezone", &[TEXT, TIMESTAMP], TIMESTAMPTZ, |call| {
        to_moment(&Zone::parse(call.text(0)?)?, call.timestamp(1)?)
    }),
    function("timezone", &[TEXT, TIMESTAMPTZ], TIMESTAMP, |call| {
        to_local(&Zone::parse(call.text(0)?)?, call.timestamp(1)?)
    }),
    function("timezone", &[TEXT, TIMETZ], TIMETZ, |call| {
        Ok(turn(call.timetz(1)?, Zone::parse(call.text(0)?)?.offset_at(call.settings.clock().transaction())))
    }),
    function("timezone", &[INTERVAL, TIMESTAMP], TIMESTAMPTZ, |call| {
        to_moment(&of_interval(&call.interval(0)?, call.settings)?, call.timestamp(1)?)
    }),
    function("timezone", &[INTERVAL, TIMESTAMPTZ], TIMESTAMP, |call| {
        to_local(&of_interval(&call.interval(0)?, call.settings)?, call.timestamp(1)?)
    }),
    function("timezone", &[INTERVAL, TIMETZ], TIMETZ, |call| {
        Ok(turn(call.timetz(1)?, of_interval(&call.interval(0)?, call.settings)?.offset_at(0)))
    }),
];

/// Where a function is told to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    /// Seconds east of Greenwich.
    Fixed(i64),
    Named(Tz),
    /// An abbreviation that meant different offsets at different times in the zone that it belongs to.
    Dynamic(&'static str, Tz),
}

/// Abbreviations that PostgreSQL's default set ties to a zone rather than to an offset.
#[rustfmt::skip]
static DYNAMIC: &[(&str, &str)] = &[
    ("amst", "Asia/Yerevan"), ("anast", "Asia/Anadyr"), ("anat", "Asia/Anadyr"),
    ("arst", "America/Argentina/Buenos_Aires"), ("art", "America/Argentina/Buenos_Aires"), ("azst", "Asia/Baku"),
    ("azt", "Asia/Baku"), ("ckt", "Pacific/Rarotonga"), ("clt", "America/Santiago"), ("davt", "Antarctica/Davis"),
    ("easst", "Pacific/Easter"), ("east", "Pacific/Easter"), ("fkst", "Atlantic/Stanley"), ("fkt", "Atlantic/Stanley"),
    ("gest", "Asia/Tbilisi"), ("get", "Asia/Tbilisi"), ("gyt", "America/Guyana"), ("iot", "Indian/Chagos"),
    ("irkst", "Asia/Irkutsk"), ("irkt", "Asia/Irkutsk"), ("kgt", "Asia/Bishkek"), ("kost", "Pacific/Kosrae"),
    ("krast", "Asia/Krasnoyarsk"), ("krat", "Asia/Krasnoyarsk"), ("lhdt", "Australia/Lord_Howe"),
    ("lint", "Pacific/Kiritimati"), ("lkt", "Asia/Colombo"), ("magst", "Asia/Magadan"), ("magt", "Asia/Magadan"),
    ("mawt", "Antarctica/Mawson"), ("msk", "Europe/Moscow"), ("novst", "Asia/Novosibirsk"),
    ("novt", "Asia/Novosibirsk"), ("nut", "Pacific/Niue"), ("omsst", "Asia/Omsk"), ("omst", "Asia/Omsk"),
    ("petst", "Asia/Kamchatka"), ("pett", "Asia/Kamchatka"), ("pyt", "America/Asuncion"), ("sgt", "Asia/Singapore"),
    ("tkt", "Pacific/Fakaofo"), ("tmt", "Asia/Ashgabat"), ("ulat", "Asia/Ulaanbaatar"), ("vet", "America/Caracas"),
    ("vlast", "Asia/Vladivostok"), ("vlat", "Asia/Vladivostok"), ("volt", "Europe/Volgograd"),
    ("yakst", "Asia/Yakutsk"), ("yakt", "Asia/Yakutsk"), ("yekt", "Asia/Yekaterinburg"),
];

impl Zone {
    /// The zone of an abbreviation, a name or a POSIX offset, which counts westwards.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let lower = text.to_ascii_lowercase();
        if let Ok(found) = DYNAMIC.binary_search_by(|(candidate, _)| (*candidate).cmp(lower.as_str()))
            && let Some((name, zone)) = DYNAMIC.get(found)
            && let Some(zone) = zone_by_name(zone)
        {
            return Ok(Self::Dynamic(name, zone));
        }
        if let Some(offset) = abbreviation(&lower) {
            return Ok(Self::Fixed(offset));
        }
        if let Some(zone) = zone_by_name(&lower) {
            return Ok(Self::Named(zone));
        }
        posix(text).map(Self::Fixed).ok_or_else(|| not_recognized(text).into())
    }

    /// Seconds east of Greenwich at a moment.
    pub(super) fn offset_at(&self, usecs: i64) -> i64 {
        let seconds = usecs.div_euclid(USECS_PER_SEC);
        match self {
            Self::Fixed(offset) => *offset,
            Self::Named(zone) => offset_at(*zone, seconds),
            Self::Dynamic(name, zone) => meaning(name, *zone, seconds),
        }
    }

    /// Seconds east of Greenwich where the clocks show a time.
    pub(super) fn offset_of_local(&self, local: i64) -> i64 {
        let seconds = local.div_euclid(USECS_PER_SEC);
        match self {
            Self::Fixed(offset) => *offset,
            Self::Named(zone) => offset_of_local(*zone, seconds),
            Self::Dynamic(name, zone) => meaning(name, *zone, seconds - offset_of_local(*zone, seconds)),
        }
    }

    /// The moment at which the clocks show a time.
    pub(super) fn to_moment(self, local: i64) -> Result<i64> {
        timestamp(i128::from(local) - i128::from(self.offset_of_local(local)) * i128::from(USECS_PER_SEC))
    }
}

/// What an abbreviation means in its zone at a moment: the offset that it last stood for. One that the time zone database
/// no longer knows stands for whatever the zone has.
fn meaning(name: &str, zone: Tz, seconds: i64) -> i64 {
    /// Half-years of summer time are over within so many steps.
    const STEPS: i64 = 14;
    const STEP_SECONDS: i64 = 28 * 86_400;
    (0..=STEPS)
        .map(|step| zone_at(zone, seconds - step * STEP_SECONDS))
        .find(|then| then.abbreviation.eq_ignore_ascii_case(name))
        .map_or_else(|| offset_at(zone, seconds), |then| then.offset)
}

/// `22023`.
pub(super) fn not_recognized(text: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{text}\" not recognized"))
}

/// `UTC+3`, `<+03>-3`, `-05:30`: hours west of Greenwich after a name that means nothing. Seconds east.
fn posix(text: &str) -> Option<i64> {
    let rest = match text.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>')?.1,
        None => text.trim_start_matches(|c: char| c != '+' && c != '-' && c != ',' && !c.is_ascii_digit()),
    };
    let (east, digits) = match rest.split_at_checked(1)? {
        ("-", digits) => (1, digits),
        ("+", digits) => (-1, digits),
        _ => (-1, rest),
    };
    let mut parts = digits.split(':');
    let mut number = |most: i64| match parts.next() {
        None => Some(0),
        Some(part) if (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()) => {
            part.parse::<i64>().ok().filter(|value| *value <= most)
        }
        Some(_) => None,
    };
    let (hours, minutes, seconds) = (number(167)?, number(59)?, number(59)?);
    if parts.next().is_some() {
        return None;
    }
    Some(east * (hours * 3600 + minutes * 60 + seconds))
}

fn of_interval(span: &Interval, settings: &Settings) -> Result<Zone> {
    if span.months != 0 || span.days != 0 {
        let value = ScalarValue::IntervalMonthDayNano(Some(arrow::datatypes::IntervalMonthDayNano::new(
            span.months,
            span.days,
            span.usecs.saturating_mul(1000),
        )));
        let shown = format_scalar(&value, &PgType::new(oids::INTERVAL), &settings.style()).map_err(external)?;
        let message = format!("interval time zone \"{}\" must not include months or days", shown.unwrap_or_default());
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).into());
    }
    Ok(Zone::Fixed(span.usecs / USECS_PER_SEC))
}

fn to_moment(zone: &Zone, local: i64) -> Result<Value> {
    if is_infinite(local) { Ok(Value::TimestampTz(local)) } else { zone.to_moment(local).map(Value::TimestampTz) }
}

fn to_local(zone: &Zone, usecs: i64) -> Result<Value> {
    if is_infinite(usecs) {
        return Ok(Value::Timestamp(usecs));
    }
    let offset = i128::from(zone.offset_at(usecs));
    timestamp(i128::from(usecs) + offset * i128::from(USECS_PER_SEC)).map(Value::Timestamp)
}

/// The same moment of a day elsewhere.
fn turn((time, offset): (i64, i64), target: i64) -> Value {
    let turned = time - (offset - target) * USECS_PER_SEC;
    Value::TimeTz(turned.rem_euclid(USECS_PER_DAY), target)
}
