//! Set-returning functions in FROM and in select lists, in terms of `unnest` of an array.
//!
//! `FROM f(t.x) AS e(c)` becomes a lateral `(SELECT pg_item(unnest(pg_list(f(t.x)))) AS c) AS e`, and a function of one row
//! `(SELECT f(t.x) AS c) AS e`. A series of constants in FROM stays DataFusion's table function, which streams.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Join,
    JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Query, SelectItem, SetExpr, TableAlias,
    TableAliasColumnDef, TableFactor, TableWithJoins, UnaryOperator, Value, Visit, VisitMut, Visitor, VisitorMut,
};

use super::functions::{MATCHES, SERIES, series_of};
use super::rewrite::{call, ours, parsed, pg_cast};
use super::{collect, lists, set_order, statistics};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::federation::naming;

/// The function that counts from one value to another.
const GENERATE_SERIES: &str = "generate_series";

/// Functions whose calls in FROM are left to DataFusion.
const TABLE_FUNCTIONS: &[&str] = &[GENERATE_SERIES, "range"];

/// The column that numbers a function's rows.
const ORDINALITY: &str = "ordinality";

/// Rewrites set-returning functions of a query.
///
/// # Errors
/// `22023` for a series without a step.
pub(super) fn rewrite_sets(query: &mut Query) -> SqlResult<()> {
    match query.visit(&mut Sets) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Sets;

impl VisitorMut for Sets {
    type Break = SqlError;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        match derived(factor) {
            Ok(Some(table)) => *factor = table,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        join_laterals(&mut query.body);
        set_order::carry_keys(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        if let Some(field) = field_of_call(expr) {
            *expr = field;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        values_query(expr);
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        let Some(name) = last_name(&function.name) else { return ControlFlow::Continue(()) };
        let FunctionArguments::List(list) = &mut function.args else { return ControlFlow::Continue(()) };
        let Some(mut args) = plain_args(&list.args) else { return ControlFlow::Continue(()) };
        if function.over.is_some() {
            return ControlFlow::Continue(());
        }
        if name == "unnest" {
            if let [array] = args.as_mut_slice()
                && !is_call(array, lists::LIST)
                && !is_call(array, lists::POSITIONS)
            {
                *expr = unnested(list_of(array.clone()));
            }
        } else if name == GENERATE_SERIES {
            *expr = elements(SERIES, args);
        } else if let Some([(array, _)]) = series_of(&name).as_deref()
            && name != "regexp_split_to_array"
        {
            *expr = elements(array, args);
        }
        ControlFlow::Continue(())
    }
}

/// `FROM t, unnest(t.a) u JOIN r ON …` as `FROM t CROSS JOIN unnest(t.a) u JOIN r ON …`: what a lateral item reads is then
/// within the same join.
fn join_laterals(body: &mut SetExpr) {
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { left, right, .. } => {
            join_laterals(left);
            return join_laterals(right);
        }
        _ => return,
    };
    let mut index = 1;
    while index < select.from.len() {
        let Some(item) = select.from.get(index) else { return };
        let lateral = matches!(item.relation, TableFactor::Derived { lateral: true, .. });
        let keeps_left = |join: &Join| {
            matches!(
                join.join_operator,
                JoinOperator::Join(JoinConstraint::On(_))
                    | JoinOperator::Inner(JoinConstraint::On(_))
                    | JoinOperator::Left(JoinConstraint::On(_))
                    | JoinOperator::LeftOuter(JoinConstraint::On(_))
                    | JoinOperator::CrossJoin(_)
            )
        };
        if !lateral || item.joins.is_empty() || !item.joins.iter().all(keeps_left) {
            index += 1;
            continue;
        }
        let item = select.from.remove(index);
        let Some(before) = select.from.get_mut(index - 1) else { return };
        before.joins.push(Join {
            relation: item.relation,
            global: false,
            join_operator: JoinOperator::CrossJoin(JoinConstraint::None),
        });
        before.joins.extend(item.joins);
    }
}

/// `IN (VALUES (1), (2))` and `= ANY (VALUES …)`: what is compared with is planned as the rows of a SELECT.
fn values_query(expr: &mut Expr) {
    let subquery = match expr {
        Expr::InSubquery { subquery, .. } => subquery,
        Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => match right.as_mut() {
            Expr::Subquery(subquery) => subquery,
            _ => return,
        },
        _ => return,
    };
    if matches!(*subquery.body, SetExpr::Values(_))
        && let Some(selected) = selected(subquery)
    {
        *subquery = selected;
    }
}

/// A list of rows as a SELECT, which is what is joined for IN.
fn selected(rows: &Query) -> Option<Box<Query>> {
    let mut query = parsed("SELECT * FROM (SELECT 1) AS rows").ok()?;
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let TableFactor::Derived { subquery, .. } = &mut select.from.first_mut()?.relation else { return None };
    **subquery = rows.clone();
    Some(Box::new(query))
}

/// The fields of what a set-returning function returns; `None` where it returns plain values.
pub fn fields_of_function(name: &str) -> Option<Vec<&'static str>> {
    let columns = series_of(name.strip_prefix("pg_catalog.").unwrap_or(name)).filter(|columns| columns.len() > 1)?;
    Some(columns.into_iter().map(|(_, field)| field).collect())
}

/// `(json_each(x)).key`: the elements of one of the function's arrays.
fn field_of_call(expr: &Expr) -> Option<Expr> {
    let Expr::CompoundFieldAccess { root, access_chain } = expr else { return None };
    let (Expr::Nested(inner), [AccessExpr::Dot(Expr::Identifier(field))]) = (root.as_ref(), access_chain.as_slice())
    else {
        return None;
    };
    let Expr::Function(function) = inner.as_ref() else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    let columns = series_of(&last_name(&function.name)?).filter(|columns| columns.len() > 1)?;
    let field = naming::folded(field);
    let (array, _) = columns.into_iter().find(|(_, column)| *column == field)?;
    Some(elements(array, plain_args(&list.args)?))
}

fn is_call(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Function(function) if function.name.to_string() == name)
}

fn list_of(array: Expr) -> Expr {
    call(lists::LIST, vec![array])
}

/// The elements of a list, with their type.
fn unnested(list: Expr) -> Expr {
    call(lists::ITEM, vec![call("unnest", vec![list])])
}

/// A call of ours that returns an array. It must not be taken for the set-returning function of its name once more, so it
/// has one of the names that the visitor passes by.
fn array_call(name: &str, args: Vec<Expr>) -> Expr {
    call(&super::functions::named(name).unwrap_or_else(|| name.to_owned()), args)
}

/// The elements of what a function returns.
fn elements(function: &str, args: Vec<Expr>) -> Expr {
    element_of(function, unnested(list_of(array_call(function, args))))
}

/// An element in the type that the set-returning function has; arrays come as their text.
fn element_of(function: &str, element: Expr) -> Expr {
    if function == MATCHES { pg_cast(element, "text[]") } else { element }
}

fn plain_args(args: &[FunctionArg]) -> Option<Vec<Expr>> {
    args.iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect()
}

/// Whether an expression reads columns.
fn reads_columns(expr: &Expr) -> bool {
    struct Columns;
    impl Visitor for Columns {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Columns).is_break()
}

/// The alias of a series that has been seen to.
const INNER_SERIES: &str = "\u{1}series";

/// Whether a constant is an `integer`, with its sign.
fn is_integer(expr: &Expr) -> bool {
    match expr {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => is_integer(expr),
        Expr::Value(value) => {
            matches!(&value.value, Value::Number(number, false) if number.to_string().parse::<i32>().is_ok())
        }
        _ => false,
    }
}

/// Whether a constant is a `numeric`, of which DataFusion makes no series.
fn is_decimal(expr: &Expr) -> bool {
    match expr {
        Expr::UnaryOp { expr, .. } | Expr::Nested(expr) => is_decimal(expr),
        Expr::Value(value) => {
            matches!(&value.value, Value::Number(number, _) if number.to_string().contains(['.', 'e']))
        }
        Expr::Cast { data_type, .. } => matches!(data_type, DataType::Numeric(_) | DataType::Decimal(_)),
        _ => false,
    }
}

/// Whether a call of constants can be made while it is planned.
fn is_settled(args: &[Expr]) -> bool {
    struct Unsettled;
    impl Visitor for Unsettled {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let open = match expr {
                Expr::Value(value) => matches!(value.value, Value::Placeholder(_)),
                Expr::Subquery(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_) => true,
                _ => false,
            };
            if open { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    args.iter().all(|arg| !is_decimal(arg) && arg.visit(&mut Unsettled).is_continue())
}

/// DataFusion counts in `bigint`; of integers PostgreSQL makes integers.
fn integer_series(factor: &TableFactor, alias: Option<&TableAlias>) -> SqlResult<TableFactor> {
    let mut inner = factor.clone();
    let inner_alias = TableAlias {
        explicit: true,
        name: Ident::with_quote('"', INNER_SERIES),
        columns: vec![TableAliasColumnDef { name: Ident::new("n"), data_type: None }],
        at: None,
    };
    if let TableFactor::Table { alias, .. } | TableFactor::Function { alias, .. } = &mut inner {
        *alias = Some(inner_alias);
    }
    let column = alias.and_then(|alias| alias.columns.first().map(|column| column.name.clone()));
    let column = column.or_else(|| alias.map(|alias| alias.name.clone()));
    let mut query = parsed("SELECT n AS n FROM x")?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = vec![SelectItem::ExprWithAlias {
            expr: pg_cast(Expr::Identifier(Ident::new("n")), "integer"),
            alias: column.unwrap_or_else(|| Ident::new(GENERATE_SERIES)),
        }];
        select.from = vec![TableWithJoins { relation: inner, joins: Vec::new() }];
    }
    let name = alias.map_or_else(|| Ident::new(GENERATE_SERIES), |alias| alias.name.clone());
    Ok(table(query, name, false))
}

fn table(query: Query, name: Ident, lateral: bool) -> TableFactor {
    let alias = TableAlias { explicit: true, name, columns: Vec::new(), at: None };
    TableFactor::Derived { lateral, subquery: Box::new(query), alias: Some(alias), sample: None }
}

fn last_name(name: &ObjectName) -> Option<String> {
    name.0.last().and_then(ObjectNamePart::as_ident).map(|ident| ident.value.to_lowercase())
}

/// A function in FROM, whichever way the parser read it.
struct Call {
    name: String,
    args: Vec<Expr>,
    ordinality: bool,
    alias: Option<TableAlias>,
}

fn call_of(factor: &TableFactor) -> Option<Call> {
    let (name, args, ordinality, alias) = match factor {
        TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } => {
            (last_name(name)?, plain_args(&args.args)?, *with_ordinality, alias)
        }
        TableFactor::Function { name, args, alias, with_ordinality, .. } => {
            (last_name(name)?, plain_args(args)?, *with_ordinality, alias)
        }
        TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_ordinality, .. } => {
            ("unnest".to_owned(), array_exprs.clone(), *with_ordinality, alias)
        }
        _ => return None,
    };
    // A list of columns with their types is for functions of records, which we do not have.
    let typed = alias.iter().flat_map(|alias| &alias.columns).any(|column| column.data_type.is_some());
    (!typed).then(|| Call { name, args, ordinality, alias: alias.clone() })
}

/// A column of a function in FROM: its expression and the name that it has by itself.
type Shown = (Expr, String);

/// Several functions in FROM side by side: `ROWS FROM (f(…), g(…))`.
pub const ROWS_FROM: &str = "rows from";

/// What each column of a function is an element of: the set-returning function, its array, and the column's name.
type Arrays = Vec<(String, Expr, String)>;

fn arrays_of(call_of: &Call) -> Option<Arrays> {
    let owned = |(function, array, name): (&str, Expr, String)| (function.to_owned(), array, name);
    if call_of.name == ROWS_FROM {
        let mut columns = Arrays::new();
        for arg in &call_of.args {
            let function = part_of_rows(arg)?;
            match arrays_of(&function) {
                Some(arrays) => columns.extend(arrays),
                // A function of one row.
                None => {
                    let value = call(&function.name, function.args);
                    columns.push((String::new(), ours("array_of", vec![value]), function.name));
                }
            }
        }
        return Some(columns);
    }
    let arrays: Vec<(&str, Expr, String)> = match call_of.name.as_str() {
        "unnest" => {
            // Columns of one name need names of their own, of which clients see the beginning.
            let named = |index: usize| if index == 0 { "unnest".to_owned() } else { naming::numbered("unnest", index) };
            call_of.args.iter().enumerate().map(|(index, arg)| ("", arg.clone(), named(index))).collect()
        }
        GENERATE_SERIES => vec![(SERIES, array_call(SERIES, call_of.args.clone()), GENERATE_SERIES.to_owned())],
        name => series_of(name)?
            .into_iter()
            .map(|(array, column)| (array, array_call(array, call_of.args.clone()), column.to_owned()))
            .collect(),
    };
    Some(arrays.into_iter().map(owned).collect())
}

/// A function within `ROWS FROM`.
fn part_of_rows(expr: &Expr) -> Option<Call> {
    let Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    Some(Call { name: last_name(&function.name)?, args: plain_args(&list.args)?, ordinality: false, alias: None })
}

/// The columns of a set-returning function, and their number if it is asked for.
fn set_columns(call_of: &Call) -> Option<Vec<Shown>> {
    let mut arrays = arrays_of(call_of)?;
    if call_of.name == ROWS_FROM {
        let mut seen = HashSet::new();
        for (index, (_, _, name)) in arrays.iter_mut().enumerate() {
            if !seen.insert(name.clone()) {
                *name = naming::numbered(naming::shown(name), index);
            }
        }
    }
    let lists: Vec<Expr> = arrays.iter().map(|(_, array, _)| list_of(array.clone())).collect();
    let mut columns: Vec<Shown> = arrays
        .into_iter()
        .zip(&lists)
        .map(|((function, _, name), list)| (element_of(&function, unnested(list.clone())), name))
        .collect();
    if call_of.ordinality {
        columns.push((unnested(call(lists::POSITIONS, lists)), ORDINALITY.to_owned()));
    }
    Some(columns)
}

/// `json_to_recordset(j) AS r(a integer, b text)` and its like: the members of objects in columns of their types.
fn records(factor: &TableFactor) -> SqlResult<Option<TableFactor>> {
    let (name, args, alias) = match factor {
        TableFactor::Table { name, args: Some(args), alias: Some(alias), with_ordinality: false, .. } => {
            (last_name(name), plain_args(&args.args), alias)
        }
        TableFactor::Function { name, args, alias: Some(alias), with_ordinality: false, .. } => {
            (last_name(name), plain_args(args), alias)
        }
        _ => return Ok(None),
    };
    let (Some(name), Some([json])) = (name, args.as_deref()) else { return Ok(None) };
    let elements = match name.as_str() {
        "json_to_recordset" => Some("json_array_elements"),
        "jsonb_to_recordset" => Some("jsonb_array_elements"),
        "json_to_record" | "jsonb_to_record" => None,
        _ => return Ok(None),
    };
    let mut query = match elements {
        Some(elements) => parsed(&format!("SELECT NULL FROM {elements}(NULL) AS record(member)"))?,
        None => parsed("SELECT NULL FROM (SELECT NULL AS member) AS record")?,
    };
    let SetExpr::Select(select) = query.body.as_mut() else { return Ok(None) };
    match select.from.first_mut().map(|from| &mut from.relation) {
        Some(TableFactor::Table { args: Some(args), .. }) => {
            args.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(json.clone()))];
        }
        Some(TableFactor::Derived { subquery, .. }) => {
            if let SetExpr::Select(inner) = subquery.body.as_mut()
                && let Some(SelectItem::ExprWithAlias { expr, .. }) = inner.projection.first_mut()
            {
                *expr = pg_cast(json.clone(), name.split('_').next().unwrap_or("json"));
            }
        }
        _ => return Ok(None),
    }
    let mut projection = Vec::new();
    for column in &alias.columns {
        let Some(data_type) = &column.data_type else { return Ok(None) };
        if matches!(data_type, DataType::Array(_)) {
            return Err(SqlError::unsupported(format!("arrays in the column list of {name} are not supported")));
        }
        let text = data_type.to_string().to_lowercase();
        let is_json = text == "json" || text == "jsonb";
        let member = Expr::BinaryOp {
            left: Box::new(Expr::CompoundIdentifier(vec![Ident::new("record"), Ident::new("member")])),
            op: if is_json { BinaryOperator::Arrow } else { BinaryOperator::LongArrow },
            right: Box::new(Expr::Value(Value::SingleQuotedString(naming::folded(&column.name)).with_empty_span())),
        };
        projection.push(SelectItem::ExprWithAlias { expr: pg_cast(member, &text), alias: column.name.clone() });
    }
    select.projection = projection;
    Ok(Some(table(query, alias.name.clone(), reads_columns(json))))
}

fn derived(factor: &TableFactor) -> SqlResult<Option<TableFactor>> {
    if let Some(records) = records(factor)? {
        return Ok(Some(records));
    }
    let Some(function) = call_of(factor) else { return Ok(None) };
    let alias = function.alias.as_ref();
    if function.name == GENERATE_SERIES && !function.ordinality && is_settled(&function.args) {
        let zero =
            |arg: &Expr| matches!(arg, Expr::Value(value) if matches!(&value.value, Value::Number(n, _) if *n == "0"));
        if function.args.get(2).is_some_and(zero) {
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero"));
        }
        let own = alias.is_some_and(|alias| alias.name.value == INNER_SERIES);
        if own || !function.args.iter().all(is_integer) {
            return Ok(None);
        }
        return integer_series(factor, alias).map(Some);
    }
    let mut columns = match set_columns(&function) {
        Some(columns) => columns,
        None if TABLE_FUNCTIONS.contains(&function.name.as_str()) => return Ok(None),
        None if is_aggregate(&function.name) => {
            let message = "aggregate functions are not allowed in functions in FROM";
            return Err(SqlError::new(SqlState::GROUPING_ERROR, message));
        }
        // A function of one row.
        None => {
            let mut columns = vec![(call(&function.name, function.args.clone()), function.name.clone())];
            if function.ordinality {
                let one = Expr::Value(Value::Number("1".into(), false).with_empty_span());
                columns.push((pg_cast(one, "bigint"), ORDINALITY.to_owned()));
            }
            columns
        }
    };
    let mut query = parsed("SELECT NULL")?;
    let SetExpr::Select(select) = query.body.as_mut() else { return Ok(None) };
    if let [(Expr::Function(value), _)] = columns.as_mut_slice() {
        // A mark that [`set_value`] finds; planning does not look at it.
        value.uses_odbc_syntax = true;
    }
    let name = alias.map_or_else(|| Ident::new(function.name.clone()), |alias| alias.name.clone());
    // A function that returns plain values names its column as its table; one that names its column keeps that name.
    let single = columns.len() == 1 + usize::from(function.ordinality);
    let own_name = single && columns.first().is_some_and(|(_, column)| column != "value" && column != "key");
    let listed = |index: usize| alias.and_then(|alias| alias.columns.get(index)).map(|column| column.name.clone());
    if listed(columns.len()).is_some() {
        let (have, given) = (columns.len(), alias.map_or(0, |alias| alias.columns.len()));
        let message = format!("table \"{}\" has {have} columns available but {given} columns specified", name.value);
        return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
    }
    select.projection = columns
        .into_iter()
        .enumerate()
        .map(|(index, (expr, column))| SelectItem::ExprWithAlias {
            expr,
            alias: listed(index)
                .or_else(|| (own_name && index == 0).then(|| name.clone()))
                .unwrap_or_else(|| Ident::with_quote('"', column)),
        })
        .collect();
    Ok(Some(table(query, name, function.args.iter().any(reads_columns))))
}

fn is_aggregate(name: &str) -> bool {
    matches!(name, "count" | "sum" | "avg" | "min" | "max")
        || collect::named(name, false).is_some()
        || statistics::named(name).is_some()
}

/// The column of a function in FROM that returns plain values: the function's own name stands for them.
pub(super) fn set_value(factor: &TableFactor) -> Option<Ident> {
    let TableFactor::Derived { subquery, .. } = factor else { return None };
    let SetExpr::Select(select) = subquery.body.as_ref() else { return None };
    match select.projection.as_slice() {
        [SelectItem::ExprWithAlias { expr: Expr::Function(function), alias }] if function.uses_odbc_syntax => {
            Some(alias.clone())
        }
        _ => None,
    }
}
