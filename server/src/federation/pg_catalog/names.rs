//! Names in and out: quoting, parsing of qualified names, `format_type`, the `reg…` types.

use std::collections::HashSet;
use std::sync::OnceLock;

use atoll_connector_api::types::{BuiltinType, PgType, oids};

use super::context::{AnyRelation, PgCatalogContext};
use super::facts::facts;
use crate::catalog::Oid;
use crate::catalog::model::{PG_CATALOG_OID, Privilege};
use crate::error::{SqlError, SqlResult, SqlState};

/// An identifier as `quote_ident` prints it: quoted unless it would be read back the same without.
pub(in crate::federation) fn quote_ident(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !is_reserved(name);
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A literal as `quote_literal` prints it.
pub(in crate::federation) fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// Keywords other than unreserved ones: an identifier of that name is quoted.
fn is_reserved(name: &str) -> bool {
    static RESERVED: OnceLock<HashSet<&'static str>> = OnceLock::new();
    let words = RESERVED.get_or_init(|| {
        facts().keywords.iter().filter(|word| word.fields[1] != "U").map(|word| word.fields[0]).collect()
    });
    words.contains(name)
}

/// The parts of a dotted name as SQL reads it: folded to lower case unless quoted.
///
/// # Errors
/// `42602` where it is not a name.
pub(super) fn parse_name(text: &str) -> SqlResult<Vec<String>> {
    let invalid = || SqlError::new(SqlState::INVALID_NAME, "invalid name syntax");
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let part;
        if let Some(quoted) = rest.strip_prefix('"') {
            let (name, after) = quoted_part(quoted).ok_or_else(invalid)?;
            (part, rest) = (name, after);
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            let name = name.trim();
            if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '"') {
                return Err(invalid());
            }
            (part, rest) = (name.to_lowercase(), after);
        }
        parts.push(part);
        match rest.trim_start().strip_prefix('.') {
            Some(after) => rest = after.trim_start(),
            None if rest.trim().is_empty() => return Ok(parts),
            None => return Err(invalid()),
        }
    }
}

/// The name up to the closing quote, and what follows it.
fn quoted_part(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None if name.is_empty() => return None,
            None => return Some((name, rest)),
        }
    }
}

impl PgCatalogContext {
    /// The relation that a name finds: along the search path, or in the schema that it says.
    pub(super) fn find_relation(&self, text: &str) -> SqlResult<Option<AnyRelation<'_>>> {
        let parts = parse_name(text)?;
        let name = |schema: Oid, name: &str| self.relation_named(schema, name);
        Ok(match parts.as_slice() {
            [relation] => self.effective_path().iter().find_map(|schema| name(*schema, relation)),
            [schema, relation] => self.usable_schema(schema)?.and_then(|schema| name(schema, relation)),
            [database, schema, relation] if *database == self.database => {
                self.usable_schema(schema)?.and_then(|schema| name(schema, relation))
            }
            _ => None,
        })
    }

    /// A schema that a name says: nobody looks into one without USAGE.
    fn usable_schema(&self, name: &str) -> SqlResult<Option<Oid>> {
        let Some(oid) = self.schema_oid(name) else { return Ok(None) };
        match self.catalog.get(oid) {
            Some(schema) if !self.has_privilege(self.current_user, schema, Privilege::Usage, false) => {
                Err(SqlError::denied(format!("permission denied for schema {name}")))
            }
            _ => Ok(Some(oid)),
        }
    }

    /// `text::regclass` as an OID.
    ///
    /// # Errors
    /// `42P01` where there is no such relation.
    pub(super) fn regclass(&self, text: &str) -> SqlResult<Oid> {
        if text == "-" {
            return Ok(0);
        }
        if let Ok(oid) = text.trim().parse() {
            return Ok(oid);
        }
        match self.find_relation(text)? {
            Some(relation) => Ok(relation.oid()),
            None => Err(SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("relation \"{}\" does not exist", parse_name(text)?.join(".")),
            )),
        }
    }

    /// An OID of a relation as `regclass` prints it: qualified only where the search path does not find it.
    pub(super) fn regclass_text(&self, oid: Oid) -> String {
        let Some(relation) = self.relation(oid) else {
            return if oid == 0 { "-".to_owned() } else { oid.to_string() };
        };
        if self.relation_is_visible(&relation) { quote_ident(&relation.name()) } else { self.qualified(&relation) }
    }

    /// `schema.relation`, quoted as needed.
    pub(super) fn qualified(&self, relation: &AnyRelation<'_>) -> String {
        let schema = self.schema_name(relation.namespace()).unwrap_or_default();
        format!("{}.{}", quote_ident(schema), quote_ident(&relation.name()))
    }

    /// `format_type(oid, modifier)`; without a modifier (SQL NULL) `bpchar` is `character`.
    pub(super) fn format_type(&self, oid: Oid, modifier: Option<i32>) -> String {
        if oid == 0 {
            return "-".to_owned();
        }
        if let Some(user) = self.user_type(oid, -1) {
            return user.sql_name();
        }
        match (oid, modifier) {
            (oids::BPCHAR, None) => return "character".to_owned(),
            // A bit without a length would read as bit(1).
            (oids::BIT, Some(-1)) => return "\"bit\"".to_owned(),
            _ => {}
        }
        if BuiltinType::by_oid(oid).is_some() {
            return PgType::with_modifier(oid, modifier.unwrap_or(-1)).sql_name();
        }
        let Some(fact) = facts().type_by_oid(oid) else { return "???".to_owned() };
        if fact.name.starts_with('_') && fact.element != 0 {
            return format!("{}[]", self.format_type(fact.element, modifier));
        }
        let name = quote_ident(fact.name);
        if fact.namespace == PG_CATALOG_OID { name } else { format!("information_schema.{name}") }
    }

    /// The type that a name says; `None` where there is none.
    pub(super) fn find_type(&self, text: &str) -> Option<Oid> {
        let text = text.trim();
        if let Ok(oid) = text.parse::<Oid>() {
            return Some(oid);
        }
        if let Some(element) = text.strip_suffix("[]") {
            return self.array_of(self.find_type(element)?);
        }
        let lower = text.split('(').next().unwrap_or(text).trim().to_lowercase();
        let spoken = match lower.as_str() {
            "timestamp without time zone" => "timestamp",
            "time without time zone" => "time",
            other => other,
        };
        if let Some(builtin) = BuiltinType::by_name(spoken).filter(|builtin| !builtin.sql_name.starts_with('"')) {
            return Some(builtin.oid);
        }
        let parts = parse_name(text).ok()?;
        let bare = parts.last()?;
        let user = self.user_types().iter().find(|(_, user)| user.name == *bare).map(|(oid, _)| *oid);
        match parts.as_slice() {
            [schema, name] if schema == "pg_catalog" || schema == "information_schema" => {
                let namespace = self.schema_oid(schema)?;
                facts().type_by_name(name).filter(|fact| fact.namespace == namespace).map(|fact| fact.oid)
            }
            [name] => facts().type_by_name(name).filter(|f| f.namespace == PG_CATALOG_OID).map(|f| f.oid).or(user),
            _ => user,
        }
    }

    fn array_of(&self, element: Oid) -> Option<Oid> {
        match self.user_type(element, -1) {
            Some(user) => user.array().map(|array| array.oid),
            None => facts().type_by_oid(element).map(|fact| fact.array).filter(|array| *array != 0),
        }
    }

    /// A schema, role, type or function by OID, as its `reg…` type prints it; the number where there is none.
    pub(super) fn reg_text(&self, kind: RegKind, oid: Oid) -> String {
        if oid == 0 {
            return "-".to_owned();
        }
        let found = match kind {
            RegKind::Class => return self.regclass_text(oid),
            RegKind::Type => {
                let known = facts().type_by_oid(oid).is_some() || self.user_types().contains_key(&oid);
                known.then(|| self.format_type(oid, None))
            }
            RegKind::Namespace => self.schema_name(oid).map(quote_ident),
            RegKind::Role => self.catalog.role_by_oid(oid).map(|role| quote_ident(&role.header.name)),
            RegKind::Proc => {
                let known = facts().proc_name(oid).map(str::to_owned);
                known.or_else(|| self.callable_by_oid(oid).map(|function| function.name.to_owned()))
            }
        };
        found.unwrap_or_else(|| oid.to_string())
    }

    /// The OID that a name of a `reg…` type means.
    ///
    /// # Errors
    /// PostgreSQL's for each kind: `42P01`, `42704`, `3F000`, `42883`.
    pub(super) fn reg_oid(&self, kind: RegKind, text: &str) -> SqlResult<Oid> {
        if let Ok(oid) = text.trim().parse() {
            return Ok(oid);
        }
        if text == "-" {
            return Ok(0);
        }
        let missing = |state, what: &str| SqlError::new(state, format!("{what} \"{text}\" does not exist"));
        let last = || parse_name(text).map(|mut parts| parts.pop().unwrap_or_default());
        match kind {
            RegKind::Class => self.regclass(text),
            RegKind::Type => self.find_type(text).ok_or_else(|| missing(SqlState::UNDEFINED_OBJECT, "type")),
            RegKind::Namespace => {
                self.schema_oid(&last()?).ok_or_else(|| missing(SqlState::INVALID_SCHEMA_NAME, "schema"))
            }
            RegKind::Role => self
                .catalog
                .role(&last()?)
                .map(|role| role.header.oid)
                .ok_or_else(|| missing(SqlState::UNDEFINED_OBJECT, "role")),
            RegKind::Proc => {
                let (name, types) = match text.split_once('(').map(|(name, rest)| (name, rest.strip_suffix(')'))) {
                    Some((name, Some(types))) => (name, Some(types)),
                    _ => (text, None),
                };
                let name = parse_name(name).map(|mut parts| parts.pop().unwrap_or_default())?;
                let types = types.map(|types| {
                    let types = types.split(',').map(str::trim).filter(|name| !name.is_empty());
                    types.map(|name| self.find_type(name).unwrap_or(0).to_string()).collect::<Vec<_>>().join(" ")
                });
                let mut found = self.callable().filter(|function| {
                    function.name == name && types.as_ref().is_none_or(|types| types == function.argument_types)
                });
                match (found.next(), found.next()) {
                    (Some(only), None) => Ok(only.oid),
                    (Some(_), Some(_)) => {
                        let message = format!("more than one function named \"{text}\"");
                        Err(SqlError::new(AMBIGUOUS_FUNCTION, message))
                    }
                    _ => facts().proc_oid(&name).ok_or_else(|| missing(SqlState::UNDEFINED_FUNCTION, "function")),
                }
            }
        }
    }
}

/// Appendix A: a code that only this file needs.
const AMBIGUOUS_FUNCTION: SqlState = SqlState(*b"42725");

/// The `reg…` types that Atoll resolves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum RegKind {
    Class,
    Type,
    Namespace,
    Role,
    Proc,
}

/// A name without the quotes that `format_type` gives it.
pub(super) fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn quotes_identifiers_as_postgresql_does() {
        for (name, quoted) in [("a", "a"), ("A", "\"A\""), ("select", "\"select\""), ("x y", "\"x y\""), ("_1", "_1")] {
            assert_eq!(quote_ident(name), quoted);
        }
        assert_eq!(quote_ident("a\"b"), "\"a\"\"b\"");
        assert_eq!(quote_literal("it's \\"), "E'it''s \\\\'");
    }

    #[test]
    fn reads_names_as_sql_does() {
        assert_eq!(parse_name("Public.\"Or\"\"ders\"").unwrap(), ["public", "Or\"ders"]);
        assert_eq!(parse_name("a . b").unwrap(), ["a", "b"]);
        for bad in ["", "a.", "a b", "\"a", "\"\"", ".a"] {
            assert_eq!(parse_name(bad).unwrap_err().sqlstate, SqlState::INVALID_NAME, "{bad}");
        }
    }
}
