//! Lays tables in the oracle and in their sources, and registers them at Atoll by DDL.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::util::display::FormatOptions;
use futures::SinkExt;
use mysql_async::prelude::Queryable;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::answer::Asker;
use super::table::{Column, Row, Source, Table};
use crate::engine::Endpoint;

/// Bytes of one message of COPY, and of one INSERT.
const CHUNK_BYTES: usize = 256 * 1024;
/// Rows of a record batch, and of a Parquet row group: small, so that the tables have several.
const BATCH_ROWS: usize = 8192;
/// Digits of `numeric` without a precision where a Parquet file must declare one.
const PARQUET_NUMERIC: (u8, i8) = (38, 10);

/// Where everything is.
#[derive(Clone)]
pub struct Places {
    /// What the tables belong to: a word in the names of the databases, files and servers.
    pub set: &'static str,
    /// The PostgreSQL that holds all tables; its own database of the tests is made and dropped there.
    pub oracle: Endpoint,
    /// MariaDB.
    pub mysql: mysql_async::Opts,
    /// Atoll.
    pub atoll: Endpoint,
    /// Where files may be written that Atoll may read.
    pub folder: PathBuf,
}

/// A MariaDB by its URL.
///
/// # Errors
/// It is not a URL.
pub fn mysql_address(url: &str) -> Result<mysql_async::Opts> {
    mysql_async::Opts::from_url(url).context("the address of MariaDB is not a URL")
}

impl Places {
    /// The database of the oracle, and of MariaDB.
    fn database(&self) -> String {
        format!("atoll_diff_{}", self.set)
    }

    /// The oracle's database of the suite.
    #[must_use]
    pub fn oracle_database(&self) -> Endpoint {
        Endpoint { dbname: self.database(), ..self.oracle.clone() }
    }

    fn server(&self, source: Source) -> String {
        format!("diff_{}_{}", self.set, source.name())
    }

    /// Makes the databases anew, and registers the servers at Atoll.
    ///
    /// # Errors
    /// One of the servers refuses.
    pub async fn prepare(&self) -> Result<()> {
        let oracle = Asker::connect(&self.oracle).await?;
        let database = self.database();
        oracle.run(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await?;
        oracle.run(&format!("CREATE DATABASE {database}")).await?;
        let mut mysql = mysql_async::Conn::new(self.mysql.clone()).await.context("could not connect to MariaDB")?;
        mysql.query_drop(format!("DROP DATABASE IF EXISTS {database}")).await?;
        // A collation that ignores case: what is sent there must not be decided by it.
        mysql
            .query_drop(format!("CREATE DATABASE {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"))
            .await?;
        mysql.disconnect().await?;
        std::fs::create_dir_all(&self.folder)?;
        match std::fs::remove_file(self.sqlite_file()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let atoll = Asker::connect(&self.atoll).await?;
        for statement in self.servers()? {
            // The statements hold passwords: they are not shown.
            atoll.client().batch_execute(&statement).await.context("a server could not be registered")?;
        }
        Ok(())
    }

    fn sqlite_file(&self) -> PathBuf {
        self.folder.join(format!("{}.sqlite", self.set))
    }

    fn servers(&self) -> Result<Vec<String>> {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let folder = self.folder.to_str().context("the folder's name is not UTF-8")?;
        let file = self.sqlite_file();
        let file = file.to_str().context("the folder's name is not UTF-8")?;
        let mut statements: Vec<String> = Source::ALL
            .iter()
            .map(|source| format!("DROP SERVER IF EXISTS {} CASCADE", self.server(*source)))
            .collect();
        let create = |source: Source, wrapper: &str, options: String| {
            format!("CREATE SERVER {} FOREIGN DATA WRAPPER {wrapper} OPTIONS ({options})", self.server(source))
        };
        let mapping = |source: Source, user: &str, password: &str| {
            let (user, password) = (quoted(user), quoted(password));
            let server = self.server(source);
            format!("CREATE USER MAPPING FOR CURRENT_USER SERVER {server} OPTIONS (user {user}, password {password})")
        };
        let (host, port) = (quoted(&self.oracle.host), self.oracle.port);
        statements.push(create(
            Source::Postgres,
            "postgres",
            format!("host {host}, port '{port}', dbname '{}'", self.database()),
        ));
        let password = self.oracle.password.as_deref().unwrap_or_default();
        statements.push(mapping(Source::Postgres, &self.oracle.user, password));
        let (host, port) = (quoted(self.mysql.ip_or_hostname()), self.mysql.tcp_port());
        statements.push(create(Source::MariaDb, "mysql", format!("host {host}, port '{port}'")));
        let (user, password) = (self.mysql.user().unwrap_or_default(), self.mysql.pass().unwrap_or_default());
        statements.push(mapping(Source::MariaDb, user, password));
        statements.push(create(Source::Sqlite, "sqlite", format!("database {}", quoted(file))));
        statements.push(create(Source::Parquet, "parquet", format!("location {}", quoted(folder))));
        statements.push(create(Source::Csv, "csv", format!("location {}", quoted(folder))));
        Ok(statements)
    }

    /// Lays tables in the oracle and each in its source, and registers them.
    ///
    /// # Errors
    /// A source does not take a row.
    pub async fn load(&self, tables: &[Table]) -> Result<()> {
        let oracle = Asker::connect(&self.oracle_database()).await?;
        let atoll = Asker::connect(&self.atoll).await?;
        let mut mysql = mysql_async::Conn::new(self.mysql.clone()).await.context("could not connect to MariaDB")?;
        mysql.query_drop("SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES'").await?;
        mysql.query_drop(format!("USE {}", self.database())).await?;
        let mut sqlite = rusqlite::Connection::open(self.sqlite_file())?;
        for schema in tables.iter().map(|table| &table.schema).collect::<BTreeSet<_>>() {
            oracle.run(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}")).await?;
            atoll.run(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE")).await?;
            atoll.run(&format!("CREATE SCHEMA {schema}")).await?;
        }
        for table in tables {
            let loaded = async {
                load_oracle(&oracle, table).await?;
                match table.source {
                    Source::Postgres => {}
                    Source::MariaDb => load_mysql(&mut mysql, table).await?,
                    Source::Sqlite => load_sqlite(&mut sqlite, table)?,
                    Source::Parquet => write_parquet(&self.folder, table)?,
                    Source::Csv => write_csv(&self.folder, table)?,
                }
                atoll.run(&self.registration(table)).await
            };
            loaded.await.with_context(|| format!("could not load {table:?}"))?;
        }
        oracle.run("ANALYZE").await?;
        mysql.disconnect().await?;
        Ok(())
    }

    /// The statement that registers a table at Atoll.
    fn registration(&self, table: &Table) -> String {
        let flat = table.flat_name();
        let options = match table.source {
            Source::Postgres => format!("schema_name '{}', table_name '{}'", table.schema, table.name),
            Source::MariaDb => format!("dbname '{}', table_name '{flat}'", self.database()),
            Source::Sqlite => format!("\"table\" '{flat}'"),
            Source::Parquet => format!("filename '{flat}.parquet'"),
            Source::Csv => format!("filename '{flat}.csv', header 'true'"),
        };
        format!(
            "CREATE FOREIGN TABLE {}.{} ({}) SERVER {} OPTIONS ({options})",
            table.schema,
            table.name,
            table.definition('"', |column| column.ty.clone()),
            self.server(table.source),
        )
    }
}

async fn load_oracle(oracle: &Asker, table: &Table) -> Result<()> {
    let name = format!("{}.{}", table.schema, table.name);
    oracle.run(&format!("CREATE TABLE {name} ({})", table.definition('"', |column| column.ty.clone()))).await?;
    let sink = oracle.client().copy_in(&format!("COPY {name} FROM STDIN")).await?;
    futures::pin_mut!(sink);
    let mut chunk = String::new();
    for row in (table.rows)() {
        for (index, value) in row.iter().enumerate() {
            if index > 0 {
                chunk.push('\t');
            }
            match value {
                None => chunk.push_str("\\N"),
                Some(text) => {
                    let text = text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n");
                    chunk.push_str(&text.replace('\r', "\\r"));
                }
            }
        }
        chunk.push('\n');
        if chunk.len() > CHUNK_BYTES {
            sink.send(bytes::Bytes::from(std::mem::take(&mut chunk))).await?;
        }
    }
    sink.send(bytes::Bytes::from(chunk)).await?;
    sink.finish().await?;
    Ok(())
}

/// MariaDB's type for a column.
fn mysql_type(column: &Column) -> String {
    let modifier = column.modifier();
    match column.base() {
        "bool" | "boolean" => "tinyint(1)".to_owned(),
        "int2" | "smallint" => "smallint".to_owned(),
        "int4" | "integer" => "int".to_owned(),
        "int8" | "bigint" => "bigint".to_owned(),
        "float4" => "float".to_owned(),
        "float8" => "double".to_owned(),
        "numeric" if modifier.is_empty() => "decimal(38,10)".to_owned(),
        "numeric" => format!("decimal{modifier}"),
        "time" => "time(6)".to_owned(),
        "timestamp" => "datetime(6)".to_owned(),
        "bytea" => "varbinary(200)".to_owned(),
        _ => column.ty.clone(),
    }
}

async fn load_mysql(mysql: &mut mysql_async::Conn, table: &Table) -> Result<()> {
    let flat = table.flat_name();
    mysql.query_drop(format!("CREATE TABLE {flat} ({})", table.definition('`', mysql_type))).await?;
    let mut insert = String::new();
    for row in (table.rows)() {
        insert.push_str(if insert.is_empty() { "VALUES (" } else { ", (" });
        for (index, (column, value)) in table.columns.iter().zip(&row).enumerate() {
            if index > 0 {
                insert.push_str(", ");
            }
            insert.push_str(&mysql_literal(column, value.as_deref()));
        }
        insert.push(')');
        if insert.len() > CHUNK_BYTES {
            mysql.query_drop(format!("INSERT INTO {flat} {}", std::mem::take(&mut insert))).await?;
        }
    }
    if !insert.is_empty() {
        mysql.query_drop(format!("INSERT INTO {flat} {insert}")).await?;
    }
    Ok(())
}

fn mysql_literal(column: &Column, value: Option<&str>) -> String {
    match (column.base(), value) {
        (_, None) => "NULL".to_owned(),
        ("bool" | "boolean", Some(text)) => text.starts_with('t').to_string(),
        ("bytea", Some(text)) => format!("x'{}'", text.trim_start_matches("\\x")),
        (_, Some(text)) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
    }
}

fn load_sqlite(sqlite: &mut rusqlite::Connection, table: &Table) -> Result<()> {
    let flat = table.flat_name();
    let declared = |column: &Column| match column.base() {
        "bytea" => "blob".to_owned(),
        "numeric" => format!("decimal{}", column.modifier()),
        "float4" | "float8" => "double".to_owned(),
        _ => column.ty.clone(),
    };
    let transaction = sqlite.transaction()?;
    transaction.execute_batch(&format!(
        "DROP TABLE IF EXISTS {flat}; CREATE TABLE {flat} ({});",
        table.definition('"', declared)
    ))?;
    let places = vec!["?"; table.columns.len()].join(", ");
    let mut insert = transaction.prepare(&format!("INSERT INTO {flat} VALUES ({places})"))?;
    for row in (table.rows)() {
        let values = table.columns.iter().zip(row).map(|(column, value)| sqlite_value(column, value));
        insert.execute(rusqlite::params_from_iter(values.collect::<Result<Vec<_>>>()?))?;
    }
    drop(insert);
    transaction.commit()?;
    Ok(())
}

fn sqlite_value(column: &Column, value: Option<String>) -> Result<rusqlite::types::Value> {
    use rusqlite::types::Value;
    let Some(text) = value else { return Ok(Value::Null) };
    Ok(match column.base() {
        "bool" | "boolean" => Value::Integer(i64::from(text.starts_with('t'))),
        "bytea" => Value::Blob(bytes_of(&text)?),
        "float4" => Value::Real(f64::from(text.parse::<f32>()?)),
        "float8" => Value::Real(text.parse()?),
        // Affinity makes numbers of the others where the declared type is one.
        _ => Value::Text(text),
    })
}

/// The bytes of `\x…`.
fn bytes_of(text: &str) -> Result<Vec<u8>> {
    let digits = text.strip_prefix("\\x").context("a bytea without \\x")?;
    ensure!(digits.len().is_multiple_of(2), "half a byte");
    let pair = |at: usize| digits.get(at..at + 2).context("not ASCII");
    (0..digits.len()).step_by(2).map(|at| Ok(u8::from_str_radix(pair(at)?, 16)?)).collect()
}

fn write_csv(folder: &Path, table: &Table) -> Result<()> {
    let mut file = BufWriter::new(File::create(folder.join(format!("{}.csv", table.flat_name())))?);
    let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
    writeln!(file, "{}", names.join(","))?;
    for row in (table.rows)() {
        let values: Vec<_> = row
            .iter()
            .map(|value| value.as_ref().map_or_else(String::new, |text| format!("\"{}\"", text.replace('"', "\"\""))))
            .collect();
        writeln!(file, "{}", values.join(","))?;
    }
    file.flush()?;
    Ok(())
}

fn arrow_type(column: &Column) -> Result<DataType> {
    let bounds = || -> Result<(u8, i8)> {
        let modifier = column.modifier();
        if modifier.is_empty() {
            return Ok(PARQUET_NUMERIC);
        }
        let (precision, scale) =
            modifier.trim_matches(['(', ')']).split_once(',').context("numeric without a scale")?;
        Ok((precision.trim().parse()?, scale.trim().parse()?))
    };
    Ok(match column.base() {
        "bool" | "boolean" => DataType::Boolean,
        "int2" | "smallint" => DataType::Int16,
        "int4" | "integer" => DataType::Int32,
        "int8" | "bigint" => DataType::Int64,
        "float4" => DataType::Float32,
        "float8" => DataType::Float64,
        "numeric" => {
            let (precision, scale) = bounds()?;
            DataType::Decimal128(precision, scale)
        }
        "date" => DataType::Date32,
        "time" => DataType::Time64(TimeUnit::Microsecond),
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "bytea" => DataType::Binary,
        _ => DataType::Utf8,
    })
}

fn write_parquet(folder: &Path, table: &Table) -> Result<()> {
    let fields = table
        .columns
        .iter()
        .map(|column| Ok(Field::new(&column.name, arrow_type(column)?, true)))
        .collect::<Result<Vec<_>>>()?;
    let schema = Arc::new(Schema::new(fields));
    let file = File::create(folder.join(format!("{}.parquet", table.flat_name())))?;
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(BATCH_ROWS)).build();
    let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))?;
    let mut rows = (table.rows)();
    loop {
        let batch: Vec<Row> = rows.by_ref().take(BATCH_ROWS).collect();
        if batch.is_empty() {
            break;
        }
        let arrays = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(index, field)| {
                let values = batch.iter().map(|row| row.get(index).and_then(Option::as_deref));
                array(values, field.data_type()).with_context(|| format!("column {}", field.name()))
            })
            .collect::<Result<Vec<_>>>()?;
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), arrays)?)?;
    }
    writer.close()?;
    Ok(())
}

fn array<'a>(values: impl Iterator<Item = Option<&'a str>>, data_type: &DataType) -> Result<ArrayRef> {
    if *data_type == DataType::Binary {
        let bytes = values.map(|value| value.map(bytes_of).transpose()).collect::<Result<Vec<_>>>()?;
        return Ok(Arc::new(bytes.iter().map(Option::as_deref).collect::<BinaryArray>()));
    }
    let texts: ArrayRef = Arc::new(values.collect::<StringArray>());
    // A value that does not fit is an error here, not a NULL.
    let options = CastOptions { safe: false, format_options: FormatOptions::default() };
    Ok(cast_with_options(&texts, data_type, &options)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_from_their_text() {
        assert_eq!(bytes_of("\\x00ff").ok(), Some(vec![0, 255]));
        assert!(bytes_of("\\x0").is_err());
        assert!(bytes_of("00").is_err());
    }

    #[test]
    fn a_value_that_does_not_fit_is_no_null() {
        assert!(array([Some("70000")].into_iter(), &DataType::Int16).is_err());
        assert!(array([Some("7"), None].into_iter(), &DataType::Int16).is_ok());
    }
}
