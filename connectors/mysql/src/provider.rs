//! What a foreign table of MySQL is made of.

use std::sync::Arc;

use atoll_connector_api::estimate::TableEstimate;
use atoll_connector_api::sql_table::{self, SqlColumn, SqlTable};
use atoll_connector_api::types::oids;
use atoll_connector_api::{ConnectorError, TableSpec};

use crate::connection::Pool;
use crate::dialect::{ColumnFacts, MysqlDialect};
use crate::metadata::{Class, RemoteTable};
use crate::scan::{MysqlScan, ScanColumn};

/// A provider for `spec` over the table `name` (database, table) that `remote` describes.
pub(crate) fn table(
    spec: TableSpec,
    name: (String, String),
    remote: &RemoteTable,
    pool: Arc<Pool>,
) -> SqlTable<MysqlScan, MysqlDialect> {
    let mut facts = Vec::with_capacity(spec.columns.len());
    let mut columns = Vec::with_capacity(spec.columns.len());
    for column in &spec.columns {
        let remote_name = spec.remote_column(column);
        let Some(found) = remote.column(remote_name) else {
            let gone = ConnectorError::column_gone(pool.server(), &spec.name, &column.name, remote_name);
            columns.push(Err(gone));
            continue;
        };
        facts.push((remote_name.to_owned(), ColumnFacts { class: found.class, native: found.data_type.clone() }));
        let integer = matches!(column.data_type.oid, oids::INT2 | oids::INT4 | oids::INT8);
        columns.push(Ok(SqlColumn {
            scanned: ScanColumn { remote: remote_name.to_owned(), class: found.class, fraction: found.fraction },
            // Where whole numbers are declared over something else, they are whole numbers here only.
            plain: !integer || found.class == Class::Integer,
        }));
    }
    let parts = vec![name.0.clone(), name.1.clone()];
    let remote = sql_table::RemoteTable {
        source: pool.source(),
        name: parts,
        scan: MysqlScan { pool, table: spec.name.as_str().into(), remote: Arc::new(name), columns: Arc::default() },
        dialect: MysqlDialect::new(facts),
        columns,
        estimate: TableEstimate { rows: remote.rows, columns: Vec::new() },
    };
    SqlTable::new(spec, remote)
}
