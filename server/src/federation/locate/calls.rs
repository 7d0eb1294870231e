//! Calls of functions that do not exist, or that are written as what they are not.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::Statement;
use super::candidates::{Candidate, choose, each_expr, each_select, is_type};
use super::expressions::arguments;
use super::source::{Source, of_ident};
use crate::statement::tree::find_own;

/// What a message says of a call.
struct Wanted<'a> {
    name: &'a str,
    /// PostgreSQL's names of the arguments' types.
    types: Option<Vec<&'a str>>,
    matches: fn(&Function) -> bool,
}

fn any(_: &Function) -> bool {
    true
}

fn is_distinct(call: &Function) -> bool {
    matches!(&call.args, FunctionArguments::List(list) if list.duplicate_treatment.is_some())
}

fn has_star(call: &Function) -> bool {
    matches!(&call.args, FunctionArguments::List(list)
        if list.args.iter().any(|arg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Wildcard))))
}

impl<'a> Wanted<'a> {
    fn of(message: &'a str) -> Option<Self> {
        let plain = |name, matches| Some(Self { name, types: None, matches });
        if let Some(call) = message.strip_prefix("function ") {
            let call = call.strip_suffix(" does not exist").or_else(|| call.strip_suffix(" is not unique"))?;
            let (name, types) = call.split_once('(')?;
            let types = types.strip_suffix(')')?;
            let types = if types.is_empty() { Vec::new() } else { types.split(", ").collect() };
            return Some(Self { name: name.rsplit('.').next()?, types: Some(types), matches: any });
        }
        if message.starts_with("count(*) must be used") {
            return plain("count", |call| arguments(call).is_some_and(|args| args.is_empty()) && !has_star(call));
        }
        if let Some(name) =
            message.strip_prefix("window function ").and_then(|rest| rest.strip_suffix(" requires an OVER clause"))
        {
            return plain(name, |call| call.over.is_none());
        }
        if let Some(name) = message.strip_prefix("WITHIN GROUP is required for ordered-set aggregate ") {
            return plain(name, |call| call.within_group.is_empty());
        }
        let (words, name) = message.split_once(" specified, but ")?;
        let name = name.split_once(" is not ").map(|(name, _)| name)?;
        match words {
            "DISTINCT" => plain(name, is_distinct),
            "FILTER" => plain(name, |call| call.filter.is_some()),
            "OVER" => plain(name, |call| call.over.is_some()),
            "WITHIN GROUP" => plain(name, |call| !call.within_group.is_empty()),
            words if words.ends_with("(*)") => plain(name, has_star),
            _ => plain(name, any),
        }
    }

    fn fit(&self, call: &Function, source: &Source<'_>) -> Option<bool> {
        let last = call.name.0.last()?.as_ident()?;
        let name = if last.quote_style.is_some() { last.value.clone() } else { last.value.to_lowercase() };
        if name != self.name || !(self.matches)(call) {
            return None;
        }
        let Some(types) = &self.types else { return Some(true) };
        let Some(arguments) = arguments(call) else { return Some(false) };
        if arguments.len() != types.len() {
            return None;
        }
        let fits: Option<Vec<bool>> =
            arguments.iter().zip(types).map(|(argument, name)| is_type(&source.type_of(argument), name)).collect();
        fits.map(|fits| fits.into_iter().all(|certain| certain))
    }
}

/// The only window function of a statement, where it may not be.
pub(super) fn window(message: &str, statement: Statement<'_>, _source: &Source<'_>) -> Option<usize> {
    let known = message.starts_with("window functions are not allowed in ")
        || message == "window function calls cannot be nested"
        || message == "aggregate function calls cannot contain window function calls";
    if !known {
        return None;
    }
    let mut candidates = Vec::new();
    if message == "window functions are not allowed in WHERE" {
        each_select(statement.query, &mut |select| {
            if let Some(place) = select.selection.as_ref().and_then(own_window) {
                candidates.push(Candidate { certain: true, position: place });
            }
        });
        return choose(&candidates);
    }
    each_expr(statement.query, &mut |expr| {
        if let Expr::Function(call) = expr
            && call.over.is_some()
        {
            let position = call.name.0.first().and_then(|part| part.as_ident()).and_then(of_ident);
            candidates.push(Candidate { certain: false, position });
        }
    });
    choose(&candidates)
}

/// The first window function of an expression, none of a subquery's.
fn own_window(expr: &Expr) -> Option<Option<usize>> {
    find_own(expr, |expr| match expr {
        Expr::Function(call) if call.over.is_some() => {
            ControlFlow::Break(call.name.0.first().and_then(|part| part.as_ident()).and_then(of_ident))
        }
        _ => ControlFlow::Continue(()),
    })
}

/// Finds the call that a message is about.
pub(super) fn find(message: &str, statement: Statement<'_>, source: &Source<'_>) -> Option<usize> {
    let wanted = Wanted::of(message)?;
    let mut candidates = Vec::new();
    each_expr(statement.query, &mut |expr| {
        let Expr::Function(call) = expr else { return };
        let Some(certain) = wanted.fit(call, source) else { return };
        let position = call.name.0.first().and_then(|part| part.as_ident()).and_then(of_ident);
        candidates.push(Candidate { certain, position });
    });
    match candidates.as_slice() {
        // In FROM, or with words between its arguments.
        [] => {
            // `trim(x)`, `trim(LEADING FROM x)`
            let is_trim = matches!(wanted.name, "btrim" | "ltrim" | "rtrim");
            let is_called =
                |index: usize| source.is_name(index, wanted.name) || (is_trim && source.text(index) == "trim");
            source.only(|index| is_called(index) && source.text(index + 1) == "(")
        }
        candidates => choose(candidates),
    }
}
