//! The relations that a query names: rights checked, sources asked, views planned.

use std::sync::Arc;

use atoll_connector_api::types::PgType;
use atoll_connector_api::{ColumnDefinition, ConnectorError, Options, TableSpec};
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::Column as DfColumn;
use datafusion::datasource::empty::EmptyTable;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use super::ctes;
use super::pg_catalog;
use super::planner::{Named, Planner};
use super::relations::{self, NameScope, Resolved};
use super::view_barrier::SecurityBarrier;
use crate::catalog::Oid;
use crate::catalog::model::{Column, ForeignServer, ForeignTable, Object, Privilege, StoredOption, View};
use crate::catalog::privilege;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::wire::sqlstate;

/// Views within views beyond which planning stops.
const VIEW_DEPTH_MAX: usize = 32;

/// A relation that a query names.
pub(super) struct Opened {
    pub(super) meaning: Named,
    pub(super) provider: Arc<dyn TableProvider>,
    /// Why its source could not be asked: the provider then has nothing but columns.
    pub(super) problem: Option<SqlError>,
}

impl Planner {
    /// Opens one relation: checks rights, asks its source.
    pub(super) async fn open(&self, parts: &[String], depth: usize) -> SqlResult<Opened> {
        let (meaning, provider) = match self.scope.resolve(&self.catalog, parts)? {
            Resolved::Stored(object) => {
                self.check_readable(&object)?;
                let (provider, problem) = match object.as_ref() {
                    Object::ForeignTable(table) => match self.open_foreign_table(table).await {
                        Ok(provider) => (provider, None),
                        Err(error) => (self.declared_table(table), Some(error)),
                    },
                    Object::View(view) => self.open_view(view, depth).await?,
                    _ => return Err(relations::undefined(&parts.join("."))),
                };
                return Ok(Opened { meaning: Named::Stored(object), provider, problem });
            }
            Resolved::System(schema, name) => {
                let context = Arc::clone(&self.system);
                let tables = if schema == "pg_catalog" {
                    pg_catalog::schema_provider(context)
                } else {
                    pg_catalog::information_schema_provider(context)
                };
                let provider = tables
                    .table(&name)
                    .await
                    .map_err(|error| sqlstate::sql_error(&error))?
                    .ok_or_else(|| relations::undefined(&parts.join(".")))?;
                (Named::System(schema.to_owned(), name), provider)
            }
            Resolved::Live { server, candidates } => self.open_live(&server, &candidates, parts).await?,
        };
        Ok(Opened { meaning, provider, problem: None })
    }

    fn check_readable(&self, object: &Arc<Object>) -> SqlResult<()> {
        let schema = object.schema().and_then(|oid| self.catalog.get(oid));
        if let Some(schema) = schema {
            privilege::check_privilege(&self.catalog, self.role, schema, Privilege::Usage)?;
        }
        privilege::check_select(&self.catalog, self.role, object, [])
    }

    fn spec(&self, table: &ForeignTable) -> TableSpec {
        TableSpec {
            name: self.qualified(table.schema, &table.header.name),
            options: plain_options(&table.options),
            columns: table.columns.iter().map(column_definition).collect(),
        }
    }

    /// A foreign table that nobody will read.
    fn declared_table(&self, table: &ForeignTable) -> Arc<dyn TableProvider> {
        Arc::new(EmptyTable::new(self.spec(table).schema()))
    }

    async fn open_foreign_table(&self, table: &ForeignTable) -> SqlResult<Arc<dyn TableProvider>> {
        if self.declared {
            return Ok(self.declared_table(table));
        }
        let server = self
            .catalog
            .server_by_oid(table.server)
            .ok_or_else(|| SqlError::internal(format!("foreign table \"{}\" has no server", table.header.name)))?;
        let source = self.host.source(&self.catalog, server, self.role)?;
        source.provider(self.spec(table)).await.map_err(|error| sqlstate::connector_error(&error))
    }

    async fn open_live(
        &self,
        server: &str,
        candidates: &[(String, String)],
        parts: &[String],
    ) -> SqlResult<(Named, Arc<dyn TableProvider>)> {
        let server = self.catalog.server(server).ok_or_else(|| relations::undefined(&parts.join(".")))?;
        let object = self.catalog.get(server.header.oid).ok_or_else(|| relations::undefined(&parts.join(".")))?;
        privilege::check_privilege(&self.catalog, self.role, object, Privilege::Usage)?;
        for (schema, name) in candidates {
            let opened = match self.live_provider(server, (schema, name)).await? {
                // It is not as it was some seconds ago: looked at again, it is what it is now.
                Some(Err(ConnectorError::ColumnChanged { .. } | ConnectorError::TableMissing { .. })) => {
                    self.host.forget_tables(server.header.oid);
                    self.live_provider(server, (schema, name)).await?
                }
                opened => opened,
            };
            if let Some(provider) = opened {
                let named = Named::Live(server.header.oid, [server.header.name.clone(), schema.clone(), name.clone()]);
                return Ok((named, provider.map_err(|error| sqlstate::connector_error(&error))?));
            }
        }
        Err(relations::undefined(&parts.join(".")))
    }

    /// A live table as it is remembered; `None` where the server has none of this name.
    async fn live_provider(
        &self,
        server: &ForeignServer,
        (schema, name): (&str, &str),
    ) -> SqlResult<Option<Result<Arc<dyn TableProvider>, ConnectorError>>> {
        let Some(live) = self.host.live_table(&self.catalog, server, self.role, (schema, name)).await? else {
            return Ok(None);
        };
        let source = self.host.source(&self.catalog, server, self.role)?;
        let spec = TableSpec {
            name: format!("{}.{schema}.{name}", server.header.name),
            options: live.options,
            columns: live.definition.columns.clone(),
        };
        Ok(Some(source.live_provider(spec).await))
    }

    /// A view's plan under its owner's rights, as a table of the columns it was created with.
    async fn open_view(&self, view: &View, depth: usize) -> SqlResult<(Arc<dyn TableProvider>, Option<SqlError>)> {
        if depth >= VIEW_DEPTH_MAX {
            return Err(SqlError::new(
                SqlState::STATEMENT_TOO_COMPLEX,
                format!("view \"{}\" is nested too deeply", view.header.name),
            ));
        }
        let planner = Self {
            role: if view.security_invoker { self.invoker } else { view.header.owner },
            scope: NameScope { live: None, search_path: Vec::new(), ..self.scope.clone() },
            ..self.clone()
        };
        let query = crate::statement::parse_query(&view.query)?;
        let within = |error: SqlError| SqlError {
            position: None,
            context: Some(format!("view \"{}\"", view.header.name)),
            ..error
        };
        let analyzed = planner.plan_nested(query, &view.query, &[], Some(view), depth + 1).await.map_err(within)?;
        let plan = view_columns(view, analyzed.planned.plan)?;
        let plan = if view.security_barrier() { SecurityBarrier::over(plan) } else { plan };
        let plan = ctes::enter_view(plan).map_err(|error| sqlstate::sql_error(&error))?;
        Ok((Arc::new(ViewTable::new(plan, Some(view.query.clone()))), analyzed.unreachable.map(within)))
    }

    fn qualified(&self, schema: Oid, name: &str) -> String {
        self.catalog.schema_by_oid(schema).map_or_else(|| name.to_owned(), |s| format!("{}.{name}", s.header.name))
    }
}

/// Projects a view's plan onto the columns that the view has, by position. A view of an older catalog may have a `*` that
/// covers other columns by now: where number or types say so, its columns are found by name.
fn view_columns(view: &View, plan: LogicalPlan) -> SqlResult<LogicalPlan> {
    let fields = plan.schema().fields();
    let by_position = fields.len() == view.columns.len()
        && (view.reads.is_some()
            || fields
                .iter()
                .zip(&view.columns)
                .all(|(field, column)| PgType::of_field(field).oid == column.data_type.oid));
    let columns = view
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let found = if by_position {
                Some(index)
            } else {
                plan.schema().fields().iter().position(|field| field.name() == &column.name)
            };
            let (qualifier, field) = found.map(|index| plan.schema().qualified_field(index)).ok_or_else(|| {
                SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{}\" of view \"{}\" no longer exists", column.name, view.header.name),
                )
                .hint("Use CREATE OR REPLACE VIEW to define it again.")
            })?;
            Ok(Expr::Column(DfColumn::new(qualifier.cloned(), field.name())).alias(column.name.clone()))
        })
        .collect::<SqlResult<Vec<_>>>()?;
    LogicalPlanBuilder::from(plan)
        .project(columns)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|error| sqlstate::sql_error(&error))
}

/// A stored column as connectors see it.
fn column_definition(column: &Column) -> ColumnDefinition {
    ColumnDefinition {
        name: column.name.clone(),
        data_type: column.data_type.clone(),
        not_null: column.not_null,
        options: plain_options(&column.options),
        comment: column.comment.clone(),
    }
}

/// Options that hold no secret.
fn plain_options(options: &[StoredOption]) -> Options {
    options.iter().filter_map(|option| Some((option.name.clone(), option.value.shown()?.to_owned()))).collect()
}
