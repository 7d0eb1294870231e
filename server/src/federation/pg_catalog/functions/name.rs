//! Functions that name objects: `format_type`, visibility, the `reg…` types, comments.

use atoll_connector_api::types::{PgType, oids, parse_scalar};
use datafusion::common::ScalarValue;

use super::super::context::PgCatalogContext;
use super::super::facts::facts;
use super::super::names::RegKind;
use super::super::rows::{CLASS_CLASS, DATABASE_CLASS, NAMESPACE_CLASS, ROLE_CLASS, SERVER_CLASS, WRAPPER_CLASS};
use super::udf::{Call, Definition, Returns, Value, lenient, strict};
use crate::catalog::Oid;
use crate::catalog::model::{Object, PG_CATALOG_OID, PUBLIC_SCHEMA_OID};
use crate::catalog::privilege::default_acl;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::wire::sqlstate;

/// The functions of this file.
pub(super) static FUNCTIONS: &[Definition] = &[
    lenient("format_type", (2, 2), Returns::Text, format_type),
    strict("pg_get_userbyid", (1, 1), Returns::Name, |call| Ok(call.context.catalog.role_name(call.oid(0)).into())),
    strict("pg_table_is_visible", (1, 1), Returns::Bool, table_is_visible),
    strict("pg_type_is_visible", (1, 1), Returns::Bool, type_is_visible),
    strict("pg_function_is_visible", (1, 1), Returns::Bool, system_is_visible),
    strict("pg_operator_is_visible", (1, 1), Returns::Bool, system_is_visible),
    strict("pg_opclass_is_visible", (1, 1), Returns::Bool, system_is_visible),
    strict("pg_opfamily_is_visible", (1, 1), Returns::Bool, system_is_visible),
    strict("pg_collation_is_visible", (1, 1), Returns::Bool, system_is_visible),
    strict("pg_conversion_is_visible", (1, 1), Returns::Bool, system_is_visible),
    strict("pg_statistics_obj_is_visible", (1, 1), Returns::Bool, system_is_visible),
    strict("pg_ts_config_is_visible", (1, 1), Returns::Bool, system_is_visible),
    strict("pg_ts_dict_is_visible", (1, 1), Returns::Bool, system_is_visible),
    strict("pg_ts_parser_is_visible", (1, 1), Returns::Bool, system_is_visible),
    strict("pg_ts_template_is_visible", (1, 1), Returns::Bool, system_is_visible),
    strict("obj_description", (1, 2), Returns::Text, object_description),
    strict("shobj_description", (2, 2), Returns::Text, shared_description),
    strict("col_description", (2, 2), Returns::Text, column_description),
    strict("pg_describe_object", (3, 3), Returns::Text, describe_object),
    strict("to_regclass", (1, 1), Returns::Oid, |call| found(call, RegKind::Class)),
    strict("to_regtype", (1, 1), Returns::Oid, |call| found(call, RegKind::Type)),
    strict("to_regnamespace", (1, 1), Returns::Oid, |call| found(call, RegKind::Namespace)),
    strict("to_regrole", (1, 1), Returns::Oid, |call| found(call, RegKind::Role)),
    strict("to_regproc", (1, 1), Returns::Oid, |call| found(call, RegKind::Proc)),
    strict("to_regprocedure", (1, 1), Returns::Oid, |call| found(call, RegKind::Proc)),
    strict("oid", (1, 1), Returns::Oid, oid),
    strict("regclass_oid", (1, 1), Returns::Oid, |call| reg_oid(call, RegKind::Class)),
    strict("regtype_oid", (1, 1), Returns::Oid, |call| reg_oid(call, RegKind::Type)),
    strict("regnamespace_oid", (1, 1), Returns::Oid, |call| reg_oid(call, RegKind::Namespace)),
    strict("regrole_oid", (1, 1), Returns::Oid, |call| reg_oid(call, RegKind::Role)),
    strict("regproc_oid", (1, 1), Returns::Oid, |call| reg_oid(call, RegKind::Proc)),
    strict("regclass_text", (1, 1), Returns::Text, |call| reg_text(call, RegKind::Class)),
    strict("regtype_text", (1, 1), Returns::Text, |call| reg_text(call, RegKind::Type)),
    strict("regnamespace_text", (1, 1), Returns::Text, |call| reg_text(call, RegKind::Namespace)),
    strict("regrole_text", (1, 1), Returns::Text, |call| reg_text(call, RegKind::Role)),
    strict("regproc_text", (1, 1), Returns::Text, |call| reg_text(call, RegKind::Proc)),
    strict("domain_base_type", (1, 1), Returns::Oid, domain_base_type),
    lenient("acldefault", (2, 2), Returns::Texts, acl_default),
];

fn format_type(call: &Call<'_>) -> SqlResult<Value> {
    if call.is_null(0) {
        return Ok(Value::Null);
    }
    let modifier = call.number(1).and_then(|number| i32::try_from(number).ok());
    Ok(call.context.format_type(call.oid(0), modifier).into())
}

/// NULL where there is no such relation, as in PostgreSQL.
fn table_is_visible(call: &Call<'_>) -> SqlResult<Value> {
    let relation = call.context.relation(call.oid(0));
    Ok(relation.map(|relation| call.context.relation_is_visible(&relation)).into())
}

fn type_is_visible(call: &Call<'_>) -> SqlResult<Value> {
    let (context, oid) = (call.context, call.oid(0));
    let namespace = match facts().type_by_oid(oid) {
        Some(fact) => Some(fact.namespace),
        None => context.user_types().contains_key(&oid).then_some(PUBLIC_SCHEMA_OID),
    };
    Ok(namespace.map(|namespace| context.effective_path().contains(&namespace)).into())
}

/// Functions, operators and their kin are all in `pg_catalog`, which is always on the path.
fn system_is_visible(call: &Call<'_>) -> SqlResult<Value> {
    Ok(call.context.effective_path().contains(&PG_CATALOG_OID).into())
}

fn comment(context: &PgCatalogContext, class: Option<Oid>, oid: Oid) -> Option<String> {
    let object = context.catalog.get(oid)?;
    let own = match object.as_ref() {
        Object::Schema(_) => NAMESPACE_CLASS,
        Object::Wrapper(_) => WRAPPER_CLASS,
        Object::Server(_) => SERVER_CLASS,
        Object::ForeignTable(_) | Object::View(_) => CLASS_CLASS,
        Object::Role(_) => ROLE_CLASS,
        Object::Database(_) => DATABASE_CLASS,
        Object::UserMapping(_) => return None,
    };
    let shared = own == ROLE_CLASS || own == DATABASE_CLASS;
    let wanted = class.map_or(!shared, |class| class == own);
    wanted.then(|| object.header().comment.clone()).flatten()
}

fn class_named(name: &str) -> Oid {
    facts().relation("pg_catalog", name).map_or(0, |relation| relation.oid)
}

fn object_description(call: &Call<'_>) -> SqlResult<Value> {
    let class = (call.len() == 2).then(|| class_named(&call.text(1)));
    let shared = class.is_some_and(|class| class == ROLE_CLASS || class == DATABASE_CLASS);
    Ok((!shared).then(|| comment(call.context, class, call.oid(0))).flatten().into())
}

fn shared_description(call: &Call<'_>) -> SqlResult<Value> {
    let class = class_named(&call.text(1));
    let shared = class == ROLE_CLASS || class == DATABASE_CLASS;
    Ok(shared.then(|| comment(call.context, Some(class), call.oid(0))).flatten().into())
}

fn column_description(call: &Call<'_>) -> SqlResult<Value> {
    let object = call.context.catalog.get(call.oid(0));
    let number = call.number(1);
    let column =
        object.into_iter().flat_map(|object| object.columns()).find(|column| Some(i64::from(column.number)) == number);
    Ok(column.and_then(|column| column.comment.clone()).into())
}

fn describe_object(call: &Call<'_>) -> SqlResult<Value> {
    let context = call.context;
    let Some(object) = context.catalog.get(call.oid(1)) else { return Ok(Value::Null) };
    let name = &object.header().name;
    let kind = match object.as_ref() {
        Object::Role(_) => "role",
        Object::Schema(_) => "schema",
        Object::Wrapper(_) => "foreign-data wrapper",
        Object::Server(_) => "server",
        Object::Database(_) => "database",
        Object::ForeignTable(_) => return Ok(format!("foreign table {}", context.regclass_text(call.oid(1))).into()),
        Object::View(_) => return Ok(format!("view {}", context.regclass_text(call.oid(1))).into()),
        Object::UserMapping(mapping) => {
            let server = context.catalog.server_by_oid(mapping.server).map_or("", |server| &server.header.name);
            let user = if mapping.user == 0 { "public".to_owned() } else { context.catalog.role_name(mapping.user) };
            return Ok(format!("user mapping for {user} on server {server}").into());
        }
    };
    Ok(format!("{kind} {name}").into())
}

/// `to_reg…`: NULL where there is nothing of the name.
fn found(call: &Call<'_>, kind: RegKind) -> SqlResult<Value> {
    match call.context.reg_oid(kind, &call.text(0)) {
        Err(error) if [SqlState::INSUFFICIENT_PRIVILEGE, SqlState::INVALID_NAME].contains(&error.sqlstate) => {
            Err(error)
        }
        found => Ok(found.ok().into()),
    }
}

fn reg_oid(call: &Call<'_>, kind: RegKind) -> SqlResult<Value> {
    match &call.arguments[0] {
        Value::Text(text) => Ok(call.context.reg_oid(kind, text)?.into()),
        other => Ok(other.clone()),
    }
}

/// An OID, or a name that is looked up first, so that `'Orders'::regclass` prints as PostgreSQL prints it.
fn reg_text(call: &Call<'_>, kind: RegKind) -> SqlResult<Value> {
    let oid = match &call.arguments[0] {
        // Columns of type regproc hold the name already.
        Value::Text(text) if kind == RegKind::Proc => {
            return Ok(text.trim_start_matches("pg_catalog.").into());
        }
        Value::Text(text) => call.context.reg_oid(kind, text)?,
        _ => call.oid(0),
    };
    Ok(call.context.reg_text(kind, oid).into())
}

fn oid(call: &Call<'_>) -> SqlResult<Value> {
    let out_of_range = || SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "OID out of range");
    match &call.arguments[0] {
        Value::Text(text) => {
            let parsed =
                parse_scalar(text, &PgType::new(oids::OID)).map_err(|error| sqlstate::connector_error(&error))?;
            match parsed {
                ScalarValue::Int64(Some(oid)) => Ok(oid.into()),
                _ => Err(out_of_range()),
            }
        }
        Value::Int(number) => match (Oid::try_from(*number), i32::try_from(*number)) {
            (Ok(oid), _) => Ok(oid.into()),
            // The bits of an integer.
            (Err(_), Ok(negative)) => Ok(negative.cast_unsigned().into()),
            _ => Err(out_of_range()),
        },
        other => Ok(other.clone()),
    }
}

/// The type at the end of a chain of domains; NULL for what is no domain.
fn domain_base_type(call: &Call<'_>) -> SqlResult<Value> {
    let mut found = None;
    let mut next = facts().type_by_oid(call.oid(0)).map_or(0, |fact| fact.base);
    // Domains over domains cannot form a circle: each was made of an older one.
    while next != 0 {
        found = Some(next);
        next = facts().type_by_oid(next).map_or(0, |fact| fact.base);
    }
    Ok(found.into())
}

/// `acldefault("char", oid)`: what an object of a kind has without explicit grants.
fn acl_default(call: &Call<'_>) -> SqlResult<Value> {
    let context = call.context;
    let owner = call.oid(1);
    let kind = call.text(0);
    // Any object of the kind shows its default grants; only the owner differs.
    let sample = context.catalog.objects().find(|object| {
        matches!(
            (kind.as_str(), object.as_ref()),
            ("r", Object::ForeignTable(_) | Object::View(_))
                | ("n", Object::Schema(_))
                | ("F", Object::Wrapper(_))
                | ("S", Object::Server(_))
                | ("d", Object::Database(_))
        )
    });
    let items = sample.map(|object| {
        let mut items = default_acl(object);
        for item in &mut items {
            item.grantor = owner;
            if item.grantee != crate::catalog::model::PUBLIC_ROLE {
                item.grantee = owner;
            }
        }
        items
    });
    let texts = context.acl_texts(items.as_ref());
    Ok(texts.map_or(Value::Null, |texts| Value::List(texts.into_iter().map(Some).collect())))
}
