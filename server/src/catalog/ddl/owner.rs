//! Changing owners: who may, and what changes with it.

use super::super::model::{Object, Oid};
use super::super::privilege;
use super::Ddl;
use crate::error::{SqlError, SqlResult};

impl Ddl<'_> {
    /// Refuses who does not own the object or could not act as the new owner.
    pub(super) fn check_new_owner(&self, object: Oid, owner: Oid) -> SqlResult<()> {
        self.check_owner(object)?;
        self.check_member(owner)
    }

    /// Refuses who could not act as a role.
    pub(super) fn check_member(&self, role: Oid) -> SqlResult<()> {
        if privilege::is_member(self.catalog(), self.user(), role) {
            return Ok(());
        }
        Err(SqlError::denied(format!("must be member of role \"{}\"", self.catalog().role_name(role))))
    }

    /// Gives an object to a role: privileges that the old owner granted are now the new one's.
    pub(super) fn set_owner(&mut self, oid: Oid, owner: Oid) -> SqlResult<()> {
        let mut object = Object::clone(&*self.object(oid)?);
        let old = object.header().owner;
        if old == owner {
            return Ok(());
        }
        let replace = |acl: &mut Option<Vec<_>>| {
            if let Some(acl) = acl {
                *acl = privilege::with_new_owner(acl, old, owner);
            }
        };
        let header = object.header_mut();
        header.owner = owner;
        replace(&mut header.acl);
        if let Object::ForeignTable(table) = &mut object {
            table.columns.iter_mut().for_each(|column| replace(&mut column.acl));
        }
        if let Object::View(view) = &mut object {
            view.columns.iter_mut().for_each(|column| replace(&mut column.acl));
        }
        let is_server = matches!(object, Object::Server(_));
        self.working.put(object);
        if is_server {
            self.set_mapping_owners(oid, owner);
        }
        Ok(())
    }

    /// A mapping's owner is its server's.
    fn set_mapping_owners(&mut self, server: Oid, owner: Oid) {
        let mappings: Vec<_> = self
            .catalog()
            .objects()
            .filter_map(|object| match object.as_ref() {
                Object::UserMapping(mapping) if mapping.server == server => Some(mapping.clone()),
                _ => None,
            })
            .collect();
        for mut mapping in mappings {
            mapping.header.owner = owner;
            self.working.put(Object::UserMapping(mapping));
        }
    }
}
