//! The tables of the generator: every common type, a fifth of the values NULL and more, and the ends of each type.

use std::sync::Arc;

use super::choices::Choices;
use super::kinds::Kind;
use crate::differential::table::{Column, Row, Source, Table};

/// The seed of the rows: the tables are the same in every run, whatever the seed of the statements.
const DATA_SEED: u64 = 20_260_919;
/// The tables and their rows.
pub(super) const TABLES: [(&str, usize); 4] = [("t1", 40), ("t2", 25), ("t3", 8), ("t0", 0)];
/// So many of a hundred values are NULL.
const NULL_PERCENT: usize = 24;
/// So many of a hundred values that are not NULL are of the list of extremes.
const EXTREME_PERCENT: usize = 45;

/// Every column with its kind: the key first.
pub(super) const COLUMNS: [(&str, Kind); 23] = [
    ("id", Kind::Small),
    ("k", Kind::Small),
    ("s", Kind::Small),
    ("i2", Kind::Int2),
    ("i4", Kind::Int4),
    ("i8", Kind::Int8),
    ("f4", Kind::Float4),
    ("f8", Kind::Float8),
    ("x", Kind::Dyadic),
    ("n", Kind::Numeric),
    ("m", Kind::Money),
    ("t", Kind::Text),
    ("v", Kind::Varchar),
    ("c", Kind::Char),
    ("b", Kind::Bool),
    ("d", Kind::Date),
    ("dd", Kind::Day),
    ("tm", Kind::Time),
    ("ts", Kind::Timestamp),
    ("tt", Kind::Moment),
    ("tz", Kind::Timestamptz),
    ("iv", Kind::Interval),
    ("u", Kind::Uuid),
];
/// The last column, beside those of [`COLUMNS`].
pub(super) const BYTES: (&str, Kind) = ("y", Kind::Bytea);

/// The columns that a source can hold.
pub(super) fn columns(source: Source) -> impl Iterator<Item = (&'static str, Kind)> {
    COLUMNS.into_iter().chain([BYTES]).filter(move |(_, kind)| match kind {
        Kind::Interval => matches!(source, Source::Postgres | Source::Csv),
        // MariaDB's knows no years before 1970.
        Kind::Timestamptz => source != Source::MariaDb,
        _ => true,
    })
}

fn type_name(kind: Kind, source: Source) -> &'static str {
    match kind {
        Kind::Money => "numeric(12,2)",
        // SQLite keeps fifteen digits.
        Kind::Numeric if source == Source::Sqlite => "numeric(12,4)",
        Kind::Numeric if matches!(source, Source::MariaDb | Source::Parquet) => "numeric(38,10)",
        Kind::Numeric => "numeric",
        Kind::Varchar => "varchar(10)",
        Kind::Char => "char(4)",
        Kind::Bool => "bool",
        Kind::Int2 => "int2",
        Kind::Int4 | Kind::Small => "int4",
        Kind::Int8 => "int8",
        Kind::Float4 => "float4",
        Kind::Float8 | Kind::Dyadic => "float8",
        Kind::Text | Kind::Any => "text",
        Kind::Date | Kind::Day => "date",
        Kind::Time => "time",
        Kind::Timestamp | Kind::Moment => "timestamp",
        Kind::Timestamptz => "timestamptz",
        Kind::Interval => "interval",
        Kind::Uuid => "uuid",
        Kind::Bytea => "bytea",
    }
}

/// Values of our days, and the ends of the type as far as the source can hold them.
fn values(kind: Kind, source: Source) -> (&'static [&'static str], &'static [&'static str]) {
    let all = matches!(source, Source::Postgres | Source::Csv);
    match kind {
        Kind::Bool => (&["t", "f"], &["t"]),
        Kind::Int2 => (&["0", "1", "-1", "7", "100"], &["32767", "-32768"]),
        Kind::Int4 => (&["0", "1", "-1", "7", "100"], &["2147483647", "-2147483648"]),
        Kind::Small | Kind::Any => (&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"], &["-20", "20"]),
        Kind::Int8 => {
            (&["0", "1", "-1", "7", "2147483648"], &["9223372036854775807", "-9223372036854775808", "9007199254740993"])
        }
        Kind::Float4 => (
            &["0", "1", "1.5", "-1.5", "0.1", "16777216"],
            match source {
                Source::MariaDb => &["3.4e+38", "-3.4e+38", "1e-37"],
                Source::Sqlite => &["3.4e+38", "-3.4e+38"],
                _ => &["NaN", "Infinity", "-Infinity", "3.4e+38", "1e-40"],
            },
        ),
        Kind::Float8 => (
            &["0", "1", "1.5", "-1.5", "0.1", "0.30000000000000004", "1e15"],
            match source {
                Source::MariaDb => &["1.7976931348623157e+308", "-1e+300", "1e-300"],
                Source::Sqlite => &["Infinity", "-Infinity", "1.7976931348623157e+308", "1e-300"],
                _ => &["NaN", "Infinity", "-Infinity", "1.7976931348623157e+308", "1e-300"],
            },
        ),
        Kind::Dyadic => (&["0", "1", "0.25", "-2.5", "12.75"], &["-1000.25", "100000.5"]),
        Kind::Numeric => match source {
            Source::Sqlite => (&["0", "1", "2.5", "-3.1416", "7"], &["99999999.9999", "-99999999.9999", "0.0001"]),
            _ if all => (
                &["0", "1", "2.5", "-3.14159", "7"],
                &["NaN", "12345678901234567890.1234567890", "-99999999999999999999999999999999", "0.0000000001"],
            ),
            _ => (
                &["0", "1", "2.5", "-3.14159", "7"],
                &[
                    "1234567890123456789012345678.0123456789",
                    "-9999999999999999999999999999.9999999999",
                    "0.0000000001",
                ],
            ),
        },
        Kind::Money => (&["0.00", "1.00", "2.50", "-2.50", "3.33", "7.00"], &["999999.99", "-999999.99", "0.01"]),
        Kind::Text => (
            &["a", "b", "ab", "abc", "A", "Ab", "B", "10", "9"],
            &["", "a ", "a  ", " a", "ä", "Ä", "ß", "ss", "日本", "a%c", "a_c", "a\\b", "it's", "NULL", "x\ty"],
        ),
        Kind::Varchar => (&["a", "b", "ab", "A", "abc"], &["", "a ", "ä", "日本語テキスト長十", "0123456789"]),
        Kind::Char => (&["a", "b", "ab", "A"], &["", "ä", "abcd", "é"]),
        Kind::Date => (
            &["2024-02-29", "2000-01-01", "1970-01-01", "1969-12-31"],
            if all {
                &["infinity", "-infinity", "9999-12-31", "0001-01-01", "0044-03-15 BC"]
            } else if source == Source::MariaDb {
                &["9999-12-31", "1000-01-01"]
            } else {
                &["9999-12-31", "0001-01-01"]
            },
        ),
        Kind::Day => (&["2024-02-29", "2023-12-31", "2000-01-01", "1999-03-31"], &["1970-01-01", "2038-01-19"]),
        Kind::Time => (&["12:34:56", "01:02:03.5", "10:00:00"], &["00:00:00", "23:59:59.999999"]),
        Kind::Timestamp => (
            &["2024-02-29 12:34:56.789", "2000-01-01 00:00:00", "1969-12-31 23:59:59.5"],
            if all {
                &[
                    "infinity",
                    "-infinity",
                    "9999-12-31 23:59:59.999999",
                    "0044-03-15 10:00:00 BC",
                    "1582-10-15 00:00:00",
                ]
            } else {
                &["9999-12-31 23:59:59.999999", "1582-10-15 00:00:00", "1000-01-01 00:00:00"]
            },
        ),
        Kind::Moment => (
            &["2024-02-29 12:34:56.789", "2000-01-01 00:00:00", "2024-03-31 02:30:00", "2023-12-31 23:59:59.999999"],
            &["1970-01-01 00:00:00", "2038-01-19 03:14:07"],
        ),
        Kind::Timestamptz => (
            &["2024-02-29 12:34:56.789+00", "2000-01-01 00:00:00+00", "2024-03-31 01:30:00+00"],
            if all {
                &["infinity", "-infinity", "9999-12-31 23:59:59.999999+00", "1900-01-01 00:00:00+00"]
            } else {
                &["9999-12-31 23:59:59.999999+00", "1900-01-01 00:00:00+00"]
            },
        ),
        Kind::Interval => (
            &["1 day", "1 mon", "01:02:03.456", "1 year 2 mons"],
            &["1000 years", "-00:00:01", "1 mon -1 days", "-5 days"],
        ),
        Kind::Uuid => (
            &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12"],
            &["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
        ),
        Kind::Bytea => (&["\\x61", "\\x6162", "\\xdeadbeef"], &["\\x", "\\x00", "\\xff"]),
    }
}

/// A table's rows.
fn rows(table: usize, source: Source) -> Vec<Row> {
    let at = Source::ALL.iter().position(|other| *other == source).unwrap_or_default();
    let mut choices = Choices::of_seed(DATA_SEED + u64::try_from(table * 100 + at).unwrap_or_default());
    let count = TABLES.get(table).map_or(0, |(_, count)| *count);
    (1..=count)
        .map(|id| {
            columns(source)
                .map(|(name, kind)| {
                    if name == "id" {
                        return Some(id.to_string());
                    }
                    let (common, extreme) = values(kind, source);
                    if choices.chance(NULL_PERCENT) {
                        return None;
                    }
                    let list = if choices.chance(EXTREME_PERCENT) { extreme } else { common };
                    choices.of(list).map(|text| (*text).to_owned())
                })
                .collect()
        })
        .collect()
}

/// All tables: each of [`TABLES`] at every source, in a schema of the source's name.
pub(super) fn tables() -> Vec<Table> {
    let mut tables = Vec::new();
    for source in Source::ALL {
        for (index, (name, _)) in TABLES.iter().enumerate() {
            tables.push(Table {
                schema: source.name().to_owned(),
                name: (*name).to_owned(),
                columns: columns(source).map(|(name, kind)| Column::new(name, type_name(kind, source))).collect(),
                source,
                rows: Arc::new(move || Box::new(rows(index, source).into_iter())),
            });
        }
    }
    tables
}

/// Of a hundred values beside the keys, how many are NULL, and how many are extremes.
pub(super) fn shares() -> (f64, f64) {
    let (mut all, mut nulls, mut extremes) = (0_u32, 0_u32, 0_u32);
    for source in Source::ALL {
        for table in 0..TABLES.len() {
            for row in rows(table, source) {
                for ((_, kind), value) in columns(source).zip(&row).skip(1) {
                    all += 1;
                    match value {
                        None => nulls += 1,
                        Some(text) => extremes += u32::from(values(kind, source).1.contains(&text.as_str())),
                    }
                }
            }
        }
    }
    let share = |count: u32| 100.0 * f64::from(count) / f64::from(all.max(1));
    (share(nulls), share(extremes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_is_null_and_a_fifth_extreme() {
        let (nulls, extremes) = shares();
        assert!(nulls >= 20.0 && extremes >= 20.0, "{nulls} {extremes}");
    }

    #[test]
    fn the_rows_are_the_same_every_time() {
        assert_eq!(rows(0, Source::Csv), rows(0, Source::Csv));
        assert_ne!(rows(0, Source::Csv), rows(0, Source::Postgres));
    }
}
