//! REASSIGN OWNED and DROP OWNED.

use super::super::model::{AclItem, Column, FIRST_USER_OID, Object, Oid};
use super::super::privilege::{AclChange, change_acl, has_role};
use super::Ddl;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::statement::ast::RoleSpec;

impl Ddl<'_> {
    /// The roles, if the user may act for them.
    fn owners(&self, roles: &[RoleSpec], denied: &str) -> SqlResult<Vec<Oid>> {
        let roles = roles.iter().map(|role| self.role_spec(role)).collect::<SqlResult<Vec<_>>>()?;
        if roles.iter().all(|role| has_role(self.catalog(), self.user(), *role)) {
            return Ok(roles);
        }
        Err(SqlError::denied(denied))
    }

    /// What the bootstrap superuser owns stays.
    fn refuse_pinned(&self, roles: &[Oid], action: &str) -> SqlResult<()> {
        let Some(role) = roles.iter().find(|role| **role < FIRST_USER_OID) else { return Ok(()) };
        let name = self.catalog().role_name(*role);
        let message = format!("{action} owned by role {name} because they are required by the database system");
        Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message))
    }

    pub(super) fn reassign_owned(&mut self, from: &[RoleSpec], to: &RoleSpec) -> SqlResult<&'static str> {
        const DENIED: &str = "permission denied to reassign objects";
        let roles = self.owners(from, DENIED)?;
        let new = self.role_spec(to)?;
        if !has_role(self.catalog(), self.user(), new) {
            return Err(SqlError::denied(DENIED));
        }
        self.refuse_pinned(&roles, "cannot reassign ownership of objects")?;
        let owned: Vec<Oid> = self
            .catalog()
            .objects()
            .filter(|object| {
                // A mapping follows its server.
                !matches!(object.as_ref(), Object::Role(_) | Object::UserMapping(_))
                    && roles.contains(&object.header().owner)
            })
            .map(|object| object.header().oid)
            .collect();
        for oid in owned {
            self.set_owner(oid, new)?;
        }
        Ok("REASSIGN OWNED")
    }

    pub(super) fn drop_owned(&mut self, roles: &[RoleSpec], cascade: bool) -> SqlResult<&'static str> {
        let roles = self.owners(roles, "permission denied to drop objects")?;
        self.refuse_pinned(&roles, "cannot drop objects")?;
        let mut owned = Vec::new();
        let mut others = Vec::new();
        for object in self.catalog().objects() {
            let owner = match object.as_ref() {
                Object::Role(_) => continue,
                Object::UserMapping(mapping) => mapping.user,
                other => other.header().owner,
            };
            let droppable = !matches!(object.as_ref(), Object::Database(_));
            if roles.contains(&owner) && droppable {
                owned.push(object.header().oid);
            } else {
                others.push(object.header().oid);
            }
        }
        for oid in others {
            self.revoke_all(oid, &roles)?;
        }
        self.drop_default_acls(&roles);
        // PostgreSQL goes from the newest to the oldest, which shows in the order of dependents.
        owned.reverse();
        let what = match owned.as_slice() {
            [oid] => Some(self.describe_oid(*oid)),
            _ => None,
        };
        self.remove_with_dependents(&owned, what.as_deref(), cascade)?;
        Ok("DROP OWNED")
    }

    fn revoke_all(&mut self, oid: Oid, roles: &[Oid]) -> SqlResult<()> {
        let before = self.object(oid)?;
        let mut object = Object::clone(&before);
        let owner = object.header().owner;
        if let Some(acl) = object.header().acl.clone() {
            object.header_mut().acl = Some(self.without(acl, owner, roles)?);
        }
        let columns: &mut [Column] = match &mut object {
            Object::ForeignTable(table) => &mut table.columns,
            Object::View(view) => &mut view.columns,
            _ => &mut [],
        };
        for column in columns {
            if let Some(acl) = column.acl.take() {
                let acl = self.without(acl, owner, roles)?;
                column.acl = (!acl.is_empty()).then_some(acl);
            }
        }
        if object != *before {
            drop(before);
            self.working.put(object);
        }
        Ok(())
    }

    fn without(&self, mut acl: Vec<AclItem>, owner: Oid, roles: &[Oid]) -> SqlResult<Vec<AclItem>> {
        while let Some(item) = acl.iter().find(|item| roles.contains(&item.grantee)).cloned() {
            let change = AclChange {
                grant: false,
                privileges: &item.privileges.keys().copied().collect(),
                grantee: item.grantee,
                grantor: item.grantor,
                grant_option: false,
                cascade: true,
            };
            acl = change_acl(self.catalog(), &acl, owner, &change)?;
        }
        acl.retain(|item| !roles.contains(&item.grantor));
        Ok(acl)
    }
}
