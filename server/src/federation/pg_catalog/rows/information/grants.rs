//! Roles and privileges in the information schema.

use super::super::super::access::{COLUMN_PRIVILEGES, TABLE_PRIVILEGES, closure};
use super::super::super::context::{AnyRelation, PgCatalogContext};
use super::super::{Cell, Rows, yes_no};
use super::relation_cell;
use crate::catalog::Oid;
use crate::catalog::model::{AclItem, Object, PUBLIC_ROLE, Privilege};
use crate::catalog::privilege::effective_acl;

pub(super) fn enabled_roles(context: &PgCatalogContext, rows: &mut Rows) {
    for role in context.roles().filter(|role| context.has_role(context.current_user, role.header.oid)) {
        rows.push(|_| role.header.name.as_str().into());
    }
}

fn memberships(context: &PgCatalogContext, rows: &mut Rows, admin_only: bool) {
    for role in context.roles().filter(|role| context.has_role(context.current_user, role.header.oid)) {
        for membership in role.member_of.iter().filter(|membership| membership.admin_option || !admin_only) {
            rows.push(|column| match column {
                "grantee" => role.header.name.as_str().into(),
                "role_name" => context.catalog.role_name(membership.role).into(),
                "is_grantable" => yes_no(membership.admin_option),
                _ => Cell::Null,
            });
        }
    }
}

pub(super) fn applicable_roles(context: &PgCatalogContext, rows: &mut Rows) {
    memberships(context, rows, false);
}

pub(super) fn administrable_roles(context: &PgCatalogContext, rows: &mut Rows) {
    memberships(context, rows, true);
}

/// One grant of one privilege.
#[derive(Debug, Clone, Copy)]
struct Grant {
    grantor: Oid,
    grantee: Oid,
    owner: Oid,
    privilege: Privilege,
    grantable: bool,
}

/// The grants of a list that the current user is a party to; those to PUBLIC always, unless `own_roles`.
fn grants(
    context: &PgCatalogContext,
    acl: &[AclItem],
    owner: Oid,
    privileges: &[Privilege],
    own_roles: bool,
) -> Vec<Grant> {
    let enabled = |role: Oid| context.has_role(context.current_user, role);
    let party = |item: &AclItem| {
        let public = item.grantee == PUBLIC_ROLE;
        enabled(item.grantor) || if public { !own_roles } else { enabled(item.grantee) }
    };
    let mut found = Vec::new();
    for item in acl.iter().filter(|item| party(item)) {
        for privilege in privileges {
            if let Some(grantable) = item.privileges.get(privilege) {
                found.push(Grant {
                    grantor: item.grantor,
                    grantee: item.grantee,
                    owner,
                    privilege: *privilege,
                    grantable: *grantable,
                });
            }
        }
    }
    found
}

fn grant_cell(context: &PgCatalogContext, grant: Grant, column: &str) -> Cell<'static> {
    match column {
        "grantor" => context.catalog.role_name(grant.grantor).into(),
        "grantee" if grant.grantee == PUBLIC_ROLE => "PUBLIC".into(),
        "grantee" => context.catalog.role_name(grant.grantee).into(),
        "privilege_type" => grant.privilege.word().into(),
        "is_grantable" => {
            let owner = grant.grantee != PUBLIC_ROLE
                && (context.is_superuser(grant.grantee)
                    || closure(&context.catalog, grant.grantee, true).contains(&grant.owner));
            yes_no(owner || grant.grantable)
        }
        "with_hierarchy" => yes_no(grant.privilege == Privilege::Select),
        _ => Cell::Null,
    }
}

fn table_grants(context: &PgCatalogContext, rows: &mut Rows, own_roles: bool) {
    for object in context.catalog.objects() {
        let Some(relation) = relation_of(object) else { continue };
        let acl = effective_acl(object);
        for grant in grants(context, &acl, object.header().owner, &TABLE_PRIVILEGES, own_roles) {
            rows.push(|column| match grant_cell(context, grant, column) {
                Cell::Null => relation_cell(context, relation, column),
                cell => cell,
            });
        }
    }
}

fn relation_of(object: &Object) -> Option<AnyRelation<'_>> {
    match object {
        Object::ForeignTable(table) => Some(AnyRelation::Table(table)),
        Object::View(view) => Some(AnyRelation::View(view)),
        _ => None,
    }
}

pub(super) fn table_privileges(context: &PgCatalogContext, rows: &mut Rows) {
    table_grants(context, rows, false);
}

pub(super) fn role_table_grants(context: &PgCatalogContext, rows: &mut Rows) {
    table_grants(context, rows, true);
}

/// A privilege on the table is one on each of its columns; a column may have more of its own.
fn column_grants(context: &PgCatalogContext, rows: &mut Rows, own_roles: bool) {
    for object in context.catalog.objects() {
        let Some(relation) = relation_of(object) else { continue };
        let owner = object.header().owner;
        let table_acl = effective_acl(object);
        let on_table = grants(context, &table_acl, owner, &COLUMN_PRIVILEGES, own_roles);
        for described in relation.columns() {
            let own = described.acl.as_deref().unwrap_or_default();
            let on_column = grants(context, own, owner, &COLUMN_PRIVILEGES, own_roles);
            for grant in on_table.iter().chain(&on_column) {
                rows.push(|column| match (column, grant_cell(context, *grant, column)) {
                    ("column_name", _) => described.name.as_str().into(),
                    (_, Cell::Null) => relation_cell(context, relation, column),
                    (_, cell) => cell,
                });
            }
        }
    }
}

pub(super) fn column_privileges(context: &PgCatalogContext, rows: &mut Rows) {
    column_grants(context, rows, false);
}

pub(super) fn role_column_grants(context: &PgCatalogContext, rows: &mut Rows) {
    column_grants(context, rows, true);
}

fn usage_grants(context: &PgCatalogContext, rows: &mut Rows, own_roles: bool) {
    for object in context.catalog.objects() {
        let kind = match object.as_ref() {
            Object::Wrapper(_) => "FOREIGN DATA WRAPPER",
            Object::Server(_) => "FOREIGN SERVER",
            _ => continue,
        };
        let acl = effective_acl(object);
        for grant in grants(context, &acl, object.header().owner, &[Privilege::Usage], own_roles) {
            rows.push(|column| match column {
                "object_catalog" => context.database.as_str().into(),
                "object_schema" => "".into(),
                "object_name" => object.header().name.as_str().into(),
                "object_type" => kind.into(),
                other => grant_cell(context, grant, other),
            });
        }
    }
}

pub(super) fn usage_privileges(context: &PgCatalogContext, rows: &mut Rows) {
    usage_grants(context, rows, false);
}

pub(super) fn role_usage_grants(context: &PgCatalogContext, rows: &mut Rows) {
    usage_grants(context, rows, true);
}
