//! GRANT and REVOKE of roles.

use super::super::model::{Membership, Object, Oid};
use super::super::privilege::{is_admin, is_superuser, may_create_roles, membership};
use super::Ddl;
use crate::error::{Notice, SqlError, SqlResult, SqlState};
use crate::statement::ast::GrantRole;

impl Ddl<'_> {
    pub(super) fn grant_role(&mut self, grant: &GrantRole) -> SqlResult<&'static str> {
        let grantor = match &grant.granted_by {
            Some(role) => self.role_spec(role)?,
            None => self.user(),
        };
        if grantor != self.user() && !self.is_superuser() {
            return Err(SqlError::denied("must be superuser to set grantor"));
        }
        for role in &grant.roles {
            let role = self.role_oid(role)?;
            let members = grant.members.iter().map(|member| self.role_spec(member)).collect::<SqlResult<Vec<_>>>()?;
            for member in members {
                if grant.grant {
                    self.add_member_as(role, member, grant.admin_option, grantor)?;
                } else {
                    self.remove_member(role, member, grant.admin_option)?;
                }
            }
        }
        Ok(if grant.grant { "GRANT ROLE" } else { "REVOKE ROLE" })
    }

    fn check_admin(&self, role: Oid) -> SqlResult<()> {
        let catalog = self.catalog();
        if is_superuser(catalog, role) && !self.is_superuser() {
            return Err(SqlError::denied("must be superuser to alter superusers"));
        }
        if may_create_roles(catalog, self.user()) || is_admin(catalog, self.user(), role) {
            return Ok(());
        }
        Err(SqlError::denied(format!("must have admin option on role \"{}\"", catalog.role_name(role))))
    }

    /// Makes `member` a member of `role`.
    pub(super) fn add_member(&mut self, role: Oid, member: Oid, admin_option: bool) -> SqlResult<()> {
        self.add_member_as(role, member, admin_option, self.user())
    }

    fn add_member_as(&mut self, role: Oid, member: Oid, admin_option: bool, grantor: Oid) -> SqlResult<()> {
        self.check_admin(role)?;
        let (role_name, member_name) = (self.catalog().role_name(role), self.catalog().role_name(member));
        if membership(self.catalog(), role, false).contains(&member) {
            let message = format!("role \"{role_name}\" is a member of role \"{member_name}\"");
            return Err(SqlError::new(SqlState::INVALID_GRANT_OPERATION, message));
        }
        let mut changed = self.role_object(member)?;
        match changed.member_of.iter_mut().find(|membership| membership.role == role) {
            Some(membership) if membership.admin_option || !admin_option => {
                self.notice(format!("role \"{member_name}\" is already a member of role \"{role_name}\""));
                return Ok(());
            }
            Some(membership) => *membership = Membership { role, grantor, admin_option },
            None => changed.member_of.push(Membership { role, grantor, admin_option }),
        }
        self.working.put(Object::Role(changed));
        Ok(())
    }

    fn remove_member(&mut self, role: Oid, member: Oid, admin_option_only: bool) -> SqlResult<()> {
        self.check_admin(role)?;
        let mut changed = self.role_object(member)?;
        let Some(index) = changed.member_of.iter().position(|membership| membership.role == role) else {
            let (role, member) = (self.catalog().role_name(role), self.catalog().role_name(member));
            let message = format!("role \"{member}\" is not a member of role \"{role}\"");
            self.notices.push(Notice::warning(SqlState::WARNING, message));
            return Ok(());
        };
        if admin_option_only {
            changed.member_of[index].admin_option = false;
        } else {
            changed.member_of.remove(index);
        }
        self.working.put(Object::Role(changed));
        Ok(())
    }

    fn role_object(&self, oid: Oid) -> SqlResult<super::super::model::Role> {
        self.catalog().role_by_oid(oid).cloned().ok_or_else(|| SqlError::internal("the catalog has no such role"))
    }
}
