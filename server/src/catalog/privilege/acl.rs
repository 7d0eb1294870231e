//! Access control lists: GRANT and REVOKE on them, and their text (PostgreSQL's `utils/adt/acl.c`).

use std::collections::{BTreeMap, BTreeSet};

use super::super::model::{AclItem, Catalog, Oid, PUBLIC_ROLE, Privilege};
use super::{has_role, is_superuser, membership};
use crate::error::{SqlError, SqlResult, SqlState};

type Privileges = BTreeSet<Privilege>;

/// One change of an access control list.
#[derive(Debug, Clone)]
pub struct AclChange<'a> {
    /// GRANT, else REVOKE.
    pub grant: bool,
    /// What.
    pub privileges: &'a BTreeSet<Privilege>,
    /// To or from whom; [`PUBLIC_ROLE`] for PUBLIC.
    pub grantee: Oid,
    /// By whom.
    pub grantor: Oid,
    /// WITH GRANT OPTION, or GRANT OPTION FOR.
    pub grant_option: bool,
    /// REVOKE … CASCADE.
    pub cascade: bool,
}

/// Nobody on whose behalf the user acts may grant anything here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantDenied;

/// The role as which a user grants, and the privileges it may grant (`select_best_grantor`). `acl` is the effective one.
pub fn best_grantor(
    catalog: &Catalog,
    user: Oid,
    owner: Oid,
    acl: &[AclItem],
    wanted: &Privileges,
) -> (Oid, Privileges) {
    let roles = membership(catalog, user, true);
    // Superusers act as the owner.
    if roles.contains(&owner) || is_superuser(catalog, user) {
        return (owner, wanted.clone());
    }
    let mut best = (user, Privileges::new());
    // The user itself comes first, so that it wins among equals.
    for role in std::iter::once(user).chain(roles.into_iter().filter(|role| *role != user)) {
        let grantable: Privileges =
            wanted.iter().filter(|privilege| direct_options(acl, role).contains(privilege)).copied().collect();
        if grantable.len() > best.1.len() {
            best = (role, grantable);
        }
    }
    best
}

fn direct_options(acl: &[AclItem], role: Oid) -> Privileges {
    acl.iter().filter(|item| item.grantee == role).flat_map(options_of).collect()
}

fn options_of(item: &AclItem) -> impl Iterator<Item = Privilege> + '_ {
    item.privileges.iter().filter(|(_, option)| **option).map(|(privilege, _)| *privilege)
}

/// The grant options that a role has on an object of `owner`, through memberships too (`aclmask`).
fn grant_options(catalog: &Catalog, acl: &[AclItem], role: Oid, owner: Oid) -> Privileges {
    if role != PUBLIC_ROLE && has_role(catalog, role, owner) {
        return Privilege::ALL.into_iter().collect();
    }
    acl.iter()
        .filter(|item| item.grantee == PUBLIC_ROLE || (role != PUBLIC_ROLE && has_role(catalog, role, item.grantee)))
        .flat_map(options_of)
        .collect()
}

/// The list after one GRANT or REVOKE (`aclupdate`). `acl` is the effective one.
///
/// # Errors
/// * `0LP01`: grant options to PUBLIC, or back to one's own grantor.
/// * `2BP01`: REVOKE … RESTRICT where others hold the privilege through the grantee.
pub fn change_acl(catalog: &Catalog, acl: &[AclItem], owner: Oid, change: &AclChange<'_>) -> SqlResult<Vec<AclItem>> {
    let mut acl = acl.to_vec();
    if change.grant {
        if change.grant_option {
            check_grant_option(catalog, &acl, owner, change)?;
        }
        add(&mut acl, change);
    } else {
        remove(catalog, &mut acl, owner, change)?;
    }
    acl.retain(|item| !item.privileges.is_empty());
    Ok(acl)
}

fn add(acl: &mut Vec<AclItem>, change: &AclChange<'_>) {
    let found = acl.iter_mut().find(|item| item.grantee == change.grantee && item.grantor == change.grantor);
    let privileges = match found {
        Some(item) => &mut item.privileges,
        None => {
            acl.push(AclItem { grantee: change.grantee, grantor: change.grantor, privileges: BTreeMap::new() });
            let Some(item) = acl.last_mut() else { return };
            &mut item.privileges
        }
    };
    for privilege in change.privileges {
        *privileges.entry(*privilege).or_insert(false) |= change.grant_option;
    }
}

fn remove(catalog: &Catalog, acl: &mut Vec<AclItem>, owner: Oid, change: &AclChange<'_>) -> SqlResult<()> {
    let found = acl.iter_mut().find(|item| item.grantee == change.grantee && item.grantor == change.grantor);
    let Some(item) = found else { return Ok(()) };
    let mut lost = Privileges::new();
    for privilege in change.privileges {
        let Some(option) = item.privileges.get_mut(privilege) else { continue };
        if std::mem::take(option) {
            lost.insert(*privilege);
        }
        if !change.grant_option {
            item.privileges.remove(privilege);
        }
    }
    if lost.is_empty() || change.grantee == PUBLIC_ROLE || change.grantee == owner {
        return Ok(());
    }
    remove_dependent(catalog, acl, owner, change, lost)
}

/// Takes from others what the grantee passed on and may no longer pass on (`recursive_revoke`).
fn remove_dependent(
    catalog: &Catalog,
    acl: &mut Vec<AclItem>,
    owner: Oid,
    change: &AclChange<'_>,
    mut lost: Privileges,
) -> SqlResult<()> {
    // It may still hold the option from another grantor.
    let kept = grant_options(catalog, acl, change.grantee, owner);
    lost.retain(|privilege| !kept.contains(privilege));
    while let Some(dependent) = acl
        .iter()
        .find(|item| item.grantor == change.grantee && lost.iter().any(|lost| item.privileges.contains_key(lost)))
    {
        if !change.cascade {
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, "dependent privileges exist")
                .hint("Use CASCADE to revoke them too."));
        }
        let change = AclChange {
            grant: false,
            privileges: &lost,
            grantee: dependent.grantee,
            grantor: change.grantee,
            grant_option: false,
            cascade: true,
        };
        remove(catalog, acl, owner, &change)?;
        acl.retain(|item| !item.privileges.is_empty());
    }
    Ok(())
}

/// Refuses a grant option that would, through others, be its own source (`check_circularity`).
fn check_grant_option(catalog: &Catalog, acl: &[AclItem], owner: Oid, change: &AclChange<'_>) -> SqlResult<()> {
    let refused = |message| Err(SqlError::new(SqlState::INVALID_GRANT_OPERATION, message));
    if change.grantee == PUBLIC_ROLE {
        return refused("grant options can only be granted to roles");
    }
    if change.grantor == owner {
        return Ok(());
    }
    // What the grantor could still grant if the grantee had nothing.
    let mut without = acl.to_vec();
    while let Some(item) =
        without.iter().find(|item| item.grantee == change.grantee && options_of(item).next().is_some()).cloned()
    {
        let change = AclChange {
            grant: false,
            privileges: &item.privileges.keys().copied().collect(),
            grantee: item.grantee,
            grantor: item.grantor,
            grant_option: false,
            cascade: true,
        };
        remove(catalog, &mut without, owner, &change)?;
        without.retain(|item| !item.privileges.is_empty());
    }
    let independent = grant_options(catalog, &without, change.grantor, owner);
    if change.privileges.is_subset(&independent) {
        return Ok(());
    }
    refused("grant options cannot be granted back to your own grantor")
}

/// The list after a change of owner: the new one stands wherever the old one stood (`aclnewowner`).
pub fn with_new_owner(acl: &[AclItem], old: Oid, new: Oid) -> Vec<AclItem> {
    let mut merged: Vec<AclItem> = Vec::with_capacity(acl.len());
    let replace = |oid| if oid == old { new } else { oid };
    for item in acl {
        let (grantee, grantor) = (replace(item.grantee), replace(item.grantor));
        match merged.iter_mut().find(|other| other.grantee == grantee && other.grantor == grantor) {
            Some(other) => {
                for (privilege, option) in &item.privileges {
                    *other.privileges.entry(*privilege).or_insert(false) |= option;
                }
            }
            None => merged.push(AclItem { grantee, grantor, privileges: item.privileges.clone() }),
        }
    }
    merged
}

/// One item as PostgreSQL prints an `aclitem`: `bob=r*w/atoll`.
pub fn item_text(catalog: &Catalog, item: &AclItem) -> String {
    let mut text = if item.grantee == PUBLIC_ROLE { String::new() } else { role_text(catalog, item.grantee) };
    text.push('=');
    for privilege in Privilege::ALL {
        if let Some(option) = item.privileges.get(&privilege) {
            text.push(privilege.letter());
            if *option {
                text.push('*');
            }
        }
    }
    text.push('/');
    text.push_str(&role_text(catalog, item.grantor));
    text
}

/// A whole list as the text of an `aclitem[]`.
pub fn acl_text(catalog: &Catalog, acl: &[AclItem]) -> String {
    let items: Vec<_> = acl.iter().map(|item| array_element(&item_text(catalog, item))).collect();
    format!("{{{}}}", items.join(","))
}

fn array_element(text: &str) -> String {
    if text.contains(['"', '\\', ',', '{', '}', ' ']) {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        text.to_owned()
    }
}

/// `putid`: quoted unless letters, digits and underscores only.
fn role_text(catalog: &Catalog, role: Oid) -> String {
    let Some(role) = catalog.role_by_oid(role) else { return role.to_string() };
    let name = &role.header.name;
    let safe = name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    if safe { name.clone() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
