//! `information_schema.columns`.

use atoll_connector_api::types::oids;

use super::super::super::context::{AnyRelation, PgCatalogContext};
use super::super::super::facts::{TypeFact, facts};
use super::super::{Cell, Rows, yes_no};
use super::{relation_cell, visible_relations};
use crate::catalog::Oid;
use crate::catalog::model::PG_CATALOG_OID;

/// Octets of `text` without a bound: `_pg_char_octet_length` in PostgreSQL's `information_schema.sql`.
const TEXT_OCTETS: i32 = 1 << 30;
/// Octets that one character of UTF-8 takes at most.
const CHARACTER_OCTETS: i32 = 4;
/// Digits of a second that a time without a precision keeps.
const DEFAULT_PRECISION: i32 = 6;
/// "No precision given" in an interval's modifier (`INTERVAL_FULL_PRECISION`, `utils/timestamp.h`).
const INTERVAL_FULL_PRECISION: i32 = 0xFFFF;

/// One column of any relation.
struct Described<'a> {
    name: &'a str,
    position: i64,
    not_null: bool,
    /// The declared type: perhaps a domain of the information schema itself.
    declared: Oid,
    /// The type below it, with its modifier.
    base: Oid,
    modifier: i32,
    is_array: bool,
}

/// `columns`.
pub(super) fn columns(context: &PgCatalogContext, rows: &mut Rows) {
    for relation in visible_relations(context, rows) {
        if let AnyRelation::System(system) = relation {
            for (position, column) in (1_i64..).zip(&system.columns) {
                let fact = facts().type_by_oid(column.type_oid);
                let base = fact.map_or(0, |fact| fact.base);
                let described = Described {
                    name: column.name,
                    position,
                    not_null: column.not_null,
                    declared: column.type_oid,
                    base: if base == 0 { column.type_oid } else { base },
                    modifier: fact.map_or(-1, |fact| fact.modifier),
                    is_array: fact.is_some_and(|fact| fact.name.starts_with('_')),
                };
                push(context, rows, relation, &described);
            }
            continue;
        }
        for column in relation.columns() {
            if context.may_see_column(&relation, column) {
                let described = Described {
                    name: &column.name,
                    position: i64::from(column.number),
                    not_null: column.not_null,
                    declared: column.data_type.oid,
                    base: column.data_type.oid,
                    modifier: column.data_type.modifier,
                    is_array: column.data_type.is_array(),
                };
                push(context, rows, relation, &described);
            }
        }
    }
}

fn push(context: &PgCatalogContext, rows: &mut Rows, relation: AnyRelation<'_>, column: &Described<'_>) {
    if rows.skips_text("column_name", column.name) {
        return;
    }
    let fact = facts().type_by_oid(column.base);
    let domain = (column.declared != column.base).then(|| facts().type_by_oid(column.declared)).flatten();
    rows.push(|name| match name {
        "column_name" => column.name.to_owned().into(),
        "ordinal_position" => Cell::Int(column.position),
        "is_nullable" => yes_no(!column.not_null),
        "data_type" => data_type(context, column, fact).into(),
        "udt_name" => udt_name(context, column, fact).into(),
        "udt_catalog" => context.database.as_str().into(),
        "udt_schema" => (if fact.is_some() { "pg_catalog" } else { "public" }).into(),
        "domain_catalog" => domain.map(|_| context.database.as_str()).into(),
        "domain_schema" => domain.map(|_| "information_schema").into(),
        "domain_name" => domain.map(|domain| domain.name).into(),
        "dtd_identifier" => column.position.to_string().into(),
        "is_self_referencing" | "is_identity" | "identity_cycle" | "is_updatable" => yes_no(false),
        "is_generated" => "NEVER".into(),
        "character_maximum_length" => character_length(column).into(),
        "character_octet_length" => octet_length(column).into(),
        "numeric_precision" => numeric_precision(column).into(),
        "numeric_precision_radix" => numeric_radix(column).into(),
        "numeric_scale" => numeric_scale(column).into(),
        "datetime_precision" => datetime_precision(column).into(),
        "collation_catalog" if collated(fact) => context.database.as_str().into(),
        "collation_schema" if collated(fact) => "pg_catalog".into(),
        "collation_name" if collated(fact) => "C".into(),
        other => match relation_cell(context, relation, other) {
            Cell::Text(text) => text.into_owned().into(),
            _ => Cell::Null,
        },
    });
}

/// `name` has a collation of its own; the other text types have the database's, which is not shown.
fn collated(fact: Option<&TypeFact>) -> bool {
    fact.is_some_and(|fact| fact.collation == 950)
}

fn data_type(context: &PgCatalogContext, column: &Described<'_>, fact: Option<&TypeFact>) -> String {
    match fact {
        _ if column.is_array => "ARRAY".to_owned(),
        Some(fact) if fact.namespace == PG_CATALOG_OID => context.format_type(fact.oid, None),
        _ => "USER-DEFINED".to_owned(),
    }
}

fn udt_name(context: &PgCatalogContext, column: &Described<'_>, fact: Option<&TypeFact>) -> String {
    if let Some(fact) = fact {
        return fact.name.to_owned();
    }
    let name = context.format_type(column.base, None);
    let bare = name.trim_end_matches("[]").to_owned();
    if column.is_array { format!("_{bare}") } else { bare }
}

fn character_length(column: &Described<'_>) -> Option<i32> {
    match column.base {
        oids::VARCHAR | oids::BPCHAR if column.modifier >= 4 => Some(column.modifier - 4),
        oids::BIT | oids::VARBIT if column.modifier >= 0 => Some(column.modifier),
        _ => None,
    }
}

fn octet_length(column: &Described<'_>) -> Option<i32> {
    match column.base {
        oids::TEXT | oids::VARCHAR | oids::BPCHAR => {
            Some(character_length(column).map_or(TEXT_OCTETS, |length| length.saturating_mul(CHARACTER_OCTETS)))
        }
        _ => None,
    }
}

fn numeric_precision(column: &Described<'_>) -> Option<i32> {
    match column.base {
        oids::INT2 => Some(16),
        oids::INT4 => Some(32),
        oids::INT8 => Some(64),
        oids::FLOAT4 => Some(24),
        oids::FLOAT8 => Some(53),
        oids::NUMERIC => numeric_bounds(column).map(|(precision, _)| precision),
        _ => None,
    }
}

fn numeric_radix(column: &Described<'_>) -> Option<i32> {
    match column.base {
        oids::INT2 | oids::INT4 | oids::INT8 | oids::FLOAT4 | oids::FLOAT8 => Some(2),
        oids::NUMERIC => Some(10),
        _ => None,
    }
}

fn numeric_scale(column: &Described<'_>) -> Option<i32> {
    match column.base {
        oids::INT2 | oids::INT4 | oids::INT8 => Some(0),
        oids::NUMERIC => numeric_bounds(column).map(|(_, scale)| scale),
        _ => None,
    }
}

fn numeric_bounds(column: &Described<'_>) -> Option<(i32, i32)> {
    let bounds = atoll_connector_api::types::PgType::with_modifier(oids::NUMERIC, column.modifier).numeric_bounds();
    bounds.map(|(precision, scale)| (i32::from(precision), i32::from(scale)))
}

fn datetime_precision(column: &Described<'_>) -> Option<i32> {
    let modifier = column.modifier;
    match column.base {
        oids::DATE => Some(0),
        oids::TIME | oids::TIMETZ | oids::TIMESTAMP | oids::TIMESTAMPTZ => {
            Some(if modifier < 0 { DEFAULT_PRECISION } else { modifier })
        }
        oids::INTERVAL => {
            let precision = modifier & INTERVAL_FULL_PRECISION;
            Some(if modifier < 0 || precision == INTERVAL_FULL_PRECISION { DEFAULT_PRECISION } else { precision })
        }
        _ => None,
    }
}
