//! The types of the generator's expressions.

use std::fmt;

/// A type, and for some the promise that the values are small, so that arithmetic on them cannot fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Bool,
    Int2,
    Int4,
    /// `int4` between -50 and 50.
    #[default]
    Small,
    Int8,
    Float4,
    Float8,
    /// `float8`, small multiples of 0.25: sums of them are exact in any order.
    Dyadic,
    Numeric,
    /// `numeric(12,2)` below a million.
    Money,
    Text,
    Varchar,
    Char,
    Date,
    /// `date` of our times.
    Day,
    Time,
    Timestamp,
    /// `timestamp` of our times.
    Moment,
    Timestamptz,
    Interval,
    Uuid,
    Bytea,
    /// In the table of operators: whatever kind is wanted, the same in every place.
    Any,
}

impl Kind {
    /// Those that expressions are made of.
    pub(super) const ALL: [Self; 22] = [
        Self::Small,
        Self::Text,
        Self::Bool,
        Self::Int2,
        Self::Int4,
        Self::Int8,
        Self::Float4,
        Self::Float8,
        Self::Dyadic,
        Self::Numeric,
        Self::Money,
        Self::Varchar,
        Self::Char,
        Self::Date,
        Self::Day,
        Self::Time,
        Self::Timestamp,
        Self::Moment,
        Self::Timestamptz,
        Self::Interval,
        Self::Uuid,
        Self::Bytea,
    ];

    /// The kind without its promise.
    pub(super) const fn plain(self) -> Self {
        match self {
            Self::Small => Self::Int4,
            Self::Dyadic => Self::Float8,
            Self::Money => Self::Numeric,
            Self::Day => Self::Date,
            Self::Moment => Self::Timestamp,
            other => other,
        }
    }

    /// Whether a value of this kind may stand where `wanted` is.
    pub(super) fn fits(self, wanted: Self) -> bool {
        self == wanted || self.plain() == wanted
    }

    /// Labels of pieces in a list of choices.
    pub(super) fn label(self) -> u32 {
        Self::ALL.iter().position(|kind| *kind == self).and_then(|at| u32::try_from(at).ok()).unwrap_or_default() + 100
    }

    /// Literals, the simplest first, the ends of the type among them.
    pub(super) const fn literals(self) -> &'static [&'static str] {
        match self {
            Self::Bool => &["true", "false", "NULL::bool"],
            Self::Int2 => &["0::int2", "7::int2", "32767::int2", "(-32768)::int2"],
            Self::Int4 => &["0", "7", "-1", "2147483647", "-2147483648"],
            Self::Small | Self::Any => &["0", "1", "3", "7", "-5", "20"],
            Self::Int8 => &["0::int8", "7::int8", "9007199254740993", "9223372036854775807", "(-9223372036854775808)"],
            Self::Float4 => &["'0'::float4", "'1.5'::float4", "'0.1'::float4", "'NaN'::float4", "'-Infinity'::float4"],
            Self::Float8 => &[
                "'0'::float8",
                "'1.5'::float8",
                "0.1::float8",
                "'NaN'::float8",
                "'Infinity'::float8",
                "'1e300'::float8",
            ],
            Self::Dyadic => &["'0'::float8", "'0.25'::float8", "'-2.5'::float8"],
            Self::Numeric => &["0.0", "1.5", "12345678901234567890.1234567890", "'NaN'::numeric", "-0.0000000001"],
            Self::Money => &["0.00", "2.50", "-7.25", "99.99"],
            Self::Text => &["''", "'a'", "'A'", "'a '", "'ä'", "'10'", "'日本'", "'it''s'"],
            Self::Varchar => &["''::varchar(10)", "'ab'::varchar(10)", "'B '::varchar(10)"],
            Self::Char => &["'a'::char(4)", "''::char(4)", "'ab '::char(4)"],
            Self::Date => &["date '2000-01-01'", "date '2024-02-29'", "date '0001-01-01'", "date '9999-12-31'"],
            Self::Day => &["date '2000-01-01'", "date '2024-02-29'", "date '1999-12-31'"],
            Self::Time => &["time '00:00:00'", "time '12:34:56.789'", "time '23:59:59.999999'"],
            Self::Timestamp => &[
                "timestamp '2000-01-01 00:00:00'",
                "timestamp '2024-02-29 12:34:56.789'",
                "timestamp '1969-12-31 23:59:59.5'",
                "timestamp '9999-12-31 23:59:59.999999'",
            ],
            Self::Moment => &["timestamp '2000-01-01 00:00:00'", "timestamp '2024-02-29 12:34:56.789'"],
            Self::Timestamptz => &["timestamptz '2000-01-01 00:00:00+00'", "timestamptz '2024-03-31 02:30:00+02'"],
            Self::Interval => {
                &["interval '1 day'", "interval '0'", "interval '1 year 2 mons'", "interval '-36:00:01.5'"]
            }
            Self::Uuid => {
                &["'00000000-0000-0000-0000-000000000000'::uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid"]
            }
            Self::Bytea => &["'\\x'::bytea", "'\\x00ff'::bytea", "'\\x61'::bytea"],
        }
    }
}

impl fmt::Display for Kind {
    /// The type's name in PostgreSQL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{:?}", self.plain()).to_lowercase())
    }
}
