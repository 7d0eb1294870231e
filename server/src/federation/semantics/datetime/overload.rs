//! Which of the functions of one name a call means: PostgreSQL's rules, chapter "Function Type Resolution".

use atoll_connector_api::types::{PgType, oids};
use datafusion::common::exec_err;
use datafusion::error::Result;

use super::value::Value;
use crate::error::{SqlError, SqlState};
use crate::federation::semantics::{Operand, Settings};
use atoll_connector_api::types::temporal::Interval;

/// One call: a row's arguments.
pub(super) struct Call<'a> {
    pub(super) arguments: &'a [Value],
    pub(super) settings: &'a Settings,
}

/// Computes one row.
pub(super) type Body = fn(&Call<'_>) -> Result<Value>;

/// A function with given types of arguments.
pub(super) struct Overload {
    pub(super) name: &'static str,
    pub(super) parameters: &'static [u32],
    pub(super) result: u32,
    pub(super) body: Body,
    /// NULL in, NULL out, without a call.
    pub(super) strict: bool,
    /// Another value at each call.
    pub(super) volatile: bool,
}

/// A strict function.
pub(super) const fn function(name: &'static str, parameters: &'static [u32], result: u32, body: Body) -> Overload {
    Overload { name, parameters, result, body, strict: true, volatile: false }
}

macro_rules! accessors {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $pattern:pat => $value:expr;)*) => {
        impl Call<'_> {
            $($(#[$doc])* pub(super) fn $name(&self, index: usize) -> Result<$type> {
                match self.arguments.get(index) {
                    Some($pattern) => Ok($value),
                    other => exec_err!("argument {index} is {other:?}, not what the overload takes"),
                }
            })*
        }
    };
}

accessors! {
    int: i64 = Value::Int(value) => *value;
    float: f64 = Value::Float(value) => *value;
    text: &str = Value::Text(value) | Value::Numeric(value) => value.as_str();
    date: i32 = Value::Date(value) => *value;
    time: i64 = Value::Time(value) => *value;
    timetz: (i64, i64) = Value::TimeTz(usecs, offset) => (*usecs, *offset);
    /// With or without time zone.
    timestamp: i64 = Value::Timestamp(value) | Value::TimestampTz(value) => *value;
    interval: Interval = Value::Interval(value) => *value;
}

impl Call<'_> {
    /// The session's time zone.
    pub(super) fn zone(&self) -> chrono_tz::Tz {
        self.settings.style().time_zone
    }
}

/// What a name and arguments mean.
pub(super) enum Resolution {
    One(&'static Overload),
    /// No function of the name takes such arguments.
    None,
    /// More than one does.
    Ambiguous,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Category {
    Number,
    Text,
    Bool,
    Moment,
    Span,
    Other,
}

fn category(oid: u32) -> Category {
    match oid {
        oids::INT2 | oids::INT4 | oids::INT8 | oids::NUMERIC | oids::FLOAT4 | oids::FLOAT8 | oids::OID => {
            Category::Number
        }
        oids::TEXT | oids::VARCHAR | oids::BPCHAR | oids::NAME => Category::Text,
        oids::BOOL => Category::Bool,
        oids::DATE | oids::TIME | oids::TIMETZ | oids::TIMESTAMP | oids::TIMESTAMPTZ => Category::Moment,
        oids::INTERVAL => Category::Span,
        _ => Category::Other,
    }
}

const fn preferred(oid: u32) -> bool {
    matches!(oid, oids::TEXT | oids::BOOL | oids::FLOAT8 | oids::OID | oids::TIMESTAMPTZ | oids::INTERVAL)
}

/// Implicit casts, without the one to itself.
const fn converts(from: u32, to: u32) -> bool {
    matches!(
        (from, to),
        (oids::INT2, oids::INT4 | oids::INT8 | oids::NUMERIC | oids::FLOAT4 | oids::FLOAT8)
            | (oids::INT4, oids::INT8 | oids::NUMERIC | oids::FLOAT4 | oids::FLOAT8)
            | (oids::INT8, oids::NUMERIC | oids::FLOAT4 | oids::FLOAT8)
            | (oids::NUMERIC, oids::FLOAT4 | oids::FLOAT8)
            | (oids::FLOAT4, oids::FLOAT8)
            | (oids::VARCHAR | oids::BPCHAR | oids::NAME | oids::CHAR, oids::TEXT)
            | (oids::DATE, oids::TIMESTAMP | oids::TIMESTAMPTZ)
            | (oids::TIMESTAMP, oids::TIMESTAMPTZ)
            | (oids::TIME, oids::TIMETZ | oids::INTERVAL)
    )
}

/// `None` for an untyped literal.
fn known(operand: &Operand) -> Option<u32> {
    match operand {
        Operand::Unknown => None,
        Operand::Typed(PgType { user: Some(_), .. }) => Some(0),
        // varchar has no functions of its own: PostgreSQL takes it for text.
        Operand::Typed(data_type) if data_type.oid == oids::VARCHAR => Some(oids::TEXT),
        Operand::Typed(data_type) => Some(data_type.oid),
    }
}

/// Chooses among `candidates`, all of one name.
pub(super) fn resolve(candidates: &[&'static Overload], operands: &[Operand]) -> Resolution {
    let types: Vec<Option<u32>> = operands.iter().map(known).collect();
    let fits = |overload: &&'static Overload| {
        overload.parameters.len() == types.len()
            && overload
                .parameters
                .iter()
                .zip(&types)
                .all(|(parameter, own)| own.is_none_or(|own| own == *parameter || converts(own, *parameter)))
    };
    let mut left: Vec<&'static Overload> = candidates.iter().copied().filter(fits).collect();
    if left.len() <= 1 {
        return left.first().map_or(Resolution::None, |one| Resolution::One(one));
    }
    keep_best(&mut left, |overload| {
        let exact = |(parameter, own): (&u32, &Option<u32>)| *own == Some(*parameter);
        overload.parameters.iter().zip(&types).filter(|pair| exact(*pair)).count()
    });
    keep_best(&mut left, |overload| {
        let good = |(parameter, own): (&u32, &Option<u32>)| {
            own.is_some_and(|own| own == *parameter || (category(own) == category(*parameter) && preferred(*parameter)))
        };
        overload.parameters.iter().zip(&types).filter(|pair| good(*pair)).count()
    });
    keep_categories(&mut left, &types);
    if left.len() > 1 {
        // Untyped arguments are taken for what all the others are.
        let mut typed = types.iter().flatten();
        if let Some(first) = typed.next()
            && typed.all(|other| other == first)
        {
            let same: Vec<_> = left
                .iter()
                .copied()
                .filter(|overload| {
                    let takes = |parameter: u32| parameter == *first || converts(*first, parameter);
                    overload.parameters.iter().zip(&types).all(|(parameter, own)| own.is_some() || takes(*parameter))
                })
                .collect();
            if !same.is_empty() {
                left = same;
            }
        }
    }
    match left.as_slice() {
        [one] => Resolution::One(one),
        [] => Resolution::None,
        _ => Resolution::Ambiguous,
    }
}

fn keep_best(left: &mut Vec<&'static Overload>, score: impl Fn(&Overload) -> usize) {
    let best = left.iter().map(|overload| score(overload)).max().unwrap_or(0);
    left.retain(|overload| score(overload) == best);
}

/// For each untyped argument: text where a candidate takes it, else the category that all candidates share, and of that
/// the preferred type.
fn keep_categories(left: &mut Vec<&'static Overload>, types: &[Option<u32>]) {
    for (index, _) in types.iter().enumerate().filter(|(_, own)| own.is_none()) {
        let mut categories: Vec<Category> = Vec::new();
        for overload in left.iter() {
            let own = overload.parameters.get(index).map_or(Category::Other, |oid| category(*oid));
            if !categories.contains(&own) {
                categories.push(own);
            }
        }
        let chosen = match categories.as_slice() {
            [one] => *one,
            several if several.contains(&Category::Text) => Category::Text,
            _ => return,
        };
        let at = |overload: &Overload| overload.parameters.get(index).copied().unwrap_or(0);
        let has_preferred = left.iter().any(|overload| category(at(overload)) == chosen && preferred(at(overload)));
        left.retain(|overload| category(at(overload)) == chosen && (!has_preferred || preferred(at(overload))));
    }
}

/// `42883` or `42725` of a function.
pub(super) fn unresolved(name: &str, operands: &[Operand], ambiguous: bool) -> SqlError {
    let types: Vec<String> = operands.iter().map(shown).collect();
    // What is written by syntax of its own is found in pg_catalog.
    let schema = if matches!(name, "extract" | "overlaps") { "pg_catalog." } else { "" };
    let call = format!("function {schema}{name}({})", types.join(", "));
    if ambiguous {
        return SqlError::new(SqlState::AMBIGUOUS_FUNCTION, format!("{call} is not unique"))
            .hint("Could not choose a best candidate function. You might need to add explicit type casts.");
    }
    SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("{call} does not exist"))
        .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

/// A type as messages have it.
pub(super) fn shown(operand: &Operand) -> String {
    match operand {
        Operand::Unknown => "unknown".to_owned(),
        Operand::Typed(data_type) => PgType { modifier: -1, ..data_type.clone() }.sql_name(),
    }
}
