//! Who may do what: PostgreSQL 15's rules for membership, ownership and privileges.

mod acl;

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::model::{AclItem, Catalog, Object, Oid, PUBLIC_ROLE, Privilege, Role};
use crate::error::{SqlError, SqlResult};

pub use acl::{AclChange, GrantDenied, acl_text, best_grantor, change_acl, item_text, with_new_owner};

impl Privilege {
    /// All of them, in the order in which PostgreSQL prints their letters (`ACL_ALL_RIGHTS_STR`).
    pub const ALL: [Self; 11] = [
        Self::Insert,
        Self::Select,
        Self::Update,
        Self::Delete,
        Self::Truncate,
        Self::References,
        Self::Trigger,
        Self::Usage,
        Self::Create,
        Self::Temporary,
        Self::Connect,
    ];

    /// The letter in an `aclitem`.
    pub const fn letter(self) -> char {
        match self {
            Self::Insert => 'a',
            Self::Select => 'r',
            Self::Update => 'w',
            Self::Delete => 'd',
            Self::Truncate => 'D',
            Self::References => 'x',
            Self::Trigger => 't',
            Self::Usage => 'U',
            Self::Create => 'C',
            Self::Temporary => 'T',
            Self::Connect => 'c',
        }
    }

    /// The SQL word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Select => "SELECT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Truncate => "TRUNCATE",
            Self::References => "REFERENCES",
            Self::Trigger => "TRIGGER",
            Self::Usage => "USAGE",
            Self::Create => "CREATE",
            Self::Temporary => "TEMPORARY",
            Self::Connect => "CONNECT",
        }
    }

    /// The privilege of a SQL word, in any case.
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.to_ascii_uppercase();
        let word = if word == "TEMP" { "TEMPORARY" } else { &word };
        Self::ALL.into_iter().find(|privilege| privilege.word() == word)
    }
}

pub(super) const RELATION: &[Privilege] = &[
    Privilege::Insert,
    Privilege::Select,
    Privilege::Update,
    Privilege::Delete,
    Privilege::Truncate,
    Privilege::References,
    Privilege::Trigger,
];

/// The privileges that a schema can have.
pub(super) const SCHEMA: &[Privilege] = &[Privilege::Usage, Privilege::Create];

/// The privileges that a column can have.
pub const COLUMN: &[Privilege] = &[Privilege::Insert, Privilege::Select, Privilege::Update, Privilege::References];

/// The privileges that an object of this kind can have.
pub fn all_privileges(object: &Object) -> &'static [Privilege] {
    match object {
        Object::ForeignTable(_) | Object::View(_) => RELATION,
        Object::Schema(_) => SCHEMA,
        Object::Wrapper(_) | Object::Server(_) => &[Privilege::Usage],
        Object::Database(_) => &[Privilege::Create, Privilege::Temporary, Privilege::Connect],
        Object::Role(_) | Object::UserMapping(_) => &[],
    }
}

/// An object's privileges: those granted, else PostgreSQL's default ones (`acldefault`).
pub fn effective_acl(object: &Object) -> Cow<'_, [AclItem]> {
    match &object.header().acl {
        Some(acl) => Cow::Borrowed(acl),
        None => Cow::Owned(default_acl(object)),
    }
}

/// PostgreSQL's default privileges: the owner has all; PUBLIC may connect to the database.
pub fn default_acl(object: &Object) -> Vec<AclItem> {
    let owner = object.header().owner;
    let item = |grantee, privileges: &[Privilege]| AclItem {
        grantee,
        grantor: owner,
        privileges: privileges.iter().map(|privilege| (*privilege, false)).collect(),
    };
    let mut acl = Vec::new();
    if matches!(object, Object::Database(_)) {
        acl.push(item(PUBLIC_ROLE, &[Privilege::Temporary, Privilege::Connect]));
    }
    let all = all_privileges(object);
    if !all.is_empty() {
        acl.push(item(owner, all));
    }
    acl
}

/// Whether a role is a superuser.
pub fn is_superuser(catalog: &Catalog, role: Oid) -> bool {
    catalog.role_by_oid(role).is_some_and(|role| role.superuser)
}

/// The role and every role that it is a member of, directly or not. With `inherited_only`, only those whose privileges it
/// has: PostgreSQL 15 follows the memberships of roles that INHERIT.
pub fn membership(catalog: &Catalog, role: Oid, inherited_only: bool) -> BTreeSet<Oid> {
    let mut found = BTreeSet::from([role]);
    let mut pending = vec![role];
    while let Some(next) = pending.pop() {
        let Some(role) = catalog.role_by_oid(next) else { continue };
        if inherited_only && !role.inherit {
            continue;
        }
        pending.extend(role.member_of.iter().map(|membership| membership.role).filter(|oid| found.insert(*oid)));
    }
    found
}

/// `is_member_of_role`: it may SET ROLE to it. Superusers are members of every role.
pub fn is_member(catalog: &Catalog, member: Oid, role: Oid) -> bool {
    member == role || is_superuser(catalog, member) || membership(catalog, member, false).contains(&role)
}

/// `has_privs_of_role`: it may do what the role may. Superusers may all.
pub fn has_role(catalog: &Catalog, member: Oid, role: Oid) -> bool {
    member == role || is_superuser(catalog, member) || membership(catalog, member, true).contains(&role)
}

/// Whether a role may create, alter and drop roles.
pub fn may_create_roles(catalog: &Catalog, role: Oid) -> bool {
    catalog.role_by_oid(role).is_some_and(|role| role.superuser || role.create_role)
}

/// Whether a role holds the admin option on another, through any membership.
pub fn is_admin(catalog: &Catalog, member: Oid, role: Oid) -> bool {
    is_superuser(catalog, member)
        || membership(catalog, member, true)
            .into_iter()
            .filter_map(|oid| catalog.role_by_oid(oid))
            .any(|through: &Role| through.member_of.iter().any(|grant| grant.role == role && grant.admin_option))
}

/// Whether a role owns an object, itself or through a role that it inherits from.
pub fn owns(catalog: &Catalog, role: Oid, object: &Object) -> bool {
    has_role(catalog, role, object.header().owner)
}

/// Whether a role holds a privilege on a whole object.
pub fn has_privilege(catalog: &Catalog, role: Oid, object: &Object, privilege: Privilege) -> bool {
    is_superuser(catalog, role) || holds(&effective_acl(object), &membership(catalog, role, true), privilege)
}

/// Whether a role holds a privilege on a column, or on all of its relation.
pub fn has_column_privilege(
    catalog: &Catalog,
    role: Oid,
    relation: &Object,
    column: &str,
    privilege: Privilege,
) -> bool {
    has_privilege(catalog, role, relation, privilege)
        || relation.columns().iter().find(|candidate| candidate.name == column).is_some_and(|column| {
            let acl = column.acl.as_deref().unwrap_or_default();
            holds(acl, &membership(catalog, role, true), privilege)
        })
}

/// Whether a role holds a privilege on at least one column, which is what `SELECT count(*)` needs.
pub fn has_any_column_privilege(catalog: &Catalog, role: Oid, relation: &Object, privilege: Privilege) -> bool {
    has_privilege(catalog, role, relation, privilege) || {
        let roles = membership(catalog, role, true);
        relation.columns().iter().any(|column| holds(column.acl.as_deref().unwrap_or_default(), &roles, privilege))
    }
}

fn holds(acl: &[AclItem], roles: &BTreeSet<Oid>, privilege: Privilege) -> bool {
    acl.iter().any(|item| {
        (item.grantee == PUBLIC_ROLE || roles.contains(&item.grantee)) && item.privileges.contains_key(&privilege)
    })
}

/// What PostgreSQL calls an object of this kind in `permission denied for …` and `must be owner of …`.
pub fn kind_in_errors(object: &Object) -> &'static str {
    match object {
        Object::Role(_) => "role",
        Object::Schema(_) => "schema",
        Object::Wrapper(_) => "foreign-data wrapper",
        Object::Server(_) => "foreign server",
        Object::UserMapping(_) => "user mapping",
        Object::ForeignTable(_) => "foreign table",
        Object::View(_) => "view",
        Object::Database(_) => "database",
    }
}

/// `42501`: `permission denied for schema x`.
pub fn denied(object: &Object) -> SqlError {
    SqlError::denied(format!("permission denied for {} {}", kind_in_errors(object), object.header().name))
}

/// Refuses who does not hold a privilege on an object.
///
/// # Errors
/// `42501`: `permission denied for schema x`.
pub fn check_privilege(catalog: &Catalog, role: Oid, object: &Object, privilege: Privilege) -> SqlResult<()> {
    if has_privilege(catalog, role, object, privilege) { Ok(()) } else { Err(denied(object)) }
}

/// Refuses who may not read the named columns of a relation; without names, one readable column is enough.
///
/// # Errors
/// `42501`: `permission denied for foreign table x`.
pub fn check_select<'a>(
    catalog: &Catalog,
    role: Oid,
    relation: &Object,
    columns: impl IntoIterator<Item = &'a str>,
) -> SqlResult<()> {
    if has_privilege(catalog, role, relation, Privilege::Select) {
        return Ok(());
    }
    let roles = membership(catalog, role, true);
    let readable = |name: &str| {
        relation
            .columns()
            .iter()
            .find(|column| column.name == name)
            .is_some_and(|column| holds(column.acl.as_deref().unwrap_or_default(), &roles, Privilege::Select))
    };
    let mut named = false;
    let all = columns.into_iter().all(|name| {
        named = true;
        readable(name)
    });
    let allowed = all && (named || has_any_column_privilege(catalog, role, relation, Privilege::Select));
    if allowed { Ok(()) } else { Err(denied(relation)) }
}

/// Refuses who does not own an object.
///
/// # Errors
/// `42501`: `must be owner of foreign table x`.
pub fn check_owner(catalog: &Catalog, role: Oid, object: &Object) -> SqlResult<()> {
    if owns(catalog, role, object) {
        return Ok(());
    }
    Err(SqlError::denied(format!("must be owner of {} {}", kind_in_errors(object), object.header().name)))
}

#[cfg(test)]
#[path = "privilege/tests.rs"]
mod tests;
