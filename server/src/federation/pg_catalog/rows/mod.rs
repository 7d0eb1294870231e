//! Rows of the system catalogs.

mod classes;
mod foreign;
mod information;
mod roles;
mod server;
mod types;
mod views;

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder,
    IntervalMonthDayNanoBuilder, ListBuilder, StringBuilder, StringViewBuilder, TimestampMicrosecondBuilder,
    new_null_array,
};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, IntervalUnit, Schema, TimeUnit};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::catalog::MemTable;
use datafusion::error::Result;

pub(super) use classes::{CLASS_CLASS, DATABASE_CLASS, NAMESPACE_CLASS, ROLE_CLASS, SERVER_CLASS, WRAPPER_CLASS};
pub(super) use roles::UTF8_ENCODING;

use super::context::PgCatalogContext;
use super::facts::{ColumnFact, Relation, facts};
use super::provider::{Key, Keys};
use crate::catalog::Oid;

const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;

/// Builds the rows of one relation, the columns of one scan.
pub(super) struct Rows {
    relation: &'static Relation,
    columns: Vec<(&'static ColumnFact, Field, Builder)>,
    keys: Keys,
    count: usize,
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'a> {
    /// NULL, or where the column is NOT NULL its type's zero.
    Unset,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    /// An interval.
    Seconds(i64),
    /// An array of text, `name`, `aclitem` …
    Texts(Vec<String>),
    /// An array of integers or OIDs.
    Ints(Vec<i64>),
}

impl From<bool> for Cell<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

macro_rules! from_integers {
    ($($integer:ty),*) => {
        $(impl From<$integer> for Cell<'_> {
            fn from(value: $integer) -> Self {
                Self::Int(i64::from(value))
            }
        })*
    };
}

from_integers!(i16, i32, i64, u32);

impl<'a> From<&'a str> for Cell<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl From<String> for Cell<'_> {
    fn from(value: String) -> Self {
        Self::Text(Cow::Owned(value))
    }
}

impl<'a> From<Cow<'a, str>> for Cell<'a> {
    fn from(value: Cow<'a, str>) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<String>> for Cell<'_> {
    fn from(value: Vec<String>) -> Self {
        Self::Texts(value)
    }
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// `YES` or `NO`, as the information schema says it.
pub(super) fn yes_no(value: bool) -> Cell<'static> {
    Cell::from(if value { "YES" } else { "NO" })
}

enum Builder {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Text(StringViewBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
    Texts(ListBuilder<StringBuilder>),
    Int16s(ListBuilder<Int16Builder>),
    Int64s(ListBuilder<Int64Builder>),
    /// A type whose values Atoll never has: NULL only.
    Nulls,
}

impl Builder {
    fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Utf8View => Self::Text(StringViewBuilder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone_opt(zone.clone()))
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => Self::Interval(IntervalMonthDayNanoBuilder::new()),
            DataType::List(item) => match item.data_type() {
                DataType::Utf8 => Self::Texts(ListBuilder::new(StringBuilder::new()).with_field(Arc::clone(item))),
                DataType::Int16 => Self::Int16s(ListBuilder::new(Int16Builder::new()).with_field(Arc::clone(item))),
                DataType::Int64 => Self::Int64s(ListBuilder::new(Int64Builder::new()).with_field(Arc::clone(item))),
                _ => Self::Nulls,
            },
            _ => Self::Nulls,
        }
    }

    fn append(&mut self, cell: Cell<'_>, not_null: bool) {
        let unset = matches!(cell, Cell::Unset) && not_null;
        match self {
            Self::Bool(builder) => match cell {
                Cell::Bool(value) => builder.append_value(value),
                _ => builder.append_option(unset.then_some(false)),
            },
            Self::Int16(builder) => builder.append_option(integer(&cell, unset).and_then(|n| i16::try_from(n).ok())),
            Self::Int32(builder) => builder.append_option(integer(&cell, unset).and_then(|n| i32::try_from(n).ok())),
            Self::Int64(builder) => builder.append_option(integer(&cell, unset)),
            Self::Timestamp(builder) => builder.append_option(integer(&cell, false)),
            Self::Interval(builder) => builder.append_option(match cell {
                Cell::Seconds(seconds) => {
                    Some(IntervalMonthDayNano::new(0, 0, seconds.saturating_mul(NANOSECONDS_PER_SECOND)))
                }
                _ => None,
            }),
            #[expect(clippy::cast_possible_truncation, reason = "single precision is the column's type")]
            Self::Float32(builder) => builder.append_option(float(&cell, unset).map(|value| value as f32)),
            Self::Float64(builder) => builder.append_option(float(&cell, unset)),
            Self::Text(builder) => match cell {
                Cell::Text(text) => builder.append_value(text),
                _ => builder.append_option(unset.then_some("")),
            },
            Self::Texts(builder) => match cell {
                Cell::Texts(texts) => {
                    for text in texts {
                        builder.values().append_value(text);
                    }
                    builder.append(true);
                }
                _ => builder.append(unset),
            },
            Self::Int16s(builder) => match cell {
                Cell::Ints(numbers) => {
                    for number in numbers {
                        builder.values().append_option(i16::try_from(number).ok());
                    }
                    builder.append(true);
                }
                _ => builder.append(unset),
            },
            Self::Int64s(builder) => match cell {
                Cell::Ints(numbers) => {
                    builder.values().append_slice(&numbers);
                    builder.append(true);
                }
                _ => builder.append(unset),
            },
            Self::Nulls => {}
        }
    }

    fn finish(&mut self, data_type: &DataType, rows: usize) -> ArrayRef {
        match self {
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int16(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::Float32(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Interval(builder) => Arc::new(builder.finish()),
            Self::Texts(builder) => Arc::new(builder.finish()),
            Self::Int16s(builder) => Arc::new(builder.finish()),
            Self::Int64s(builder) => Arc::new(builder.finish()),
            Self::Nulls => new_null_array(data_type, rows),
        }
    }
}

fn integer(cell: &Cell<'_>, unset: bool) -> Option<i64> {
    match cell {
        Cell::Int(number) => Some(*number),
        _ => unset.then_some(0),
    }
}

fn float(cell: &Cell<'_>, unset: bool) -> Option<f64> {
    match cell {
        Cell::Float(number) => Some(*number),
        _ => unset.then_some(0.0),
    }
}

impl Rows {
    pub(super) fn new(relation: &'static Relation, projection: &[usize], keys: Keys) -> Result<Self> {
        let schema = relation.arrow.project(projection)?;
        let columns = projection
            .iter()
            .zip(schema.fields())
            .filter_map(|(index, field)| {
                let fact = relation.columns.get(*index)?;
                Some((fact, field.as_ref().clone(), Builder::new(field.data_type())))
            })
            .collect();
        Ok(Self { relation, columns, keys, count: 0 })
    }

    /// Adds a row: `cell` is asked for the scanned columns only.
    pub(super) fn push<'a>(&mut self, cell: impl Fn(&str) -> Cell<'a>) {
        self.count += 1;
        for (fact, _, builder) in &mut self.columns {
            builder.append(cell(fact.name), fact.not_null);
        }
    }

    /// The number that a filter says a column equals, if it says so.
    pub(super) fn key(&self, column: &str) -> Option<i64> {
        match self.keys.get(column) {
            Some(Key::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// Whether the filters leave out every row whose `column` is `number`.
    pub(super) fn skips(&self, column: &str, number: impl Into<i64>) -> bool {
        let number = number.into();
        self.key(column).is_some_and(|key| key != number)
    }

    /// Whether the filters leave out every row whose `column` is `text`.
    pub(super) fn skips_text(&self, column: &str, text: &str) -> bool {
        matches!(self.keys.get(column), Some(Key::Text(key)) if key != text)
    }

    pub(super) fn finish(mut self) -> Result<RecordBatch> {
        let rows = self.count;
        let arrays =
            self.columns.iter_mut().map(|(_, field, builder)| builder.finish(field.data_type(), rows)).collect();
        let fields: Vec<Field> = self.columns.into_iter().map(|(_, field, _)| field).collect();
        // A scan of no column still has rows to count.
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
    }
}

/// Fills in the rows of `rows`' relation. A relation without rows here is always empty in Atoll: [`is_always_empty`].
pub(super) fn fill(context: &PgCatalogContext, rows: &mut Rows) {
    if let Some(fill) = filler(rows.relation.schema, rows.relation.name) {
        fill(context, rows);
    }
}

/// Whether no row can ever be in a system relation: Atoll has no objects of the kind.
pub(super) fn is_always_empty(relation: &Relation) -> bool {
    filler(relation.schema, relation.name).is_none()
}

type Filler = fn(&PgCatalogContext, &mut Rows);

fn filler(schema: &str, name: &str) -> Option<Filler> {
    if schema == "information_schema" {
        return information::filler(name);
    }
    Some(match name {
        "pg_namespace" => classes::namespaces,
        "pg_class" => classes::classes,
        "pg_attribute" => classes::attributes,
        "pg_index" => classes::indexes,
        "pg_constraint" => classes::constraints,
        "pg_description" => classes::descriptions,
        "pg_shdescription" => roles::shared_descriptions,
        "pg_rewrite" => classes::rewrites,
        "pg_depend" => classes::dependencies,
        "pg_type" => types::types,
        "pg_enum" => types::enums,
        "pg_proc" => types::procs,
        "pg_am" | "pg_collation" | "pg_language" | "pg_tablespace" | "pg_range" | "pg_cast" | "pg_opclass"
        | "pg_opfamily" => types::fixed,
        "pg_database" => roles::databases,
        "pg_authid" => roles::authids,
        "pg_roles" => roles::roles,
        "pg_user" => roles::users,
        "pg_shadow" => roles::shadows,
        "pg_group" => roles::groups,
        "pg_auth_members" => roles::members,
        "pg_db_role_setting" => roles::settings,
        "pg_default_acl" => roles::default_acls,
        "pg_prepared_statements" => server::prepared_statements,
        "pg_cursors" => server::cursors,
        "pg_foreign_data_wrapper" => foreign::wrappers,
        "pg_foreign_server" => foreign::servers,
        "pg_foreign_table" => foreign::tables,
        "pg_user_mapping" => foreign::mappings,
        "pg_user_mappings" => foreign::visible_mappings,
        "pg_views" => views::views,
        "pg_tables" => views::tables,
        "pg_indexes" => views::indexes,
        "pg_settings" => server::settings,
        "pg_stat_activity" => server::activity,
        "pg_stat_ssl" => server::encryption,
        "pg_stat_database" => server::database_statistics,
        "pg_timezone_names" => server::time_zones,
        _ => return None,
    })
}

/// `pg_get_keywords()` as a table.
pub(super) fn keyword_rows() -> Result<MemTable> {
    let names = ["word", "catcode", "barelabel", "catdesc", "baredesc"];
    let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8View, true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let column = |index: usize| -> ArrayRef {
        let mut builder = StringViewBuilder::new();
        for keyword in &facts().keywords {
            builder.append_value(keyword.fields[index]);
        }
        Arc::new(builder.finish())
    };
    let batch = RecordBatch::try_new(Arc::clone(&schema), (0..names.len()).map(column).collect())?;
    MemTable::try_new(schema, vec![vec![batch]])
}

/// Numbers as `int2vector` and `oidvector` print them.
pub(super) fn vector(numbers: impl IntoIterator<Item = impl ToString>) -> String {
    numbers.into_iter().map(|number| number.to_string()).collect::<Vec<_>>().join(" ")
}

/// Keys of a filter as an OID.
pub(super) fn oid_key(rows: &Rows, column: &str) -> Option<Oid> {
    rows.key(column).and_then(|number| Oid::try_from(number).ok())
}
