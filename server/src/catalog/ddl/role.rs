//! CREATE, ALTER and DROP ROLE.

use std::sync::Arc;

use super::super::model::{
    BOOTSTRAP_SUPERUSER_OID, Column, DATABASE_OID, Database, FIRST_USER_OID, Header, Membership, Object, Oid, Role,
    ScramVerifier, SettingList,
};
use super::super::privilege::{check_owner, is_superuser, may_create_roles};
use super::super::scram::ScramError;
use super::Ddl;
use super::dependency::report;
use super::grant::no_database;
use super::names::{duplicate, quote_identifier};
use super::types::moment;
use crate::error::{Notice, SqlError, SqlResult, SqlState};
use crate::statement::ast::{
    AlterDatabaseSetting, AlterRole, AlterRoleSetting, CreateRole, Drop, OptionValue, RoleAttributes, RoleSpec,
};

/// Settings that one role, or the database, may keep.
const STORED_SETTINGS_MAX: usize = 200;

impl Ddl<'_> {
    fn role(&self, oid: Oid) -> SqlResult<Role> {
        self.catalog().role_by_oid(oid).cloned().ok_or_else(|| SqlError::internal("the catalog has no such role"))
    }

    fn may_create_roles(&self) -> bool {
        may_create_roles(self.catalog(), self.user())
    }

    pub(super) fn create_role(&mut self, create: &CreateRole) -> SqlResult<&'static str> {
        let attributes = &create.attributes;
        check_attributes(attributes)?;
        let given = |attribute: Option<bool>| attribute == Some(true);
        if !self.is_superuser() {
            let denied = |message: &str| Err(SqlError::denied(message));
            if given(attributes.superuser) {
                return denied("must be superuser to create superusers");
            }
            if given(attributes.replication) {
                return denied("must be superuser to create replication users");
            }
            if given(attributes.bypass_rls) {
                return denied("must be superuser to create bypassrls users");
            }
            if !self.may_create_roles() {
                return denied("permission denied to create role");
            }
        }
        check_name(&create.name)?;
        if self.catalog().role(&create.name).is_some() {
            return Err(duplicate(format!("role \"{}\" already exists", create.name)));
        }
        let oid = self.working.take_oid()?;
        let mut role = Role {
            header: Header { oid, name: create.name.clone(), owner: oid, acl: None, comment: None },
            superuser: false,
            create_db: false,
            create_role: false,
            inherit: true,
            login: create.user,
            replication: false,
            bypass_rls: false,
            connection_limit: -1,
            password: None,
            valid_until: None,
            member_of: Vec::new(),
            settings: SettingList::default(),
            database_settings: SettingList::default(),
            default_acls: Vec::new(),
        };
        self.set_attributes(&mut role, attributes)?;
        self.working.put(Object::Role(role));
        for group in &attributes.in_roles {
            let group = self.role_spec(group)?;
            self.add_member(group, oid, false)?;
        }
        self.add_members(oid, attributes)?;
        Ok("CREATE ROLE")
    }

    fn add_members(&mut self, role: Oid, attributes: &RoleAttributes) -> SqlResult<()> {
        let members = attributes.role_members.iter().map(|member| (member, false));
        for (member, admin) in members.chain(attributes.admin_members.iter().map(|member| (member, true))) {
            let member = self.role_spec(member)?;
            self.add_member(role, member, admin)?;
        }
        Ok(())
    }

    fn set_attributes(&mut self, role: &mut Role, attributes: &RoleAttributes) -> SqlResult<()> {
        let set = |target: &mut bool, given: Option<bool>| *target = given.unwrap_or(*target);
        set(&mut role.superuser, attributes.superuser);
        set(&mut role.create_db, attributes.create_db);
        set(&mut role.create_role, attributes.create_role);
        set(&mut role.inherit, attributes.inherit);
        set(&mut role.login, attributes.login);
        set(&mut role.replication, attributes.replication);
        set(&mut role.bypass_rls, attributes.bypass_rls);
        role.connection_limit = attributes.connection_limit.unwrap_or(role.connection_limit);
        if let Some(text) = &attributes.valid_until {
            role.valid_until = Some(moment(text, self.cx.style)?);
        }
        if let Some(password) = &attributes.password {
            role.password = self.verifier(password.as_ref())?;
        }
        Ok(())
    }

    fn verifier(&mut self, password: Option<&OptionValue>) -> SqlResult<Option<ScramVerifier>> {
        let Some(OptionValue(password)) = password else { return Ok(None) };
        if password.is_empty() {
            self.notice("empty string is not a valid password, clearing password");
            return Ok(None);
        }
        if password == "********" {
            let message = "the password is what system views show instead of one";
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        match ScramVerifier::from_password(password) {
            Ok(verifier) => Ok(Some(verifier)),
            Err(error @ ScramError::Md5) => {
                Err(SqlError::unsupported(error.to_string())
                    .hint("Give the password itself, or a SCRAM-SHA-256 verifier."))
            }
            Err(error) => Err(SqlError::internal(error.to_string())),
        }
    }

    pub(super) fn alter_role(&mut self, alter: &AlterRole) -> SqlResult<&'static str> {
        let attributes = &alter.attributes;
        check_attributes(attributes)?;
        let oid = self.role_spec(&alter.role)?;
        let mut role = self.role(oid)?;
        self.check_alter_role(&role, attributes)?;
        self.set_attributes(&mut role, attributes)?;
        self.working.put(Object::Role(role));
        self.add_members(oid, attributes)?;
        Ok("ALTER ROLE")
    }

    /// `AlterRole` in PostgreSQL 15's `user.c`.
    fn check_alter_role(&self, role: &Role, attributes: &RoleAttributes) -> SqlResult<()> {
        // As PostgreSQL 16 has it: there is no single-user mode to mend a catalog without superusers.
        if role.header.oid == BOOTSTRAP_SUPERUSER_OID && attributes.superuser == Some(false) {
            return Err(SqlError::denied("permission denied to alter role")
                .detail("The bootstrap user must have the SUPERUSER attribute."));
        }
        if self.is_superuser() {
            return Ok(());
        }
        if role.superuser || attributes.superuser.is_some() {
            return Err(SqlError::denied("must be superuser to alter superuser roles or change superuser attribute"));
        }
        if role.replication || attributes.replication.is_some() {
            let message = "must be superuser to alter replication roles or change replication attribute";
            return Err(SqlError::denied(message));
        }
        if attributes.bypass_rls.is_some() {
            return Err(SqlError::denied("must be superuser to change bypassrls attribute"));
        }
        let own_password = role.header.oid == self.user()
            && *attributes == RoleAttributes { password: attributes.password.clone(), ..RoleAttributes::default() };
        if self.may_create_roles() || own_password {
            return Ok(());
        }
        Err(SqlError::denied("permission denied"))
    }

    /// The session has checked the setting's name and value.
    pub(super) fn alter_role_setting(&mut self, alter: &AlterRoleSetting) -> SqlResult<&'static str> {
        let Some(spec) = &alter.role else {
            return match &alter.database {
                Some(database) => {
                    let change = AlterDatabaseSetting {
                        database: database.clone(),
                        name: alter.name.clone(),
                        value: alter.value.clone(),
                    };
                    self.alter_database_setting(&change).map(|_| "ALTER ROLE")
                }
                None => self.alter_global_setting(alter),
            };
        };
        if let Some(database) = &alter.database {
            self.own_database(database)?;
        }
        let mut role = self.role(self.role_spec(spec)?)?;
        if role.superuser && !self.is_superuser() {
            return Err(SqlError::denied("must be superuser to alter superusers"));
        }
        if !self.may_create_roles() && role.header.oid != self.user() {
            return Err(SqlError::denied("permission denied"));
        }
        let settings = match alter.database {
            Some(_) => &mut role.database_settings,
            None => &mut role.settings,
        };
        store_setting(settings, alter.name.as_deref(), alter.value.as_deref())?;
        self.working.put(Object::Role(role));
        Ok("ALTER ROLE")
    }

    /// ALTER ROLE ALL.
    fn alter_global_setting(&mut self, alter: &AlterRoleSetting) -> SqlResult<&'static str> {
        if !self.is_superuser() {
            return Err(SqlError::denied("must be superuser to alter settings globally"));
        }
        let mut database = self.own_database(self.catalog().database_name())?;
        store_setting(&mut database.global_settings, alter.name.as_deref(), alter.value.as_deref())?;
        self.working.put(Object::Database(database));
        Ok("ALTER ROLE")
    }

    /// The one database by its name.
    fn own_database(&self, name: &str) -> SqlResult<Database> {
        let found = self.catalog().get(DATABASE_OID).filter(|object| object.header().name == name);
        match found.map(Arc::as_ref) {
            Some(Object::Database(database)) => Ok(database.clone()),
            _ if self.catalog().server(name).is_some() => {
                Err(SqlError::unsupported("a foreign server's database has no settings of its own")
                    .hint("Use ALTER ROLE, or ALTER DATABASE of the server's own database."))
            }
            _ => Err(no_database(name)),
        }
    }

    /// The session has checked the setting's name and value.
    pub(super) fn alter_database_setting(&mut self, alter: &AlterDatabaseSetting) -> SqlResult<&'static str> {
        let mut database = self.own_database(&alter.database)?;
        check_owner(self.catalog(), self.user(), &Object::Database(database.clone()))?;
        store_setting(&mut database.settings, alter.name.as_deref(), alter.value.as_deref())?;
        self.working.put(Object::Database(database));
        Ok("ALTER DATABASE")
    }

    pub(super) fn rename_role(&mut self, spec: &RoleSpec, new_name: &str) -> SqlResult<&'static str> {
        let mut role = self.role(self.role_spec(spec)?)?;
        let oid = role.header.oid;
        if oid == self.cx.session_user {
            return Err(SqlError::unsupported("session user cannot be renamed"));
        }
        if oid == self.user() {
            return Err(SqlError::unsupported("current user cannot be renamed"));
        }
        check_name(new_name)?;
        if self.catalog().role(new_name).is_some() {
            return Err(duplicate(format!("role \"{new_name}\" already exists")));
        }
        if role.superuser && !self.is_superuser() {
            return Err(SqlError::denied("must be superuser to rename superusers"));
        }
        if !self.may_create_roles() {
            return Err(SqlError::denied("permission denied to rename role"));
        }
        new_name.clone_into(&mut role.header.name);
        self.working.put(Object::Role(role));
        Ok("ALTER ROLE")
    }

    pub(super) fn drop_roles(&mut self, drop: &Drop) -> SqlResult<&'static str> {
        if !self.may_create_roles() {
            return Err(SqlError::denied("permission denied to drop role"));
        }
        for name in &drop.names {
            let name = name.name();
            let oid = match self.role_oid(name) {
                Ok(oid) => oid,
                Err(error) if drop.if_exists => {
                    self.notices.push(Notice::skipping(SqlState::SUCCESSFUL_COMPLETION, error.message));
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.drop_role(name, oid)?;
        }
        Ok("DROP ROLE")
    }

    fn drop_role(&mut self, name: &str, oid: Oid) -> SqlResult<()> {
        let in_use = |message: &str| Err(SqlError::new(SqlState::OBJECT_IN_USE, message));
        if oid == self.user() {
            return in_use("current user cannot be dropped");
        }
        if oid == self.cx.session_user {
            return in_use("session user cannot be dropped");
        }
        if is_superuser(self.catalog(), oid) && !self.is_superuser() {
            return Err(SqlError::denied("must be superuser to drop superusers"));
        }
        if oid < FIRST_USER_OID {
            let message = format!("cannot drop role {name} because it is required by the database system");
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message));
        }
        let mut lines = self.role_dependents(oid);
        lines.extend(self.default_acl_dependents(oid));
        if !lines.is_empty() {
            let message = format!("role \"{name}\" cannot be dropped because some objects depend on it");
            return Err(
                SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message).detail(report(lines.into_iter()))
            );
        }
        let members: Vec<Role> = self
            .catalog()
            .objects()
            .filter_map(|object| match object.as_ref() {
                Object::Role(role) if role.member_of.iter().any(|m| m.role == oid) => Some(role.clone()),
                _ => None,
            })
            .collect();
        for mut member in members {
            member.member_of.retain(|Membership { role, .. }| *role != oid);
            self.working.put(Object::Role(member));
        }
        self.working.remove(oid);
        Ok(())
    }

    /// What a role owns and may do, by OID as PostgreSQL lists it.
    fn role_dependents(&self, role: Oid) -> Vec<String> {
        let mut lines = Vec::new();
        for object in self.catalog().objects() {
            let owner = match object.as_ref() {
                Object::Role(_) => continue,
                // PostgreSQL counts the mapped user as the owner of a mapping.
                Object::UserMapping(mapping) => mapping.user,
                other => other.header().owner,
            };
            let description = self.describe(object);
            let granted = |acl: &Option<Vec<_>>| {
                acl.iter()
                    .flatten()
                    .any(|item: &super::super::model::AclItem| item.grantee == role || item.grantor == role)
            };
            if owner == role {
                lines.push(format!("owner of {description}"));
                continue;
            }
            if granted(&object.header().acl) {
                lines.push(format!("privileges for {description}"));
            }
            let columns = object.columns().iter().filter(|column: &&Column| granted(&column.acl));
            lines
                .extend(columns.map(|column| {
                    format!("privileges for column {} of {description}", quote_identifier(&column.name))
                }));
        }
        lines
    }
}

/// What SET and RESET do to the stored settings of a role or the database.
fn store_setting(stored: &mut SettingList, name: Option<&str>, value: Option<&str>) -> SqlResult<()> {
    match (name, value) {
        (None, _) => stored.clear(),
        (Some(name), None) => stored.remove(name),
        (Some(name), Some(value)) => stored.set(name, value),
    }
    if stored.len() > STORED_SETTINGS_MAX {
        return Err(SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "too many stored settings"));
    }
    Ok(())
}

fn check_attributes(attributes: &RoleAttributes) -> SqlResult<()> {
    match attributes.connection_limit {
        Some(limit) if limit < -1 => {
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid connection limit: {limit}")))
        }
        _ => Ok(()),
    }
}

fn check_name(name: &str) -> SqlResult<()> {
    let reserved = SqlError::new(SqlState::RESERVED_NAME, format!("role name \"{name}\" is reserved"));
    if matches!(name, "public" | "none") {
        return Err(reserved);
    }
    if name.starts_with("pg_") {
        return Err(reserved.detail("Role names starting with \"pg_\" are reserved."));
    }
    Ok(())
}
