//! The argument types of a call of a function that does not exist, for the error's message.

use std::ops::ControlFlow;

use atoll_connector_api::types::PgType;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, ObjectNamePart, Query, SelectItem,
    SetExpr, TableFactor, Value, ValueWithSpan, Visit, Visitor,
};

/// The first call of a function: its arguments, and a query that yields them as its columns.
pub(super) struct UnknownCall {
    arguments: Vec<Expr>,
    /// `None`: the types of constants are known without a query.
    pub(super) query: Option<Query>,
}

/// Finds the first call of a function of that name.
pub(super) fn unknown_call(query: &Query, name: &str) -> Option<UnknownCall> {
    let mut finder = Finder { name, queries: Vec::new(), found: None };
    let _ = query.visit(&mut finder);
    finder.found
}

impl UnknownCall {
    /// `unknown` for each argument that is an untyped constant, nothing for the others.
    pub(super) fn unknown_types(&self) -> Vec<String> {
        let name = |argument: &Expr| if is_unknown(argument) { "unknown".to_owned() } else { String::new() };
        self.arguments.iter().map(name).collect()
    }

    /// PostgreSQL's names of the types; `columns` are those of [`Self::query`].
    pub(super) fn type_names(&self, columns: &[PgType]) -> Vec<String> {
        let name = |(index, argument): (usize, &Expr)| {
            if is_unknown(argument) {
                return "unknown".to_owned();
            }
            columns.get(index).map_or_else(
                || "unknown".to_owned(),
                |column| match (PgType { modifier: -1, ..column.clone() }).sql_name().to_string().as_str() {
                    "bpchar" => "character".to_owned(),
                    other => other.to_owned(),
                },
            )
        };
        self.arguments.iter().enumerate().map(name).collect()
    }
}

/// A constant that takes its type from where it stands.
fn is_unknown(argument: &Expr) -> bool {
    matches!(
        argument,
        Expr::Value(ValueWithSpan {
            value: Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_) | Value::Null | Value::Placeholder(_),
            ..
        })
    )
}

struct Finder<'a> {
    name: &'a str,
    /// The queries around, the innermost last.
    queries: Vec<Query>,
    found: Option<UnknownCall>,
}

impl Visitor for Finder<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.queries.push(query.clone());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.queries.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let (name, args) = match factor {
            TableFactor::Table { name, args: Some(args), .. } => (name, &args.args),
            TableFactor::Function { name, args, .. } => (name, args),
            _ => return ControlFlow::Continue(()),
        };
        if name.0.last().and_then(ObjectNamePart::as_ident).is_none_or(|name| name.value != self.name) {
            return ControlFlow::Continue(());
        }
        let plain = args.iter().map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        });
        if let Some(arguments) = plain.collect::<Option<Vec<_>>>() {
            let known = arguments.iter().all(is_unknown);
            let query = if known { None } else { alone(&arguments) };
            if known || query.is_some() {
                self.found = Some(UnknownCall { arguments, query });
            }
        }
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let Expr::Function(call) = expr else { return ControlFlow::Continue(()) };
        let last = call.name.0.last().and_then(ObjectNamePart::as_ident);
        if last.is_none_or(|name| name.value != self.name) {
            return ControlFlow::Continue(());
        }
        let list = match &call.args {
            FunctionArguments::List(list) => list.args.as_slice(),
            _ => &[],
        };
        let mut arguments = Vec::new();
        for argument in list {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.push(expr.clone()),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => {}
                _ => return ControlFlow::Break(()),
            }
        }
        let query = if arguments.iter().all(is_unknown) {
            None
        } else {
            match self.queries.last().and_then(|query| selecting(query, &arguments)) {
                Some(query) => Some(query),
                None => return ControlFlow::Break(()),
            }
        };
        self.found = Some(UnknownCall { arguments, query });
        ControlFlow::Break(())
    }
}

/// A query of these columns and no table.
fn alone(arguments: &[Expr]) -> Option<Query> {
    selecting(&crate::statement::parse_query("SELECT 1").ok()?, arguments)
}

/// The query's FROM with other columns.
fn selecting(query: &Query, arguments: &[Expr]) -> Option<Query> {
    let mut query = query.clone();
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let column = |(index, expr): (usize, &Expr)| SelectItem::ExprWithAlias {
        expr: expr.clone(),
        alias: Ident::with_quote('"', format!("argument {index}")),
    };
    select.projection = arguments.iter().enumerate().map(column).collect();
    select.distinct = None;
    select.selection = None;
    select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
    select.having = None;
    select.qualify = None;
    select.named_window.clear();
    query.order_by = None;
    query.limit_clause = None;
    query.fetch = None;
    Some(query)
}
