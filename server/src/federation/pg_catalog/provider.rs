//! The system catalogs as DataFusion tables: built when they are scanned, the scanned columns only.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{MemTable, SchemaProvider, Session, TableProvider};
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::Result;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;

use super::context::PgCatalogContext;
use super::facts::{Relation, facts};
use super::rows::{Rows, fill};
use crate::error::SqlError;

/// The `pg_catalog` schema as the context's user sees it.
pub fn schema_provider(context: Arc<PgCatalogContext>) -> Arc<dyn SchemaProvider> {
    Arc::new(SystemSchema { schema: "pg_catalog", context })
}

/// The `information_schema` as the context's user sees it.
pub fn information_schema_provider(context: Arc<PgCatalogContext>) -> Arc<dyn SchemaProvider> {
    Arc::new(SystemSchema { schema: "information_schema", context })
}

const KEYWORDS: &str = "pg_get_keywords";

#[derive(Debug)]
struct SystemSchema {
    schema: &'static str,
    context: Arc<PgCatalogContext>,
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        let relations = facts().relations.iter().filter(|relation| relation.schema == self.schema);
        relations.map(|relation| relation.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        // A function in PostgreSQL, which the rewrite turns into this relation; it is listed nowhere.
        if name == KEYWORDS && self.schema == "pg_catalog" {
            return Ok(Some(keyword_table()?));
        }
        Ok(facts().relation(self.schema, name).map(|relation| {
            let table: Arc<dyn TableProvider> = Arc::new(SystemTable { relation, context: Arc::clone(&self.context) });
            table
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        facts().relation(self.schema, name).is_some()
    }
}

/// One relation of a system schema.
#[derive(Debug)]
struct SystemTable {
    relation: &'static Relation,
    context: Arc<PgCatalogContext>,
}

#[async_trait]
impl TableProvider for SystemTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.relation.arrow)
    }

    fn table_type(&self) -> TableType {
        if self.relation.kind == "v" { TableType::View } else { TableType::Base }
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // Inexact: a key only spares building rows, and DataFusion filters again.
        let answer = |filter: &&Expr| match key_of(filter) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !self.context.may_read_system(self.relation.name) {
            let kind = if self.relation.kind == "v" { "view" } else { "table" };
            return Err(SqlError::denied(format!("permission denied for {kind} {}", self.relation.name)).into());
        }
        let all: Vec<usize>;
        let projection = match projection {
            Some(projection) => projection.as_slice(),
            None => {
                all = (0..self.relation.columns.len()).collect();
                &all
            }
        };
        let keys = filters.iter().filter_map(key_of).collect();
        let mut rows = Rows::new(self.relation, projection, keys)?;
        fill(&self.context, &mut rows);
        let batch = rows.finish()?;
        let schema = batch.schema();
        Ok(MemorySourceConfig::try_new_exec(&[vec![batch]], schema, None)?)
    }
}

/// `column = number` or `column = 'text'`, either way round.
fn key_of(filter: &Expr) -> Option<(String, Key)> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = filter else { return None };
    let (column, value) = match (unwrap_cast(left), right.as_ref()) {
        (Expr::Column(Column { name, .. }), Expr::Literal(value, _)) => (name, value),
        (Expr::Literal(value, _), _) => match unwrap_cast(right) {
            Expr::Column(Column { name, .. }) => (name, value),
            _ => return None,
        },
        _ => return None,
    };
    let key = match value {
        ScalarValue::Int64(Some(number)) => Key::Number(*number),
        ScalarValue::Int32(Some(number)) => Key::Number(i64::from(*number)),
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => match text.parse() {
            Ok(number) => Key::Number(number),
            Err(_) => Key::Text(text.clone()),
        },
        _ => return None,
    };
    Some((column.clone(), key))
}

fn unwrap_cast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) => &cast.expr,
        other => other,
    }
}

/// What a filter says a column equals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Number(i64),
    Text(String),
}

/// `pg_get_keywords()`.
fn keyword_table() -> Result<Arc<MemTable>> {
    static TABLE: OnceLock<Arc<MemTable>> = OnceLock::new();
    if let Some(table) = TABLE.get() {
        return Ok(Arc::clone(table));
    }
    let built = Arc::new(super::rows::keyword_rows()?);
    Ok(Arc::clone(TABLE.get_or_init(|| built)))
}

/// Keys of one scan, by column.
pub(super) type Keys = HashMap<String, Key>;
