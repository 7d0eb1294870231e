//! ALTER DEFAULT PRIVILEGES, and what it means for an object that is made.

use super::super::model::{AclItem, DefaultAcl, Object, Oid, Privilege, Role};
use super::super::privilege::{self, AclChange, change_acl, default_acl};
use super::Ddl;
use super::grant::{add_clause, kind_of, wanted_of};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::statement::ast::AlterDefaultPrivileges;

impl Ddl<'_> {
    pub(super) fn alter_default_privileges(&mut self, alter: &AlterDefaultPrivileges) -> SqlResult<&'static str> {
        const TAG: &str = "ALTER DEFAULT PRIVILEGES";
        let of_schemas = alter.of_schemas();
        let roles = if alter.roles.is_empty() {
            vec![self.user()]
        } else {
            alter.roles.iter().map(|role| self.role_spec(role)).collect::<SqlResult<Vec<_>>>()?
        };
        let grantees = alter.grant.grantees.iter().map(|role| self.grantee(role)).collect::<SqlResult<Vec<_>>>()?;
        let kind = kind_of(&alter.grant.objects);
        let mut wanted = wanted_of(&alter.grant, grantees);
        for clause in &alter.grant.privileges {
            if !clause.columns.is_empty() {
                let message = "default privileges cannot be set for columns";
                return Err(SqlError::new(SqlState::INVALID_GRANT_OPERATION, message));
            }
            add_clause(&mut wanted, clause, &kind)?;
        }
        let privileges = if wanted.all { kind.valid.iter().copied().collect() } else { wanted.object.clone() };
        for role in roles {
            self.check_member(role)?;
            if alter.schemas.is_empty() {
                self.change_default(role, None, of_schemas, &wanted.grantees, &privileges, alter)?;
            }
            for name in &alter.schemas {
                let schema = self.schema(name)?.header.oid;
                privilege::check_privilege(self.catalog(), role, &*self.object(schema)?, Privilege::Create)?;
                if of_schemas {
                    let message = "cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS";
                    return Err(SqlError::new(SqlState::INVALID_GRANT_OPERATION, message));
                }
                self.change_default(role, Some(schema), of_schemas, &wanted.grantees, &privileges, alter)?;
            }
        }
        Ok(TAG)
    }

    fn change_default(
        &mut self,
        role: Oid,
        schema: Option<Oid>,
        of_schemas: bool,
        grantees: &[Oid],
        privileges: &std::collections::BTreeSet<Privilege>,
        alter: &AlterDefaultPrivileges,
    ) -> SqlResult<()> {
        let Object::Role(mut changed) = Object::clone(&*self.object(role)?) else {
            return Err(SqlError::internal("the role is none"));
        };
        // In one schema, what is stored is added to the rest.
        let without = if schema.is_some() { Vec::new() } else { owner_acl(role, of_schemas) };
        let at = changed.default_acls.iter().position(|acl| acl.schema == schema && acl.of_schemas == of_schemas);
        let mut acl =
            at.and_then(|index| changed.default_acls.get(index)).map_or(without.clone(), |acl| acl.acl.clone());
        for grantee in grantees {
            let change = AclChange {
                grant: alter.grant.grant,
                privileges,
                grantee: *grantee,
                grantor: role,
                grant_option: alter.grant.grant_option,
                cascade: alter.grant.cascade,
            };
            acl = change_acl(self.catalog(), &acl, role, &change)?;
        }
        if let Some(index) = at {
            changed.default_acls.remove(index);
        }
        if !same(&acl, &without) {
            changed.default_acls.push(DefaultAcl { schema, of_schemas, acl });
        }
        self.working.put(Object::Role(changed));
        Ok(())
    }

    /// The privileges that a new object begins with; `None`: those that every object has (`get_user_default_acl`).
    pub(super) fn initial_acl(&self, object: &Object) -> Option<Vec<AclItem>> {
        let of_schemas = matches!(object, Object::Schema(_));
        if !of_schemas && object.schema().is_none() {
            return None;
        }
        let role = self.catalog().role_by_oid(object.header().owner)?;
        let of = |schema: Option<Oid>| {
            role.default_acls.iter().find(|acl| acl.schema == schema && acl.of_schemas == of_schemas)
        };
        let (everywhere, here) = (of(None), object.schema().and_then(|schema| of(Some(schema))));
        let usual = default_acl(object);
        let mut acl = everywhere.map_or_else(|| usual.clone(), |everywhere| everywhere.acl.clone());
        for item in here.iter().flat_map(|here| &here.acl) {
            match acl.iter_mut().find(|known| known.grantee == item.grantee && known.grantor == item.grantor) {
                Some(known) => {
                    for (privilege, option) in &item.privileges {
                        *known.privileges.entry(*privilege).or_insert(false) |= option;
                    }
                }
                None => acl.push(item.clone()),
            }
        }
        (!same(&acl, &usual)).then_some(acl)
    }

    /// Default privileges in schemas that go, go with them.
    pub(super) fn forget_default_acls(&mut self, gone: &[Oid]) {
        let touched = |role: &Role| role.default_acls.iter().any(|acl| acl.schema.is_some_and(|s| gone.contains(&s)));
        let roles: Vec<Role> = self
            .catalog()
            .objects()
            .filter_map(|object| match object.as_ref() {
                Object::Role(role) if touched(role) => Some(role.clone()),
                _ => None,
            })
            .collect();
        for mut role in roles {
            role.default_acls.retain(|acl| acl.schema.is_none_or(|schema| !gone.contains(&schema)));
            self.working.put(Object::Role(role));
        }
    }

    /// What DROP OWNED takes: what these roles set, and what was set for them.
    pub(super) fn drop_default_acls(&mut self, roles: &[Oid]) {
        let all: Vec<Role> = self
            .catalog()
            .objects()
            .filter_map(|object| match object.as_ref() {
                Object::Role(role) if !role.default_acls.is_empty() => Some(role.clone()),
                _ => None,
            })
            .collect();
        for mut role in all {
            let before = role.clone();
            if roles.contains(&role.header.oid) {
                role.default_acls.clear();
            }
            for default in &mut role.default_acls {
                default.acl.retain(|item| !roles.contains(&item.grantee));
            }
            // What is left of an entry may be what would hold without it.
            let owner = role.header.oid;
            role.default_acls.retain(|default| {
                let without = if default.schema.is_some() { Vec::new() } else { owner_acl(owner, default.of_schemas) };
                !same(&default.acl, &without)
            });
            if role != before {
                self.working.put(Object::Role(role));
            }
        }
    }

    /// What keeps a role from being dropped, in PostgreSQL's words.
    pub(super) fn default_acl_dependents(&self, role: Oid) -> Vec<String> {
        let mut lines = Vec::new();
        for object in self.catalog().objects() {
            let Object::Role(other) = object.as_ref() else { continue };
            for default in &other.default_acls {
                let kind = if default.of_schemas { "schemas" } else { "relations" };
                let mut what = format!("default privileges on new {kind} belonging to role {}", other.header.name);
                if let Some(schema) = default.schema.and_then(|schema| self.catalog().schema_by_oid(schema)) {
                    what.push_str(&format!(" in schema {}", schema.header.name));
                }
                if other.header.oid == role {
                    lines.push(format!("owner of {what}"));
                } else if default.acl.iter().any(|item| item.grantee == role) {
                    lines.push(format!("privileges for {what}"));
                }
            }
        }
        lines
    }
}

/// What the owner of a relation or schema holds on it.
fn owner_acl(owner: Oid, of_schemas: bool) -> Vec<AclItem> {
    let all = if of_schemas { privilege::SCHEMA } else { privilege::RELATION };
    vec![AclItem {
        grantee: owner,
        grantor: owner,
        privileges: all.iter().map(|privilege| (*privilege, false)).collect(),
    }]
}

/// Whether two lists grant the same, in whatever order.
fn same(one: &[AclItem], other: &[AclItem]) -> bool {
    one.len() == other.len() && one.iter().all(|item| other.contains(item))
}
