//! What `information_schema` says about schemas, tables and columns, and the PostgreSQL type of each column.

use std::collections::{HashMap, HashSet};

use atoll_connector_api::types::{PgType, oids};
use atoll_connector_api::{ColumnDefinition, ConnectorError, Result, TableDefinition, TableKind, TableSummary};
use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, FromRowError, Row};

use crate::connection::Pool;
use crate::dialect::text_literal;

/// Schemas of the system, which are not shown.
const SYSTEM_SCHEMAS: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];
/// Tables whose columns one query asks for.
const TABLES_A_QUERY: usize = 500;
/// Bits of an unsigned `bigint`, in decimal digits.
const UNSIGNED_BIGINT_DIGITS: u16 = 20;
/// The longest `varchar` of PostgreSQL.
const VARCHAR_MAX: u64 = 10_485_760;

/// What kind of values a column holds, as far as filters and values care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Integer,
    Decimal,
    Float,
    Double,
    Year,
    Bit,
    /// Text in `utf8mb4`.
    Utf8mb4Text,
    /// Text in a part of it, whose bytes are UTF-8 as they are stored: `utf8mb3`, `ascii`.
    Utf8Text,
    /// Text in another character set.
    OtherText,
    Bytes,
    Date,
    DateTime,
    Timestamp,
    Time,
    Enum,
    Json,
    Uuid,
    Other,
}

/// A column as the remote declares it.
#[derive(Debug, Clone)]
pub(crate) struct RemoteColumn {
    pub(crate) name: String,
    pub(crate) class: Class,
    pub(crate) data_type: PgType,
    /// Digits of a second's fraction that a time or timestamp shows.
    pub(crate) fraction: usize,
    not_null: bool,
    comment: Option<String>,
    key: bool,
}

/// A remote table.
#[derive(Debug, Clone, Default)]
pub(crate) struct RemoteTable {
    pub(crate) columns: Vec<RemoteColumn>,
    /// Roughly, as the storage engine says.
    pub(crate) rows: Option<usize>,
    comment: Option<String>,
    primary_key: Vec<String>,
}

impl RemoteTable {
    /// The column of a name; MySQL's column names do not differ in case alone.
    pub(crate) fn column(&self, name: &str) -> Option<&RemoteColumn> {
        self.columns
            .iter()
            .find(|column| column.name == name)
            .or_else(|| self.columns.iter().find(|column| column.name.to_lowercase() == name.to_lowercase()))
    }

    pub(crate) fn into_definition(self) -> TableDefinition {
        let columns = self
            .columns
            .into_iter()
            .map(|column| ColumnDefinition {
                not_null: column.not_null,
                comment: column.comment,
                ..ColumnDefinition::new(column.name, column.data_type)
            })
            .collect();
        TableDefinition { columns, comment: self.comment, primary_key: self.primary_key }
    }
}

/// The schemas that are not the system's, or `dbname` alone where it exists.
pub(crate) async fn schemas(pool: &Pool, conn: &mut Conn) -> Result<Vec<String>> {
    let rows: Vec<String> = select(pool, conn, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA").await?;
    let mut schemas: Vec<_> = rows
        .into_iter()
        .filter(|name| match pool.dbname() {
            Some(wanted) => name == wanted,
            None => !SYSTEM_SCHEMAS.contains(&name.to_ascii_lowercase().as_str()),
        })
        .collect();
    schemas.sort_unstable();
    Ok(schemas)
}

/// Tables and views of a schema.
pub(crate) async fn tables(pool: &Pool, conn: &mut Conn, schema: &str) -> Result<Vec<TableSummary>> {
    if !is_name(schema) {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} \
         AND TABLE_TYPE IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED', 'SYSTEM VIEW', 'SEQUENCE')",
        text_literal(schema)
    );
    let rows: Vec<(String, String, String)> = select(pool, conn, &sql).await?;
    let mut tables: Vec<_> = rows
        .into_iter()
        // The comparison above ignores case.
        .filter(|(found, _, kind)| found == schema && kind != "SEQUENCE")
        .map(|(_, name, kind)| TableSummary {
            name,
            kind: if kind.ends_with("VIEW") { TableKind::View } else { TableKind::Table },
        })
        .collect();
    tables.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(tables)
}

/// Describes one table; [`ConnectorError::TableMissing`] where it does not exist.
pub(crate) async fn table(pool: &Pool, conn: &mut Conn, schema: &str, table: &str) -> Result<RemoteTable> {
    let found = describe(pool, conn, schema, &[table.to_owned()]).await?;
    found.into_iter().next().map(|(_, table)| table).ok_or_else(|| ConnectorError::TableMissing {
        server: pool.server().to_owned(),
        table: format!("{schema}.{table}"),
    })
}

/// Whether a database or table can have this name: they are in `utf8mb3`, with which no other character may be compared.
fn is_name(name: &str) -> bool {
    name.chars().all(|c| c <= '\u{FFFF}' && c != '\0')
}

/// Describes the tables of a schema that exist, in the order in which they were asked for.
pub(crate) async fn describe(
    pool: &Pool,
    conn: &mut Conn,
    schema: &str,
    tables: &[String],
) -> Result<Vec<(String, RemoteTable)>> {
    let mut described = HashMap::with_capacity(tables.len());
    let names: Vec<_> = tables.iter().filter(|name| is_name(name) && is_name(schema)).cloned().collect();
    for some in names.chunks(TABLES_A_QUERY) {
        describe_some(pool, conn, schema, some, &mut described).await?;
    }
    Ok(tables.iter().filter_map(|name| Some((name.clone(), described.remove(name)?))).collect())
}

async fn describe_some(
    pool: &Pool,
    conn: &mut Conn,
    schema: &str,
    tables: &[String],
    described: &mut HashMap<String, RemoteTable>,
) -> Result<()> {
    let names: Vec<_> = tables.iter().map(|name| text_literal(name)).collect();
    let scope = format!("TABLE_SCHEMA = {} AND TABLE_NAME IN ({})", text_literal(schema), names.join(", "));
    let checked = json_checks(pool, conn, schema, &names.join(", ")).await?;

    let comments = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, TABLE_COMMENT, TABLE_ROWS FROM information_schema.TABLES \
         WHERE {scope}"
    );
    let comments: Vec<(String, String, String, Option<String>, Option<u64>)> = select(pool, conn, &comments).await?;
    for (found, name, kind, comment, rows) in comments {
        if found == schema && tables.contains(&name) {
            // A view's comment is the word VIEW.
            let comment = comment.filter(|text| !text.is_empty() && !kind.ends_with("VIEW"));
            let rows = rows.and_then(|rows| usize::try_from(rows).ok());
            described.insert(name, RemoteTable { comment, rows, ..RemoteTable::default() });
        }
    }

    let columns = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_MAXIMUM_LENGTH, \
         NUMERIC_PRECISION, NUMERIC_SCALE, CHARACTER_SET_NAME, IS_NULLABLE, COLUMN_KEY, COLUMN_COMMENT, \
         DATETIME_PRECISION \
         FROM information_schema.COLUMNS WHERE {scope} ORDER BY TABLE_NAME, ORDINAL_POSITION"
    );
    let columns: Vec<ColumnRow> = select(pool, conn, &columns).await?;
    for row in columns {
        let Some(table) = described.get_mut(&row.table).filter(|_| row.schema == schema) else { continue };
        let json = checked.contains(&(row.table.clone(), row.column.to_lowercase()));
        table.columns.push(row.into_column(json));
    }

    let keys = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE {scope} \
         AND CONSTRAINT_NAME = 'PRIMARY' ORDER BY TABLE_NAME, ORDINAL_POSITION"
    );
    // Views and most tables of few columns need no third query.
    if described.values().any(|table| table.columns.iter().filter(|column| column.key).count() > 1) {
        let keys: Vec<(String, String, String)> = select(pool, conn, &keys).await?;
        for (found, table, column) in keys {
            if let Some(table) = described.get_mut(&table).filter(|_| found == schema) {
                table.primary_key.push(column);
            }
        }
    }
    for table in described.values_mut().filter(|table| table.primary_key.is_empty()) {
        table.primary_key =
            table.columns.iter().filter(|column| column.key).map(|column| column.name.clone()).collect();
    }
    Ok(())
}

/// MariaDB has no type for JSON: its `json` is a `longtext` with the check `json_valid(column)`.
async fn json_checks(pool: &Pool, conn: &mut Conn, schema: &str, names: &str) -> Result<HashSet<(String, String)>> {
    let version: Vec<String> = select(pool, conn, "SELECT VERSION()").await?;
    if !version.iter().any(|text| text.contains("MariaDB")) {
        return Ok(HashSet::new());
    }
    let sql = format!(
        "SELECT TABLE_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = {} \
         AND TABLE_NAME IN ({names}) AND CHECK_CLAUSE LIKE 'json_valid(%'",
        text_literal(schema)
    );
    let rows: Vec<(String, String)> = match select(pool, conn, &sql).await {
        Ok(rows) => rows,
        // Before 10.2.22 the view does not say which table a check is of: text, then.
        Err(ConnectorError::Remote { .. }) => return Ok(HashSet::new()),
        Err(error) => return Err(error),
    };
    let column = |clause: &str| {
        let inner = clause.strip_prefix("json_valid(`")?.strip_suffix("`)")?;
        Some(inner.replace("``", "`").to_lowercase())
    };
    Ok(rows.into_iter().filter_map(|(table, clause)| Some((table, column(&clause)?))).collect())
}

async fn select<T: FromRow + Send + 'static>(pool: &Pool, conn: &mut Conn, sql: &str) -> Result<Vec<T>> {
    let rows: Vec<Row> = conn.query(sql).await.map_err(|error| pool.error(error, None))?;
    rows.into_iter()
        .map(|row| {
            T::from_row_opt(row).map_err(|_| ConnectorError::Internal {
                message: format!("server \"{}\" answered a question about its tables in another form", pool.server()),
            })
        })
        .collect()
}

#[derive(Debug, Default)]
struct ColumnRow {
    schema: String,
    table: String,
    column: String,
    data_type: String,
    column_type: String,
    length: Option<u64>,
    precision: Option<u64>,
    scale: Option<u64>,
    character_set: Option<String>,
    nullable: bool,
    key: bool,
    comment: Option<String>,
    fraction: Option<u64>,
}

impl FromRow for ColumnRow {
    fn from_row_opt(mut row: Row) -> Result<Self, FromRowError> {
        let mut read = || {
            Some(Self {
                schema: row.take_opt(0)?.ok()?,
                table: row.take_opt(1)?.ok()?,
                column: row.take_opt(2)?.ok()?,
                data_type: row.take_opt::<String, _>(3)?.ok()?.to_ascii_lowercase(),
                column_type: row.take_opt(4)?.ok()?,
                length: row.take_opt(5)?.ok()?,
                precision: row.take_opt(6)?.ok()?,
                scale: row.take_opt(7)?.ok()?,
                character_set: row.take_opt(8)?.ok()?,
                nullable: row.take_opt::<String, _>(9)?.ok()? != "NO",
                key: row.take_opt::<String, _>(10)?.ok()? == "PRI",
                comment: row.take_opt(11)?.ok()?,
                fraction: row.take_opt(12)?.ok()?,
            })
        };
        read().ok_or(FromRowError(row))
    }
}

impl ColumnRow {
    fn into_column(self, json: bool) -> RemoteColumn {
        let (class, data_type) = if json && self.data_type == "longtext" {
            (Class::Json, PgType::new(oids::JSON))
        } else {
            self.class_and_type()
        };
        // Zero dates and an enum's error value are read as NULL, whatever the column declares.
        let may_be_null =
            self.nullable || matches!(class, Class::Date | Class::DateTime | Class::Timestamp | Class::Enum);
        RemoteColumn {
            name: self.column,
            class,
            data_type,
            fraction: self.fraction.and_then(|digits| usize::try_from(digits).ok()).unwrap_or(0),
            not_null: !may_be_null,
            comment: self.comment.filter(|text| !text.is_empty()),
            key: self.key,
        }
    }

    fn class_and_type(&self) -> (Class, PgType) {
        let unsigned = self.column_type.to_ascii_lowercase().contains("unsigned");
        let (class, oid) = match (self.data_type.as_str(), unsigned) {
            ("tinyint", _) | ("smallint", false) => (Class::Integer, oids::INT2),
            ("smallint", true) | ("mediumint", _) | ("int" | "integer", false) => (Class::Integer, oids::INT4),
            ("int" | "integer", true) | ("bigint", false) => (Class::Integer, oids::INT8),
            ("bigint", true) => return (Class::Integer, PgType::numeric(UNSIGNED_BIGINT_DIGITS, 0)),
            ("decimal" | "numeric", _) => return (Class::Decimal, self.numeric()),
            ("float", _) => (Class::Float, oids::FLOAT4),
            ("double" | "real", _) => (Class::Double, oids::FLOAT8),
            ("year", _) => (Class::Year, oids::INT4),
            ("bit", _) => return (Class::Bit, self.bit()),
            ("date", _) => (Class::Date, oids::DATE),
            ("datetime", _) => (Class::DateTime, oids::TIMESTAMP),
            ("timestamp", _) => (Class::Timestamp, oids::TIMESTAMPTZ),
            ("time", _) => (Class::Time, oids::INTERVAL),
            ("char" | "varchar", _) => return (self.text_class(), self.varchar()),
            ("tinytext" | "text" | "mediumtext" | "longtext", _) => (self.text_class(), oids::TEXT),
            ("binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob", _) => {
                (Class::Bytes, oids::BYTEA)
            }
            ("enum", _) => return self.enumeration(),
            ("set", _) => (Class::Other, oids::TEXT),
            ("json", _) => (Class::Json, oids::JSON),
            ("uuid", _) => (Class::Uuid, oids::UUID),
            ("inet4" | "inet6", _) => (Class::Other, oids::INET),
            (
                "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
                | "geometrycollection" | "geomcollection" | "vector",
                _,
            ) => (Class::Other, oids::BYTEA),
            _ => (Class::Other, oids::TEXT),
        };
        (class, PgType::new(oid))
    }

    fn text_class(&self) -> Class {
        match self.character_set.as_deref() {
            Some("utf8mb4") => Class::Utf8mb4Text,
            Some("utf8mb3" | "utf8" | "ascii") => Class::Utf8Text,
            _ => Class::OtherText,
        }
    }

    fn numeric(&self) -> PgType {
        let precision = self.precision.and_then(|number| u16::try_from(number).ok());
        let scale = self.scale.and_then(|number| i16::try_from(number).ok());
        match (precision, scale) {
            (Some(precision), Some(scale)) => PgType::numeric(precision, scale),
            _ => PgType::new(oids::NUMERIC),
        }
    }

    fn bit(&self) -> PgType {
        let bits = self.precision.and_then(|number| i32::try_from(number).ok()).unwrap_or(1);
        PgType::with_modifier(oids::BIT, bits)
    }

    fn varchar(&self) -> PgType {
        match self.length {
            Some(length @ 1..=VARCHAR_MAX) => u32::try_from(length).map_or(PgType::new(oids::TEXT), PgType::varchar),
            _ => PgType::new(oids::TEXT),
        }
    }

    fn enumeration(&self) -> (Class, PgType) {
        match enum_labels(&self.column_type) {
            // Named after its column, because MySQL's enums have no name of their own.
            Some(labels) if !labels.is_empty() => {
                let name = format!("{}_{}_{}", self.schema, self.table, self.column);
                (Class::Enum, PgType::user(name, labels, false))
            }
            _ => (self.text_class(), PgType::new(oids::TEXT)),
        }
    }
}

/// The labels in `enum('a','it''s')`.
fn enum_labels(column_type: &str) -> Option<Vec<String>> {
    let open = column_type.find('(')?;
    let mut rest = column_type.get(open + 1..)?.strip_suffix(')')?;
    let mut labels = Vec::new();
    loop {
        rest = rest.strip_prefix('\'')?;
        let mut label = String::new();
        loop {
            let quote = rest.find('\'')?;
            label.push_str(&rest[..quote]);
            rest = &rest[quote + 1..];
            match rest.strip_prefix('\'') {
                Some(more) => {
                    label.push('\'');
                    rest = more;
                }
                None => break,
            }
        }
        labels.push(label);
        if rest.is_empty() {
            return Some(labels);
        }
        rest = rest.strip_prefix(',')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_name(data_type: &str, column_type: &str) -> String {
        let row = ColumnRow {
            data_type: data_type.into(),
            column_type: column_type.into(),
            precision: Some(10),
            scale: Some(2),
            length: Some(20),
            ..ColumnRow::default()
        };
        row.class_and_type().1.sql_name()
    }

    #[test]
    fn unsigned_integers_take_the_next_larger_type() {
        assert_eq!(type_name("tinyint", "tinyint(1)"), "smallint");
        assert_eq!(type_name("tinyint", "tinyint(3) unsigned"), "smallint");
        assert_eq!(type_name("smallint", "smallint(5) unsigned"), "integer");
        assert_eq!(type_name("mediumint", "mediumint(8) unsigned"), "integer");
        assert_eq!(type_name("int", "int(10) unsigned zerofill"), "bigint");
        assert_eq!(type_name("bigint", "bigint(20)"), "bigint");
        assert_eq!(type_name("bigint", "bigint unsigned"), "numeric(20,0)");
    }

    #[test]
    fn other_types_take_their_counterparts() {
        assert_eq!(type_name("decimal", "decimal(10,2)"), "numeric(10,2)");
        assert_eq!(type_name("varchar", "varchar(20)"), "character varying(20)");
        assert_eq!(type_name("timestamp", "timestamp(6)"), "timestamp with time zone");
        assert_eq!(type_name("datetime", "datetime"), "timestamp without time zone");
        assert_eq!(type_name("time", "time"), "interval");
        assert_eq!(type_name("bit", "bit(10)"), "bit(10)");
        assert_eq!(type_name("year", "year(4)"), "integer");
        assert_eq!(type_name("set", "set('a','b')"), "text");
        assert_eq!(type_name("geometry", "geometry"), "bytea");
        assert_eq!(type_name("something", "new"), "text");
    }

    #[test]
    fn reads_the_labels_of_an_enum() {
        let labels = |text: &str| enum_labels(text);
        assert_eq!(labels("enum('a','b')"), Some(vec!["a".into(), "b".into()]));
        assert_eq!(
            labels("enum('it''s','a,b',')','')"),
            Some(vec!["it's".into(), "a,b".into(), ")".into(), String::new()])
        );
        for hostile in ["enum(", "enum()", "enum('a)", "enum('a'b)", "enum('a',)", "", "enum('é"] {
            assert_eq!(labels(hostile), None, "{hostile}");
        }
    }
}
