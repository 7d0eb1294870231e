//! Which overload a call means: PostgreSQL's chapter "Type Conversion", "Functions".

use atoll_connector_api::types::{PgType, oids};

use super::super::Operand;
use super::super::choice::unify;
use super::{Function, Kind, Returns};
use crate::error::{SqlError, SqlResult, SqlState};

/// A call's overload, and the types it is made with.
#[derive(Debug, Clone)]
pub(in crate::federation::semantics) struct Resolved {
    pub(super) function: &'static Function,
    /// What each argument is cast to; `None` leaves it as it is.
    pub(super) targets: Vec<Option<PgType>>,
    pub(super) returns: PgType,
}

/// Functions that operators are here, by the operators.
const OPERATORS: &[(&str, &str)] = &[
    ("json_get", "->"),
    ("json_get_text", "->>"),
    ("json_path", "#>"),
    ("json_path_text", "#>>"),
    ("jsonb_concat", "||"),
    ("jsonb_delete", "-"),
    ("jsonb_delete_path", "#-"),
    ("jsonb_contains", "@>"),
    ("jsonb_contained", "<@"),
    ("jsonb_exists", "?"),
    ("jsonb_exists_any", "?|"),
    ("jsonb_exists_all", "?&"),
    ("array_contains", "@>"),
    ("array_contained", "<@"),
    ("array_overlaps", "&&"),
    ("money_add", "+"),
    ("money_subtract", "-"),
    ("money_multiply", "*"),
    ("money_divide", "/"),
    ("network_add", "+"),
    ("network_minus", "-"),
    ("network_sub", "<<"),
    ("network_sup", ">>"),
    ("bits_and", "&"),
    ("bits_or", "|"),
    ("bits_xor", "#"),
    ("bits_left", "<<"),
    ("bits_right", ">>"),
    ("int_xor", "#"),
    ("negate", "-"),
];

/// Those of them that PostgreSQL has, too.
const ALSO_CALLED: [&str; 8] = [
    "jsonb_concat",
    "jsonb_delete",
    "jsonb_delete_path",
    "jsonb_contains",
    "jsonb_contained",
    "jsonb_exists",
    "jsonb_exists_any",
    "jsonb_exists_all",
];

/// Whether a function stands for an operator only, so that nobody calls it by name.
pub(in crate::federation::semantics) fn is_operator_only(name: &str) -> bool {
    operator_of(name).is_some() && !ALSO_CALLED.contains(&name)
}

/// The operator that a function of ours stands for.
pub(in crate::federation::semantics) fn operator_of(name: &str) -> Option<&'static str> {
    OPERATORS.iter().find(|(function, _)| *function == name).map(|(_, operator)| *operator)
}

/// `42883`.
pub(in crate::federation::semantics) fn undefined(name: &str, args: &[Operand]) -> SqlError {
    let shown: Vec<String> = args
        .iter()
        .map(|arg| match arg {
            Operand::Unknown => "unknown".to_owned(),
            Operand::Typed(data_type) => PgType { modifier: -1, ..data_type.clone() }.sql_name(),
        })
        .collect();
    let name = if name == super::SERIES { "generate_series" } else { name };
    if let Some(Operand::Typed(own)) = args.iter().find(|arg| matches!(arg, Operand::Typed(own) if own.is_extension()))
    {
        // It may have casts that lead to the function, or one of its own.
        let name = operator_of(name).unwrap_or(name);
        return SqlError::unsupported(format!("{name} of values of type {} is not supported", own.sql_name()));
    }
    if name == "array_of"
        && let Some((one, other)) = unmatched(args)
    {
        let shown = |own: &PgType| PgType { modifier: -1, ..own.clone() }.sql_name();
        let message = format!("ARRAY types {} and {} cannot be matched", shown(&one), shown(&other));
        return SqlError::new(SqlState::DATATYPE_MISMATCH, message);
    }
    if let ("array_subscript" | "array_slice", Some(true)) = (name, shown.first().map(|own| own.ends_with("[]"))) {
        return SqlError::new(SqlState::DATATYPE_MISMATCH, "array subscript must have type integer");
    }
    if let ("array_subscript" | "array_slice", Some(value)) = (name, shown.first()) {
        let message = format!("cannot subscript type {value} because it does not support subscripting");
        return SqlError::new(SqlState::DATATYPE_MISMATCH, message);
    }
    if let Some(operator) = operator_of(name) {
        let what = match shown.as_slice() {
            [operand] => format!("{operator} {operand}"),
            [left, right, ..] => format!("{left} {operator} {right}"),
            [] => operator.to_owned(),
        };
        let hint = match shown.as_slice() {
            [_] => "No operator matches the given name and argument type. You might need to add an explicit type cast.",
            _ => "No operator matches the given name and argument types. You might need to add explicit type casts.",
        };
        return SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {what}")).hint(hint);
    }
    SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function {name}({}) does not exist", shown.join(", ")))
        .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

/// The first types that have none in common.
fn unmatched(args: &[Operand]) -> Option<(PgType, PgType)> {
    let mut common: Option<PgType> = None;
    for arg in args {
        let Operand::Typed(own) = arg else { continue };
        common = Some(match common {
            None => own.clone(),
            Some(common) => match unify(&common, own) {
                Some(unified) => unified,
                None => return Some((common, own.clone())),
            },
        });
    }
    None
}

/// Steps of implicit casts between numbers, in PostgreSQL's direction.
fn number_rank(oid: u32) -> Option<u8> {
    Some(match oid {
        oids::INT2 => 0,
        oids::INT4 => 1,
        oids::INT8 => 2,
        oids::NUMERIC => 3,
        oids::FLOAT4 => 4,
        oids::FLOAT8 => 5,
        _ => return None,
    })
}

fn is_string(oid: u32) -> bool {
    matches!(oid, oids::TEXT | oids::VARCHAR | oids::BPCHAR | oids::NAME | oids::CHAR | oids::UNKNOWN)
}

fn implicit(from: &PgType, to: u32) -> bool {
    if from.user.is_some() {
        return false;
    }
    if from.oid == to {
        return true;
    }
    if let (Some(from), Some(to)) = (number_rank(from.oid), number_rank(to)) {
        return from < to;
    }
    matches!(
        (from.oid, to),
        (oids::VARCHAR | oids::BPCHAR | oids::NAME | oids::CHAR | oids::UNKNOWN, oids::TEXT)
            | (oids::CIDR, oids::INET)
            | (oids::DATE, oids::TIMESTAMP | oids::TIMESTAMPTZ)
            | (oids::TIMESTAMP, oids::TIMESTAMPTZ)
            | (oids::BIT, oids::VARBIT)
    ) || {
        // varchar[] is text[] too.
        let elements = (from.element(), PgType::new(to).element());
        matches!(elements, (Some(from), Some(to)) if to.oid == oids::TEXT && is_string(from.oid))
    }
}

fn preferred(oid: u32) -> bool {
    matches!(oid, oids::FLOAT8 | oids::TEXT | oids::BOOL | oids::TIMESTAMPTZ | oids::INTERVAL | oids::INET)
}

struct Candidate {
    resolved: Resolved,
    exact: usize,
    preferred: usize,
}

/// Finds the overload.
///
/// # Errors
/// `42883`; `42725` where several are as good.
pub(super) fn resolve(name: &str, args: &[Operand]) -> SqlResult<Resolved> {
    let candidates: Vec<Candidate> =
        super::all().filter(|function| function.name == name).filter_map(|function| fit(function, args)).collect();
    let best_exact = candidates.iter().map(|candidate| candidate.exact).max();
    let mut left: Vec<Candidate> =
        candidates.into_iter().filter(|candidate| Some(candidate.exact) == best_exact).collect();
    let best_preferred = left.iter().map(|candidate| candidate.preferred).max();
    left.retain(|candidate| Some(candidate.preferred) == best_preferred);
    if left.len() > 1 {
        for (index, arg) in args.iter().enumerate() {
            if *arg != Operand::Unknown {
                continue;
            }
            let oid_at = |candidate: &Candidate| {
                candidate.resolved.targets.get(index).and_then(Option::as_ref).map_or(0, |target| target.oid)
            };
            // An untyped literal is a string where that is possible.
            if left.iter().any(|candidate| oid_at(candidate) == oids::TEXT) {
                left.retain(|candidate| oid_at(candidate) == oids::TEXT);
            } else if left.iter().any(|candidate| preferred(oid_at(candidate))) {
                left.retain(|candidate| preferred(oid_at(candidate)));
            }
        }
    }
    if left.len() > 1 {
        // Two overloads of which one takes everything: the one with types of its own.
        let generic = |candidate: &Candidate| candidate.resolved.function.parameters.contains(&Kind::Any);
        if left.iter().any(|candidate| !generic(candidate)) {
            left.retain(|candidate| !generic(candidate));
        }
    }
    if left.len() > 1 {
        let shown = undefined(name, args).message.replace("does not exist", "is not unique");
        let what = if operator_of(name).is_some() { "operator" } else { "function" };
        return Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, shown)
            .hint(format!("Could not choose a best candidate {what}. You might need to add explicit type casts.")));
    }
    left.pop().map(|candidate| candidate.resolved).ok_or_else(|| undefined(name, args))
}

fn fit(function: &'static Function, args: &[Operand]) -> Option<Candidate> {
    let declared = function.parameters.len();
    let enough = if function.variadic { args.len() + 1 >= declared } else { args.len() == declared };
    if !enough {
        return None;
    }
    let kind_at = |index: usize| function.parameters.get(index.min(declared.saturating_sub(1))).copied();
    let common = common_type(args, &kind_at)?;
    let (mut exact, mut liked) = (0, 0);
    let mut targets = Vec::with_capacity(args.len());
    for (index, arg) in args.iter().enumerate() {
        let target = match kind_at(index)? {
            Kind::Of(oid) => Some(PgType::new(oid)),
            Kind::Array => Some(common.as_ref()?.array()?),
            Kind::Element => Some(common.clone()?),
            Kind::Any => None,
        };
        match (arg, &target) {
            (Operand::Typed(own), Some(target)) if own.oid == target.oid => exact += 1,
            (Operand::Typed(own), Some(target)) => {
                let castable = match kind_at(index)? {
                    Kind::Of(oid) => implicit(own, oid),
                    _ => true,
                };
                if !castable {
                    return None;
                }
                liked += usize::from(preferred(target.oid));
            }
            (Operand::Unknown, _) | (Operand::Typed(_), None) => {}
        }
        targets.push(match (arg, target) {
            (Operand::Typed(own), Some(target)) if own.oid == target.oid => None,
            (Operand::Unknown, None) => Some(PgType::new(oids::TEXT)),
            (_, target) => target,
        });
    }
    let returns = match function.returns {
        Returns::Of(oid) => PgType::new(oid),
        // An array of arrays is one of more dimensions.
        Returns::Array => {
            let common = common?;
            bare(if common.is_array() { common } else { common.array()? })
        }
        Returns::Element => bare(common?),
    };
    Some(Candidate { resolved: Resolved { function, targets, returns }, exact, preferred: liked })
}

/// A type without its modifier; a `char(n)` keeps its length, which is its padding.
fn bare(data_type: PgType) -> PgType {
    let padded = data_type.user.is_none() && matches!(data_type.oid, oids::BPCHAR | BPCHAR_ARRAY);
    if padded { data_type } else { PgType { modifier: -1, ..data_type } }
}

/// `char(n)[]`.
const BPCHAR_ARRAY: u32 = 1014;

/// The type that stands for `anyelement`: `Some(None)` where the function has no such parameter, `None` where the
/// arguments do not agree.
#[expect(clippy::option_option, reason = "no common type, and none needed, are different")]
fn common_type(args: &[Operand], kind_at: &dyn Fn(usize) -> Option<Kind>) -> Option<Option<PgType>> {
    let mut common: Option<PgType> = None;
    let mut generic = false;
    for (index, arg) in args.iter().enumerate() {
        let own = match (kind_at(index)?, arg) {
            (Kind::Array, Operand::Typed(data_type)) => data_type.element()?,
            (Kind::Element, Operand::Typed(data_type)) => data_type.clone(),
            (Kind::Array | Kind::Element, Operand::Unknown) => {
                generic = true;
                continue;
            }
            _ => continue,
        };
        generic = true;
        let own = bare(own);
        common = Some(match common {
            None => own,
            Some(common) => unify(&common, &own)?,
        });
    }
    if generic && common.is_none() {
        return Some(Some(PgType::new(oids::TEXT)));
    }
    Some(common)
}
