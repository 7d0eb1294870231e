//! Where an answer may differ from PostgreSQL's, and why: at most [`ENTRIES_MAX`] entries. What no entry covers is a failure.

use super::answer::{Answer, Difference, Kind, compare};

/// More would be a way to hide things.
#[cfg(test)]
const ENTRIES_MAX: usize = 10;

/// What an entry may look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    /// The statement groups, or takes sets apart.
    pub(crate) groups: bool,
    /// Its ORDER BY decides the order.
    pub(crate) ordered: bool,
    pub(crate) oracle: &'a Answer,
    pub(crate) atoll: &'a Answer,
    pub(crate) difference: &'a Difference,
}

/// A difference that is meant to be.
pub(crate) struct Entry {
    /// Its name in the report.
    pub(crate) name: &'static str,
    /// Why it is no fault.
    #[cfg_attr(not(test), expect(dead_code, reason = "for those who read the list"))]
    pub(crate) reason: &'static str,
    covers: fn(&Case<'_>) -> bool,
}

/// The list.
pub(crate) const ENTRIES: &[Entry] = &[
    Entry {
        name: "scale of equal numerics",
        reason: "1.0 and 1.00 are one group; which of them it shows depends on the order of the rows, in PostgreSQL too",
        covers: |case| {
            case.groups
                && matches!(case.difference.kind, Kind::Rows | Kind::Order)
                && compare(&without_scale(case.oracle), &without_scale(case.atoll), case.ordered).is_none()
        },
    },
    Entry {
        name: "length of char(n)",
        reason: "min and max of char(n) are described as char(n), because the length is what they are padded to",
        covers: |case| {
            case.difference.kind == Kind::Types
                && compare(&without_length(case.oracle), &without_length(case.atoll), case.ordered).is_none()
        },
    },
];

/// The entry that covers a difference.
pub(crate) fn covering(case: &Case<'_>) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| (entry.covers)(case))
}

/// The type `char` without its length.
fn without_length(answer: &Answer) -> Answer {
    let mut answer = answer.clone();
    if let Answer::Rows { columns, .. } = &mut answer {
        let lengths = columns.iter_mut().filter(|(_, ty, _)| *ty == tokio_postgres::types::Type::BPCHAR);
        lengths.for_each(|(_, _, modifier)| *modifier = -1);
    }
    answer
}

/// Numerics without zeros at the end of their fraction.
fn without_scale(answer: &Answer) -> Answer {
    let mut answer = answer.clone();
    if let Answer::Rows { columns, rows } = &mut answer {
        for row in rows {
            for ((_, ty, _), value) in columns.iter().zip(row) {
                if let (tokio_postgres::types::Type::NUMERIC, Some(text)) = (ty.clone(), value)
                    && text.contains('.')
                {
                    *text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
                }
            }
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use tokio_postgres::types::Type;

    use super::*;

    fn case_of(ty: Type, groups: bool) -> bool {
        let rows = |value: &str| Answer::Rows {
            columns: vec![("a".to_owned(), ty.clone(), -1)],
            rows: vec![vec![Some(value.to_owned())]],
        };
        let (oracle, atoll) = (rows("1.50"), rows("1.5"));
        let difference = compare(&oracle, &atoll, false).expect("the texts differ");
        covering(&Case { groups, ordered: false, oracle: &oracle, atoll: &atoll, difference: &difference }).is_some()
    }

    #[test]
    fn only_numerics_of_groups_may_show_another_scale() {
        assert!(case_of(Type::NUMERIC, true));
        assert!(!case_of(Type::NUMERIC, false));
        assert!(!case_of(Type::TEXT, true));
    }

    #[test]
    fn the_list_is_short_and_gives_reasons() {
        assert!(ENTRIES.len() <= ENTRIES_MAX);
        assert!(ENTRIES.iter().all(|entry| !entry.name.is_empty() && !entry.reason.is_empty()));
    }
}
