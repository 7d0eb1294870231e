//! Privileges, for the rows that PostgreSQL shows only to some, and for the `has_…_privilege` functions.

use std::collections::{HashMap, HashSet};

use super::context::{AnyRelation, PgCatalogContext};
use crate::catalog::model::{
    AclItem, Column, Header, INFORMATION_SCHEMA_OID, Object, PG_CATALOG_OID, PUBLIC_ROLE, Privilege,
};
use crate::catalog::privilege::{self, effective_acl};
use crate::catalog::{Catalog, Oid};

/// System catalogs that only superusers read: they hold, or could hold, secrets.
const RESTRICTED: [&str; 10] = [
    "pg_authid",
    "pg_shadow",
    "pg_user_mapping",
    "pg_statistic",
    "pg_statistic_ext_data",
    "pg_largeobject",
    "pg_file_settings",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_config",
];

/// The roles whose privileges each role has: itself and, where it inherits, those it is a member of, in any depth.
pub(super) fn memberships(catalog: &Catalog) -> HashMap<Oid, HashSet<Oid>> {
    let roles = catalog.objects().filter_map(|object| match object.as_ref() {
        Object::Role(role) => Some(role),
        _ => None,
    });
    roles.map(|role| (role.header.oid, closure(catalog, role.header.oid, true))).collect()
}

/// All roles that `role` is a member of, itself included; `inheriting`: only through roles that inherit.
pub(super) fn closure(catalog: &Catalog, role: Oid, inheriting: bool) -> HashSet<Oid> {
    let mut found = HashSet::from([role]);
    let mut pending = vec![role];
    while let Some(oid) = pending.pop() {
        let Some(role) = catalog.role_by_oid(oid) else { continue };
        if inheriting && !role.inherit {
            continue;
        }
        for membership in &role.member_of {
            if found.insert(membership.role) {
                pending.push(membership.role);
            }
        }
    }
    found
}

/// What a relation's owner has.
pub(super) const TABLE_PRIVILEGES: [Privilege; 7] = [
    Privilege::Insert,
    Privilege::Select,
    Privilege::Update,
    Privilege::Delete,
    Privilege::Truncate,
    Privilege::References,
    Privilege::Trigger,
];

/// What can be granted on a column.
pub(super) const COLUMN_PRIVILEGES: [Privilege; 4] =
    [Privilege::Insert, Privilege::Select, Privilege::Update, Privilege::References];

impl PgCatalogContext {
    /// `grantee=letters/grantor`, for each item.
    pub(super) fn acl_texts(&self, acl: Option<&Vec<AclItem>>) -> Option<Vec<String>> {
        acl.map(|items| items.iter().map(|item| privilege::item_text(&self.catalog, item)).collect())
    }

    pub(super) fn is_superuser(&self, role: Oid) -> bool {
        self.catalog.role_by_oid(role).is_some_and(|role| role.superuser)
    }

    /// Whether `role` has the privileges of `other`.
    pub(super) fn has_role(&self, role: Oid, other: Oid) -> bool {
        role == other
            || self.is_superuser(role)
            || self.memberships().get(&role).is_some_and(|roles| roles.contains(&other))
    }

    /// Whether `role` may `SET ROLE other`.
    pub(super) fn is_member(&self, role: Oid, other: Oid) -> bool {
        role == other || self.is_superuser(role) || closure(&self.catalog, role, false).contains(&other)
    }

    fn granted(&self, role: Oid, owner: Oid, acl: &[AclItem], privilege: Privilege, grant_option: bool) -> bool {
        // The owner may always grant again, whatever the list says.
        if grant_option && self.has_role(role, owner) {
            return true;
        }
        acl.iter().any(|item| {
            (item.grantee == PUBLIC_ROLE || self.has_role(role, item.grantee))
                && item.privileges.get(&privilege).is_some_and(|grantable| *grantable || !grant_option)
        })
    }

    /// Whether `role` holds a privilege on an object, through itself, its roles or PUBLIC.
    pub(super) fn has_privilege(&self, role: Oid, object: &Object, privilege: Privilege, grant_option: bool) -> bool {
        if self.is_superuser(role) {
            return true;
        }
        self.granted(role, object.header().owner, &effective_acl(object), privilege, grant_option)
    }

    /// The same on a relation, where system catalogs are readable by everyone but for the restricted ones.
    pub(super) fn has_relation_privilege(
        &self,
        role: Oid,
        relation: &AnyRelation<'_>,
        privilege: Privilege,
        grant_option: bool,
    ) -> bool {
        if self.is_superuser(role) {
            return true;
        }
        match relation {
            AnyRelation::System(system) => {
                privilege == Privilege::Select && !grant_option && !RESTRICTED.contains(&system.name)
            }
            AnyRelation::Table(_) | AnyRelation::View(_) => self
                .catalog
                .get(relation.oid())
                .is_some_and(|object| self.has_privilege(role, object, privilege, grant_option)),
            AnyRelation::PrimaryKey(_) => false,
        }
    }

    /// Whether a column's own grants give a privilege.
    pub(super) fn has_column_grant(
        &self,
        role: Oid,
        header: &Header,
        column: &Column,
        privilege: Privilege,
        grant_option: bool,
    ) -> bool {
        column.acl.as_ref().is_some_and(|acl| self.granted(role, header.owner, acl, privilege, grant_option))
    }

    /// Whether the current user may see the relation in `information_schema`: any privilege on it or on one of its columns.
    pub(super) fn may_see_relation(&self, relation: &AnyRelation<'_>) -> bool {
        let role = self.current_user;
        if TABLE_PRIVILEGES.iter().any(|privilege| self.has_relation_privilege(role, relation, *privilege, false)) {
            return true;
        }
        relation.columns().iter().any(|column| self.may_see_granted_column(relation, column))
    }

    /// Whether the current user may see the column there.
    pub(super) fn may_see_column(&self, relation: &AnyRelation<'_>, column: &Column) -> bool {
        COLUMN_PRIVILEGES
            .iter()
            .any(|privilege| self.has_relation_privilege(self.current_user, relation, *privilege, false))
            || self.may_see_granted_column(relation, column)
    }

    fn may_see_granted_column(&self, relation: &AnyRelation<'_>, column: &Column) -> bool {
        relation.header().is_some_and(|header| {
            COLUMN_PRIVILEGES
                .iter()
                .any(|privilege| self.has_column_grant(self.current_user, header, column, *privilege, false))
        })
    }

    pub(super) fn may_use_schema(&self, oid: Oid) -> bool {
        matches!(oid, PG_CATALOG_OID | INFORMATION_SCHEMA_OID)
            || self
                .catalog
                .get(oid)
                .is_some_and(|schema| self.has_privilege(self.current_user, schema, Privilege::Usage, false))
    }

    /// Whether the current user may read a system catalog at all.
    pub(super) fn may_read_system(&self, name: &str) -> bool {
        !RESTRICTED.contains(&name) || self.is_superuser(self.current_user)
    }
}
