//! What a foreign table of SQLite is made of.

use std::sync::Arc;

use atoll_connector_api::estimate::{ColumnEstimate, TableEstimate};
use atoll_connector_api::sql_table::{RemoteTable, SqlColumn, SqlTable};
use atoll_connector_api::types::oids;
use atoll_connector_api::{ColumnDefinition, ConnectorError, TableSpec};
use tokio::sync::Semaphore;

use crate::connection::Database;
use crate::dialect::SqliteDialect;
use crate::scan::SqliteScan;
use crate::source::TableShape;

/// A provider for `spec` over the remote table that `shape` describes.
pub(crate) fn table(
    spec: TableSpec,
    shape: &TableShape,
    database: Database,
    permits: Arc<Semaphore>,
) -> SqlTable<SqliteScan, SqliteDialect> {
    let mut facts = Vec::with_capacity(spec.columns.len());
    let mut columns = Vec::with_capacity(spec.columns.len());
    for column in &spec.columns {
        let remote = spec.remote_column(column);
        let Some(found) = shape.column(remote) else {
            let gone = ConnectorError::column_gone(database.server(), &spec.name, &column.name, remote);
            columns.push(Err(gone));
            continue;
        };
        let fact = shape.facts(found);
        columns.push(Ok(SqlColumn {
            scanned: (remote.to_owned(), found.affinity),
            // Whether every value is an integer.
            plain: column.data_type.oid != oids::INT8 || fact.holds_integers(),
        }));
        facts.push((remote.to_owned(), fact));
    }
    let distinct = shape.rows.and_then(|rows| u32::try_from(rows).ok()).map(f64::from);
    let known = |column: &ColumnDefinition| match shape.is_key(spec.remote_column(column)) {
        true => ColumnEstimate { distinct, nulls: Some(0.0), bytes: None },
        false => ColumnEstimate::default(),
    };
    let remote = RemoteTable {
        source: database.source(),
        name: vec!["main".to_owned(), shape.name.clone()],
        scan: SqliteScan {
            database,
            permits,
            table: spec.name.as_str().into(),
            remote_table: shape.name.as_str().into(),
            columns: Arc::default(),
        },
        dialect: SqliteDialect::new(facts, shape.utf8),
        columns,
        estimate: TableEstimate { rows: shape.rows, columns: spec.columns.iter().map(known).collect() },
    };
    SqlTable::new(spec, remote)
}
