//! Set-returning functions in FROM and in select lists, in terms of `unnest` of an array.
//!
//! `FROM f(t.x) AS e(c)` becomes a lateral `(SELECT unnest(pg_list(f(t.x))) AS c) AS e`. A series of constants in FROM
//! stays DataFusion's table function, which streams.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query, SelectItem,
    SetExpr, TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, UnaryOperator, Value, Visit, VisitMut,
    Visitor, VisitorMut,
};

use super::functions::series_of;
use super::lists;
use super::rewrite::{call, parsed, pg_cast};
use crate::error::{SqlError, SqlResult, SqlState};

/// The function that counts from one number to another, as an array.
const SERIES: &str = "generate_series";

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

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        let name = function.name.0.last().and_then(ObjectNamePart::as_ident).map(|ident| ident.value.to_lowercase());
        let Some(name) = name else { return ControlFlow::Continue(()) };
        let FunctionArguments::List(list) = &mut function.args else { return ControlFlow::Continue(()) };
        if name == "unnest" {
            for arg in &mut list.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg
                    && !is_call(arg, lists::LIST)
                {
                    *arg = call(lists::LIST, vec![arg.clone()]);
                }
            }
            return ControlFlow::Continue(());
        }
        let args = plain_args(&list.args);
        let (Some(args), None) = (args, &function.over) else { return ControlFlow::Continue(()) };
        if name == SERIES {
            *expr = unnested(call("series", args));
        } else if let Some([(array, _)]) = series_of(&name).as_deref()
            && !matches!(name.as_str(), "regexp_split_to_array")
        {
            *expr = unnested(call(array, args));
        }
        ControlFlow::Continue(())
    }
}

fn is_call(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Function(function) if function.name.to_string() == name)
}

/// `unnest(pg_list(array))`. A call that is already wrapped must not be wrapped once more, so the array's function has to be
/// one that the visitor passes by: the names of ours.
fn unnested(mut array: Expr) -> Expr {
    if let Expr::Function(function) = &mut array
        && let Some(ours) = super::functions::named(&function.name.to_string())
    {
        function.name = ObjectName::from(vec![Ident::new(ours)]);
    }
    call("unnest", vec![call(lists::LIST, vec![array])])
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
    let column = column.or_else(|| alias.map(|alias| alias.name.clone())).unwrap_or_else(|| Ident::new(SERIES));
    let mut query = parsed("SELECT n AS n FROM x")?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = vec![SelectItem::ExprWithAlias {
            expr: pg_cast(Expr::Identifier(Ident::new("n")), "integer"),
            alias: column,
        }];
        select.from = vec![TableWithJoins { relation: inner, joins: Vec::new() }];
    }
    let name = alias.map_or_else(|| Ident::new(SERIES), |alias| alias.name.clone());
    let alias = TableAlias { explicit: true, name, columns: Vec::new(), at: None };
    Ok(TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: Some(alias), sample: None })
}

fn derived(factor: &TableFactor) -> SqlResult<Option<TableFactor>> {
    let (name, args, alias) = match factor {
        TableFactor::Table { name, args: Some(args), alias, with_ordinality: false, .. } => {
            let name = name.0.last().and_then(ObjectNamePart::as_ident).map(|ident| ident.value.to_lowercase());
            (name.unwrap_or_default(), plain_args(&args.args), alias)
        }
        TableFactor::Function { name, args, alias, with_ordinality: false, .. } => {
            let name = name.0.last().and_then(ObjectNamePart::as_ident).map(|ident| ident.value.to_lowercase());
            (name.unwrap_or_default(), plain_args(args), alias)
        }
        TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_ordinality: false, .. } => {
            ("unnest".to_owned(), Some(array_exprs.clone()), alias)
        }
        _ => return Ok(None),
    };
    let Some(args) = args else { return Ok(None) };
    let lateral = args.iter().any(reads_columns);
    let columns: Vec<(Expr, String)> = match name.as_str() {
        "unnest" => {
            let named = |index: usize| if index == 0 { "unnest".to_owned() } else { format!("unnest_{index}") };
            let unnested = |arg: Expr| call("unnest", vec![call(lists::LIST, vec![arg])]);
            args.into_iter().enumerate().map(|(index, arg)| (unnested(arg), named(index))).collect()
        }
        SERIES if !lateral => {
            let zero = |arg: &Expr| matches!(arg, Expr::Value(value) if matches!(&value.value, Value::Number(n, _) if *n == "0"));
            if args.get(2).is_some_and(zero) {
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero"));
            }
            let own = alias.as_ref().is_some_and(|alias| alias.name.value == INNER_SERIES);
            if own || !args.iter().all(is_integer) {
                return Ok(None);
            }
            return integer_series(factor, alias.as_ref()).map(Some);
        }
        SERIES => vec![(unnested(call("series", args)), SERIES.to_owned())],
        name => match series_of(name) {
            Some(columns) => columns
                .into_iter()
                .map(|(array, column)| (unnested(call(array, args.clone())), column.to_owned()))
                .collect(),
            None => return Ok(None),
        },
    };
    let mut query = parsed("SELECT NULL")?;
    let SetExpr::Select(select) = query.body.as_mut() else { return Ok(None) };
    let only = columns.len() == 1;
    let mut alias = alias.clone().unwrap_or_else(|| TableAlias {
        explicit: true,
        name: Ident::new(name.clone()),
        columns: Vec::new(),
        at: None,
    });
    // A function that returns plain values names its column as its table; one that names its column keeps that name.
    let named_column = columns.first().is_some_and(|(_, column)| column == "value" || column == "key");
    let own_name = (only && !named_column && alias.columns.is_empty()).then(|| alias.name.clone());
    select.projection = columns
        .into_iter()
        .map(|(expr, column)| SelectItem::ExprWithAlias {
            expr,
            alias: own_name.clone().unwrap_or_else(|| Ident::with_quote('"', column)),
        })
        .collect();
    // The second of two aliases of one column would only rename it once more.
    if own_name.is_some() {
        alias.columns.clear();
    }
    Ok(Some(TableFactor::Derived { lateral, subquery: Box::new(query), alias: Some(alias), sample: None }))
}
