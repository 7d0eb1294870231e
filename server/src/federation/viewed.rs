//! The relations of a view as they were when it was made.
//!
//! PostgreSQL stores a parse tree, in which every column is a number: a column that a relation gets later is in no view.
//! Here a view's text is planned again each time it is read, so within it each relation is cut down to the columns that it
//! had, under the names that they had. Stars, NATURAL joins and the rules that find a name's meaning then see what they saw.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_connector_api::types::PgType;
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::{Column as DfColumn, ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableSource};

use super::planner::Named;
use super::provider::RelationKey;
use crate::catalog::model::{Object, View, ViewedColumn, ViewedRelation};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::wire::sqlstate;

/// The columns that a relation has now, for a view that is made over it; `None` for what never changes. `read` are those
/// that the view's result depends on.
pub(super) fn viewed(
    named: &Named,
    source: &Arc<dyn TableSource>,
    key: &RelationKey,
    read: &BTreeSet<(RelationKey, String)>,
) -> Option<ViewedRelation> {
    let is_read = |name: &str| read.contains(&(key.clone(), name.to_owned()));
    match named {
        Named::Stored(object) => {
            let columns = object.columns().iter().map(|column| ViewedColumn {
                name: column.name.clone(),
                number: column.number,
                data_type: column.data_type.clone(),
                read: is_read(&column.name),
            });
            Some(ViewedRelation { oid: object.header().oid, live: None, columns: columns.collect() })
        }
        Named::Live(server, [_, schema, name]) => {
            let schema_now = source.schema();
            let columns = schema_now.fields().iter().map(|field| ViewedColumn {
                name: field.name().clone(),
                number: 0,
                data_type: PgType::of_field(field),
                read: is_read(field.name()),
            });
            let live = Some((schema.clone(), name.clone()));
            Some(ViewedRelation { oid: *server, live, columns: columns.collect() })
        }
        Named::System(..) => None,
    }
}

/// A relation as a view knows it: what it means, and a provider of the columns that it had.
///
/// # Errors
/// `HV005`: a live table has lost a column that the view reads, or has it in another type.
pub(super) fn as_viewed(
    view: &View,
    meaning: Named,
    provider: Arc<dyn TableProvider>,
) -> SqlResult<(Named, Arc<dyn TableProvider>)> {
    let Some(relation) = view.reads.as_ref().and_then(|reads| reads.iter().find(|relation| is_of(relation, &meaning)))
    else {
        return Ok((meaning, provider));
    };
    let schema = provider.schema();
    let same = |index: usize, column: &ViewedColumn| {
        schema.fields().get(index).is_some_and(|field| {
            *field.name() == column.name && (relation.live.is_none() || is_type(&PgType::of_field(field), column))
        })
    };
    let unchanged = relation.columns.len() == schema.fields().len()
        && relation.columns.iter().enumerate().all(|(index, column)| same(index, column));
    if unchanged {
        return Ok((meaning, provider));
    }
    let scanned = TableReference::bare("viewed");
    let mut columns = Vec::with_capacity(relation.columns.len());
    for column in &relation.columns {
        let found = match &meaning {
            Named::Stored(object) => {
                object.columns().iter().find(|now| now.number == column.number).map(|now| now.name.as_str())
            }
            _ => Some(column.name.as_str()),
        };
        let found = found.and_then(|name| schema.index_of(name).ok()).and_then(|index| schema.fields().get(index));
        let problem = match found {
            None => Some("no longer exists".to_owned()),
            Some(field) if relation.live.is_some() => {
                let now = PgType::of_field(field);
                (!is_type(&now, column))
                    .then(|| format!("has type {}, not {},", now.sql_name(), column.data_type.sql_name()))
            }
            Some(_) => None,
        };
        columns.push(match (found, problem) {
            (Some(field), None) => Expr::Column(DfColumn::new(Some(scanned.clone()), field.name().clone())),
            (_, Some(problem)) if column.read => return Err(changed(view, &meaning, &column.name, &problem)),
            // Nothing of the view's result depends on it; its name and type still count for what the text means.
            _ => {
                let field = column.data_type.field("", true);
                let null = ScalarValue::try_from(field.data_type()).map_err(|error| sqlstate::sql_error(&error))?;
                Expr::Literal(null, Some((&field).into()))
            }
        });
    }
    let columns = columns.into_iter().zip(&relation.columns).map(|(expr, column)| expr.alias(column.name.clone()));
    let plan = LogicalPlanBuilder::scan(scanned.clone(), provider_as_source(provider), None)
        .and_then(|plan| plan.project(columns))
        .and_then(LogicalPlanBuilder::build)
        .map_err(|error| sqlstate::sql_error(&error))?;
    Ok((renamed(meaning, relation), Arc::new(ViewTable::new(plan, None))))
}

/// Whether a name means a relation that a view reads.
fn is_of(relation: &ViewedRelation, meaning: &Named) -> bool {
    match (meaning, &relation.live) {
        (Named::Stored(object), None) => object.header().oid == relation.oid,
        (Named::Live(server, [_, schema, name]), Some((own_schema, own_name))) => {
            *server == relation.oid && schema == own_schema && name == own_name
        }
        _ => false,
    }
}

/// Labels that an enum got since are values like its others.
fn is_type(now: &PgType, column: &ViewedColumn) -> bool {
    let was = &column.data_type;
    now.oid == was.oid && now.modifier == was.modifier && now.sql_name() == was.sql_name()
}

/// A stored relation with the columns, and their names, that a view knows: rights on columns go by these names.
fn renamed(meaning: Named, relation: &ViewedRelation) -> Named {
    let Named::Stored(object) = &meaning else { return meaning };
    let mut known = Object::clone(object);
    let columns = match &mut known {
        Object::ForeignTable(table) => &mut table.columns,
        Object::View(view) => &mut view.columns,
        _ => return meaning,
    };
    let all = std::mem::take(columns);
    columns.extend(relation.columns.iter().filter_map(|viewed| {
        let mut column = all.iter().find(|column| column.number == viewed.number)?.clone();
        column.name.clone_from(&viewed.name);
        Some(column)
    }));
    Named::Stored(Arc::new(known))
}

fn changed(view: &View, meaning: &Named, column: &str, problem: &str) -> SqlError {
    let (table, place) = match meaning {
        Named::Live(_, parts) => (parts.join("."), format!(" on server \"{}\"", parts[0])),
        Named::Stored(object) => (object.header().name.clone(), String::new()),
        Named::System(schema, name) => (format!("{schema}.{name}"), String::new()),
    };
    let view = &view.header.name;
    let message = format!("column \"{column}\" of \"{table}\" {problem}{place}");
    SqlError::new(SqlState::FDW_COLUMN_NAME_NOT_FOUND, message)
        .detail(format!("View \"{view}\" reads the column as it was when the view was made."))
        .hint(format!("Drop view \"{view}\" and create it again over the columns that the table has now."))
}
