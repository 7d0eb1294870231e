//! Dates, times and intervals for those who compute with them: the calendar, zones and PostgreSQL's input functions.

pub use super::calendar::{
    DAYS_MAX, DAYS_MIN, POSTGRES_EPOCH_DAYS, POSTGRES_EPOCH_USECS, USECS_PER_DAY, USECS_PER_HOUR, USECS_PER_MINUTE,
    USECS_PER_SEC, ZoneMoment, abbreviation, civil, days_of, is_leap, month_days, offset_at, offset_of_local, weekday,
    zone_at, zone_by_name,
};
pub use super::datetime::{date, round_time, round_timestamp, rounded, time, timestamp, timestamptz, timetz};
pub use super::interval::{Interval, adjust, interval, interval_text};
pub use super::text::{write_offset, write_time};
