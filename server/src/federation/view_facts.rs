//! What is stored of a view: its query with names that no search path can turn elsewhere, its columns, what it reads.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::common::DFSchema;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Query, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias,
    TableFactor, Value, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};

use super::optimize::optimize;
use super::planner::{Analyzed, Named, Planned, Planner};
use super::provider::ResolvedRelations;
use super::relations::{cte_names, folded_parts};
use super::semantics::{self, frame_marks};
use super::viewed::viewed;
use super::{naming, pg_catalog};
use crate::catalog::ddl::ViewFacts;
use crate::catalog::model::{Object, ViewedRelation};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::wire::sqlstate;

/// Plans a view's query and says what is to be stored. `text` is the whole statement's, for positions.
///
/// # Errors
/// What planning finds; `42P16` where two columns would have one name.
pub async fn facts(planner: &Planner, query: Query, text: &str) -> SqlResult<ViewFacts> {
    let Analyzed { planned, query: rewritten, sources, system, .. } = planner.analyze(query.clone(), text, &[]).await?;
    if let Some((parameter, place)) = parameter_of(&query) {
        let message = format!("there is no parameter {parameter}");
        return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, message).at(Some(place).filter(|place| *place > 0)));
    }
    let optimized = optimize(&planner.state, planned.plan.clone()).map_err(|error| sqlstate::sql_error(&error))?;
    let analyzed =
        Planned { plan: optimized, relations: planned.relations.clone(), constants: Vec::new(), origins: Vec::new() };
    let columns: Vec<_> = analyzed.columns().into_iter().map(|column| (column.name, column.data_type)).collect();
    let mut stored = with_columns(planner, &query, &planned, &sources, system);
    qualify(&mut stored, planner, &planned);
    let read = planner.columns_read(&rewritten, &sources, &|key| is_kept(planned.relations.get(key)), &[])?;
    let mut depends_on = BTreeSet::new();
    let mut depends_on_columns = BTreeSet::new();
    let mut reads: Vec<ViewedRelation> = Vec::new();
    for (key, named) in &planned.relations {
        match named {
            Named::Stored(object) => {
                depends_on.insert(object.header().oid);
            }
            Named::Live(server, _) => {
                depends_on.insert(*server);
            }
            Named::System(..) => {}
        }
        let source = sources.get(key).and_then(|source| source.as_ref().ok());
        if let Some(relation) = source.and_then(|source| viewed(named, source, key, &read)) {
            add(&mut reads, relation);
        }
    }
    reads.sort_by(|a, b| (a.oid, &a.live).cmp(&(b.oid, &b.live)));
    for (key, column) in read {
        if let Some(Named::Stored(object)) = planned.relations.get(&key)
            && let Some(number) = column_number(object, &column)
        {
            depends_on_columns.insert((object.header().oid, number));
        }
    }
    if columns.len() > 1600 {
        return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, "a view can have at most 1600 columns"));
    }
    Ok(ViewFacts {
        query: frame_marks::written(&stored.to_string()),
        columns,
        depends_on: depends_on.into_iter().collect(),
        depends_on_columns: depends_on_columns.into_iter().collect(),
        reads,
    })
}

/// The first parameter in a query, and where it stands: a view has none.
fn parameter_of(query: &Query) -> Option<(String, usize)> {
    struct Finder;
    impl Visitor for Finder {
        type Break = (String, usize);

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<(String, usize)> {
            match expr {
                Expr::Value(ValueWithSpan { value: Value::Placeholder(name), span }) => {
                    let place = usize::try_from(span.start.column).unwrap_or_default();
                    ControlFlow::Break((name.clone(), place))
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    query.visit(&mut Finder).break_value()
}

fn is_kept(named: Option<&Named>) -> bool {
    matches!(named, Some(Named::Stored(_) | Named::Live(..)))
}

/// A query may name one relation in more than one way.
fn add(reads: &mut Vec<ViewedRelation>, relation: ViewedRelation) {
    let known = reads.iter_mut().find(|known| known.oid == relation.oid && known.live == relation.live);
    let Some(known) = known else { return reads.push(relation) };
    for (known, column) in known.columns.iter_mut().zip(relation.columns) {
        known.read |= column.read;
    }
}

/// A view's query with its stars written out. Where that would change what it means (two columns of one name, say), only
/// those of the outermost list are.
fn with_columns(
    planner: &Planner,
    query: &Query,
    planned: &Planned,
    sources: &ResolvedRelations,
    system: bool,
) -> Query {
    let describe = |part: Query| described(planner, part, sources, system);
    let mut all = query.clone();
    semantics::expand_stars(&mut all, &describe);
    let columns = |query: &Query| {
        let columns = describe(query.clone()).ok()?.into_iter();
        Some(columns.map(|column| (naming::shown(&column.name).to_owned(), column.data_type)).collect::<Vec<_>>())
    };
    // Some queries cannot be planned in this way (with names that stand for whole rows, say): nothing speaks against them.
    if all == *query || columns(query).is_none_or(|before| columns(&all).is_some_and(|after| after == before)) {
        return all;
    }
    let mut outermost = query.clone();
    expand_star(&mut outermost, planned.plan.schema());
    outermost
}

/// The columns of a part of a query as it was written.
fn described(
    planner: &Planner,
    mut part: Query,
    sources: &ResolvedRelations,
    system: bool,
) -> SqlResult<Vec<semantics::JoinedColumn>> {
    let is_aggregate = |name: &str| planner.state.aggregate_functions().contains_key(name);
    naming::name_columns(&mut part);
    semantics::rewrite_windows(&mut part, &is_aggregate)?;
    let describe = |part: Query| planner.describe(part, sources, &[]);
    if system {
        pg_catalog::rewrite(&mut part);
        semantics::rewrite_catalog(&mut part);
    } else {
        semantics::rewrite_casts(&mut part)?;
        semantics::unify_values(&mut part, &describe, &[])?;
        semantics::merge_join_columns(&mut part, &describe)?;
        semantics::expand_grouping_sets(&mut part, &describe)?;
    }
    semantics::unify_branches(&mut part, &describe)?;
    planner.describe(part, sources, &[])
}

fn column_number(object: &Object, name: &str) -> Option<i16> {
    object.columns().iter().find(|column| column.name == name).map(|column| column.number)
}

/// Replaces `*` and `t.*` of the outermost select list by the columns they cover today, as PostgreSQL does.
fn expand_star(query: &mut Query, schema: &DFSchema) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let is_star = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(_, _));
    let named = select.projection.iter().filter(|item| !is_star(item)).count();
    let stars = select.projection.len() - named;
    let Some(mut covered) = schema.fields().len().checked_sub(named).filter(|_| stars > 0) else { return };
    let mut expanded = Vec::with_capacity(schema.fields().len());
    let mut field = 0;
    let mut stars_left = stars;
    for item in std::mem::take(&mut select.projection) {
        let count = match &item {
            SelectItem::QualifiedWildcard(kind, _) if stars_left > 1 => {
                let SelectItemQualifiedWildcardKind::ObjectName(name) = kind else { return };
                let table = folded_parts(name).pop();
                (field..schema.fields().len())
                    .take_while(|index| schema.qualified_field(*index).0.map(|q| q.table()) == table.as_deref())
                    .count()
                    .min(covered)
            }
            item if is_star(item) => covered,
            _ => {
                expanded.push(item);
                field += 1;
                continue;
            }
        };
        stars_left -= 1;
        covered -= count;
        for index in field..field + count {
            let (qualifier, column) = schema.qualified_field(index);
            let column = Ident::with_quote('"', super::naming::shown(column.name()));
            expanded.push(SelectItem::UnnamedExpr(match qualifier {
                Some(table) => Expr::CompoundIdentifier(vec![Ident::with_quote('"', table.table()), column]),
                None => Expr::Identifier(column),
            }));
        }
        field += count;
    }
    select.projection = expanded;
}

/// Writes every relation's full name into the query. A relation without an alias keeps its short name as one, so that
/// columns that are qualified by it still find it.
fn qualify(query: &mut Query, planner: &Planner, planned: &Planned) {
    struct Qualifier<'a> {
        planner: &'a Planner,
        planned: &'a Planned,
        ctes: Vec<String>,
    }
    impl VisitorMut for Qualifier<'_> {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            let TableFactor::Table { name, alias, args: None, .. } = factor else { return ControlFlow::Continue(()) };
            let parts = folded_parts(name);
            if matches!(&parts[..], [only] if self.ctes.contains(only)) {
                return ControlFlow::Continue(());
            }
            let full = match self.planned.relations.get(&parts) {
                Some(Named::Stored(object)) => {
                    let schema = object.schema().and_then(|oid| self.planner.catalog.schema_by_oid(oid));
                    let Some(schema) = schema else { return ControlFlow::Continue(()) };
                    vec![schema.header.name.clone(), object.header().name.clone()]
                }
                Some(Named::Live(_, parts)) => parts.to_vec(),
                Some(Named::System(schema, name)) => vec![schema.clone(), name.clone()],
                None => return ControlFlow::Continue(()),
            };
            if alias.is_none()
                && let Some(short) = parts.last()
            {
                *alias = Some(TableAlias { explicit: false, name: quoted(short), columns: Vec::new(), at: None });
            }
            *name = ObjectName(full.iter().map(|part| ObjectNamePart::Identifier(quoted(part))).collect());
            ControlFlow::Continue(())
        }
    }
    let ctes = cte_names(query);
    let _ = query.visit(&mut Qualifier { planner, planned, ctes });
}

/// An identifier, quoted where it must be.
fn quoted(name: &str) -> Ident {
    let plain = name
        .chars()
        .enumerate()
        .all(|(index, c)| c == '_' || c.is_ascii_lowercase() || (index > 0 && c.is_ascii_digit()));
    // Quoting a keyword costs a reader little; a list of keywords would have to follow the parser's.
    if plain && name.len() > 4 { Ident::new(name) } else { Ident::with_quote('"', name) }
}
