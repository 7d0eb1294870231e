//! Roles, memberships and databases.

use super::super::context::PgCatalogContext;
use super::classes::{DATABASE_CLASS, ROLE_CLASS};
use super::{Cell, Rows};
use crate::catalog::Oid;
use crate::catalog::model::{BOOTSTRAP_SUPERUSER_OID, DATABASE_OID, Object, Privilege, Role, SettingList};
use crate::catalog::privilege::effective_acl;

/// What a view shows instead of a password.
pub(in super::super) const HIDDEN: &str = "********";
/// `UTF8` in PostgreSQL's table of encodings (`mb/pg_wchar.h`).
pub(in super::super) const UTF8_ENCODING: i32 = 6;
/// `pg_default`, in `pg_tablespace`.
const DEFAULT_TABLESPACE: Oid = 1663;

/// `pg_authid`, for superusers. The verifier stays hidden from them too.
pub(super) fn authids(context: &PgCatalogContext, rows: &mut Rows) {
    for role in context.roles() {
        rows.push(|column| match column {
            // Neither the verifier nor a text that CREATE ROLE would take for a password.
            "rolpassword" => Cell::Null,
            other => role_cell(role, other),
        });
    }
}

/// `pg_roles`.
pub(super) fn roles(context: &PgCatalogContext, rows: &mut Rows) {
    for role in context.roles() {
        if rows.skips("oid", role.header.oid) || rows.skips_text("rolname", &role.header.name) {
            continue;
        }
        rows.push(|column| role_cell(role, column));
    }
}

fn role_cell<'a>(role: &'a Role, column: &str) -> Cell<'a> {
    match column {
        "oid" => role.header.oid.into(),
        "rolname" => role.header.name.as_str().into(),
        "rolsuper" => role.superuser.into(),
        "rolinherit" => role.inherit.into(),
        "rolcreaterole" => role.create_role.into(),
        "rolcreatedb" => role.create_db.into(),
        "rolcanlogin" => role.login.into(),
        "rolreplication" => role.replication.into(),
        "rolconnlimit" => role.connection_limit.into(),
        "rolpassword" => HIDDEN.into(),
        "rolvaliduntil" => role.valid_until.into(),
        "rolbypassrls" => role.bypass_rls.into(),
        "rolconfig" => role_settings(role).into(),
        _ => Cell::Unset,
    }
}

fn role_settings(role: &Role) -> Option<Vec<String>> {
    stored_settings(&role.settings)
}

fn stored_settings(settings: &SettingList) -> Option<Vec<String>> {
    let texts = || settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
    (!settings.is_empty()).then(texts)
}

/// `pg_user`.
pub(super) fn users(context: &PgCatalogContext, rows: &mut Rows) {
    for role in context.roles().filter(|role| role.login) {
        rows.push(|column| user_cell(role, column));
    }
}

/// `pg_shadow`, for superusers. The verifier stays hidden from them too.
pub(super) fn shadows(context: &PgCatalogContext, rows: &mut Rows) {
    for role in context.roles().filter(|role| role.login) {
        rows.push(|column| match column {
            "passwd" => Cell::Null,
            other => user_cell(role, other),
        });
    }
}

fn user_cell<'a>(role: &'a Role, column: &str) -> Cell<'a> {
    match column {
        "usename" => role.header.name.as_str().into(),
        "usesysid" => role.header.oid.into(),
        "usecreatedb" => role.create_db.into(),
        "usesuper" => role.superuser.into(),
        "userepl" => role.replication.into(),
        "usebypassrls" => role.bypass_rls.into(),
        "passwd" => HIDDEN.into(),
        "valuntil" => role.valid_until.into(),
        "useconfig" => role_settings(role).into(),
        _ => Cell::Unset,
    }
}

/// `pg_group`: roles that cannot log in, with their members.
pub(super) fn groups(context: &PgCatalogContext, rows: &mut Rows) {
    for group in context.roles().filter(|role| !role.login) {
        let oid = group.header.oid;
        rows.push(|column| match column {
            "groname" => group.header.name.as_str().into(),
            "grosysid" => oid.into(),
            "grolist" => {
                let members = context.roles().filter(|role| role.member_of.iter().any(|member| member.role == oid));
                Cell::Ints(members.map(|role| i64::from(role.header.oid)).collect())
            }
            _ => Cell::Unset,
        });
    }
}

/// `pg_auth_members`.
pub(super) fn members(context: &PgCatalogContext, rows: &mut Rows) {
    for role in context.roles() {
        for membership in &role.member_of {
            rows.push(|column| match column {
                "roleid" => membership.role.into(),
                "member" => role.header.oid.into(),
                "grantor" => membership.grantor.into(),
                "admin_option" => membership.admin_option.into(),
                _ => Cell::Unset,
            });
        }
    }
}

/// `pg_db_role_setting`: what ALTER ROLE … SET and ALTER DATABASE … SET said.
pub(super) fn settings(context: &PgCatalogContext, rows: &mut Rows) {
    for object in context.catalog.objects() {
        let Object::Database(database) = object.as_ref() else { continue };
        push_settings(rows, (database.header.oid, 0), &database.settings);
        push_settings(rows, (0, 0), &database.global_settings);
    }
    for role in context.roles() {
        push_settings(rows, (0, role.header.oid), &role.settings);
        push_settings(rows, (DATABASE_OID, role.header.oid), &role.database_settings);
    }
}

fn push_settings(rows: &mut Rows, (database, role): (Oid, Oid), settings: &SettingList) {
    let Some(texts) = stored_settings(settings) else { return };
    rows.push(|column| match column {
        "setdatabase" => database.into(),
        "setrole" => role.into(),
        "setconfig" => Some(texts.clone()).into(),
        _ => Cell::Unset,
    });
}

/// `pg_default_acl`.
pub(super) fn default_acls(context: &PgCatalogContext, rows: &mut Rows) {
    for role in context.roles() {
        for (default, number) in role.default_acls.iter().zip(0_u32..) {
            rows.push(|column| match column {
                // Rows of one role are told apart by their order; no client keeps these OIDs.
                "oid" => (role.header.oid | (number + 1) << 24).into(),
                "defaclrole" => role.header.oid.into(),
                "defaclnamespace" => default.schema.unwrap_or(0).into(),
                "defaclobjtype" => (if default.of_schemas { "n" } else { "r" }).into(),
                "defaclacl" => context.acl_texts(Some(&default.acl)).into(),
                _ => Cell::Unset,
            });
        }
    }
}

/// `pg_shdescription`: comments on the database and on roles.
pub(super) fn shared_descriptions(context: &PgCatalogContext, rows: &mut Rows) {
    for object in context.catalog.objects() {
        let class = match object.as_ref() {
            Object::Database(_) => DATABASE_CLASS,
            Object::Role(_) => ROLE_CLASS,
            _ => continue,
        };
        let Some(comment) = &object.header().comment else { continue };
        rows.push(|column| match column {
            "objoid" => object.header().oid.into(),
            "classoid" => class.into(),
            "description" => comment.as_str().into(),
            _ => Cell::Unset,
        });
    }
}

/// `pg_database`: the database, and every server that the user may use, since each is a live catalog to connect to.
pub(super) fn databases(context: &PgCatalogContext, rows: &mut Rows) {
    let header = context.database_header();
    let acl = header.and_then(|header| context.acl_texts(header.acl.as_ref()));
    let owner = header.map_or(BOOTSTRAP_SUPERUSER_OID, |header| header.owner);
    database(rows, DATABASE_OID, &context.main_database, owner, acl);
    for object in context.catalog.objects() {
        let Object::Server(server) = object.as_ref() else { continue };
        // A server of the database's own name cannot be connected to: the name is the database's.
        if server.header.name != context.main_database
            && context.has_privilege(context.current_user, object, Privilege::Usage, false)
        {
            let acl = server.header.acl.is_some().then(|| connect_acl(context, object));
            database(rows, server.header.oid, &server.header.name, server.header.owner, acl);
        }
    }
}

/// USAGE of a server is what CONNECT is to a database.
fn connect_acl(context: &PgCatalogContext, server: &Object) -> Vec<String> {
    let usage = context.acl_texts(Some(&effective_acl(server).into_owned())).unwrap_or_default();
    usage.into_iter().map(|text| text.replace("=U", "=c")).collect()
}

fn database(rows: &mut Rows, oid: Oid, name: &str, owner: Oid, acl: Option<Vec<String>>) {
    rows.push(|column| match column {
        "oid" => oid.into(),
        "datname" => name.to_owned().into(),
        "datdba" => owner.into(),
        "encoding" => UTF8_ENCODING.into(),
        "datlocprovider" => "c".into(),
        "datallowconn" => true.into(),
        "datconnlimit" => (-1).into(),
        "dattablespace" => DEFAULT_TABLESPACE.into(),
        // Text sorts by code point unless a collation is given.
        "datcollate" | "datctype" => "C.UTF-8".into(),
        "datacl" => acl.clone().into(),
        _ => Cell::Unset,
    });
}
