//! Rows as values: in PostgreSQL's output format, of the type `record`.

use atoll_connector_api::types::oids;

use super::strings::shown;
use super::{BOOL, Call, Datum, Function, Kind, lenient, text, variadic};
use crate::error::SqlResult;

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("record_of", &[Kind::Any], Kind::Of(oids::RECORD), record),
    lenient("record_is_null", &[Kind::Any], BOOL, |call| Ok(Datum::Bool(fields_are(call, true)?))),
    lenient("record_is_not_null", &[Kind::Any], BOOL, |call| {
        Ok(Datum::Bool(!call.is_null(0) && fields_are(call, false)?))
    }),
];

/// Whether all fields of a row are NULL, or none of them is: nothing between two commas is NULL, an empty string has
/// quotes there.
fn fields_are(call: &Call<'_>, null: bool) -> SqlResult<bool> {
    if call.is_null(0) {
        return Ok(null);
    }
    let row = shown(call, 0)?;
    let Some(fields) = row.strip_prefix('(').and_then(|row| row.strip_suffix(')')) else { return Ok(!null) };
    let (mut quoted, mut empty) = (false, true);
    let mut characters = fields.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => (quoted, empty) = (!quoted, false),
            '\\' => {
                characters.next();
                empty = false;
            }
            ',' if !quoted => {
                if empty != null {
                    return Ok(false);
                }
                empty = true;
            }
            _ => empty = false,
        }
    }
    Ok(empty == null)
}

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
