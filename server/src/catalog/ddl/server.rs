//! CREATE and ALTER SERVER.

use atoll_connector_api::OptionScope;

use super::super::model::{ForeignDataWrapper, ForeignServer, Object, Privilege, StoredOption};
use super::Ddl;
use super::names::duplicate;
use super::options::Site;
use super::rewrite::Edit;
use super::wrapper::wrapper_alias;
use crate::error::{Notice, SqlError, SqlResult, SqlState};
use crate::statement::ast::{AlterAction, AlterServer, CreateServer};

impl Ddl<'_> {
    pub(super) fn create_server(&mut self, create: &CreateServer) -> SqlResult<&'static str> {
        let name = &create.name;
        if self.catalog().server(name).is_some() {
            let message = format!("server \"{name}\" already exists");
            if create.if_not_exists {
                self.notices.push(Notice::skipping(SqlState::DUPLICATE_OBJECT, message));
                return Ok("CREATE SERVER");
            }
            return Err(duplicate(message));
        }
        self.check_server_name(name)?;
        let wrapper = self.wrapper_or_alias(&create.wrapper)?;
        self.check_privilege(wrapper.header.oid, Privilege::Usage)?;
        let oid = self.working.take_oid()?;
        let site = Site { connector: wrapper.connector, scope: OptionScope::Server, object: oid };
        let options = self.new_options(&site, &create.options)?;
        self.check_ambient(&options)?;
        self.working.put(Object::Server(ForeignServer {
            header: self.new_header(oid, name),
            wrapper: wrapper.header.oid,
            server_type: create.server_type.clone(),
            version: create.version.clone(),
            options,
        }));
        Ok("CREATE SERVER")
    }

    fn wrapper_or_alias(&self, name: &str) -> SqlResult<ForeignDataWrapper> {
        match self.catalog().wrapper(name) {
            Some(wrapper) => Ok(wrapper.clone()),
            None => wrapper_alias(name)
                .and_then(|alias| self.catalog().wrapper(alias))
                .map_or_else(|| self.wrapper(name), |wrapper| Ok(wrapper.clone())),
        }
    }

    /// The credentials of Atoll's own environment are for those who may read that environment.
    fn check_ambient(&self, options: &[StoredOption]) -> SqlResult<()> {
        let ambient = |option: &StoredOption| option.name == "credentials" && option.value.shown() == Some("ambient");
        if self.is_superuser() || !options.iter().any(ambient) {
            return Ok(());
        }
        Err(SqlError::denied("credentials=ambient is superuser-only").hint(
            "Servers with the credentials option set to ambient may only be created or modified by the superuser.",
        ))
    }

    /// Three-part names begin with the database's or a server's name.
    fn check_server_name(&self, name: &str) -> SqlResult<()> {
        if name == self.catalog().database_name() {
            return Err(duplicate(format!("server \"{name}\" cannot have the name of the database")));
        }
        Ok(())
    }

    pub(super) fn alter_server(&mut self, alter: &AlterServer) -> SqlResult<&'static str> {
        const TAG: &str = "ALTER SERVER";
        let mut server = self.server(&alter.name)?;
        let oid = server.header.oid;
        let connector = self.connector_of_wrapper(server.wrapper);
        let site = Site { connector, scope: OptionScope::Server, object: oid };
        match &alter.action {
            AlterAction::Options(actions) => {
                self.check_owner(oid)?;
                server.options = self.changed_options(&site, &server.options, actions)?;
                self.check_ambient(&server.options)?;
            }
            AlterAction::Version { version, options } => {
                self.check_owner(oid)?;
                server.version.clone_from(version);
                server.options = self.changed_options(&site, &server.options, options)?;
                self.check_ambient(&server.options)?;
            }
            AlterAction::RenameTo(new_name) => {
                self.check_owner(oid)?;
                if self.catalog().server(new_name).is_some() {
                    return Err(duplicate(format!("server \"{new_name}\" already exists")));
                }
                self.check_server_name(new_name)?;
                self.rewrite_dependents(oid, &Edit::server(&alter.name, new_name))?;
                new_name.clone_into(&mut server.header.name);
            }
            AlterAction::OwnerTo(role) => {
                let owner = self.role_spec(role)?;
                self.check_new_owner(oid, owner)?;
                if !self.is_superuser() {
                    let wrapper = self.object(server.wrapper)?;
                    super::super::privilege::check_privilege(self.catalog(), owner, &wrapper, Privilege::Usage)?;
                }
                return self.set_owner(oid, owner).map(|()| TAG);
            }
        }
        self.working.put(Object::Server(server));
        Ok(TAG)
    }

    /// The native connector of a wrapper.
    pub(super) fn connector_of_wrapper(&self, wrapper: super::Oid) -> Option<String> {
        self.catalog().wrapper_by_oid(wrapper).and_then(|wrapper| wrapper.connector.clone())
    }

    /// The native connector of a server.
    pub(super) fn connector_of_server(&self, server: &ForeignServer) -> Option<String> {
        self.connector_of_wrapper(server.wrapper)
    }

    /// A server that the current user may use.
    pub(super) fn usable_server(&self, name: &str) -> SqlResult<ForeignServer> {
        let server = self.server(name)?;
        self.check_privilege(server.header.oid, Privilege::Usage)?;
        Ok(server)
    }

    pub(super) fn server_by_oid(&self, oid: super::Oid) -> SqlResult<ForeignServer> {
        let found = self.catalog().server_by_oid(oid).cloned();
        found.ok_or_else(|| SqlError::internal("the catalog has no such server"))
    }
}
