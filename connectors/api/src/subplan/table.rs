//! Tables of sources that answer whole queries.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result as DfResult, Statistics};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::{Query, QueryDialect, Transfer};
use crate::statement::SourceId;
use crate::types::PgType;
use crate::{ConnectorError, Result};

/// A table as its source names it.
#[derive(Debug, Clone, PartialEq)]
pub struct Relation {
    /// The table's SQL name, for messages.
    pub table: String,
    /// The parts of its name at the source.
    pub name: Vec<String>,
    /// Its columns, those of the provider's schema in their order.
    pub columns: Vec<RelationColumn>,
    /// Estimated rows.
    pub rows: Option<usize>,
}

/// A column of a [`Relation`]; see [`super::ColumnRef`].
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "as in ColumnRef")]
pub struct RelationColumn {
    pub name: String,
    pub data_type: PgType,
    pub plain: bool,
    pub collation: Option<u32>,
    pub transfer: Transfer,
}

/// A table of a source that answers whole queries.
#[async_trait]
pub trait RemoteRelation: TableProvider {
    /// Which source this is. Two relations with the same one can be read by one query.
    fn source(&self) -> SourceId;

    /// The table itself.
    fn relation(&self) -> Relation;

    /// What the source computes as Atoll does.
    fn dialect(&self) -> &dyn QueryDialect;

    /// All scans of one statement see the source at one moment, so that two of them read the same rows.
    fn has_one_moment(&self) -> bool {
        false
    }

    /// Asks the source whether the table is still as this provider knows it, for a plan that was made before; `false` too
    /// where that would take longer than to look at the table anew.
    async fn is_current(&self) -> bool {
        false
    }

    /// A scan of the answer to `query`, which may read any relation of the same source, in batches of `schema`. `tables`
    /// names what it reads, for EXPLAIN and messages; `rows` is an estimate. Touches no network.
    ///
    /// # Errors
    /// [`ConnectorError::Internal`] for a query that the dialect does not write.
    fn scan_query(
        &self,
        query: &Query,
        tables: &str,
        schema: SchemaRef,
        rows: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>>;
}

/// What the server recognizes as a [`RemoteRelation`]: a provider that is one and passes everything on to it.
#[derive(Debug, Clone)]
pub struct FederatedTable(pub Arc<dyn RemoteRelation>);

#[async_trait]
impl TableProvider for FederatedTable {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        self.0.table_type()
    }

    fn statistics(&self) -> Option<Statistics> {
        self.0.statistics()
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        self.0.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        self.0.scan(state, projection, filters, limit).await
    }
}

/// The type as which a result's column is read: one whose storage is the field's.
#[must_use]
pub fn reading_type(field: &Field) -> Option<PgType> {
    let declared = PgType::of_field(field);
    if declared.storage() == *field.data_type() {
        return Some(declared);
    }
    // A sum of bigint is a numeric that is kept as a number.
    let stored = PgType::of_arrow(field.data_type());
    let is_number = matches!(field.data_type(), DataType::Decimal128(..) | DataType::Decimal256(..));
    (is_number && stored.oid == declared.oid && stored.storage() == *field.data_type()).then_some(stored)
}

/// The error for a query that a dialect does not write.
#[must_use]
pub fn unwritten(server: &str) -> ConnectorError {
    ConnectorError::Internal { message: format!("a query of server \"{server}\" cannot be written") }
}
