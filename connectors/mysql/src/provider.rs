//! The table provider: which columns, filters and limit go to MySQL.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use atoll_connector_api::estimate::TableEstimate;
use atoll_connector_api::keys::KeyFilters;
use atoll_connector_api::pushdown::{Fidelity, FilterTranslator, Pushed};
use atoll_connector_api::scan::{ForeignScanExec, RemoteQuery};
use atoll_connector_api::statement::SourceId;
use atoll_connector_api::subplan::{
    Query, QueryDialect, Relation, RelationColumn, RemoteRelation, Scalar, Transfer, render, unwritten,
};
use atoll_connector_api::{Result, TableSpec};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result as DfResult, Statistics};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use atoll_connector_api::types::oids;

use crate::connection::Pool;
use crate::dialect::{ColumnFacts, MysqlDialect, identifier};
use crate::metadata::{Class, RemoteTable};
use crate::scan::{MysqlScan, ScanColumn};

/// Connectives in one filter beyond which it is not sent: MySQL's parser has a stack, not a bound.
const FILTER_NODES_MAX: usize = 400;
/// Filters that are sent together.
const FILTERS_MAX: usize = 200;

/// A foreign table of MySQL.
#[derive(Debug)]
pub(crate) struct MysqlTable {
    spec: TableSpec,
    schema: SchemaRef,
    dialect: Arc<MysqlDialect>,
    keys: KeyFilters,
    scan: MysqlScan,
    estimate: TableEstimate,
}

impl MysqlTable {
    /// A provider for `spec` over the table `name` (database, table) that `remote` describes, which has all its columns.
    pub(crate) fn new(spec: TableSpec, name: (String, String), remote: &RemoteTable, pool: Arc<Pool>) -> Self {
        let mut facts = Vec::with_capacity(spec.columns.len());
        let mut columns = HashMap::with_capacity(spec.columns.len());
        for column in &spec.columns {
            let remote_name = spec.remote_column(column);
            if let Some(found) = remote.column(remote_name) {
                let fact = ColumnFacts { class: found.class, native: found.data_type.clone() };
                facts.push((remote_name.to_owned(), fact));
                let (class, fraction) = (found.class, found.fraction);
                columns.insert(column.name.clone(), ScanColumn { remote: remote_name.to_owned(), class, fraction });
            }
        }
        let scan =
            MysqlScan { pool, table: spec.name.as_str().into(), remote: Arc::new(name), columns: Arc::new(columns) };
        let estimate = TableEstimate { rows: remote.rows, columns: Vec::new() };
        let dialect = Arc::new(MysqlDialect::new(facts));
        Self {
            schema: spec.schema(),
            keys: KeyFilters::new(Arc::clone(&dialect) as _, spec.clone()),
            dialect,
            spec,
            scan,
            estimate,
        }
    }

    fn translate(&self, filter: &Expr) -> Option<Pushed> {
        if nodes(filter) > FILTER_NODES_MAX {
            return None;
        }
        FilterTranslator::new(self.dialect.as_ref(), &self.spec).translate(filter)
    }

    fn query(&self, projection: &[usize], filters: &[Expr], limit: Option<usize>) -> RemoteQuery {
        let columns: Vec<_> = projection
            .iter()
            .filter_map(|&index| self.spec.columns.get(index))
            .map(|column| identifier(self.spec.remote_column(column)))
            .collect();
        let columns = if columns.is_empty() { "1".to_owned() } else { columns.join(", ") };
        let pushed: Vec<_> = filters.iter().take(FILTERS_MAX).map(|filter| self.translate(filter)).collect();
        let complete = filters.len() <= FILTERS_MAX
            && pushed.iter().all(|one| one.as_ref().is_some_and(|one| one.fidelity == Fidelity::Identical));
        let conditions: Vec<_> = pushed.into_iter().flatten().map(|one| one.sql).collect();
        let (database, table) = (identifier(&self.scan.remote.0), identifier(&self.scan.remote.1));
        let query = RemoteQuery::new(format!("SELECT {columns} FROM {database}.{table}"), conditions);
        // A limit under a filter of ours would lose rows for good.
        match limit.filter(|_| complete) {
            Some(limit) => query.closed(&format!(" LIMIT {limit}")),
            None => query,
        }
    }
}

fn nodes(filter: &Expr) -> usize {
    let mut count = 0;
    let counted = filter.apply(|expr| {
        count += usize::from(matches!(expr, Expr::BinaryExpr(_) | Expr::Not(_)));
        Ok(if count > FILTER_NODES_MAX { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    if counted.is_ok() { count } else { usize::MAX }
}

#[async_trait]
impl TableProvider for MysqlTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        let all: Vec<usize> = (0..self.spec.columns.len()).collect();
        self.estimate.rows.map(|_| self.estimate.of_scan(&self.schema, &all, &[], |_| None, None))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .enumerate()
            .map(|(index, filter)| match self.translate(filter).filter(|_| index < FILTERS_MAX) {
                Some(Pushed { fidelity: Fidelity::Identical, .. }) => TableProviderFilterPushDown::Exact,
                Some(_) => TableProviderFilterPushDown::Inexact,
                None => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let all: Vec<_> = (0..self.spec.columns.len()).collect();
        let projection = projection.unwrap_or(&all);
        let schema = Arc::new(self.schema.project(projection)?);
        let query = self.query(projection, filters, limit);
        let place = |name: &str| self.spec.columns.iter().position(|column| column.name == name);
        let statistics = self.estimate.of_scan(&schema, projection, filters, place, limit);
        let exec = ForeignScanExec::new(Arc::new(self.scan.clone()), &self.spec.name, vec![query], schema);
        Ok(Arc::new(exec.with_keys(self.keys.clone()).with_statistics(statistics)))
    }
}

impl RemoteRelation for MysqlTable {
    fn source(&self) -> SourceId {
        self.scan.pool.source()
    }

    fn relation(&self) -> Relation {
        let columns = self.spec.columns.iter().map(|column| {
            let class = self.scan.columns.get(&column.name).map(|found| found.class);
            let integer = matches!(column.data_type.oid, oids::INT2 | oids::INT4 | oids::INT8);
            RelationColumn {
                name: self.spec.remote_column(column).to_owned(),
                // Where whole numbers are declared over something else, they are whole numbers here only.
                plain: !integer || class == Some(Class::Integer),
                data_type: column.data_type.clone(),
                collation: None,
                transfer: Transfer::Native,
            }
        });
        let (database, table) = self.scan.remote.as_ref().clone();
        Relation {
            table: self.spec.name.clone(),
            name: vec![database, table],
            columns: columns.collect(),
            rows: self.estimate.rows,
        }
    }

    fn dialect(&self) -> &dyn QueryDialect {
        self.dialect.as_ref()
    }

    fn scan_query(
        &self,
        query: &Query,
        tables: &str,
        schema: SchemaRef,
        rows: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let failed = || unwritten(self.scan.pool.server());
        let sql = render(self.dialect.as_ref(), query).ok_or_else(failed)?;
        let mut columns = HashMap::new();
        for (output, field) in query.outputs.iter().zip(schema.fields()) {
            let Scalar::Column(column) = output else { continue };
            let found = self.scan.columns.values().find(|found| found.remote == column.name).ok_or_else(failed)?;
            columns.insert(field.name().clone(), found.clone());
        }
        let scan = MysqlScan { columns: Arc::new(columns), ..self.scan.clone() };
        let rows = rows.map_or(Precision::Absent, Precision::Inexact);
        let statistics = Statistics { num_rows: rows, ..Statistics::new_unknown(&schema) };
        Ok(Arc::new(ForeignScanExec::new(Arc::new(scan), tables, vec![sql], schema).with_statistics(statistics)))
    }
}
