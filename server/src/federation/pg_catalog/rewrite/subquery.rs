//! Subqueries in expressions: correlated ones become left joins, `ARRAY(SELECT …)` an aggregation or a lambda.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList,
    FunctionArguments, GroupByExpr, Join, JoinConstraint, JoinOperator, LambdaFunction, LambdaFunctionParameter,
    LambdaSyntax, LimitClause, OneOrManyWithParens, OrderByExpr, OrderByKind, Query, Select, SelectFlavor, SelectItem,
    SetExpr, TableFactor, TableWithJoins, Value, VisitMut, VisitorMut,
};

use super::build::{all_of, binary, call, column, folded, ident, number, parts, string, value};
use super::empty::{has_empty_item, type_of};
use super::expression::Place;
use super::from::{collect, derived, plain_alias};
use super::scope::{Scope, has_aggregate, references};
use super::{Rewriter, is_grouped};

/// A join that an expression needs.
#[derive(Debug)]
pub(super) struct Hoist {
    table: TableFactor,
    on: Expr,
}

/// Adds the joins to a FROM list. With several items the list becomes one chain of cross joins first, since a join's
/// condition may refer to any of them.
pub(super) fn attach(from: &mut Vec<TableWithJoins>, hoists: Vec<Hoist>) {
    if hoists.is_empty() {
        return;
    }
    let mut items = std::mem::take(from).into_iter();
    let Some(mut chain) = items.next() else { return };
    for item in items {
        let relation = if item.joins.is_empty() {
            item.relation
        } else {
            TableFactor::NestedJoin { table_with_joins: Box::new(item), alias: None }
        };
        let join_operator = JoinOperator::CrossJoin(JoinConstraint::None);
        chain.joins.push(Join { relation, global: false, join_operator });
    }
    for hoist in hoists {
        let join_operator = JoinOperator::LeftOuter(JoinConstraint::On(hoist.on));
        chain.joins.push(Join { relation: hoist.table, global: false, join_operator });
    }
    from.push(chain);
}

/// An empty query, to be filled in.
pub(super) fn no_query() -> Query {
    Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(select_of(Vec::new(), Vec::new())))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

/// `SELECT projection FROM from`.
pub(super) fn select_of(projection: Vec<SelectItem>, from: Vec<TableWithJoins>) -> Select {
    Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection,
        exclude: None,
        into: None,
        from,
        lateral_views: Vec::new(),
        prewhere: None,
        selection: None,
        connect_by: Vec::new(),
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    }
}

/// What a subquery is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scalar,
    Array,
    Exists,
}

/// A condition that ties the subquery to its surroundings.
#[derive(Default)]
struct Correlation {
    /// (inner, outer) sides of equalities.
    keys: Vec<(Expr, Expr)>,
    /// Conditions on the outer side alone.
    guards: Vec<Expr>,
    /// Other conditions over both sides.
    mixed: Vec<Expr>,
    /// Conditions on the inner side alone.
    inner: Vec<Expr>,
}

impl Rewriter {
    /// `(SELECT …)` and `EXISTS (SELECT …)`.
    pub(super) fn subquery(&mut self, expr: &mut Expr, place: &mut Place<'_, '_>) {
        let (query, kind, negated) = match expr {
            Expr::Subquery(query) => (query, Kind::Scalar, false),
            Expr::Exists { subquery, negated } => (subquery, Kind::Exists, *negated),
            _ => return,
        };
        if let Some(mut domain) = walked_domain(query) {
            self.expression(&mut domain, &mut Place::inner(place.scope));
            *expr = call("domain_base_type", vec![domain]);
            return;
        }
        self.query(query, place.scope);
        if let Some(constant) = constant_result(query, kind, place.scope) {
            *expr = if negated { value(Value::Boolean(true)) } else { constant };
            return;
        }
        // DataFusion makes semi joins of these itself.
        if kind == Kind::Exists && place.conjunct {
            return;
        }
        let Some(hoists) = place.hoists.as_deref_mut() else { return };
        if let Some((result, hoist)) = self.hoist(query, kind, place.scope) {
            hoists.push(hoist);
            *expr = match (kind, negated) {
                (Kind::Exists, true) => Expr::IsNull(Box::new(result)),
                (Kind::Exists, false) => Expr::IsNotNull(Box::new(result)),
                _ => result,
            };
        }
    }

    /// `ARRAY(SELECT …)`.
    pub(super) fn array_subquery(&mut self, expr: &mut Expr, place: &mut Place<'_, '_>) {
        let Expr::Function(Function { args: FunctionArguments::Subquery(query), .. }) = expr else { return };
        if let Some(lambda) = self.over_elements(query, place) {
            *expr = lambda;
            return;
        }
        self.query(query, place.scope);
        if let Some(constant) = constant_result(query, Kind::Array, place.scope) {
            *expr = constant;
            return;
        }
        if let Some(hoists) = place.hoists.as_deref_mut()
            && let Some((result, hoist)) = self.hoist(query, Kind::Array, place.scope)
        {
            hoists.push(hoist);
            *expr = call("array_or_empty", vec![result]);
            return;
        }
        // Uncorrelated, or for DataFusion to try: an aggregation always has its one row.
        let mut query = std::mem::replace(&mut **query, no_query());
        if aggregate_into_array(&mut query) {
            *expr = call("array_or_empty", vec![Expr::Subquery(Box::new(query))]);
        } else {
            let mut outer = no_query();
            let element = column("elements", "element");
            let item = SelectItem::UnnamedExpr(array_agg(element, Vec::new()));
            let mut alias = plain_alias("elements");
            alias.columns =
                vec![datafusion::sql::sqlparser::ast::TableAliasColumnDef { name: ident("element"), data_type: None }];
            let from = TableWithJoins { relation: derived(query, alias), joins: Vec::new() };
            *outer.body = SetExpr::Select(Box::new(select_of(vec![item], vec![from])));
            *expr = call("array_or_empty", vec![Expr::Subquery(Box::new(outer))]);
        }
    }

    /// `ARRAY(SELECT f(x) FROM unnest(array) x)` maps each element: a lambda does the same, whatever the array refers to.
    fn over_elements(&mut self, query: &Query, place: &mut Place<'_, '_>) -> Option<Expr> {
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        let plain = query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.with.is_none()
            && select.selection.is_none()
            && select.distinct.is_none()
            && !is_grouped(select);
        let ([item], [from]) = (select.projection.as_slice(), select.from.as_slice()) else { return None };
        let (SelectItem::UnnamedExpr(body) | SelectItem::ExprWithAlias { expr: body, .. }) = item else { return None };
        if !plain || !from.joins.is_empty() {
            return None;
        }
        let (name, mut array, table, columns) = element_source(&from.relation)?;
        let variable = self.fresh_alias();
        let element = Expr::Identifier(ident(variable.clone()));
        let replacements: Vec<(String, Expr)> = match name.as_str() {
            "unnest" => vec![(columns.first().cloned().unwrap_or_else(|| table.clone()), element)],
            _ => ["option_name", "option_value"]
                .iter()
                .enumerate()
                .map(|(index, part)| {
                    let name = columns.get(index).cloned().unwrap_or_else(|| (*part).to_owned());
                    (name, call(part, vec![element.clone()]))
                })
                .collect(),
        };
        let mut body = body.clone();
        let mut inner = Place::output(place.scope);
        self.expression(&mut body, &mut inner);
        substitute(&mut body, &table, &replacements);
        self.expression(&mut array, &mut Place::inner(place.scope));
        let lambda = Expr::Lambda(LambdaFunction {
            params: OneOrManyWithParens::One(LambdaFunctionParameter { name: ident(variable), data_type: None }),
            body: Box::new(body),
            syntax: LambdaSyntax::Arrow,
        });
        Some(call("array_or_empty", vec![call("array_transform", vec![array, lambda])]))
    }

    /// A correlated subquery as a left join: what takes its place in the expression, and the join.
    fn hoist(&mut self, query: &Query, kind: Kind, outer: &Scope<'_>) -> Option<(Expr, Hoist)> {
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        if query.with.is_some() || query.fetch.is_some() || select.distinct.is_some() || has_group_by(select) {
            return None;
        }
        let limited = is_limit_one(query)?;
        let relations = collect(&select.from, outer);
        let scope = outer.child(relations);
        let correlation = split(select.selection.as_ref(), &scope)?;
        if correlation.keys.is_empty() && correlation.mixed.is_empty() {
            return None;
        }
        let order = order_of(query)?;
        let item = match select.projection.as_slice() {
            [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] => expr.clone(),
            _ if kind == Kind::Exists => value(Value::Boolean(true)),
            _ => return None,
        };
        if order.iter().map(|by| &by.expr).chain([&item]).any(|expr| {
            let found = references(expr, &scope);
            found.outer || found.unclear
        }) {
            return None;
        }
        let aggregated = has_aggregate(&item);
        if !correlation.mixed.is_empty() && (kind != Kind::Scalar || aggregated || limited) {
            return None;
        }
        Some(self.join_of(select, kind, &scope, Parts { correlation, item, order, aggregated }))
    }

    fn join_of(&mut self, select: &Select, kind: Kind, scope: &Scope<'_>, parts: Parts) -> (Expr, Hoist) {
        let Parts { correlation, item, order, aggregated } = parts;
        let table = self.fresh_alias();
        let counts = is_count(&item);
        let mut projection = Vec::new();
        let mut on = Vec::new();
        let mut groups = Vec::new();
        for (index, (inner, outer_side)) in correlation.keys.into_iter().enumerate() {
            let name = format!("key_{index}");
            on.push(binary(column(&table, &name), BinaryOperator::Eq, outer_side));
            projection.push(SelectItem::ExprWithAlias { expr: inner.clone(), alias: ident(name) });
            groups.push(inner);
        }
        let grouped = correlation.mixed.is_empty();
        for mut condition in correlation.mixed {
            export_columns(&mut condition, scope, &table, &mut projection);
            on.push(condition);
        }
        on.extend(correlation.guards);
        let result = match kind {
            Kind::Array => array_agg(item, order),
            Kind::Exists => call("count", vec![number(1)]),
            Kind::Scalar if aggregated || !grouped => item,
            // One row is all that a scalar subquery may have; grouping keeps a second one from doubling the outer row.
            Kind::Scalar => with_order(call("first_value", vec![item]), order),
        };
        projection.push(SelectItem::ExprWithAlias { expr: result, alias: ident("result") });
        let mut derived_select = select.clone();
        derived_select.projection = projection;
        derived_select.selection = all_of(correlation.inner);
        if grouped {
            derived_select.group_by = GroupByExpr::Expressions(groups, Vec::new());
        }
        let mut query = no_query();
        *query.body = SetExpr::Select(Box::new(derived_select));
        let mut result = column(&table, "result");
        if counts {
            result = call("coalesce", vec![result, number(0)]);
        }
        let on = all_of(on).unwrap_or_else(|| value(Value::Boolean(true)));
        (result, Hoist { table: derived(query, plain_alias(&table)), on })
    }
}

/// The domain whose base type a recursive query walks down to, as asyncpg asks for it: it starts from
/// `SELECT typbasetype … FROM pg_type WHERE oid = domain`, and follows `typbasetype`. A correlated recursion cannot be joined.
fn walked_domain(query: &Query) -> Option<Expr> {
    let with = query.with.as_ref().filter(|with| with.recursive)?;
    let [table] = with.cte_tables.as_slice() else { return None };
    let SetExpr::SetOperation { left, right, .. } = table.query.body.as_ref() else { return None };
    let (SetExpr::Select(start), SetExpr::Select(step)) = (left.as_ref(), right.as_ref()) else { return None };
    let follows = |select: &Select| match select.projection.first() {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
            last_name(expr).is_some_and(|name| name == "typbasetype")
        }
        _ => false,
    };
    if !follows(start) || !follows(step) || is_limit_one(query) != Some(true) {
        return None;
    }
    match start.selection.as_ref()? {
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } if last_name(left)? == "oid" => Some((**right).clone()),
        _ => None,
    }
}

fn last_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(folded(name)),
        Expr::CompoundIdentifier(names) => names.last().map(folded),
        _ => None,
    }
}

/// What a left join is made of.
struct Parts {
    correlation: Correlation,
    item: Expr,
    order: Vec<OrderByExpr>,
    aggregated: bool,
}

fn has_group_by(select: &Select) -> bool {
    let by = match &select.group_by {
        GroupByExpr::Expressions(expressions, _) => !expressions.is_empty(),
        GroupByExpr::All(_) => true,
    };
    by || select.having.is_some()
}

fn is_count(item: &Expr) -> bool {
    matches!(item, Expr::Function(function) if parts(&function.name).last().is_some_and(|name| name == "count"))
}

/// `LIMIT 1` is what a scalar subquery has anyway; another limit is not understood here (`None`).
fn is_limit_one(query: &Query) -> Option<bool> {
    match &query.limit_clause {
        None => Some(false),
        Some(LimitClause::LimitOffset { limit: Some(Expr::Value(limit)), offset: None, .. }) => {
            matches!(&limit.value, Value::Number(text, _) if text == "1").then_some(true)
        }
        Some(_) => None,
    }
}

/// The expressions of ORDER BY; `None` where they are not plain. A position stands for the one column.
fn order_of(query: &Query) -> Option<Vec<OrderByExpr>> {
    let Some(order) = &query.order_by else { return Some(Vec::new()) };
    let OrderByKind::Expressions(expressions) = &order.kind else { return None };
    let item = match query.body.as_ref() {
        SetExpr::Select(select) => match select.projection.first() {
            Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => Some(expr.clone()),
            _ => None,
        },
        _ => None,
    };
    expressions
        .iter()
        .map(|by| match &by.expr {
            Expr::Value(position) if matches!(position.value, Value::Number(..)) => {
                item.clone().map(|expr| OrderByExpr { expr, ..by.clone() })
            }
            _ => Some(by.clone()),
        })
        .collect()
}

/// Sorts the conditions of a subquery's WHERE; `None` where one is not clear.
fn split(selection: Option<&Expr>, scope: &Scope<'_>) -> Option<Correlation> {
    let mut correlation = Correlation::default();
    let mut pending: Vec<&Expr> = selection.into_iter().collect();
    while let Some(condition) = pending.pop() {
        match condition {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                pending.push(right);
                pending.push(left);
                continue;
            }
            Expr::Nested(inner) => {
                pending.push(inner);
                continue;
            }
            _ => {}
        }
        let found = references(condition, scope);
        if found.unclear && found.outer {
            return None;
        }
        match (found.inner, found.outer) {
            (_, false) => correlation.inner.push(condition.clone()),
            (false, true) => correlation.guards.push(condition.clone()),
            (true, true) => match equality(condition, scope) {
                Some(key) => correlation.keys.push(key),
                None => correlation.mixed.push(condition.clone()),
            },
        }
    }
    Some(correlation)
}

/// The inner and the outer side of `a = b`.
fn equality(condition: &Expr, scope: &Scope<'_>) -> Option<(Expr, Expr)> {
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else { return None };
    let (of_left, of_right) = (references(left, scope), references(right, scope));
    if !of_left.outer && !of_right.inner {
        Some(((**left).clone(), (**right).clone()))
    } else if !of_left.inner && !of_right.outer {
        Some(((**right).clone(), (**left).clone()))
    } else {
        None
    }
}

/// What a subquery over objects that Atoll does not have comes to.
fn constant_result(query: &Query, kind: Kind, outer: &Scope<'_>) -> Option<Expr> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let scope = outer.child(collect(&select.from, outer));
    if is_grouped(select) || !has_empty_item(&scope) {
        return None;
    }
    Some(match kind {
        Kind::Exists => value(Value::Boolean(false)),
        Kind::Array => call("text_array", vec![string("{}")]),
        Kind::Scalar => match select.projection.first() {
            Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
                super::build::null_of(type_of(expr, &scope))
            }
            _ => return None,
        },
    })
}

/// `array_agg(item ORDER BY …)`.
fn array_agg(item: Expr, order: Vec<OrderByExpr>) -> Expr {
    with_order(call("array_agg", vec![item]), order)
}

fn with_order(mut function: Expr, order: Vec<OrderByExpr>) -> Expr {
    if let Expr::Function(Function { args: FunctionArguments::List(FunctionArgumentList { clauses, .. }), .. }) =
        &mut function
        && !order.is_empty()
    {
        clauses.push(FunctionArgumentClause::OrderBy(order));
    }
    function
}

/// Turns `SELECT e FROM … ORDER BY o` into `SELECT array_agg(e ORDER BY o) FROM …`; false where the query is more than that.
fn aggregate_into_array(query: &mut Query) -> bool {
    if query.limit_clause.is_some() || query.fetch.is_some() {
        return false;
    }
    let Some(order) = order_of(query) else { return false };
    let SetExpr::Select(select) = query.body.as_mut() else { return false };
    if select.distinct.is_some() || is_grouped(select) {
        return false;
    }
    let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] = select.projection.as_slice()
    else {
        return false;
    };
    let element = array_agg(item.clone(), order);
    select.projection = vec![SelectItem::ExprWithAlias { expr: element, alias: ident("result") }];
    query.order_by = None;
    true
}

/// `unnest(array) x` and `pg_options_to_table(array)`: function, array, table alias, column aliases.
fn element_source(factor: &TableFactor) -> Option<(String, Expr, String, Vec<String>)> {
    let (name, argument, alias) = match factor {
        TableFactor::Table { name, args: Some(args), alias, with_ordinality: false, .. } => {
            let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = args.args.as_slice() else { return None };
            (parts(name).pop()?, argument.clone(), alias)
        }
        TableFactor::UNNEST { array_exprs, alias, with_ordinality: false, with_offset: false, .. } => {
            let [argument] = array_exprs.as_slice() else { return None };
            ("unnest".to_owned(), argument.clone(), alias)
        }
        _ => return None,
    };
    if name != "unnest" && name != "pg_options_to_table" {
        return None;
    }
    let table = alias.as_ref().map_or_else(|| name.clone(), |alias| folded(&alias.name));
    let columns = alias.iter().flat_map(|alias| &alias.columns).map(|column| folded(&column.name)).collect();
    Some((name, argument, table, columns))
}

/// Puts expressions in the place of a table's columns.
fn substitute(expr: &mut Expr, table: &str, replacements: &[(String, Expr)]) {
    struct Substitution<'a> {
        table: &'a str,
        replacements: &'a [(String, Expr)],
    }
    impl VisitorMut for Substitution<'_> {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            let name = match expr {
                Expr::Identifier(name) => Some(folded(name)),
                Expr::CompoundIdentifier(names) => match names.as_slice() {
                    [table, name] if folded(table) == self.table => Some(folded(name)),
                    _ => None,
                },
                _ => None,
            };
            if let Some(name) = name
                && let Some((_, replacement)) = self.replacements.iter().find(|(column, _)| *column == name)
            {
                *expr = replacement.clone();
            }
            ControlFlow::Continue(())
        }
    }
    let _ = expr.visit(&mut Substitution { table, replacements });
}

/// Columns of the derived table that a condition uses are passed out of it, under new names.
fn export_columns(condition: &mut Expr, scope: &Scope<'_>, table: &str, projection: &mut Vec<SelectItem>) {
    struct Export<'a, 'b> {
        scope: &'a Scope<'b>,
        table: &'a str,
        projection: &'a mut Vec<SelectItem>,
    }
    impl VisitorMut for Export<'_, '_> {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                return ControlFlow::Continue(());
            }
            let found = references(expr, self.scope);
            if found.inner {
                let name = format!("column_{}", self.projection.len());
                let outside = column(self.table, &name);
                let inside = std::mem::replace(expr, outside);
                self.projection.push(SelectItem::ExprWithAlias { expr: inside, alias: ident(name) });
            }
            ControlFlow::Continue(())
        }
    }
    let _ = condition.visit(&mut Export { scope, table, projection });
}
