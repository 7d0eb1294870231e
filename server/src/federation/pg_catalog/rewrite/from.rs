//! FROM lists: names of system catalogs, set-returning functions, and what columns there are.

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, FunctionArg, FunctionArgExpr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, Query, Select,
    SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, Value,
};

use super::super::facts::{ColumnFact, facts};
use super::Rewriter;
use super::build::{call, column, folded, ident, null_of, number, parts, value};
use super::expression::{Place, as_list};
use super::scope::{FromItem, ItemKind, Relations, Scope, references};
use super::subquery::{no_query, select_of};

/// A set-returning function in FROM.
struct SetFunction {
    name: String,
    arguments: Vec<Expr>,
    ordinality: bool,
    alias: Option<TableAlias>,
}

/// How an item is joined to those before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Inner,
    Nullable,
}

impl Rewriter {
    /// Rewrites a FROM list and says what its items are.
    pub(super) fn from(&mut self, from: &mut Vec<TableWithJoins>, outer: &Scope<'_>) -> Relations {
        let mut relations = Relations::default();
        let mut index = 0;
        while index < from.len() {
            let (before, rest) = from.split_at_mut(index);
            let Some((item, _)) = rest.split_first_mut() else { break };
            if item.joins.is_empty() && self.fold(&item.relation, before, None, &mut relations, outer) {
                from.remove(index);
                continue;
            }
            self.joined(item, before, &mut relations, outer);
            index += 1;
        }
        relations
    }

    fn joined(
        &mut self,
        item: &mut TableWithJoins,
        before: &mut [TableWithJoins],
        relations: &mut Relations,
        outer: &Scope<'_>,
    ) {
        let first = relations.items.len();
        self.factor(&mut item.relation, Side::Inner, relations, outer);
        let mut position = 0;
        while position < item.joins.len() {
            let (earlier, later) = item.joins.split_at_mut(position);
            let Some((join, _)) = later.split_first_mut() else { break };
            let always = is_unconditional(&join.join_operator);
            let host = Some((&mut item.relation, earlier));
            if always && self.fold(&join.relation, before, host, relations, outer) {
                item.joins.remove(position);
                continue;
            }
            let side = match &join.join_operator {
                JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => Side::Nullable,
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_) => {
                    for earlier in &mut relations.items[first..] {
                        earlier.inner = false;
                    }
                    if matches!(join.join_operator, JoinOperator::FullOuter(_)) { Side::Nullable } else { Side::Inner }
                }
                _ => Side::Inner,
            };
            self.factor(&mut join.relation, side, relations, outer);
            if let Some(condition) = condition_of(&mut join.join_operator) {
                let scope = outer.child(relations.clone());
                self.expression(condition, &mut Place::inner(&scope));
            }
            position += 1;
        }
    }

    fn factor(&mut self, factor: &mut TableFactor, side: Side, relations: &mut Relations, outer: &Scope<'_>) {
        if let Some(function) = set_function(factor) {
            let scope = outer.child(relations.clone());
            if let Some(derived) = self.derived_function(function, &scope) {
                *factor = derived;
            }
        }
        match factor {
            TableFactor::Derived { lateral, subquery, .. } => {
                let scope = outer.child(if *lateral { relations.clone() } else { Relations::default() });
                self.query(subquery, &scope);
            }
            TableFactor::Table { name, alias, args: None, .. } => qualify(name, alias, outer),
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                let start = relations.items.len();
                self.joined(table_with_joins, &mut [], relations, outer);
                if side == Side::Nullable {
                    for item in &mut relations.items[start..] {
                        item.inner = false;
                    }
                }
                return;
            }
            _ => {}
        }
        collect_factor(factor, side == Side::Inner, relations, outer);
    }

    /// A set-returning function as a derived table; `None` where DataFusion or the lead has it as it is.
    fn derived_function(&mut self, mut function: SetFunction, scope: &Scope<'_>) -> Option<TableFactor> {
        for argument in &mut function.arguments {
            self.expression(argument, &mut Place::inner(scope));
        }
        if let Some(table) = system_table_of(&function.name) {
            let name = ObjectName::from(vec![Ident::new("pg_catalog"), Ident::new(table)]);
            return Some(table_factor(name, function.alias));
        }
        let alias = function.alias.clone().unwrap_or_else(|| plain_alias(&function.name));
        let items = set_items(&function, scope)?;
        // The columns' names are the alias's where it lists them.
        let named = items.into_iter().enumerate().map(|(index, (name, expr))| {
            let name = alias.columns.get(index).map_or(name, |column| folded(&column.name));
            SelectItem::ExprWithAlias { expr, alias: ident(name) }
        });
        let mut select = select_of(named.collect(), Vec::new());
        if is_always_empty(&function.name) {
            select.selection = Some(value(Value::Boolean(false)));
        }
        let mut query = no_query();
        *query.body = SetExpr::Select(Box::new(select));
        let alias = TableAlias { columns: Vec::new(), ..alias };
        let subquery = if function.name == "pg_options_to_table" { options_query(query) } else { query };
        let mut table = derived(subquery, alias);
        if let TableFactor::Derived { lateral, .. } = &mut table {
            *lateral = function.arguments.iter().any(|argument| references(argument, scope).inner);
        }
        Some(table)
    }

    /// A set-returning function of an earlier item's column is that item's own business: its rows are repeated for each
    /// element, which is what a lateral cross join means. The function's columns become the item's. Returns whether it was
    /// done, so that the function's item has to go.
    fn fold(
        &mut self,
        factor: &TableFactor,
        before: &mut [TableWithJoins],
        current: Option<(&mut TableFactor, &mut [Join])>,
        relations: &mut Relations,
        outer: &Scope<'_>,
    ) -> bool {
        let Some(function) = set_function(factor) else { return false };
        let scope = outer.child(relations.clone());
        if !function.arguments.iter().any(|argument| references(argument, &scope).inner) {
            return false;
        }
        let Some(host) = host_of(&function, relations, &scope) else { return false };
        let alias = function.alias.clone().unwrap_or_else(|| plain_alias(&function.name));
        let Some(items) = set_items(&function, &scope) else { return false };
        let target = before
            .iter_mut()
            .flat_map(|item| {
                std::iter::once(&mut item.relation).chain(item.joins.iter_mut().map(|join| &mut join.relation))
            })
            .chain(current.into_iter().flat_map(|(relation, joins)| {
                std::iter::once(relation).chain(joins.iter_mut().map(|join| &mut join.relation))
            }))
            .find(|factor| alias_of(factor).is_some_and(|name| name == host));
        let Some(target) = target else { return false };
        let table_name = folded(&alias.name);
        let mut columns = Vec::new();
        let mut projection = vec![all_of_table(&host)];
        for (index, (name, expr)) in items.into_iter().enumerate() {
            let name = alias.columns.get(index).map_or(name, |column| folded(&column.name));
            let hidden = format!("{table_name}.{name}");
            // The pairs of pg_options_to_table come out of one element, which is unnested once.
            columns.push((name, column(&host, &hidden)));
            projection.push(SelectItem::ExprWithAlias { expr, alias: ident(hidden) });
        }
        if function.name == "pg_options_to_table" {
            let element = format!("{table_name}.option");
            projection.truncate(1);
            if let Some(array) = function.arguments.first() {
                let expr = call("unnest", vec![array.clone()]);
                projection.push(SelectItem::ExprWithAlias { expr, alias: ident(element.clone()) });
            }
            for (index, (_, target)) in columns.iter_mut().enumerate() {
                let name = if index == 0 { "option_name" } else { "option_value" };
                *target = call(name, vec![column(&host, &element)]);
            }
        }
        let inner = std::mem::replace(target, derived(no_query(), plain_alias(&host)));
        let mut query = no_query();
        let from = TableWithJoins { relation: inner, joins: Vec::new() };
        *query.body = SetExpr::Select(Box::new(select_of(projection, vec![from])));
        *target = derived(query, plain_alias(&host));
        relations.items.push(FromItem { alias: table_name, kind: ItemKind::Folded { columns }, inner: true });
        true
    }
}

fn is_unconditional(operator: &JoinOperator) -> bool {
    let holds = |constraint: &JoinConstraint| match constraint {
        JoinConstraint::None => true,
        JoinConstraint::On(Expr::Value(on)) => on.value == Value::Boolean(true),
        _ => false,
    };
    match operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) | JoinOperator::CrossJoin(constraint) => {
            holds(constraint)
        }
        _ => false,
    }
}

fn condition_of(operator: &mut JoinOperator) -> Option<&mut Expr> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint) => match constraint {
            JoinConstraint::On(condition) => Some(condition),
            _ => None,
        },
        _ => None,
    }
}

/// The function that an item is, whichever way the parser read it.
fn set_function(factor: &TableFactor) -> Option<SetFunction> {
    let (name, arguments, ordinality, alias) = match factor {
        TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } => {
            (parts(name), plain_arguments(&args.args)?, *with_ordinality, alias)
        }
        TableFactor::Function { name, args, alias, with_ordinality, .. } => {
            (parts(name), plain_arguments(args)?, *with_ordinality, alias)
        }
        TableFactor::UNNEST { array_exprs, alias, with_ordinality, with_offset: false, .. } => {
            (vec!["unnest".to_owned()], array_exprs.clone(), *with_ordinality, alias)
        }
        _ => return None,
    };
    let name = match name.as_slice() {
        [name] => name.clone(),
        [schema, name] if schema == "pg_catalog" || schema == "information_schema" => name.clone(),
        _ => return None,
    };
    Some(SetFunction { name, arguments, ordinality, alias: alias.clone() })
}

fn plain_arguments(arguments: &[FunctionArg]) -> Option<Vec<Expr>> {
    arguments
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect()
}

/// Set-returning functions of FROM that only the rewrite knows.
pub(super) fn is_system_function(name: &str) -> bool {
    is_always_empty(name)
        || system_table_of(name).is_some()
        || matches!(name, "pg_options_to_table" | "_pg_expandarray")
}

/// The system view that shows a function's rows.
fn system_table_of(function: &str) -> Option<&'static str> {
    Some(match function {
        "pg_get_keywords" => "pg_get_keywords",
        "pg_show_all_settings" => "pg_settings",
        "pg_timezone_names" => "pg_timezone_names",
        "pg_timezone_abbrevs" => "pg_timezone_abbrevs",
        "pg_available_extensions" => "pg_available_extensions",
        "pg_available_extension_versions" => "pg_available_extension_versions",
        "pg_prepared_statement" => "pg_prepared_statements",
        "pg_cursor" => "pg_cursors",
        "pg_lock_status" => "pg_locks",
        "pg_stat_get_activity" => "pg_stat_activity",
        _ => return None,
    })
}

/// Functions whose rows would be about objects that Atoll does not have.
fn is_always_empty(name: &str) -> bool {
    matches!(name, "pg_partition_tree" | "pg_partition_ancestors" | "ts_token_type" | "pg_get_publication_tables")
}

/// The columns of a set-returning function, as items of a select list.
fn set_items(function: &SetFunction, scope: &Scope<'_>) -> Option<Vec<(String, Expr)>> {
    let single = || function.alias.as_ref().map_or_else(|| function.name.clone(), |alias| folded(&alias.name));
    let oid = || null_of(DataType::BigInt(None));
    let first = function.arguments.first();
    let mut items = match function.name.as_str() {
        "unnest" => {
            let list = as_list(first?.clone(), scope);
            let mut items = vec![(single(), call("unnest", vec![list]))];
            for (index, array) in function.arguments.iter().enumerate().skip(1) {
                items.push((format!("unnest_{index}"), call("unnest", vec![as_list(array.clone(), scope)])));
            }
            items
        }
        "generate_series" => {
            vec![(single(), call("unnest", vec![call("generate_series", function.arguments.clone())]))]
        }
        "generate_subscripts" => {
            let bound = |name: &str| Some(call(name, vec![first?.clone(), number(1)]));
            let range = call("generate_series", vec![bound("array_lower")?, bound("array_upper")?]);
            vec![(single(), call("unnest", vec![range]))]
        }
        "_pg_expandarray" => {
            let list = as_list(first?.clone(), scope);
            vec![("x".to_owned(), call("unnest", vec![list])), ("n".to_owned(), positions(first?.clone()))]
        }
        "pg_options_to_table" => vec![
            ("option_name".to_owned(), call("unnest", vec![first?.clone()])),
            ("option_value".to_owned(), call("unnest", vec![first?.clone()])),
        ],
        "pg_partition_tree" => vec![
            ("relid".to_owned(), oid()),
            ("parentrelid".to_owned(), oid()),
            ("isleaf".to_owned(), null_of(DataType::Boolean)),
            ("level".to_owned(), null_of(DataType::Integer(None))),
        ],
        "pg_partition_ancestors" => vec![("relid".to_owned(), oid())],
        "pg_get_publication_tables" => vec![("relid".to_owned(), oid())],
        "ts_token_type" => vec![
            ("tokid".to_owned(), null_of(DataType::Integer(None))),
            ("alias".to_owned(), null_of(DataType::Text)),
            ("description".to_owned(), null_of(DataType::Text)),
        ],
        _ => return None,
    };
    if function.ordinality {
        let list = match (function.name.as_str(), function.arguments.as_slice()) {
            ("unnest", [array]) => array.clone(),
            ("generate_series", arguments) => call("generate_series", arguments.to_vec()),
            ("generate_subscripts", [array, ..]) => array.clone(),
            _ => return None,
        };
        items.push(("ordinality".to_owned(), positions(list)));
    }
    Some(items)
}

/// 1, 2, 3 … for each element of an array.
fn positions(array: Expr) -> Expr {
    let length = call("array_length", vec![array, number(1)]);
    call("unnest", vec![call("generate_series", vec![number(1), length])])
}

/// Both columns of `pg_options_to_table` are parts of one element.
fn options_query(query: Query) -> Query {
    let SetExpr::Select(select) = query.body.as_ref() else { return query };
    let mut names = Vec::new();
    let mut element = None;
    for item in &select.projection {
        if let SelectItem::ExprWithAlias { expr, alias } = item {
            names.push(alias.clone());
            element = Some(expr.clone());
        }
    }
    let Some(element) = element else { return query };
    let mut inner = no_query();
    let option = SelectItem::ExprWithAlias { expr: element, alias: ident("option") };
    *inner.body = SetExpr::Select(Box::new(select_of(vec![option], Vec::new())));
    let projection = names
        .into_iter()
        .zip(["option_name", "option_value"])
        .map(|(alias, part)| SelectItem::ExprWithAlias { expr: call(part, vec![column("options", "option")]), alias })
        .collect();
    let from = TableWithJoins { relation: derived(inner, plain_alias("options")), joins: Vec::new() };
    let mut outer = no_query();
    *outer.body = SetExpr::Select(Box::new(select_of(projection, vec![from])));
    outer
}

/// The one item of a system catalog that the function's arguments belong to.
fn host_of(function: &SetFunction, relations: &Relations, scope: &Scope<'_>) -> Option<String> {
    let mut host = None;
    for argument in &function.arguments {
        let found = references(argument, scope);
        if found.unclear || found.outer {
            return None;
        }
        let names: Vec<Ident> = match argument {
            Expr::Identifier(name) => vec![name.clone()],
            Expr::CompoundIdentifier(names) => names.clone(),
            Expr::Value(_) => continue,
            _ => return None,
        };
        let super::scope::Found::At(0, Some(_), item) = scope.find(&names) else { return None };
        if host.as_ref().is_some_and(|host| *host != item.alias) {
            return None;
        }
        host = Some(item.alias.clone());
    }
    host.filter(|host| relations.items.iter().any(|item| item.alias == *host && item.inner))
}

fn all_of_table(table: &str) -> SelectItem {
    let name = ObjectName::from(vec![ident(table)]);
    SelectItem::QualifiedWildcard(
        datafusion::sql::sqlparser::ast::SelectItemQualifiedWildcardKind::ObjectName(name),
        datafusion::sql::sqlparser::ast::WildcardAdditionalOptions::default(),
    )
}

pub(super) fn plain_alias(name: &str) -> TableAlias {
    TableAlias { explicit: true, name: ident(name), columns: Vec::<TableAliasColumnDef>::new(), at: None }
}

pub(super) fn derived(query: Query, alias: TableAlias) -> TableFactor {
    TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: Some(alias), sample: None }
}

fn table_factor(name: ObjectName, alias: Option<TableAlias>) -> TableFactor {
    TableFactor::Table {
        name,
        alias,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}

/// Unqualified system catalogs are `pg_catalog`'s; each keeps its own name as its alias.
fn qualify(name: &mut ObjectName, alias: &mut Option<TableAlias>, scope: &Scope<'_>) {
    let path = parts(name);
    let system = match path.as_slice() {
        [bare] => super::is_system_table(bare) && !scope.hides(bare),
        [.., schema, bare] => facts().relation(schema, bare).is_some(),
        [] => false,
    };
    let Some(last) = path.last().filter(|_| system) else { return };
    if path.len() == 1 {
        *name = ObjectName::from(vec![Ident::new("pg_catalog"), Ident::new(last.clone())]);
    }
    if alias.is_none() {
        *alias = Some(plain_alias(last));
    }
}

/// The name by which an item's columns are qualified.
fn alias_of(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. } => Some(folded(&alias.name)),
        TableFactor::Table { name, .. } => parts(name).pop(),
        _ => None,
    }
}

/// What a FROM list that was rewritten already consists of.
pub(super) fn collect(from: &[TableWithJoins], outer: &Scope<'_>) -> Relations {
    let mut relations = Relations::default();
    for item in from {
        collect_joined(item, &mut relations, outer);
    }
    relations
}

fn collect_joined(item: &TableWithJoins, relations: &mut Relations, outer: &Scope<'_>) {
    let first = relations.items.len();
    let add = |factor: &TableFactor, inner: bool, relations: &mut Relations| match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } => collect_joined(table_with_joins, relations, outer),
        other => collect_factor(other, inner, relations, outer),
    };
    add(&item.relation, true, relations);
    for join in &item.joins {
        let inner = match &join.join_operator {
            JoinOperator::Left(_) | JoinOperator::LeftOuter(_) | JoinOperator::FullOuter(_) => false,
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => {
                for earlier in &mut relations.items[first..] {
                    earlier.inner = false;
                }
                true
            }
            _ => true,
        };
        add(&join.relation, inner, relations);
    }
}

fn collect_factor(factor: &TableFactor, inner: bool, relations: &mut Relations, outer: &Scope<'_>) {
    let Some(alias) = alias_of(factor) else {
        relations.items.push(FromItem { alias: String::new(), kind: ItemKind::Unknown, inner });
        return;
    };
    let kind = match factor {
        TableFactor::Table { name, args: None, alias: table_alias, .. } => {
            let path = parts(name);
            let relation = match path.as_slice() {
                [bare] if !outer.hides(bare) => facts().relation("pg_catalog", bare),
                [.., schema, bare] => facts().relation(schema, bare),
                _ => None,
            };
            let renamed = table_alias.as_ref().is_some_and(|alias| !alias.columns.is_empty());
            relation.filter(|_| !renamed).map_or(ItemKind::Unknown, ItemKind::System)
        }
        TableFactor::Derived { subquery, alias: Some(alias), .. } if !alias.columns.is_empty() => {
            let mut columns = columns_of(subquery, outer).unwrap_or_default().into_iter().map(|(_, fact)| fact);
            let named = alias.columns.iter().map(|column| (folded(&column.name), columns.next().flatten()));
            ItemKind::Columns(named.collect())
        }
        TableFactor::Derived { subquery, .. } => {
            columns_of(subquery, outer).map_or(ItemKind::Unknown, ItemKind::Columns)
        }
        _ => ItemKind::Unknown,
    };
    relations.items.push(FromItem { alias, kind, inner });
}

/// The names of a query's columns, and which are plain columns of system catalogs; `None` where a wildcard hides them.
fn columns_of(query: &Query, outer: &Scope<'_>) -> Option<Vec<(String, Option<&'static ColumnFact>)>> {
    let mut body = query.body.as_ref();
    loop {
        match body {
            SetExpr::Select(select) => return columns_of_select(select, outer),
            SetExpr::Query(query) => return columns_of(query, outer),
            SetExpr::SetOperation { left, .. } => body = left,
            _ => return None,
        }
    }
}

fn columns_of_select(select: &Select, outer: &Scope<'_>) -> Option<Vec<(String, Option<&'static ColumnFact>)>> {
    let scope = outer.child(collect(&select.from, outer));
    select
        .projection
        .iter()
        .map(|item| match item {
            SelectItem::UnnamedExpr(expr) => Some((super::naming::column_name(expr), scope.system_column(expr))),
            SelectItem::ExprWithAlias { expr, alias } => {
                Some((super::naming::output_name(&folded(alias)).to_owned(), scope.system_column(expr)))
            }
            _ => None,
        })
        .collect()
}
