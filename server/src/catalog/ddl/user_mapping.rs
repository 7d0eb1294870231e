//! CREATE, ALTER and DROP USER MAPPING.

use atoll_connector_api::OptionScope;
use atoll_connector_api::options::parse_bool;

use super::super::model::{ForeignServer, Header, Object, Oid, Privilege, StoredOption, UserMapping};
use super::super::privilege;
use super::Ddl;
use super::names::{duplicate, undefined};
use super::options::Site;
use crate::error::{Notice, SqlError, SqlResult, SqlState};
use crate::statement::ast::{AlterUserMapping, CreateUserMapping, DropUserMapping};

impl Ddl<'_> {
    /// The server's owner may change every mapping; a user who may use the server, the own one.
    fn check_mapping(&self, user: Oid, server: &ForeignServer) -> SqlResult<()> {
        let object = self.object(server.header.oid)?;
        if privilege::owns(self.catalog(), self.user(), &object) {
            return Ok(());
        }
        if user == self.user() {
            return privilege::check_privilege(self.catalog(), self.user(), &object, Privilege::Usage);
        }
        privilege::check_owner(self.catalog(), self.user(), &object)
    }

    fn mapping_site(&self, server: &ForeignServer, object: Oid) -> Site {
        Site { connector: self.connector_of_server(server), scope: OptionScope::UserMapping, object }
    }

    pub(super) fn create_user_mapping(&mut self, create: &CreateUserMapping) -> SqlResult<&'static str> {
        const TAG: &str = "CREATE USER MAPPING";
        let user = self.grantee(&create.user)?;
        let server = self.server(&create.server)?;
        self.check_mapping(user, &server)?;
        if self.catalog().user_mapping(server.header.oid, user).is_some() {
            let (user, server) = (self.role_text(user), &create.server);
            let message = format!("user mapping for \"{user}\" already exists for server \"{server}\"");
            if create.if_not_exists {
                self.notices.push(Notice::skipping(SqlState::DUPLICATE_OBJECT, message));
                return Ok(TAG);
            }
            return Err(duplicate(message));
        }
        let oid = self.working.take_oid()?;
        let options = self.new_options(&self.mapping_site(&server, oid), &create.options)?;
        self.check_password_required(&options)?;
        self.working.put(Object::UserMapping(UserMapping {
            header: Header { oid, name: String::new(), owner: server.header.owner, acl: None, comment: None },
            user,
            server: server.header.oid,
            options,
        }));
        Ok(TAG)
    }

    /// Who connects without a password connects as Atoll's own account.
    fn check_password_required(&self, options: &[StoredOption]) -> SqlResult<()> {
        let off = |option: &StoredOption| {
            option.name == "password_required" && option.value.shown().and_then(parse_bool) == Some(false)
        };
        if self.is_superuser() || !options.iter().any(off) {
            return Ok(());
        }
        Err(SqlError::denied("password_required=false is superuser-only").hint(
            "User mappings with the password_required option set to false may only be created or modified by the \
             superuser.",
        ))
    }

    fn missing_mapping(&self, user: Oid, server: &str) -> String {
        format!("user mapping for \"{}\" does not exist for server \"{server}\"", self.role_text(user))
    }

    pub(super) fn alter_user_mapping(&mut self, alter: &AlterUserMapping) -> SqlResult<&'static str> {
        let user = self.grantee(&alter.user)?;
        let server = self.server(&alter.server)?;
        let mapping = self.catalog().user_mapping(server.header.oid, user).cloned();
        let mut mapping = mapping.ok_or_else(|| undefined(self.missing_mapping(user, &alter.server)))?;
        self.check_mapping(user, &server)?;
        let site = self.mapping_site(&server, mapping.header.oid);
        mapping.options = self.changed_options(&site, &mapping.options, &alter.options)?;
        self.check_password_required(&mapping.options)?;
        self.working.put(Object::UserMapping(mapping));
        Ok("ALTER USER MAPPING")
    }

    pub(super) fn drop_user_mapping(&mut self, drop: &DropUserMapping) -> SqlResult<&'static str> {
        const TAG: &str = "DROP USER MAPPING";
        let found = self.grantee(&drop.user).and_then(|user| Ok((user, self.server(&drop.server)?))).and_then(
            |(user, server)| {
                let mapping = self.catalog().user_mapping(server.header.oid, user);
                let mapping = mapping.ok_or_else(|| undefined(self.missing_mapping(user, &drop.server)))?;
                Ok((user, server, mapping.header.oid))
            },
        );
        let (user, server, mapping) = match found {
            Ok(found) => found,
            Err(SqlError { message, .. }) if drop.if_exists => {
                self.notices.push(Notice::skipping(SqlState::SUCCESSFUL_COMPLETION, message));
                return Ok(TAG);
            }
            Err(error) => return Err(error),
        };
        self.check_mapping(user, &server)?;
        self.working.remove(mapping);
        Ok(TAG)
    }
}
