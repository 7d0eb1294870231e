//! The name of a FROM item in the place of a column: its whole row.
//!
//! Of a function that returns plain values the row is the value, so `FROM jsonb_array_elements(j) AS e` lets `e ->> 'k'`
//! read the elements. Of every other item it is a record, which only functions of JSON and `count` take. A name is a
//! column's first, so this is done to names that planning has not found.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, JoinOperator,
    ObjectName, ObjectNamePart, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableFactor, TableWithJoins, Value, VisitMut, VisitorMut, WildcardAdditionalOptions,
};

use super::around::Around;
use super::from_sets::set_value;
use super::join_using::Describe;
use super::rewrite::{call, parsed};
use super::{collect, functions, rows};
use crate::error::{SqlError, SqlResult};
use crate::federation::aliases::whole_wildcards;
use crate::federation::naming::{self, folded};

/// Behind a FROM item's name: its whole row, also where a column has the name.
pub const WHOLE_ROW: &str = "\u{1}*";

/// Puts the row of the FROM items of a name in the place of the name. Returns whether there is such a place.
///
/// # Errors
/// `0A000` where a record would be needed.
pub fn name_whole_rows(query: &mut Query, name: &str, describe: &Describe<'_>) -> SqlResult<bool> {
    let mut rows = Rows { name, describe, around: Around::default(), changed: false };
    match query.visit(&mut rows) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(rows.changed),
    }
}

struct Rows<'a> {
    name: &'a str,
    describe: &'a Describe<'a>,
    around: Around,
    changed: bool,
}

impl VisitorMut for Rows<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        self.around.enter(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        let mut order: Vec<&mut Expr> = match query.order_by.as_mut().map(|order| &mut order.kind) {
            Some(OrderByKind::Expressions(keys)) => keys.iter_mut().map(|key| &mut key.expr).collect(),
            _ => Vec::new(),
        };
        let done = self.body(&mut query.body, &mut order);
        self.around.leave(query);
        match done {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// What a name stands for.
enum Row {
    /// The only column of a function.
    Value(Box<Expr>),
    /// The columns of a record, by their names.
    Record(Vec<(String, Expr)>),
}

impl Row {
    /// The row as a value. The row of an outer join's missing side is NULL, and not a record of NULLs.
    fn value(&self, nullable: bool) -> Option<Expr> {
        match self {
            Self::Value(value) => Some(value.as_ref().clone()),
            Self::Record(_) if nullable => None,
            Self::Record(columns) => Some(rows::record(columns.iter().map(|(_, column)| column.clone()).collect())),
        }
    }

    /// `row IS NULL`, `row IS NOT NULL`: what holds of all fields.
    fn tested(&self, test: impl Fn(Box<Expr>) -> Expr) -> Option<Expr> {
        let Self::Record(columns) = self else { return None };
        let tests = columns.iter().map(|(_, column)| test(Box::new(column.clone())));
        tests.reduce(|left, right| Expr::BinaryOp {
            left: Box::new(left),
            op: BinaryOperator::And,
            right: Box::new(right),
        })
    }
}

impl Rows<'_> {
    fn body(&mut self, body: &mut SetExpr, order: &mut [&mut Expr]) -> SqlResult<()> {
        match body {
            SetExpr::Select(select) => self.select(select, order),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, &mut [])?;
                self.body(right, &mut [])
            }
            _ => Ok(()),
        }
    }

    fn select(&mut self, select: &mut Select, order: &mut [&mut Expr]) -> SqlResult<()> {
        let named = self.name.strip_suffix(WHOLE_ROW);
        let own = named.unwrap_or(self.name);
        let Some((item, nullable)) = select.from.iter().find_map(|from| item_of(from, own)) else {
            return Ok(());
        };
        let alias = Ident::with_quote('"', own);
        let row = match set_value(item) {
            Some(column) => Row::Value(Box::new(Expr::CompoundIdentifier(vec![alias, column]))),
            None => {
                let Some(columns) = self.columns(select, item, &alias) else { return Ok(()) };
                Row::Record(columns)
            }
        };
        let mut replacer = Replacer { name: self.name, row: &row, nullable, depth: 0, blocked: 0, changed: false };
        let mut flow = ControlFlow::Continue(());
        let shown_as = |item: &SelectItem| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
            _ => None,
        };
        // What a key calls by this name is the output column first.
        let is_output = select.projection.iter().any(|item| shown_as(item).as_deref() == Some(self.name));
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr @ Expr::Identifier(_)) = item
                && is_name(expr, self.name)
            {
                let Some(value) = row.value(nullable) else { return Err(unsupported(self.name)) };
                *item = SelectItem::ExprWithAlias { expr: value, alias: Ident::with_quote('"', own) };
                replacer.changed = true;
            } else if flow.is_continue() {
                flow = item.visit(&mut replacer);
            }
        }
        let mut exprs: Vec<&mut Expr> = select.selection.iter_mut().chain(&mut select.having).collect();
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            exprs.extend(keys.iter_mut().filter(|key| !(is_output && is_name(key, self.name))));
        }
        exprs.extend(order.iter_mut().map(|key| &mut **key).filter(|key| !(is_output && is_name(key, self.name))));
        for expr in exprs {
            if flow.is_continue() {
                flow = expr.visit(&mut replacer);
            }
        }
        for from in &mut select.from {
            if flow.is_continue() {
                flow = from.visit(&mut replacer);
            }
        }
        self.changed |= replacer.changed;
        match flow {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    /// The columns of a FROM item; `None` where they cannot be told.
    fn columns(&self, select: &Select, item: &TableFactor, alias: &Ident) -> Option<Vec<(String, Expr)>> {
        // An item that reads the items before it is planned with them, and one that reads an outer query not at all.
        let alone = vec![TableWithJoins { relation: item.clone(), joins: Vec::new() }];
        let names = [alone, select.from.clone()]
            .into_iter()
            .find_map(|from| self.planned(from, alias))
            .or_else(|| written(item))?;
        let named = names.into_iter().map(|name| {
            let parts = vec![alias.clone(), Ident::with_quote('"', &name)];
            (naming::shown(&name).to_owned(), Expr::CompoundIdentifier(parts))
        });
        Some(named.collect())
    }

    fn planned(&self, from: Vec<TableWithJoins>, alias: &Ident) -> Option<Vec<String>> {
        let mut query = parsed("SELECT 1 FROM x").ok()?;
        let SetExpr::Select(body) = query.body.as_mut() else { return None };
        body.from = from;
        let name = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![alias.clone()]));
        body.projection = vec![SelectItem::QualifiedWildcard(name, WildcardAdditionalOptions::default())];
        query.with = self.around.clause(&query.body, None);
        whole_wildcards(&mut query);
        let columns = (self.describe)(query).ok()?;
        Some(columns.into_iter().map(|column| column.name).collect())
    }
}

/// The names that a subquery in FROM gives its columns.
fn written(item: &TableFactor) -> Option<Vec<String>> {
    let TableFactor::Derived { subquery, alias: Some(alias), .. } = item else { return None };
    let SetExpr::Select(select) = subquery.body.as_ref() else { return None };
    if !alias.columns.is_empty() {
        return None;
    }
    select
        .projection
        .iter()
        .map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(folded(name)),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last().map(folded),
            _ => None,
        })
        .collect()
}

fn is_name(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Identifier(ident) if folded(ident) == name)
}

/// The item of a name in a FROM item, and whether a join may give NULL for its row.
fn item_of<'a>(from: &'a TableWithJoins, name: &str) -> Option<(&'a TableFactor, bool)> {
    let mut found = factor_of(&from.relation, name);
    for join in &from.joins {
        let (nulls_before, nulls_here) = match &join.join_operator {
            JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => (false, true),
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => (true, false),
            JoinOperator::FullOuter(_) => (true, true),
            _ => (false, false),
        };
        found = match found {
            Some((factor, nullable)) => Some((factor, nullable || nulls_before)),
            None => factor_of(&join.relation, name).map(|(factor, nullable)| (factor, nullable || nulls_here)),
        };
    }
    found
}

fn factor_of<'a>(factor: &'a TableFactor, name: &str) -> Option<(&'a TableFactor, bool)> {
    match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } => item_of(table_with_joins, name),
        factor => (alias_of(factor).as_deref() == Some(name)).then_some((factor, false)),
    }
}

fn alias_of(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::NestedJoin { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. } => Some(folded(&alias.name)),
        TableFactor::Table { name, .. } => name.0.last().and_then(ObjectNamePart::as_ident).map(folded),
        _ => None,
    }
}

struct Replacer<'a> {
    name: &'a str,
    row: &'a Row,
    nullable: bool,
    depth: usize,
    /// At which depth the name may be another item's; 0 where it may not.
    blocked: usize,
    changed: bool,
}

impl VisitorMut for Replacer<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        self.depth += 1;
        if self.blocked == 0 && may_have(&query.body, self.name) {
            self.blocked = self.depth;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<SqlError> {
        if self.blocked == self.depth {
            self.blocked = 0;
        }
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        if self.blocked > 0 {
            return ControlFlow::Continue(());
        }
        let tested = match &*expr {
            Expr::IsNull(inner) if is_name(inner, self.name) => self.row.tested(Expr::IsNull),
            Expr::IsNotNull(inner) if is_name(inner, self.name) => self.row.tested(Expr::IsNotNull),
            _ => None,
        };
        if let Some(tested) = tested {
            *expr = Expr::Nested(Box::new(tested));
            self.changed = true;
            return ControlFlow::Continue(());
        }
        if let (Row::Record(columns), Some(name)) = (self.row, function_of(expr, self.name)) {
            match taken(expr, &name, columns, self.nullable) {
                Some(replaced) => {
                    *expr = replaced;
                    self.changed = true;
                }
                // A record's text is no JSON.
                None if name.contains("json") => return ControlFlow::Break(unsupported(self.name)),
                None => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        if self.blocked == 0 && is_name(expr, self.name) {
            match self.row.value(self.nullable) {
                Some(value) => *expr = value,
                None => return ControlFlow::Break(unsupported(self.name)),
            }
            self.changed = true;
        }
        match rows::compare_records(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn unsupported(name: &str) -> SqlError {
    SqlError::unsupported(format!("the whole row of \"{name}\" as a value is not supported here"))
        .hint("Name its columns one by one.")
}

/// Whether a subquery may have an item or a column of a name. Only of items that are written out it is known.
fn may_have(body: &SetExpr, name: &str) -> bool {
    let item = |factor: &TableFactor| match factor {
        TableFactor::Derived { subquery, alias: Some(alias), .. } if alias.columns.is_empty() => {
            folded(&alias.name) == name || shows(&subquery.body, name)
        }
        _ => true,
    };
    match body {
        SetExpr::Select(select) => {
            select.from.iter().any(|from| item(&from.relation) || from.joins.iter().any(|join| item(&join.relation)))
        }
        _ => true,
    }
}

fn shows(body: &SetExpr, name: &str) -> bool {
    match body {
        SetExpr::Select(select) => select.projection.iter().any(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => folded(alias) == name,
            _ => true,
        }),
        _ => true,
    }
}

/// The name of a function one of whose arguments is a name by itself.
fn function_of(expr: &Expr, argument: &str) -> Option<String> {
    let Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    let named =
        |arg: &FunctionArg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) if is_name(expr, argument));
    list.args.iter().any(named).then(|| function.name.to_string().to_lowercase())
}

/// A function of a record in terms of the record's columns.
fn taken(expr: &Expr, name: &str, columns: &[(String, Expr)], nullable: bool) -> Option<Expr> {
    let Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    // The row of an outer join's missing side is NULL, and not a record of NULLs.
    if list.args.len() != 1 || nullable {
        return None;
    }
    let object = |constructor: &str| {
        let members = columns.iter().flat_map(|(name, column)| {
            [Expr::Value(Value::SingleQuotedString(name.clone()).with_empty_span()), column.clone()]
        });
        call(&functions::named(constructor).unwrap_or_default(), members.collect())
    };
    let is = |ours: Option<String>| ours.is_some_and(|ours| ours == name);
    let with_argument = |name: Option<String>, argument: Expr| {
        let mut function = function.clone();
        if let Some(name) = name {
            function.name = ObjectName::from(vec![Ident::new(name)]);
        }
        if let FunctionArguments::List(list) = &mut function.args {
            list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))];
        }
        Expr::Function(function)
    };
    if is(functions::named("row_to_json")) || is(functions::named("to_json")) {
        Some(object("record_json"))
    } else if is(functions::named("to_jsonb")) {
        Some(object("jsonb_build_object"))
    } else if is(collect::named("json_agg", false)) {
        Some(with_argument(collect::named("json_records_agg", false), object("record_json")))
    } else if is(collect::named("jsonb_agg", false)) {
        Some(with_argument(None, object("jsonb_build_object")))
    } else if name == "count" && list.duplicate_treatment.is_none() {
        Some(with_argument(None, Expr::Value(Value::Number("1".into(), false).with_empty_span())))
    } else {
        None
    }
}
