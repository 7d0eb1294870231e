//! `has_table_privilege` and its kin.

use super::super::access::COLUMN_PRIVILEGES;
use super::super::context::AnyRelation;
use super::udf::{Call, Definition, Returns, Value, strict};
use crate::catalog::Oid;
use crate::catalog::ddl::wrapper_alias;
use crate::catalog::model::{DATABASE_OID, INFORMATION_SCHEMA_OID, Object, PG_CATALOG_OID, PUBLIC_ROLE, Privilege};
use crate::error::{SqlError, SqlResult, SqlState};

/// The functions of this file.
pub(super) static FUNCTIONS: &[Definition] = &[
    strict("has_table_privilege", (2, 3), Returns::Bool, table),
    strict("has_any_column_privilege", (2, 3), Returns::Bool, any_column),
    strict("has_column_privilege", (3, 4), Returns::Bool, column),
    strict("has_schema_privilege", (2, 3), Returns::Bool, schema),
    strict("has_database_privilege", (2, 3), Returns::Bool, database),
    strict("has_server_privilege", (2, 3), Returns::Bool, server),
    strict("has_foreign_data_wrapper_privilege", (2, 3), Returns::Bool, wrapper),
    strict("has_function_privilege", (2, 3), Returns::Bool, public_usage),
    strict("has_language_privilege", (2, 3), Returns::Bool, public_usage),
    strict("has_type_privilege", (2, 3), Returns::Bool, public_usage),
    strict("has_sequence_privilege", (2, 3), Returns::Bool, no_such),
    strict("has_tablespace_privilege", (2, 3), Returns::Bool, superuser_only),
    strict("has_parameter_privilege", (2, 3), Returns::Bool, superuser_only),
    strict("pg_has_role", (2, 3), Returns::Bool, role),
];

/// The role that is asked about: the first argument where there is one more than the function needs.
fn subject(call: &Call<'_>, explicit: bool) -> SqlResult<Oid> {
    if !explicit {
        return Ok(call.context.current_user);
    }
    match &call.arguments[0] {
        Value::Text(name) if name == "public" => Ok(PUBLIC_ROLE),
        Value::Text(name) => role_named(call, name),
        _ => Ok(call.oid(0)),
    }
}

fn role_named(call: &Call<'_>, name: &str) -> SqlResult<Oid> {
    let role = call.context.catalog.role(name).map(|role| role.header.oid);
    role.ok_or_else(|| SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist")))
}

/// `SELECT, INSERT WITH GRANT OPTION`: any of them suffices.
fn privileges(call: &Call<'_>, index: usize) -> SqlResult<Vec<(Option<Privilege>, bool)>> {
    let text = call.text(index);
    let mut found = Vec::new();
    for word in text.split(',') {
        let written = word.trim();
        let word = written.to_uppercase();
        let (bare, grant_option) =
            word.strip_suffix(" WITH GRANT OPTION").map_or((word.as_str(), false), |bare| (bare, true));
        let privilege = Privilege::from_word(bare);
        // Privileges on objects that Atoll does not have are held by nobody, but known.
        let known = privilege.is_some() || matches!(bare, "EXECUTE" | "RULE" | "SET" | "ALTER SYSTEM");
        if !known {
            let message = format!("unrecognized privilege type: \"{written}\"");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        found.push((privilege, grant_option));
    }
    Ok(found)
}

fn relation<'a>(call: &'a Call<'_>, index: usize) -> SqlResult<Option<AnyRelation<'a>>> {
    let oid = match &call.arguments[index] {
        Value::Text(text) => call.context.regclass(text)?,
        _ => call.oid(index),
    };
    Ok(call.context.relation(oid))
}

fn table(call: &Call<'_>) -> SqlResult<Value> {
    let explicit = call.len() == 3;
    let (role, at) = (subject(call, explicit)?, usize::from(explicit));
    let wanted = privileges(call, at + 1)?;
    let Some(relation) = relation(call, at)? else { return Ok(Value::Null) };
    let has = |(privilege, grant_option): &(Option<Privilege>, bool)| {
        privilege.is_some_and(|p| call.context.has_relation_privilege(role, &relation, p, *grant_option))
    };
    Ok(wanted.iter().any(has).into())
}

fn any_column(call: &Call<'_>) -> SqlResult<Value> {
    let explicit = call.len() == 3;
    let (role, at) = (subject(call, explicit)?, usize::from(explicit));
    let wanted = privileges(call, at + 1)?;
    let Some(relation) = relation(call, at)? else { return Ok(Value::Null) };
    let has = |(privilege, grant_option): &(Option<Privilege>, bool)| {
        let Some(privilege) = privilege else { return false };
        call.context.has_relation_privilege(role, &relation, *privilege, *grant_option)
            || relation.header().is_some_and(|header| {
                relation
                    .columns()
                    .iter()
                    .any(|column| call.context.has_column_grant(role, header, column, *privilege, *grant_option))
            })
    };
    Ok(wanted.iter().any(has).into())
}

fn column(call: &Call<'_>) -> SqlResult<Value> {
    let explicit = call.len() == 4;
    let (role, at) = (subject(call, explicit)?, usize::from(explicit));
    let wanted = privileges(call, at + 2)?;
    let Some(relation) = relation(call, at)? else { return Ok(Value::Null) };
    let found = match &call.arguments[at + 1] {
        Value::Text(name) => relation.columns().iter().find(|column| column.name == *name),
        _ => {
            let number = call.number(at + 1);
            relation.columns().iter().find(|column| Some(i64::from(column.number)) == number)
        }
    };
    let known = found.is_some() || matches!(relation, AnyRelation::System(_));
    if !known {
        let Value::Text(name) = &call.arguments[at + 1] else { return Ok(Value::Null) };
        let message = format!("column \"{name}\" of relation \"{}\" does not exist", relation.name());
        return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
    }
    let has = |(privilege, grant_option): &(Option<Privilege>, bool)| {
        let Some(privilege) = privilege.filter(|privilege| COLUMN_PRIVILEGES.contains(privilege)) else { return false };
        call.context.has_relation_privilege(role, &relation, privilege, *grant_option)
            || relation.header().zip(found).is_some_and(|(header, column)| {
                call.context.has_column_grant(role, header, column, privilege, *grant_option)
            })
    };
    Ok(wanted.iter().any(has).into())
}

/// An object by OID, or by name.
fn object_privilege(
    call: &Call<'_>,
    kind: &str,
    by_name: impl Fn(&str) -> Option<Oid>,
    missing: SqlState,
) -> SqlResult<Value> {
    let explicit = call.len() == 3;
    let (role, at) = (subject(call, explicit)?, usize::from(explicit));
    let wanted = privileges(call, at + 1)?;
    let oid = match &call.arguments[at] {
        Value::Text(name) => {
            by_name(name).ok_or_else(|| SqlError::new(missing, format!("{kind} \"{name}\" does not exist")))?
        }
        _ => call.oid(at),
    };
    // The system schemas are everybody's to use and nobody's to create in.
    if matches!(oid, PG_CATALOG_OID | INFORMATION_SCHEMA_OID) {
        let may = |(privilege, grant): &(Option<Privilege>, bool)| *privilege == Some(Privilege::Usage) && !grant;
        return Ok((call.context.is_superuser(role) || wanted.iter().any(may)).into());
    }
    let Some(object) = call.context.catalog.get(oid) else { return Ok(Value::Null) };
    let has = |(privilege, grant_option): &(Option<Privilege>, bool)| {
        privilege.is_some_and(|p| holds(call, role, object, p, *grant_option))
    };
    Ok(wanted.iter().any(has).into())
}

fn holds(call: &Call<'_>, role: Oid, object: &Object, privilege: Privilege, grant_option: bool) -> bool {
    // A server is a database to connect to: its USAGE is what CONNECT means there.
    let privilege = match (object, privilege) {
        (Object::Server(_), Privilege::Connect) => Privilege::Usage,
        (_, privilege) => privilege,
    };
    call.context.has_privilege(role, object, privilege, grant_option)
}

fn schema(call: &Call<'_>) -> SqlResult<Value> {
    object_privilege(call, "schema", |name| call.context.schema_oid(name), SqlState::INVALID_SCHEMA_NAME)
}

fn database(call: &Call<'_>) -> SqlResult<Value> {
    let by_name = |name: &str| {
        if name == call.context.main_database {
            Some(DATABASE_OID)
        } else {
            call.context.catalog.server(name).map(|server| server.header.oid)
        }
    };
    object_privilege(call, "database", by_name, SqlState::INVALID_CATALOG_NAME)
}

fn server(call: &Call<'_>) -> SqlResult<Value> {
    let by_name = |name: &str| call.context.catalog.server(name).map(|server| server.header.oid);
    object_privilege(call, "server", by_name, SqlState::UNDEFINED_OBJECT)
}

fn wrapper(call: &Call<'_>) -> SqlResult<Value> {
    let by_name = |name: &str| wrapper_named(call, name);
    object_privilege(call, "foreign-data wrapper", by_name, SqlState::UNDEFINED_OBJECT)
}

/// A wrapper, or what stands for one of PostgreSQL's extensions.
fn wrapper_named(call: &Call<'_>, name: &str) -> Option<Oid> {
    let catalog = &call.context.catalog;
    let by_alias = || wrapper_alias(name).and_then(|name| catalog.wrapper(name));
    catalog.wrapper(name).or_else(by_alias).map(|wrapper| wrapper.header.oid)
}

/// Functions, languages and types are everybody's to use.
fn public_usage(call: &Call<'_>) -> SqlResult<Value> {
    let explicit = call.len() == 3;
    subject(call, explicit)?;
    privileges(call, usize::from(explicit) + 1)?;
    Ok(true.into())
}

/// There are no sequences.
fn no_such(call: &Call<'_>) -> SqlResult<Value> {
    subject(call, call.len() == 3)?;
    Ok(Value::Null)
}

fn superuser_only(call: &Call<'_>) -> SqlResult<Value> {
    let role = subject(call, call.len() == 3)?;
    Ok(call.context.is_superuser(role).into())
}

/// `pg_has_role([user,] role, privilege)`: USAGE, its privileges without SET ROLE; MEMBER, directly or not.
fn role(call: &Call<'_>) -> SqlResult<Value> {
    let explicit = call.len() == 3;
    let (user, at) = (subject(call, explicit)?, usize::from(explicit));
    let target = match &call.arguments[at] {
        Value::Text(name) => role_named(call, name)?,
        _ => call.oid(at),
    };
    for word in call.text(at + 1).split(',') {
        let written = word.trim();
        let word = written.to_uppercase();
        let has = match word.as_str() {
            "USAGE" => call.context.has_role(user, target),
            "MEMBER" | "SET" => call.context.is_member(user, target),
            "MEMBER WITH GRANT OPTION"
            | "MEMBER WITH ADMIN OPTION"
            | "USAGE WITH GRANT OPTION"
            | "USAGE WITH ADMIN OPTION" => {
                call.context.is_superuser(user)
                    || call.context.catalog.role_by_oid(user).is_some_and(|role| {
                        role.member_of.iter().any(|membership| membership.role == target && membership.admin_option)
                    })
            }
            _ => {
                let message = format!("unrecognized privilege type: \"{written}\"");
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
            }
        };
        if has {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}
