//! CREATE and ALTER SCHEMA.

use super::super::model::{DATABASE_OID, Object, Oid, Privilege, Schema};
use super::names::is_system_schema;
use super::rewrite::Edit;
use super::{Ddl, Working};
use crate::error::{Notice, SqlError, SqlResult, SqlState};
use crate::statement::ast::{AlterAction, AlterObject, CreateSchema, RoleSpec};

/// The schema of Atoll's own views.
const OWN_SCHEMA: &str = "atoll";

impl Ddl<'_> {
    pub(super) fn create_schema(&mut self, create: &CreateSchema) -> SqlResult<&'static str> {
        let owner = match &create.authorization {
            Some(role) => self.role_spec(role)?,
            None => self.user(),
        };
        let name = match &create.name {
            Some(name) => name.clone(),
            None => self.catalog().role_name(owner),
        };
        self.check_privilege(DATABASE_OID, Privilege::Create)?;
        self.check_member(owner)?;
        check_name(&name)?;
        if self.catalog().schema(&name).is_some() {
            let message = format!("schema \"{name}\" already exists");
            if create.if_not_exists {
                self.notices.push(Notice::skipping(SqlState::DUPLICATE_SCHEMA, message));
                return Ok("CREATE SCHEMA");
            }
            return Err(SqlError::new(SqlState::DUPLICATE_SCHEMA, message));
        }
        let oid = self.working.take_oid()?;
        let mut header = self.new_header(oid, &name);
        header.owner = owner;
        let mut schema = Object::Schema(Schema { header });
        schema.header_mut().acl = self.initial_acl(&schema);
        self.working.put(schema);
        Ok("CREATE SCHEMA")
    }

    pub(super) fn alter_schema(&mut self, alter: &AlterObject) -> SqlResult<&'static str> {
        const TAG: &str = "ALTER SCHEMA";
        let mut schema = self.schema(&alter.name)?;
        let oid = schema.header.oid;
        match &alter.action {
            AlterAction::RenameTo(new_name) => {
                self.check_owner(oid)?;
                self.check_privilege(DATABASE_OID, Privilege::Create)?;
                self.refuse_system_schema(oid)?;
                if self.catalog().schema(new_name).is_some() {
                    let message = format!("schema \"{new_name}\" already exists");
                    return Err(SqlError::new(SqlState::DUPLICATE_SCHEMA, message));
                }
                check_name(new_name)?;
                let edit = Edit::schema(&alter.name, new_name);
                let relations: Vec<_> =
                    self.catalog().relations_in(oid).map(|relation| relation.header().oid).collect();
                self.rewrite_dependents_of(&relations, &edit)?;
                new_name.clone_into(&mut schema.header.name);
            }
            AlterAction::OwnerTo(role) => {
                let owner = self.role_spec(role)?;
                self.check_new_owner(oid, owner)?;
                self.check_privilege(DATABASE_OID, Privilege::Create)?;
                self.refuse_system_schema(oid)?;
                return self.set_owner(oid, owner).map(|()| TAG);
            }
            AlterAction::Options(_) | AlterAction::Version { .. } => {
                return Err(SqlError::syntax("a schema has no OPTIONS and no VERSION"));
            }
        }
        self.working.put(Object::Schema(schema));
        Ok(TAG)
    }

    /// The system's schemas are in no store: nothing about them can change.
    pub(super) fn refuse_system_schema(&self, oid: super::Oid) -> SqlResult<()> {
        if !is_system_schema(oid) {
            return Ok(());
        }
        let name = self.object(oid)?.header().name.clone();
        Err(SqlError::denied(format!("permission denied: \"{name}\" is a system schema")))
    }
}

/// The name and owner of the schema that a CREATE SCHEMA has made, or found there.
pub fn schema_made(
    working: &Working,
    session_user: Oid,
    current_user: Oid,
    create: &CreateSchema,
) -> Option<(String, Oid)> {
    let catalog = working.current();
    let owner = match &create.authorization {
        Some(RoleSpec::Name(name)) => catalog.role(name)?.header.oid,
        Some(RoleSpec::SessionUser) => session_user,
        Some(RoleSpec::CurrentUser | RoleSpec::Public) | None => current_user,
    };
    let name = create.name.clone().unwrap_or_else(|| catalog.role_name(owner));
    Some((name, owner))
}

fn check_name(name: &str) -> SqlResult<()> {
    let refused = |detail: &str| {
        Err(SqlError::new(SqlState::RESERVED_NAME, format!("unacceptable schema name \"{name}\"")).detail(detail))
    };
    if name.starts_with("pg_") {
        return refused("The prefix \"pg_\" is reserved for system schemas.");
    }
    if name == OWN_SCHEMA {
        return refused("The schema \"atoll\" is reserved for the server's own views.");
    }
    Ok(())
}
