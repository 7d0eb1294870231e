//! The table provider of sources that answer with one plain statement: which columns, filters and limit go to them.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result as DfResult, Statistics};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::estimate::TableEstimate;
use crate::keys::KeyFilters;
use crate::pushdown::{Fidelity, FilterTranslator, Pushed};
use crate::scan::{ForeignScanExec, RemoteQuery, SqlScan};
use crate::statement::SourceId;
use crate::subplan::{
    FederatedTable, Query, QueryDialect, Relation, RelationColumn, RemoteRelation, Scalar, Transfer, render, unwritten,
};
use crate::{Result, TableSpec};

/// Connectives in one filter beyond which it is not sent: SQLite bounds the depth of an expression at 1000, MySQL's
/// parser by its stack.
const FILTER_NODES_MAX: usize = 400;
/// Filters that are sent together, for the same reason.
const FILTERS_MAX: usize = 200;

/// A scan that reads each column in its own way.
pub trait ColumnScan: SqlScan + Clone + 'static {
    /// What it has to know of a remote column.
    type Column: Clone + Debug + Send + Sync;

    /// The same over other columns, by their names in the schema of the answer.
    #[must_use]
    fn with_columns(&self, columns: HashMap<String, Self::Column>) -> Self;

    /// As [`RemoteRelation::has_one_moment`].
    fn has_one_moment(&self) -> bool {
        false
    }
}

/// A remote column.
#[derive(Debug, Clone)]
pub struct SqlColumn<C> {
    /// For the scan.
    pub scanned: C,
    /// As [`RelationColumn::plain`].
    pub plain: bool,
}

/// The remote side of a foreign table.
#[derive(Debug)]
pub struct RemoteTable<S: ColumnScan, D> {
    /// Where its scans of one statement belong.
    pub source: SourceId,
    /// The parts of its name.
    pub name: Vec<String>,
    /// Runs a statement.
    pub scan: S,
    /// What the source computes as Atoll does.
    pub dialect: D,
    /// For each column of the foreign table: itself, or what is said where it is read.
    pub columns: Vec<Result<SqlColumn<S::Column>>>,
    /// What is known of its size.
    pub estimate: TableEstimate,
}

/// A foreign table.
#[derive(Debug)]
pub struct SqlTable<S: ColumnScan, D> {
    spec: TableSpec,
    schema: SchemaRef,
    keys: KeyFilters,
    remote: RemoteTable<S, Arc<D>>,
}

impl<S: ColumnScan, D: QueryDialect + Debug + Send + Sync + 'static> SqlTable<S, D> {
    /// A provider for `spec` over `remote`.
    pub fn new(spec: TableSpec, remote: RemoteTable<S, D>) -> Self {
        let columns = spec.columns.iter().zip(&remote.columns);
        let columns =
            columns.filter_map(|(column, found)| Some((column.name.clone(), found.as_ref().ok()?.scanned.clone())));
        let scan = remote.scan.with_columns(columns.collect());
        let dialect = Arc::new(remote.dialect);
        Self {
            schema: spec.schema(),
            keys: KeyFilters::new(Arc::clone(&dialect) as _, spec.clone()),
            remote: RemoteTable {
                source: remote.source,
                name: remote.name,
                scan,
                dialect,
                columns: remote.columns,
                estimate: remote.estimate,
            },
            spec,
        }
    }

    fn translate(&self, filter: &Expr) -> Option<Pushed> {
        let unreadable = |column: &datafusion::common::Column| {
            self.place(&column.name).and_then(|place| self.remote.columns.get(place)).is_none_or(Result::is_err)
        };
        if nodes(filter) > FILTER_NODES_MAX || filter.column_refs().into_iter().any(unreadable) {
            return None;
        }
        FilterTranslator::new(self.remote.dialect.as_ref(), &self.spec).translate(filter)
    }

    /// The table for the planner: whole queries go to the source only where all of its columns are readable.
    pub fn into_provider(self) -> Arc<dyn TableProvider> {
        if self.remote.columns.iter().all(Result::is_ok) {
            return Arc::new(FederatedTable(Arc::new(self)));
        }
        Arc::new(self)
    }

    /// The same of a live table, which has no columns but those that are there.
    ///
    /// # Errors
    /// [`crate::ConnectorError::ColumnChanged`].
    pub fn into_live_provider(self) -> Result<Arc<dyn TableProvider>> {
        match self.remote.columns.iter().find_map(|column| column.as_ref().err()) {
            Some(changed) => Err(changed.clone()),
            None => Ok(self.into_provider()),
        }
    }

    fn query(&self, projection: &[usize], filters: &[Expr], limit: Option<usize>) -> RemoteQuery {
        let dialect = self.remote.dialect.as_ref();
        let columns: Vec<_> = projection
            .iter()
            .filter_map(|&index| self.spec.columns.get(index))
            .map(|column| dialect.identifier(self.spec.remote_column(column)))
            .collect();
        let columns = if columns.is_empty() { "NULL".to_owned() } else { columns.join(", ") };
        let name: Vec<_> = self.remote.name.iter().map(|part| dialect.identifier(part)).collect();
        let pushed: Vec<_> = filters.iter().take(FILTERS_MAX).map(|filter| self.translate(filter)).collect();
        let complete = filters.len() <= FILTERS_MAX
            && pushed.iter().all(|one| one.as_ref().is_some_and(|one| one.fidelity == Fidelity::Identical));
        let conditions: Vec<_> = pushed.into_iter().flatten().map(|one| one.sql).collect();
        let query = RemoteQuery::new(format!("SELECT {columns} FROM {}", name.join(".")), conditions);
        // A limit under a filter of ours would lose rows for good.
        match limit.filter(|_| complete) {
            Some(limit) => query.closed(&format!(" LIMIT {limit}")),
            None => query,
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.spec.columns.iter().position(|column| column.name == name)
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
impl<S: ColumnScan, D: QueryDialect + Debug + Send + Sync + 'static> TableProvider for SqlTable<S, D> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        let all: Vec<usize> = (0..self.spec.columns.len()).collect();
        let estimate = &self.remote.estimate;
        estimate.rows.map(|_| estimate.of_scan(&self.schema, &all, &[], |name| self.place(name), None))
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
        for found in projection.iter().filter_map(|&index| self.remote.columns.get(index)) {
            found.as_ref().map_err(Clone::clone)?;
        }
        let query = self.query(projection, filters, limit);
        let place = |name: &str| self.place(name);
        let statistics = self.remote.estimate.of_scan(&schema, projection, filters, place, limit);
        let scan = Arc::new(self.remote.scan.clone());
        let exec = ForeignScanExec::new(scan, &self.spec.name, vec![query], schema);
        Ok(Arc::new(exec.with_keys(self.keys.clone()).with_statistics(statistics)))
    }
}

impl<S: ColumnScan, D: QueryDialect + Debug + Send + Sync + 'static> RemoteRelation for SqlTable<S, D> {
    fn source(&self) -> SourceId {
        self.remote.source
    }

    fn relation(&self) -> Relation {
        let columns = self.spec.columns.iter().zip(&self.remote.columns).map(|(column, found)| RelationColumn {
            name: self.spec.remote_column(column).to_owned(),
            data_type: column.data_type.clone(),
            plain: found.as_ref().is_ok_and(|found| found.plain),
            collation: None,
            transfer: Transfer::Native,
        });
        Relation {
            table: self.spec.name.clone(),
            name: self.remote.name.clone(),
            columns: columns.collect(),
            rows: self.remote.estimate.rows,
        }
    }

    fn dialect(&self) -> &dyn QueryDialect {
        self.remote.dialect.as_ref()
    }

    fn has_one_moment(&self) -> bool {
        self.remote.scan.has_one_moment()
    }

    fn scan_query(
        &self,
        query: &Query,
        tables: &str,
        schema: SchemaRef,
        rows: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let failed = || unwritten(self.remote.scan.server());
        let sql = render(self.dialect(), query).ok_or_else(failed)?;
        let remote = self.spec.columns.iter().map(|column| self.spec.remote_column(column));
        let known: HashMap<_, _> = remote.zip(&self.remote.columns).collect();
        let mut columns = HashMap::new();
        for (output, field) in query.outputs.iter().zip(schema.fields()) {
            let Scalar::Column(column) = output else { continue };
            let found = known.get(column.name.as_str()).and_then(|found| found.as_ref().ok()).ok_or_else(failed)?;
            columns.insert(field.name().clone(), found.scanned.clone());
        }
        let scan = Arc::new(self.remote.scan.with_columns(columns));
        Ok(Arc::new(ForeignScanExec::new(scan, tables, vec![sql], schema).with_estimated_rows(rows)))
    }
}
