//! Properties of the arithmetic, and of which function a call means.

use atoll_connector_api::types::temporal::{
    DAYS_MIN, Interval, USECS_PER_DAY, USECS_PER_SEC, civil, days_of, offset_at, zone_by_name,
};
use atoll_connector_api::types::{PgType, oids};
use proptest::prelude::*;

use super::arithmetic::{OPERATORS, less, product, quotient, sum};
use super::moment::{add, add_months, add_zoned, from_local, join, justify_hours, negated, split, to_local};
use super::overload::{Overload, Resolution, resolve};
use crate::federation::semantics::Operand;

/// Moments from 4713 BC to 290000, finite.
fn moments() -> impl Strategy<Value = i64> {
    DAYS_MIN * USECS_PER_DAY..100_000_000 * USECS_PER_DAY
}

fn intervals() -> impl Strategy<Value = Interval> {
    (-1_000_000..1_000_000_i32, -1_000_000..1_000_000_i32, -1_000_000_000_000_000..1_000_000_000_000_000_i64)
        .prop_map(|(months, days, usecs)| Interval { months, days, usecs })
}

fn zone(name: &str) -> chrono_tz::Tz {
    zone_by_name(name).expect("the zone is compiled in")
}

proptest! {
    #[test]
    fn days_and_time_come_together_again(usecs in moments()) {
        let (days, time) = split(usecs);
        prop_assert!((0..USECS_PER_DAY).contains(&time));
        prop_assert_eq!(join(days, time).ok(), Some(usecs));
    }

    #[test]
    fn months_keep_the_day_or_end_the_month(days in -2_000_000..2_000_000_i64, months in -20_000..20_000_i64) {
        let (year, month, day) = civil(days);
        let (new_year, new_month, new_day) = civil(add_months(days, months));
        prop_assert_eq!(new_year * 12 + new_month, year * 12 + month + months);
        prop_assert!(new_day == day || (new_day < day && new_day >= 28));
    }

    #[test]
    fn time_added_is_taken_away_again(usecs in moments(), span in -1_000_000_000_000_i64..1_000_000_000_000) {
        let span = Interval { usecs: span, ..Interval::default() };
        if let Ok(later) = add(usecs, &span) {
            prop_assert_eq!(add(later, &negated(&span).expect("it is small")).ok(), Some(usecs));
        }
    }

    #[test]
    fn a_zone_without_changes_adds_as_no_zone_does(usecs in moments(), span in intervals()) {
        let (plain, zoned) = (add(usecs, &span), add_zoned(usecs, &span, chrono_tz::UTC));
        prop_assert_eq!(plain.ok(), zoned.ok());
    }

    #[test]
    fn clocks_show_what_the_moment_was_made_of(usecs in moments(), name in prop_oneof![
        Just("Europe/Berlin"), Just("America/New_York"), Just("Asia/Kolkata"), Just("Australia/Lord_Howe"),
    ]) {
        let zone = zone(name);
        if let Ok(local) = to_local(zone, usecs) && let Ok(back) = from_local(zone, local) {
            // An hour that the clocks show twice is read as the later one.
            let shift = (back - usecs).abs();
            let same_clock = to_local(zone, back).ok() == Some(local);
            prop_assert!(same_clock, "{local} in {name}");
            prop_assert!(shift == 0 || offset_at(zone, back.div_euclid(USECS_PER_SEC)) != offset_at(zone, usecs.div_euclid(USECS_PER_SEC)));
        }
    }

    #[test]
    fn sums_of_intervals_are_undone(left in intervals(), right in intervals()) {
        let total = sum(&left, &right).expect("both are small");
        prop_assert_eq!(less(&total, &right).ok(), Some(left));
    }

    #[test]
    fn justified_hours_are_within_a_day_and_worth_the_same(span in intervals()) {
        let justified = justify_hours(span).expect("it is small");
        prop_assert!(justified.usecs.abs() < USECS_PER_DAY);
        prop_assert!(i64::from(justified.days).signum() * justified.usecs.signum() >= 0);
        let worth = |span: &Interval| i64::from(span.days) * USECS_PER_DAY + span.usecs;
        prop_assert_eq!(worth(&justified), worth(&span));
    }

    #[test]
    fn a_whole_factor_multiplies_each_part(span in intervals(), factor in -100..100_i32) {
        let result = product(&span, f64::from(factor)).expect("it is small");
        prop_assert_eq!(result.months, span.months * factor);
        prop_assert_eq!(result.days, span.days * factor);
        prop_assert_eq!(quotient(&result, 1.0).ok(), Some(result));
    }

    #[test]
    fn no_interval_and_factor_panic(months: i32, days: i32, usecs: i64, factor: f64, moment: i64) {
        let span = Interval { months, days, usecs };
        let _ = (product(&span, factor), quotient(&span, factor), justify_hours(span), negated(&span));
        let _ = (add(moment, &span), add_zoned(moment, &span, zone("Europe/Berlin")));
    }
}

fn typed(oid: u32) -> Operand {
    Operand::Typed(PgType::new(oid))
}

fn chosen(symbol: &str, left: Operand, right: Operand) -> Option<&'static [u32]> {
    let candidates: Vec<&'static Overload> = OPERATORS.iter().filter(|overload| overload.name == symbol).collect();
    match resolve(&candidates, &[left, right]) {
        Resolution::One(overload) => Some(overload.parameters),
        Resolution::None | Resolution::Ambiguous => None,
    }
}

#[test]
fn operators_are_resolved_as_in_postgresql() {
    let is = |left, right, parameters: &[u32]| {
        assert_eq!(chosen("-", left, right), Some(parameters));
    };
    is(typed(oids::DATE), typed(oids::DATE), &[oids::DATE, oids::DATE]);
    is(typed(oids::DATE), typed(oids::INT2), &[oids::DATE, oids::INT4]);
    is(typed(oids::DATE), typed(oids::TIMESTAMP), &[oids::TIMESTAMP, oids::TIMESTAMP]);
    is(typed(oids::TIMESTAMP), typed(oids::TIMESTAMPTZ), &[oids::TIMESTAMPTZ, oids::TIMESTAMPTZ]);
    is(typed(oids::TIMESTAMP), typed(oids::TIME), &[oids::TIMESTAMP, oids::INTERVAL]);
    assert_eq!(chosen("+", typed(oids::TIME), Operand::Unknown), Some(&[oids::TIME, oids::INTERVAL][..]));
    assert_eq!(chosen("+", typed(oids::DATE), Operand::Unknown), None);
    assert_eq!(chosen("+", typed(oids::DATE), typed(oids::INT8)), None);
    assert_eq!(chosen("-", typed(oids::TIMETZ), typed(oids::TIMETZ)), None);
}

#[test]
fn a_day_is_not_24_hours_where_clocks_change() {
    let berlin = zone("Europe/Berlin");
    // 2024-03-30 12:00 in Berlin, the day before summer time.
    let noon = from_local(berlin, days_of(2024, 3, 30) * USECS_PER_DAY + USECS_PER_DAY / 2).expect("it is in range");
    let day = Interval { days: 1, ..Interval::default() };
    let hours = Interval { usecs: USECS_PER_DAY, ..Interval::default() };
    let (next, later) = (add_zoned(noon, &day, berlin), add_zoned(noon, &hours, berlin));
    assert_eq!(next.ok(), Some(noon + 23 * 3600 * USECS_PER_SEC));
    assert_eq!(later.ok(), Some(noon + USECS_PER_DAY));
}
