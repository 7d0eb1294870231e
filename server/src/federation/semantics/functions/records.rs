//! Rows as values: in PostgreSQL's output format, of the type `record`.

use atoll_connector_api::types::oids;

use super::strings::shown;
use super::{Call, Datum, Function, Kind, text, variadic};
use crate::error::SqlResult;

pub(super) const FUNCTIONS: &[Function] = &[variadic("record_of", &[Kind::Any], Kind::Of(oids::RECORD), record)];

/// `(1,"two words",)`: a NULL is nothing between its commas, an empty string has quotes.
fn record(call: &Call<'_>) -> SqlResult<Datum> {
    let mut out = String::from("(");
    for index in 0..call.args.len() {
        if index > 0 {
            out.push(',');
        }
        if call.is_null(index) {
            continue;
        }
        let field = shown(call, index)?;
        call.reserve(out.len() + 2 * field.len())?;
        let quoted = field.is_empty()
            || field.contains(|c: char| matches!(c, '"' | '\\' | '(' | ')' | ',') || c.is_ascii_whitespace());
        if !quoted {
            out.push_str(&field);
            continue;
        }
        out.push('"');
        for c in field.chars() {
            if matches!(c, '"' | '\\') {
                out.push(c);
            }
            out.push(c);
        }
        out.push('"');
    }
    out.push(')');
    text(out)
}
