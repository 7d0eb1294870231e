//! The syntax tree's part: `OVER w`, `OVER (w …)`, `WINDOW w AS (v …)`, and which calls need a frame of ours.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident,
    NamedWindowDefinition, NamedWindowExpr, ObjectName, Query, Select, SetExpr, Value, VisitMut, VisitorMut,
    WindowFrame, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};

use super::frame_marks::excluded;
use super::spec::{Bound, Exclusion, Pick, Spec, Units};
use super::ties;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::federation::naming::folded;
use crate::federation::refused::has_window;
use crate::federation::semantics::{collect, functions, statistics};

/// Window functions that pay no heed to the frame.
const FRAMELESS: &[&str] = &["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile"];

/// Aggregates that DataFusion, or ours under it, moves from one frame to the next.
pub(super) const MOVING: &[&str] = &["sum", "avg", "count", "min", "max"];

/// Resolves windows that refer to others, in subqueries too, and gives frames that DataFusion has not to ours.
/// `is_aggregate` knows the aggregates by their public names and by ours.
///
/// # Errors
/// `42704` for a window that does not exist, `42P20` for one that cannot be what it is said to be.
pub fn rewrite_windows(query: &mut Query, is_aggregate: &dyn Fn(&str) -> bool) -> SqlResult<()> {
    match query.visit(&mut Windows { named: Vec::new(), is_aggregate }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// A window and its name.
type Named = (String, Window);

/// A window written out.
#[derive(Debug, Clone)]
struct Window {
    spec: WindowSpec,
    exclusion: Exclusion,
}

struct Windows<'a> {
    /// The WINDOW clauses of the queries around, the innermost last.
    named: Vec<Vec<Named>>,
    is_aggregate: &'a dyn Fn(&str) -> bool,
}

impl VisitorMut for Windows<'_> {
    type Break = SqlError;

    // The query's own ORDER BY sees the windows of its SELECT.
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        if let Err(error) = ties::rewrite(query) {
            return ControlFlow::Break(error);
        }
        let windows = match query.body.as_mut() {
            SetExpr::Select(select) => taken(select)?,
            _ => Vec::new(),
        };
        self.named.push(windows);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<SqlError> {
        self.named.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        let own = taken(select)?;
        // A SELECT that is a query's whole body has given its windows to the query.
        let windows = if own.is_empty() { self.named.last().cloned().unwrap_or_default() } else { own };
        self.named.push(windows);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<SqlError> {
        self.named.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        let windows = self.named.last().map_or(&[][..], Vec::as_slice);
        match self.call(function, windows) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// The windows of a SELECT, each written out.
fn taken(select: &mut Select) -> ControlFlow<SqlError, Vec<Named>> {
    let mut named: Vec<Named> = Vec::new();
    for NamedWindowDefinition(name, window) in std::mem::take(&mut select.named_window) {
        let name = folded(&name);
        if named.iter().any(|(known, _)| *known == name) {
            return ControlFlow::Break(windowing(format!("window \"{name}\" is already defined")));
        }
        let resolved = match window {
            NamedWindowExpr::NamedWindow(other) => find(&other, &named).cloned(),
            NamedWindowExpr::WindowSpec(spec) => resolved(spec, &named, false),
        };
        match resolved {
            Ok(spec) => named.push((name, spec)),
            Err(error) => return ControlFlow::Break(error),
        }
    }
    ControlFlow::Continue(named)
}

fn find<'a>(name: &Ident, named: &'a [Named]) -> SqlResult<&'a Window> {
    let name = folded(name);
    named
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, window)| window)
        .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_OBJECT, format!("window \"{name}\" does not exist")))
}

/// A window with what it takes from the one that it names. `in_call`: in OVER, not in the WINDOW clause.
fn resolved(mut spec: WindowSpec, named: &[Named], in_call: bool) -> SqlResult<Window> {
    let exclusion = spec.window_frame.as_mut().and_then(excluded).and_then(|name| Exclusion::named(&name));
    if let Some(name) = spec.window_name.take() {
        let base = &find(&name, named)?.spec;
        let name = folded(&name);
        if !spec.partition_by.is_empty() {
            return Err(windowing(format!("cannot override PARTITION BY clause of window \"{name}\"")));
        }
        if !spec.order_by.is_empty() && !base.order_by.is_empty() {
            return Err(windowing(format!("cannot override ORDER BY clause of window \"{name}\"")));
        }
        if base.window_frame.is_some() {
            let error = windowing(format!("cannot copy window \"{name}\" because it has a frame clause"));
            let bare = in_call && spec.order_by.is_empty() && spec.window_frame.is_none();
            return Err(if bare { error.hint("Omit the parentheses in this OVER clause.") } else { error });
        }
        spec.partition_by.clone_from(&base.partition_by);
        if spec.order_by.is_empty() {
            spec.order_by.clone_from(&base.order_by);
        }
    }
    if let Some(frame) = &spec.window_frame {
        let (start, end) = bounds(frame);
        check_bounds(start, end, frame.end_bound.is_some())?;
        let mut distinct: Vec<&_> = Vec::new();
        for item in &spec.order_by {
            if !distinct.contains(&item) {
                distinct.push(item);
            }
        }
        if frame.units == WindowFrameUnits::Range && (start.is_offset() || end.is_offset()) {
            if distinct.len() != 1 {
                let message = "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column";
                return Err(windowing(message.to_owned()));
            }
            spec.order_by.truncate(1);
        }
        if frame.units == WindowFrameUnits::Groups && spec.order_by.is_empty() {
            return Err(windowing("GROUPS mode requires an ORDER BY clause".to_owned()));
        }
    }
    Ok(Window { spec, exclusion: exclusion.unwrap_or(Exclusion::NoOthers) })
}

fn windowing(message: String) -> SqlError {
    SqlError::new(SqlState::WINDOWING_ERROR, message)
}

/// What PostgreSQL's grammar refuses.
fn check_bounds(start: Bound, end: Bound, between: bool) -> SqlResult<()> {
    let message = match (start, end) {
        (Bound::UnboundedFollowing, _) => "frame start cannot be UNBOUNDED FOLLOWING",
        (_, Bound::UnboundedPreceding) => "frame end cannot be UNBOUNDED PRECEDING",
        (Bound::Following, _) if !between => "frame starting from following row cannot end with current row",
        (Bound::CurrentRow, Bound::Preceding) => "frame starting from current row cannot have preceding rows",
        (Bound::Following, Bound::Preceding | Bound::CurrentRow) => {
            "frame starting from following row cannot have preceding rows"
        }
        _ => return Ok(()),
    };
    Err(windowing(message.to_owned()))
}

fn bounds(frame: &WindowFrame) -> (Bound, Bound) {
    let bound = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::Preceding(None) => Bound::UnboundedPreceding,
        WindowFrameBound::Preceding(Some(_)) => Bound::Preceding,
        WindowFrameBound::CurrentRow => Bound::CurrentRow,
        WindowFrameBound::Following(Some(_)) => Bound::Following,
        WindowFrameBound::Following(None) => Bound::UnboundedFollowing,
    };
    (bound(&frame.start_bound), frame.end_bound.as_ref().map_or(Bound::CurrentRow, bound))
}

impl Windows<'_> {
    fn call(&self, function: &mut Function, windows: &[Named]) -> SqlResult<()> {
        let window = match function.over.take() {
            None => return self.check_aggregate(function),
            Some(WindowType::NamedWindow(name)) => find(&name, windows)?.clone(),
            Some(WindowType::WindowSpec(spec)) => resolved(spec, windows, true)?,
        };
        let name = function.name.to_string().to_lowercase();
        let bare = name.strip_prefix("pg_catalog.").unwrap_or(&name).to_owned();
        check_call(function, &bare)?;
        let spec = self.framed(function, &bare, window)?;
        function.over = Some(WindowType::WindowSpec(spec));
        Ok(())
    }

    /// An aggregate is computed before any window is.
    fn check_aggregate(&self, function: &Function) -> SqlResult<()> {
        let name = function.name.to_string().to_lowercase();
        if (self.is_aggregate)(&name) && has_window(&function.args) {
            let message = "aggregate function calls cannot contain window function calls";
            return Err(SqlError::new(SqlState::GROUPING_ERROR, message));
        }
        Ok(())
    }

    /// Gives a call to our function where that is needed.
    fn framed(&self, function: &mut Function, bare: &str, window: Window) -> SqlResult<WindowSpec> {
        let Window { mut spec, exclusion } = window;
        let pick = Pick::named(bare).is_some();
        let inner = match bare {
            "every" => "bool_and".to_owned(),
            _ => collect::named(bare, false).or_else(|| statistics::named(bare)).unwrap_or_else(|| bare.to_owned()),
        };
        let offsets_are_plain = spec.window_frame.as_ref().is_none_or(|frame| {
            [Some(&frame.start_bound), frame.end_bound.as_ref()].into_iter().flatten().all(is_plain)
                && (frame.units != WindowFrameUnits::Range || {
                    let (start, end) = bounds(frame);
                    !start.is_offset() && !end.is_offset()
                })
                && !is_always_empty(frame)
        });
        if !pick && !(self.is_aggregate)(&inner) {
            // What there is besides pays no heed to the frame; an unknown function is found later.
            if FRAMELESS.contains(&bare) || !offsets_are_plain || exclusion != Exclusion::NoOthers {
                spec.window_frame = None;
            }
            if functions::named(bare).is_some() {
                let message = format!("OVER specified, but {bare} is not a window function nor an aggregate function");
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
            return Ok(spec);
        }
        let moves = spec.window_frame.as_ref().is_some_and(|frame| bounds(frame).0 != Bound::UnboundedPreceding);
        let moves_natively = (pick && has_plain_place(function, bare)) || MOVING.contains(&bare);
        if pick && !Pick::named(bare).is_some_and(Pick::reads_frame) {
            spec.window_frame = None;
        }
        let runs_natively = offsets_are_plain && inner == bare && exclusion == Exclusion::NoOthers;
        if runs_natively && (moves_natively || (!moves && !pick)) {
            return Ok(spec);
        }
        let FunctionArguments::List(list) = &mut function.args else { return Ok(spec) };
        // Over a frame `count(*)` is `count(1)`.
        for arg in &mut list.args {
            if matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Wildcard)) {
                if bare != "count" {
                    return Err(functions::undefined(bare, &[]));
                }
                let one = Expr::Value(Value::Number("1".to_owned(), false).with_empty_span());
                *arg = FunctionArg::Unnamed(FunctionArgExpr::Expr(one));
            }
        }
        let arguments = list.args.len();
        let filter = function.filter.take();
        let (units, (start, end)) = match &spec.window_frame {
            Some(frame) => (
                match frame.units {
                    WindowFrameUnits::Rows => Units::Rows,
                    WindowFrameUnits::Range => Units::Range,
                    WindowFrameUnits::Groups => Units::Groups,
                },
                bounds(frame),
            ),
            None => (Units::Range, (Bound::UnboundedPreceding, Bound::CurrentRow)),
        };
        let framed = Spec { function: inner, arguments, filter: filter.is_some(), units, start, end, exclusion };
        let offsets = spec.window_frame.take().into_iter().flat_map(|frame| {
            [Some(frame.start_bound), frame.end_bound].into_iter().flatten().filter_map(|bound| match bound {
                WindowFrameBound::Preceding(offset) | WindowFrameBound::Following(offset) => offset,
                WindowFrameBound::CurrentRow => None,
            })
        });
        let more = filter.into_iter().chain(offsets);
        list.args.extend(more.map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(*expr))));
        function.name = ObjectName::from(vec![Ident::with_quote('"', framed.name())]);
        Ok(spec)
    }
}

/// What PostgreSQL has not for window functions.
fn check_call(function: &Function, name: &str) -> SqlResult<()> {
    if !function.within_group.is_empty() {
        let message = format!("OVER is not supported for ordered-set aggregate {name}");
        return Err(SqlError::unsupported(message));
    }
    let FunctionArguments::List(list) = &function.args else { return Ok(()) };
    if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
        return Err(SqlError::unsupported("DISTINCT is not implemented for window functions"));
    }
    if list.clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_))) {
        return Err(SqlError::unsupported("aggregate ORDER BY is not implemented for window functions"));
    }
    Ok(())
}

/// Whether DataFusion reads the place that is asked for: a plain number, of `nth_value` above zero. It has one type for the
/// values of `lag` and `lead` and for what is there instead, which may not be a column.
fn has_plain_place(function: &Function, name: &str) -> bool {
    let FunctionArguments::List(list) = &function.args else { return true };
    if list.args.len() > 2 {
        return false;
    }
    match list.args.get(1) {
        Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))) => {
            matches!(&value.value, Value::Number(digits, _)
                if digits.to_string().parse::<i32>().is_ok_and(|place| place > 0 || name != "nth_value"))
        }
        Some(_) => false,
        None => true,
    }
}

/// Whether plain offsets end a frame before it begins, which DataFusion refuses.
fn is_always_empty(frame: &WindowFrame) -> bool {
    let count = |offset: &Expr| match offset {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.to_string().parse::<u64>().ok(),
            _ => None,
        },
        _ => None,
    };
    match (&frame.start_bound, &frame.end_bound) {
        (WindowFrameBound::Preceding(Some(start)), Some(WindowFrameBound::Preceding(Some(end)))) => {
            count(start) < count(end)
        }
        (WindowFrameBound::Following(Some(start)), Some(WindowFrameBound::Following(Some(end)))) => {
            count(start) > count(end)
        }
        _ => false,
    }
}

/// Whether DataFusion reads a bound: a plain number of rows, if any.
fn is_plain(bound: &WindowFrameBound) -> bool {
    match bound {
        WindowFrameBound::Preceding(Some(offset)) | WindowFrameBound::Following(Some(offset)) => {
            matches!(offset.as_ref(), Expr::Value(value)
                if matches!(&value.value, Value::Number(digits, _) if digits.to_string().parse::<u32>().is_ok()))
        }
        _ => true,
    }
}
