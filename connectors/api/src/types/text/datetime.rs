//! Dates and times as PostgreSQL prints them, in its four date styles.

use super::super::calendar::{
    self, USECS_PER_DAY, USECS_PER_HOUR, USECS_PER_MINUTE, USECS_PER_SEC, civil, weekday, zone_at,
};
use super::{DateStyle, OutputStyle};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// Appends a number with leading zeros up to a width.
pub(crate) fn padded(value: i64, width: usize, out: &mut String) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    let mut rest = value.unsigned_abs();
    while rest > 0 || digits.len() - start < width {
        start -= 1;
        if let (Some(slot), Ok(digit)) = (digits.get_mut(start), u8::try_from(rest % 10)) {
            *slot = b'0' + digit;
        }
        rest /= 10;
        if start == 0 {
            break;
        }
    }
    out.push_str(digits.get(start..).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default());
}

/// Appends `.` and up to six digits of microseconds without zeros at the end; nothing for zero.
pub(crate) fn write_fraction(usecs: i64, out: &mut String) {
    if usecs == 0 {
        return;
    }
    out.push('.');
    padded(usecs, 6, out);
    while out.ends_with('0') {
        out.pop();
    }
}

/// Appends a day counted from 1970-01-01; the extremes of `i32` are the infinities.
pub(crate) fn write_date(days: i32, style: &OutputStyle, out: &mut String) {
    match days {
        i32::MAX => return out.push_str("infinity"),
        i32::MIN => return out.push_str("-infinity"),
        _ => {}
    }
    let (year, month, day) = civil(i64::from(days));
    write_day(year, month, day, style, out);
    era(year, out);
}

fn write_day(year: i64, month: i64, day: i64, style: &OutputStyle, out: &mut String) {
    let shown_year = if year > 0 { year } else { 1 - year };
    let (separator, parts) = match style.date_style {
        DateStyle::Iso => ('-', [(shown_year, 4), (month, 2), (day, 2)]),
        DateStyle::German => ('.', [(day, 2), (month, 2), (shown_year, 4)]),
        DateStyle::Sql | DateStyle::Postgres => {
            let separator = if style.date_style == DateStyle::Sql { '/' } else { '-' };
            let (first, second) = if style.day_first { (day, month) } else { (month, day) };
            (separator, [(first, 2), (second, 2), (shown_year, 4)])
        }
    };
    for (index, (value, width)) in parts.into_iter().enumerate() {
        if index > 0 {
            out.push(separator);
        }
        padded(value, width, out);
    }
}

fn era(year: i64, out: &mut String) {
    if year <= 0 {
        out.push_str(" BC");
    }
}

/// Appends a time of day in microseconds.
pub fn write_time(usecs: i64, out: &mut String) {
    padded(usecs / USECS_PER_HOUR, 2, out);
    out.push(':');
    padded(usecs % USECS_PER_HOUR / USECS_PER_MINUTE, 2, out);
    out.push(':');
    padded(usecs % USECS_PER_MINUTE / USECS_PER_SEC, 2, out);
    write_fraction(usecs % USECS_PER_SEC, out);
}

/// Appends seconds east of Greenwich: `+01`, `+05:30`, `-00:19:32`.
pub fn write_offset(seconds: i64, out: &mut String) {
    out.push(if seconds < 0 { '-' } else { '+' });
    let seconds = seconds.abs();
    padded(seconds / 3600, 2, out);
    let (minute, second) = (seconds / 60 % 60, seconds % 60);
    if minute != 0 || second != 0 {
        out.push(':');
        padded(minute, 2, out);
    }
    if second != 0 {
        out.push(':');
        padded(second, 2, out);
    }
}

/// Appends a timestamp without time zone, in microseconds since 1970; the extremes of `i64` are the infinities.
pub(crate) fn write_timestamp(usecs: i64, style: &OutputStyle, out: &mut String) {
    if !infinite(usecs, out) {
        write_moment(usecs.div_euclid(USECS_PER_DAY), usecs.rem_euclid(USECS_PER_DAY), None, style, out);
    }
}

/// Appends a timestamp with time zone, in the style's zone.
pub(crate) fn write_timestamptz(usecs: i64, style: &OutputStyle, out: &mut String) {
    if infinite(usecs, out) {
        return;
    }
    let seconds = usecs.div_euclid(USECS_PER_SEC);
    let by_name = style.date_style != DateStyle::Iso;
    let (offset, name) = if by_name {
        let moment = zone_at(style.time_zone, seconds);
        (moment.offset, moment.abbreviation)
    } else {
        (calendar::offset_at(style.time_zone, seconds), String::new())
    };
    // Days and microseconds apart: the sum could pass the ends of i64.
    let mut days = usecs.div_euclid(USECS_PER_DAY);
    let mut time = usecs.rem_euclid(USECS_PER_DAY) + offset * USECS_PER_SEC;
    days += time.div_euclid(USECS_PER_DAY);
    time = time.rem_euclid(USECS_PER_DAY);
    write_moment(days, time, Some((offset, &name)), style, out);
}

fn infinite(usecs: i64, out: &mut String) -> bool {
    match usecs {
        i64::MAX => out.push_str("infinity"),
        i64::MIN => out.push_str("-infinity"),
        _ => return false,
    }
    true
}

fn write_moment(days: i64, time: i64, zone: Option<(i64, &str)>, style: &OutputStyle, out: &mut String) {
    let (year, month, day) = civil(days);
    if style.date_style == DateStyle::Postgres {
        let name = |names: &'static [&'static str], index: i64| {
            usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or("???")
        };
        out.push_str(name(&WEEKDAYS, weekday(days)));
        out.push(' ');
        if style.day_first {
            padded(day, 2, out);
            out.push(' ');
            out.push_str(name(&MONTHS, month - 1));
        } else {
            out.push_str(name(&MONTHS, month - 1));
            out.push(' ');
            padded(day, 2, out);
        }
        out.push(' ');
        write_time(time, out);
        out.push(' ');
        padded(if year > 0 { year } else { 1 - year }, 4, out);
    } else {
        write_day(year, month, day, style, out);
        out.push(' ');
        write_time(time, out);
    }
    if let Some((offset, name)) = zone {
        match style.date_style {
            DateStyle::Iso => write_offset(offset, out),
            _ if !name.is_empty() => {
                out.push(' ');
                out.push_str(name);
            }
            DateStyle::Postgres => {
                out.push(' ');
                write_offset(offset, out);
            }
            DateStyle::Sql | DateStyle::German => write_offset(offset, out),
        }
    }
    era(year, out);
}
