//! Roles, GRANT and REVOKE, REASSIGN OWNED.

use super::ast::{
    AlterDatabaseSetting, AlterDefaultPrivileges, AlterRole, AlterRoleSetting, CreateRole, Grant, GrantObjects,
    GrantRole, OptionValue, PrivilegeClause, RoleAttributes, RoleSpec, Statement,
};
use super::cursor::Cursor;
use super::{refused, session};
use crate::error::{SqlError, SqlResult};

/// CREATE ROLE, USER and GROUP, behind these words.
pub(super) fn create_role(c: &mut Cursor, user: bool) -> SqlResult<Statement> {
    let name = c.role_name()?;
    Ok(Statement::CreateRole(CreateRole { name, user, attributes: attributes(c, true)? }))
}

/// ALTER ROLE and USER, behind these words.
pub(super) fn alter_role(c: &mut Cursor) -> SqlResult<Statement> {
    if c.sees(&["all", "set"]) || c.sees(&["all", "reset"]) || c.sees(&["all", "in"]) {
        c.bump();
        return alter_setting(c, None);
    }
    let role = c.role_not_public()?;
    if c.eat(&["rename"]) {
        c.expect(&["to"])?;
        return Ok(Statement::RenameRole { role, new_name: c.role_name()? });
    }
    if c.sees(&["set"]) || c.sees(&["reset"]) || c.sees(&["in", "database"]) {
        return alter_setting(c, Some(role));
    }
    Ok(Statement::AlterRole(AlterRole { role, attributes: attributes(c, false)? }))
}

/// ALTER DATABASE … SET and RESET, behind the first two words.
pub(super) fn alter_database_setting(c: &mut Cursor) -> SqlResult<Statement> {
    let database = c.name()?;
    let (name, value) = setting_change(c)?;
    Ok(Statement::AlterDatabaseSetting(AlterDatabaseSetting { database, name, value }))
}

fn alter_setting(c: &mut Cursor, role: Option<RoleSpec>) -> SqlResult<Statement> {
    let database = if c.eat(&["in"]) {
        c.expect(&["database"])?;
        Some(c.name()?)
    } else {
        None
    };
    let (name, value) = setting_change(c)?;
    Ok(Statement::AlterRoleSetting(AlterRoleSetting { role, database, name, value }))
}

/// A setting's name (`None`: all of them) and new value (`None`: the default).
fn setting_change(c: &mut Cursor) -> SqlResult<(Option<String>, Option<String>)> {
    if c.eat(&["reset"]) {
        return Ok((session::setting_or_all(c)?, None));
    }
    c.expect(&["set"])?;
    let set = session::assignment(c)?;
    let value = set.values.map(|values| join_list(&set.name, &values));
    Ok((Some(set.name), value))
}

/// A list of values as one: where they are names, those that would be read otherwise are quoted.
fn join_list(setting: &str, values: &[String]) -> String {
    if !setting.eq_ignore_ascii_case("search_path") {
        return values.join(", ");
    }
    let plain = |value: &str| {
        value.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let quoted: Vec<String> = values
        .iter()
        .map(|value| if plain(value) { value.clone() } else { format!("\"{}\"", value.replace('"', "\"\"")) })
        .collect();
    quoted.join(", ")
}

/// ALTER GROUP, behind these words.
pub(super) fn alter_group(c: &mut Cursor) -> SqlResult<Statement> {
    let group = c.role_not_public()?;
    if c.eat(&["rename"]) {
        c.expect(&["to"])?;
        return Ok(Statement::RenameRole { role: group, new_name: c.role_name()? });
    }
    let grant = match c.eat_any(&["add", "drop"]) {
        Some(word) => word == "add",
        None => return c.unexpected(),
    };
    c.expect(&["user"])?;
    let members = c.list(Cursor::role_not_public)?;
    let RoleSpec::Name(group) = group else {
        return Err(SqlError::unsupported("ALTER GROUP needs a group's name"));
    };
    Ok(Statement::GrantRole(GrantRole {
        grant,
        roles: vec![group],
        members,
        admin_option: false,
        granted_by: None,
        cascade: false,
    }))
}

fn once<T>(slot: &mut Option<T>, value: T, position: usize) -> SqlResult<()> {
    match slot.replace(value) {
        Some(_) => Err(SqlError::syntax("conflicting or redundant options").at(position)),
        None => Ok(()),
    }
}

fn attributes(c: &mut Cursor, create: bool) -> SqlResult<RoleAttributes> {
    let mut found = RoleAttributes::default();
    c.eat(&["with"]);
    while !c.at_end() {
        attribute(c, create, &mut found)?;
    }
    Ok(found)
}

fn attribute(c: &mut Cursor, create: bool, found: &mut RoleAttributes) -> SqlResult<()> {
    let position = c.position();
    if c.eat(&["connection"]) {
        c.expect(&["limit"])?;
        let limit = i32::try_from(c.integer()?).unwrap_or(i32::MAX);
        return once(&mut found.connection_limit, limit, position);
    }
    if c.eat(&["valid"]) {
        c.expect(&["until"])?;
        let until = c.string()?;
        return once(&mut found.valid_until, until, position);
    }
    if c.eat(&["unencrypted"]) {
        c.expect(&["password"])?;
        c.string()?;
        return Err(SqlError::unsupported("UNENCRYPTED PASSWORD is no longer supported")
            .hint("Remove UNENCRYPTED to store the password in encrypted form instead.")
            .at(position));
    }
    let encrypted = c.eat(&["encrypted"]);
    if c.eat(&["password"]) {
        let password = if encrypted { Some(c.string()?) } else { c.string_or_null()? };
        return once(&mut found.password, password.map(OptionValue), position);
    }
    if encrypted {
        return c.unexpected();
    }
    if let Some(done) = memberships(c, create, found)? {
        return done;
    }
    let Some(word) = c.word_at(0).filter(|_| !c.sees(&["in"])) else { return c.unexpected() };
    let (slot, value) = match word {
        "superuser" => (&mut found.superuser, true),
        "nosuperuser" => (&mut found.superuser, false),
        "createdb" => (&mut found.create_db, true),
        "nocreatedb" => (&mut found.create_db, false),
        "createrole" => (&mut found.create_role, true),
        "nocreaterole" => (&mut found.create_role, false),
        "inherit" => (&mut found.inherit, true),
        "noinherit" => (&mut found.inherit, false),
        "login" => (&mut found.login, true),
        "nologin" => (&mut found.login, false),
        "replication" => (&mut found.replication, true),
        "noreplication" => (&mut found.replication, false),
        "bypassrls" => (&mut found.bypass_rls, true),
        "nobypassrls" => (&mut found.bypass_rls, false),
        _ if super::keywords::is_keyword(word) => return c.unexpected(),
        _ => {
            return Err(SqlError::syntax(format!("unrecognized role option \"{word}\"")).at(position));
        }
    };
    once(slot, value, position)?;
    c.bump();
    Ok(())
}

/// The attributes that name other roles; `None` where it is none of them.
fn memberships(c: &mut Cursor, create: bool, found: &mut RoleAttributes) -> SqlResult<Option<SqlResult<()>>> {
    if c.eat(&["user"]) {
        found.role_members = c.list(Cursor::role_not_public)?;
        return Ok(Some(Ok(())));
    }
    if !create {
        return Ok(None);
    }
    let members = if c.eat(&["sysid"]) {
        c.integer()?;
        return Ok(Some(Ok(())));
    } else if c.eat(&["admin"]) {
        &mut found.admin_members
    } else if c.eat(&["role"]) {
        &mut found.role_members
    } else if c.eat(&["in", "role"]) || c.eat(&["in", "group"]) {
        &mut found.in_roles
    } else {
        return Ok(None);
    };
    *members = c.list(Cursor::role_not_public)?;
    Ok(Some(Ok(())))
}

/// GRANT (`grant`) and REVOKE, behind these words.
pub(super) fn grant(c: &mut Cursor, grant: bool) -> SqlResult<Statement> {
    let mut option_for = false;
    let mut admin_for = false;
    if !grant {
        if c.eat(&["grant", "option", "for"]) {
            option_for = true;
        } else if c.eat(&["admin", "option", "for"]) {
            admin_for = true;
        }
    }
    let start = c.position();
    let privileges = privileges(c)?;
    if c.sees(&["on"]) && !admin_for {
        return grant_objects(c, grant, privileges, option_for);
    }
    if option_for || privileges.is_empty() {
        return c.unexpected();
    }
    c.expect(&[if grant { "to" } else { "from" }])?;
    if privileges.iter().any(|privilege| !privilege.columns.is_empty()) {
        return Err(SqlError::syntax("column names cannot be included in GRANT/REVOKE ROLE").at(start));
    }
    grant_roles(c, grant, privileges.into_iter().map(|privilege| privilege.name).collect(), admin_for)
}

/// `ALL [PRIVILEGES] [(a, b)]`, or a list; empty for ALL.
fn privileges(c: &mut Cursor) -> SqlResult<Vec<PrivilegeClause>> {
    if c.eat(&["all"]) {
        c.eat(&["privileges"]);
        if !c.sees_symbol_at(0, '(') {
            return Ok(Vec::new());
        }
        let columns = c.parenthesized_list(Cursor::name)?;
        return Ok(vec![PrivilegeClause { name: "all".to_owned(), columns }]);
    }
    c.list(|c| {
        let name = match c.eat_any(&["select", "references", "create"]) {
            Some(keyword) => keyword.to_owned(),
            None if c.eat(&["alter", "system"]) => "alter system".to_owned(),
            None => match c.role()? {
                RoleSpec::Name(name) => name,
                // None of these is a privilege, nor may a role be named so.
                RoleSpec::CurrentUser | RoleSpec::SessionUser | RoleSpec::Public => return c.unexpected(),
            },
        };
        let columns = if c.sees_symbol_at(0, '(') { c.parenthesized_list(Cursor::name)? } else { Vec::new() };
        Ok(PrivilegeClause { name, columns })
    })
}

fn grant_objects(
    c: &mut Cursor,
    grant: bool,
    privileges: Vec<PrivilegeClause>,
    option_for: bool,
) -> SqlResult<Statement> {
    c.expect(&["on"])?;
    let objects = if c.eat(&["foreign", "data", "wrapper"]) {
        GrantObjects::Wrappers(c.list(Cursor::name)?)
    } else if c.eat(&["foreign", "server"]) {
        GrantObjects::Servers(c.list(Cursor::name)?)
    } else if c.eat(&["schema"]) {
        GrantObjects::Schemas(c.list(Cursor::name)?)
    } else if c.eat(&["database"]) {
        GrantObjects::Databases(c.list(Cursor::name)?)
    } else if c.eat(&["all", "tables", "in", "schema"]) {
        GrantObjects::AllTablesInSchema(c.list(Cursor::name)?)
    } else {
        if let Some(
            "function" | "procedure" | "routine" | "sequence" | "language" | "large" | "tablespace" | "type" | "domain"
            | "parameter" | "all",
        ) = c.word_at(0)
            && !matches!(c.word_at(1), None | Some("to" | "from"))
        {
            return refused::unsupported_object(c, if grant { "GRANT ON" } else { "REVOKE ON" });
        }
        c.eat(&["table"]);
        GrantObjects::Tables(c.list(Cursor::qualified_name)?)
    };
    c.expect(&[if grant { "to" } else { "from" }])?;
    let grantees = c.list(grantee)?;
    let with_option = grant && c.eat(&["with", "grant", "option"]);
    let granted_by = granted_by(c)?;
    let cascade = !grant && c.cascade();
    let grant_option = option_for || with_option;
    Ok(Statement::Grant(Grant { grant, privileges, objects, grantees, grant_option, granted_by, cascade }))
}

/// ALTER DEFAULT PRIVILEGES, behind these words.
pub(super) fn alter_default_privileges(c: &mut Cursor) -> SqlResult<Statement> {
    let (mut roles, mut schemas) = (Vec::new(), Vec::new());
    loop {
        if roles.is_empty() && (c.eat(&["for", "role"]) || c.eat(&["for", "user"])) {
            roles = c.list(Cursor::role_not_public)?;
        } else if schemas.is_empty() && c.eat(&["in", "schema"]) {
            schemas = c.list(Cursor::name)?;
        } else {
            break;
        }
    }
    let grant = match c.eat_any(&["grant", "revoke"]) {
        Some(word) => word == "grant",
        None => return c.unexpected(),
    };
    let option_for = !grant && c.eat(&["grant", "option", "for"]);
    let privileges = privileges(c)?;
    c.expect(&["on"])?;
    let objects = match c.eat_any(&["tables", "schemas", "sequences", "functions", "routines", "types"]) {
        Some("tables") => GrantObjects::Tables(Vec::new()),
        Some("schemas") => GrantObjects::Schemas(Vec::new()),
        Some(kind) => return Err(SqlError::unsupported(format!("default privileges on {kind} are not supported"))),
        None => return c.unexpected(),
    };
    c.expect(&[if grant { "to" } else { "from" }])?;
    let grantees = c.list(grantee)?;
    let with_option = grant && c.eat(&["with", "grant", "option"]);
    let cascade = !grant && c.cascade();
    let grant_option = option_for || with_option;
    let grant = Grant { grant, privileges, objects, grantees, grant_option, granted_by: None, cascade };
    Ok(Statement::AlterDefaultPrivileges(AlterDefaultPrivileges { roles, schemas, grant }))
}

/// `[GROUP] role`
fn grantee(c: &mut Cursor) -> SqlResult<RoleSpec> {
    if c.sees(&["group"]) {
        c.bump();
    }
    c.role()
}

/// `[GRANTED BY role]`
fn granted_by(c: &mut Cursor) -> SqlResult<Option<RoleSpec>> {
    if !c.eat(&["granted"]) {
        return Ok(None);
    }
    c.expect(&["by"])?;
    c.role().map(Some)
}

fn grant_roles(c: &mut Cursor, grant: bool, roles: Vec<String>, admin_for: bool) -> SqlResult<Statement> {
    let members = c.list(Cursor::role)?;
    let with_option = grant && c.eat(&["with", "admin", "option"]);
    let granted_by = granted_by(c)?;
    let cascade = !grant && c.cascade();
    let admin_option = admin_for || with_option;
    Ok(Statement::GrantRole(GrantRole { grant, roles, members, admin_option, granted_by, cascade }))
}

/// REASSIGN OWNED BY, behind these words.
pub(super) fn reassign_owned(c: &mut Cursor) -> SqlResult<Statement> {
    let from = c.list(Cursor::role_not_public)?;
    c.expect(&["to"])?;
    Ok(Statement::ReassignOwned { from, to: c.role_not_public()? })
}
