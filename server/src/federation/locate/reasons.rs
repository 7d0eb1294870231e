//! What DataFusion's errors leave out, told from the query as it was written and from the types of its columns.

use std::ops::ControlFlow;

use atoll_connector_api::types::{PgType, oids, parse_scalar};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, JoinConstraint, LimitClause, ObjectNamePart, Query, Select, SelectItem, TableAlias, TableFactor,
    TableWithJoins, Value, Visit, Visitor,
};

use super::candidates::{each_query, each_select};
use super::expressions::{Columns, Known, start_of};
use super::source::{Source, of_ident};
use super::{Statement, folded, operators};
use crate::error::{SqlError, SqlState};
use crate::statement::tree::constraint;
use crate::wire::sqlstate::with_near_names;

/// PostgreSQL's error in the place of one that says less.
pub(in crate::federation) fn sharpen(error: SqlError, statement: Statement<'_>) -> SqlError {
    let source = Source::of(statement.text, statement.query, statement.columns);
    let sharper = match error.sqlstate {
        SqlState::INVALID_COLUMN_REFERENCE => short_list(&error, statement),
        SqlState::DATATYPE_MISMATCH => condition(&error, statement, &source),
        SqlState::UNDEFINED_COLUMN => using(&error, statement).or_else(|| variable_limit(&error, statement, &source)),
        SqlState::UNDEFINED_TABLE => {
            variable_limit(&error, statement, &source).or_else(|| out_of_reach(&error, statement))
        }
        SqlState::UNDEFINED_FUNCTION | SqlState::FEATURE_NOT_SUPPORTED => {
            operators::missing(&error, statement, &source)
        }
        _ => None,
    };
    sharper.unwrap_or(error)
}

fn between<'a>(message: &'a str, before: &str, after: &str) -> Option<&'a str> {
    message.strip_prefix(before)?.strip_suffix(after)
}

/// `table has 1 columns available but 2 columns specified`: which it is.
fn short_list(error: &SqlError, statement: Statement<'_>) -> Option<SqlError> {
    struct Lists {
        given: usize,
        found: Vec<(bool, TableAlias)>,
    }
    impl Lists {
        fn offer(&mut self, is_query: bool, alias: &TableAlias) {
            if alias.columns.len() == self.given {
                self.found.push((is_query, alias.clone()));
            }
        }
    }
    impl Visitor for Lists {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
                self.offer(true, &cte.alias);
            }
            ControlFlow::Continue(())
        }

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            if let Some(alias) = alias_of(factor) {
                self.offer(false, alias);
            }
            ControlFlow::Continue(())
        }
    }
    let rest = error.message.strip_prefix("table has ")?;
    let given = rest.strip_suffix(" columns specified")?.rsplit(' ').next()?.parse().ok()?;
    let mut lists = Lists { given, found: Vec::new() };
    let _ = statement.query.visit(&mut lists);
    let [(is_query, alias)] = lists.found.as_slice() else { return None };
    let kind = if *is_query { "WITH query" } else { "table" };
    let message = format!("{kind} \"{}\" has {rest}", folded(&alias.name));
    Some(SqlError::new(error.sqlstate, message).at(of_ident(&alias.name).filter(|_| *is_query)))
}

/// `argument of WHERE must be type boolean`, which may be HAVING's, of a type that has another name here.
fn condition(error: &SqlError, statement: Statement<'_>, source: &Source<'_>) -> Option<SqlError> {
    let (place, _) = error.message.strip_prefix("argument of ")?.split_once(" must be type boolean, not type ")?;
    if !matches!(place, "WHERE" | "JOIN/ON") {
        return None;
    }
    let mut wrong: Vec<(&str, Expr)> = Vec::new();
    each_select(statement.query, &mut |select: &Select| {
        let mut offer = |clause: &'static str, expr: &Expr| {
            let is_wrong = match source.type_of(expr) {
                Known::Type(name) => name != "boolean",
                Known::Unknown => true,
                Known::Any => false,
            };
            if is_wrong {
                wrong.push((clause, expr.clone()));
            }
        };
        for join in select.from.iter().flat_map(|from| &from.joins) {
            if let Some(JoinConstraint::On(on)) = constraint(&join.join_operator) {
                offer("JOIN/ON", on);
            }
        }
        select.selection.iter().for_each(|expr| offer("WHERE", expr));
        select.having.iter().for_each(|expr| offer("HAVING", expr));
    });
    let (clause, expr) = wrong.first()?;
    let position = start_of(expr, source);
    match source.type_of(expr) {
        Known::Type(name) => {
            let message = format!("argument of {clause} must be type boolean, not type {name}");
            Some(SqlError::new(error.sqlstate, message).at(position))
        }
        Known::Unknown => {
            let Expr::Value(value) = plain(expr) else { return None };
            let (Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text)) = &value.value else {
                return None;
            };
            parse_scalar(text, &PgType::new(oids::BOOL)).err()?;
            let message = format!("invalid input syntax for type boolean: \"{text}\"");
            Some(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message).at(position))
        }
        Known::Any => None,
    }
}

fn plain(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => plain(inner),
        expr => expr,
    }
}

fn alias_of(factor: &TableFactor) -> Option<&TableAlias> {
    match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. } => alias.as_ref(),
        _ => None,
    }
}

/// `column "x" does not exist` where USING names it.
fn using(error: &SqlError, statement: Statement<'_>) -> Option<SqlError> {
    let name = between(&error.message, "column \"", "\" does not exist")?;
    let has = |factor: &TableFactor| statement.columns.has(&Item::of(factor)?.name?, name);
    let mut found = None;
    each_select(statement.query, &mut |select: &Select| {
        for from in &select.from {
            let mut left = vec![&from.relation];
            for join in &from.joins {
                if let Some(JoinConstraint::Using(names)) = constraint(&join.join_operator)
                    && names
                        .iter()
                        .any(|own| own.0.last().and_then(ObjectNamePart::as_ident).map(folded).as_deref() == Some(name))
                {
                    let on_the_left = left.iter().map(|factor| has(factor)).collect::<Option<Vec<bool>>>();
                    let side = match (on_the_left, has(&join.relation)) {
                        (Some(left), _) if !left.contains(&true) => Some("left"),
                        (Some(_), Some(false)) => Some("right"),
                        _ => None,
                    };
                    found = found.or(side);
                }
                left.push(&join.relation);
            }
        }
    });
    let message = format!("column \"{name}\" specified in USING clause does not exist in {} table", found?);
    Some(SqlError::new(error.sqlstate, message))
}

/// Columns in LIMIT and OFFSET.
fn variable_limit(error: &SqlError, statement: Statement<'_>, source: &Source<'_>) -> Option<SqlError> {
    let name = between(&error.message, "column \"", "\" does not exist")
        .or_else(|| between(&error.message, "missing FROM-clause entry for table \"", "\""))?;
    let mut found = None;
    each_query(statement.query, &mut |query: &Query| {
        let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause else { return };
        let limit = limit.iter().map(|limit| ("LIMIT", limit));
        for (clause, rows) in limit.chain(offset.iter().map(|offset| ("OFFSET", &offset.value))) {
            let Some(position) = variable(rows, name) else { continue };
            let error = match source.type_of(rows) {
                Known::Type(own) if !is_countable(&own) => {
                    let message = format!("argument of {clause} must be type bigint, not type {own}");
                    SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(start_of(rows, source))
                }
                Known::Type(_) => {
                    let message = format!("argument of {clause} must not contain variables");
                    SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position)
                }
                _ => continue,
            };
            found = found.take().or(Some(error));
        }
    });
    found
}

/// Whether a type is assigned to `bigint` by itself.
fn is_countable(name: &str) -> bool {
    matches!(name, "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" | "oid")
}

/// The place of a column of that name, or of a table of that name.
fn variable(expr: &Expr, name: &str) -> Option<Option<usize>> {
    struct Finder<'a>(&'a str);
    impl Visitor for Finder<'_> {
        type Break = Option<usize>;

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Option<usize>> {
            match expr {
                Expr::Identifier(ident) if folded(ident) == self.0 => ControlFlow::Break(of_ident(ident)),
                Expr::CompoundIdentifier(parts) if parts.iter().any(|part| folded(part) == self.0) => {
                    ControlFlow::Break(parts.first().and_then(of_ident))
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Finder(name)).break_value()
}

/// An item of a FROM clause.
struct Item {
    /// What it is called in the query.
    name: Option<String>,
    /// The relation, where it is one with another name.
    table: Option<String>,
    position: usize,
}

impl Item {
    fn of(factor: &TableFactor) -> Option<Self> {
        let alias = alias_of(factor).map(|alias| folded(&alias.name));
        let (table, position) = match factor {
            TableFactor::Table { name, .. } => {
                let first = name.0.first().and_then(ObjectNamePart::as_ident)?;
                (name.0.last().and_then(ObjectNamePart::as_ident).map(folded), of_ident(first)?)
            }
            factor => (None, alias_of(factor).and_then(|alias| of_ident(&alias.name)).unwrap_or(0)),
        };
        match alias {
            Some(alias) => Some(Self { table: table.filter(|table| *table != alias), name: Some(alias), position }),
            None => Some(Self { name: table, table: None, position }),
        }
    }
}

/// The FROM items of a query, and whether it is one of these itself, which does not see those around.
struct Scope {
    items: Vec<Item>,
    closed: bool,
}

/// Why a name does not refer to a relation of that name.
enum Unreached {
    /// It has an alias, or stands where it cannot be referred to.
    Entry { alias: Option<String> },
    /// It is seen, and has no such column: DataFusion looks for columns in the innermost query alone.
    Column(String),
}

/// `missing FROM-clause entry for table "t"` where `t` has another name, stands where it cannot be referred to, or is
/// that of a query around and has no such column.
fn out_of_reach(error: &SqlError, statement: Statement<'_>) -> Option<SqlError> {
    struct Finder<'a> {
        name: &'a str,
        columns: &'a Columns,
        closes: bool,
        scopes: Vec<Scope>,
        found: Option<(Option<usize>, Unreached)>,
    }
    impl Finder<'_> {
        fn reference(&mut self, position: Option<usize>, column: Option<&Ident>) -> ControlFlow<()> {
            let mut is_seen = true;
            for (around, scope) in self.scopes.iter().rev().enumerate() {
                let first = scope.items.iter().map(|item| item.position).min().unwrap_or(0);
                let place = position.unwrap_or(0);
                let item = scope.items.iter().find(|item| {
                    let named = item.name.as_deref() == Some(self.name) || item.table.as_deref() == Some(self.name);
                    // In FROM only what stands before.
                    named && (item.position < place || place < first)
                });
                if let Some(item) = item {
                    let is_called_so = is_seen && item.name.as_deref() == Some(self.name);
                    if let Some(column) = column.map(folded).filter(|_| is_called_so) {
                        let has = self.columns.has(self.name, &column);
                        if has == Some(true) && around > 0 {
                            return ControlFlow::Continue(());
                        }
                        if has == Some(false) || around > 0 {
                            self.found = Some((position, Unreached::Column(column)));
                            return ControlFlow::Break(());
                        }
                    }
                    let alias = item.name.clone().filter(|_| is_seen && item.table.as_deref() == Some(self.name));
                    self.found = Some((position, Unreached::Entry { alias }));
                    break;
                }
                is_seen &= !scope.closed;
            }
            ControlFlow::Break(())
        }
    }
    impl Visitor for Finder<'_> {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            let closed = std::mem::take(&mut self.closes);
            let mut items = Vec::new();
            if let Some(select) = query.body.as_select() {
                items.extend(select.from.iter().flat_map(items_of));
            }
            self.scopes.push(Scope { items, closed });
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.scopes.pop();
            ControlFlow::Continue(())
        }

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            // Of a set operation.
            if let Some(scope) = self.scopes.last_mut()
                && scope.items.is_empty()
            {
                scope.items.extend(select.from.iter().flat_map(items_of));
            }
            for item in &select.projection {
                use datafusion::sql::sqlparser::ast::SelectItemQualifiedWildcardKind::ObjectName;
                if let SelectItem::QualifiedWildcard(ObjectName(table), _) = item
                    && let Some(ident) = table.0.last().and_then(ObjectNamePart::as_ident)
                    && folded(ident) == self.name
                {
                    return self.reference(of_ident(ident), None);
                }
            }
            ControlFlow::Continue(())
        }

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            self.closes = matches!(factor, TableFactor::Derived { lateral: false, .. });
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::CompoundIdentifier(parts) = expr
                && let [.., table, column] = parts.as_slice()
                && folded(table) == self.name
            {
                return self.reference(parts.first().and_then(of_ident), Some(column));
            }
            ControlFlow::Continue(())
        }
    }
    let name = between(&error.message, "missing FROM-clause entry for table \"", "\"")?;
    let columns = statement.columns;
    let mut finder = Finder { name, columns, closes: false, scopes: Vec::new(), found: None };
    let _ = statement.query.visit(&mut finder);
    let (position, reason) = finder.found?;
    let hint = match reason {
        Unreached::Entry { alias: Some(alias) } => {
            format!("Perhaps you meant to reference the table alias \"{alias}\".")
        }
        Unreached::Entry { alias: None } => {
            format!("There is an entry for table \"{name}\", but it cannot be referenced from this part of the query.")
        }
        Unreached::Column(column) => {
            let message = format!("column {name}.{column} does not exist");
            let error = SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(position);
            return Some(with_near_names(error, &column, columns.of(name).into_iter().map(|own| (name, own))));
        }
    };
    let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
    Some(SqlError::new(error.sqlstate, message).hint(hint).at(position))
}

fn items_of(from: &TableWithJoins) -> Vec<Item> {
    let joined = from.joins.iter().map(|join| &join.relation);
    std::iter::once(&from.relation).chain(joined).flat_map(items_of_factor).collect()
}

fn items_of_factor(factor: &TableFactor) -> Vec<Item> {
    match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } => items_of(table_with_joins),
        factor => Item::of(factor).into_iter().collect(),
    }
}
