//! PostgreSQL's functions where DataFusion's differ, or where it has none: declared with PostgreSQL's types.
//!
//! A call in the syntax tree gets a name of ours, so that system queries and DataFusion's own functions stay as they are.
//! The analyzer then binds it: [`resolve`] finds the overload by PostgreSQL's rules, and the arguments are cast to what
//! it takes. Values pass row by row: right in every case first; what is hot is pushed down or built on Arrow elsewhere.

mod angles;
mod arrays;
mod bind;
mod bits;
mod decimal;
mod encodings;
mod json;
mod money;
mod names;
mod network;
mod node;
mod numbers;
mod ranges;
mod records;
mod regex;
mod regex_fault;
mod resolve;
mod sets;
mod strings;

use atoll_connector_api::types::text::OutputStyle;
use atoll_connector_api::types::{Numeric, PgType, oids};

/// The function that gives a value with the padding that it prints with.
pub(super) const PADDED: &str = "pg_padded";

/// The function that says whether a regular expression matches.
pub(super) const REGEXP_LIKE: &str = "regexp_like";

pub(super) use bind::{bind, function, functions, named};
pub(super) use bits::LIKE_WILDCARDS;
pub(super) use decimal::sqrt_to_scale;
pub(super) use json::to_json_text;
pub(super) use regex::is_plain_pattern;
pub(super) use resolve::{is_operator_only, undefined};
pub(super) use sets::{MATCHES, SERIES, series_of};
pub(super) use strings::like_escape;

use crate::error::{SqlError, SqlResult, SqlState};
use crate::interrupt::out_of_memory;

/// `MaxAllocSize`: what PostgreSQL builds at most.
const STRING_BYTES_MAX: usize = 0x3fff_ffff;

fn too_large() -> SqlError {
    SqlError::new(SqlState(*b"54000"), "requested length too large")
}

/// A value that goes in or comes out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Datum {
    Null,
    Bool(bool),
    /// `smallint`, `integer`, `bigint`.
    Int(i64),
    /// `real`, `double precision`.
    Float(f64),
    Numeric(Numeric),
    /// Everything else, in PostgreSQL's output format.
    Text(String),
    Bytes(Vec<u8>),
}

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A type, and what is cast to it implicitly.
    Of(u32),
    /// An array whose elements are of the call's common type.
    Array,
    /// A value of the call's common type.
    Element,
    /// A value of any type, as it is.
    Any,
}

/// What a function returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returns {
    Of(u32),
    /// An array of the common type.
    Array,
    /// The common type.
    Element,
}

/// One overload.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) parameters: &'static [Kind],
    /// The last parameter may come any number of times, also not at all.
    pub(super) variadic: bool,
    pub(super) returns: Returns,
    /// NULL for any NULL.
    pub(super) strict: bool,
    pub(super) run: fn(&Call<'_>) -> SqlResult<Datum>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}

/// One row's call.
pub(super) struct Call<'a> {
    pub(super) args: &'a [Datum],
    /// The arguments' types, after their casts.
    pub(super) types: &'a [PgType],
    /// The result's type.
    pub(super) returns: &'a PgType,
    pub(super) style: &'a OutputStyle,
    /// Bytes that the result may take.
    pub(super) memory: usize,
}

impl Call<'_> {
    /// Makes sure that there is room for a result before it is made.
    fn reserve(&self, bytes: usize) -> SqlResult<()> {
        if bytes > self.memory {
            return Err(out_of_memory(bytes));
        }
        if bytes > STRING_BYTES_MAX { Err(too_large()) } else { Ok(()) }
    }

    /// An integer argument; 0 where there is none.
    fn int(&self, index: usize) -> i64 {
        match self.args.get(index) {
            Some(Datum::Int(value)) => *value,
            _ => 0,
        }
    }

    fn float(&self, index: usize) -> f64 {
        match self.args.get(index) {
            Some(Datum::Float(value)) => *value,
            _ => 0.0,
        }
    }

    fn numeric(&self, index: usize) -> Numeric {
        match self.args.get(index) {
            Some(Datum::Numeric(value)) => value.clone(),
            _ => Numeric::NaN,
        }
    }

    fn text(&self, index: usize) -> &str {
        match self.args.get(index) {
            Some(Datum::Text(value)) => value,
            _ => "",
        }
    }

    fn bytes(&self, index: usize) -> &[u8] {
        match self.args.get(index) {
            Some(Datum::Bytes(value)) => value,
            _ => &[],
        }
    }

    fn bool(&self, index: usize) -> bool {
        matches!(self.args.get(index), Some(Datum::Bool(true)))
    }

    fn is_null(&self, index: usize) -> bool {
        matches!(self.args.get(index), None | Some(Datum::Null))
    }
}

const INT2: Kind = Kind::Of(oids::INT2);
const INT4: Kind = Kind::Of(oids::INT4);
const INT8: Kind = Kind::Of(oids::INT8);
const FLOAT4: Kind = Kind::Of(oids::FLOAT4);
const FLOAT8: Kind = Kind::Of(oids::FLOAT8);
const NUMERIC: Kind = Kind::Of(oids::NUMERIC);
const TEXT: Kind = Kind::Of(oids::TEXT);
const BOOL: Kind = Kind::Of(oids::BOOL);
const BYTEA: Kind = Kind::Of(oids::BYTEA);
const JSON: Kind = Kind::Of(oids::JSON);
const JSONB: Kind = Kind::Of(oids::JSONB);
const TEXTS: Kind = Kind::Of(oids::TEXT_ARRAY);

type Run = fn(&Call<'_>) -> SqlResult<Datum>;

/// A function that gives NULL for NULL.
const fn strict(name: &'static str, parameters: &'static [Kind], returns: Kind, run: Run) -> Function {
    Function { name, parameters, variadic: false, returns: returned(returns), strict: true, run }
}

/// A function that sees its NULLs.
const fn lenient(name: &'static str, parameters: &'static [Kind], returns: Kind, run: Run) -> Function {
    Function { name, parameters, variadic: false, returns: returned(returns), strict: false, run }
}

/// A function whose last parameter repeats; it sees its NULLs.
const fn variadic(name: &'static str, parameters: &'static [Kind], returns: Kind, run: Run) -> Function {
    Function { name, parameters, variadic: true, returns: returned(returns), strict: false, run }
}

const fn returned(kind: Kind) -> Returns {
    match kind {
        Kind::Of(oid) => Returns::Of(oid),
        Kind::Array => Returns::Array,
        Kind::Element => Returns::Element,
        Kind::Any => Returns::Of(oids::TEXT),
    }
}

/// Every overload.
fn all() -> impl Iterator<Item = &'static Function> {
    [
        numbers::FUNCTIONS,
        strings::FUNCTIONS,
        regex::FUNCTIONS,
        regex::QUANTIFIED,
        arrays::FUNCTIONS,
        json::FUNCTIONS,
        sets::FUNCTIONS,
        money::FUNCTIONS,
        network::FUNCTIONS,
        ranges::FUNCTIONS,
        bits::FUNCTIONS,
        angles::FUNCTIONS,
        encodings::FUNCTIONS,
        names::FUNCTIONS,
        records::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}

fn text(value: impl Into<String>) -> SqlResult<Datum> {
    Ok(Datum::Text(value.into()))
}

fn optional(value: Option<String>) -> SqlResult<Datum> {
    Ok(value.map_or(Datum::Null, Datum::Text))
}

fn out_of_range(what: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{what} out of range"))
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// An error of the type table.
fn of_type(error: &atoll_connector_api::ConnectorError) -> SqlError {
    crate::wire::sqlstate::connector_error(error)
}
