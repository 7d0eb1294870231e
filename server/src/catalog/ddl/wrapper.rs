//! CREATE and ALTER FOREIGN DATA WRAPPER, CREATE EXTENSION.

use atoll_connector_api::OptionScope;

use super::super::model::{FIRST_USER_OID, ForeignDataWrapper, Header, Object};
use super::super::privilege;
use super::Ddl;
use super::names::duplicate;
use super::options::Site;
use crate::error::{Notice, SqlError, SqlResult, SqlState};
use crate::statement::ast::{AlterAction, AlterWrapper, CreateWrapper, QualifiedName};

/// Names of PostgreSQL's extensions, and the wrappers that do their work here.
const ALIASES: [(&str, &str); 6] = [
    ("postgres_fdw", "postgres"),
    ("mysql_fdw", "mysql"),
    ("sqlite_fdw", "sqlite"),
    ("file_fdw", "csv"),
    ("parquet_fdw", "parquet"),
    ("ndjson", "json"),
];

/// Options that declare a sandboxed connector.
const SANDBOX_OPTIONS: [&str; 10] =
    ["image", "binary", "digest", "isolation", "egress", "inject", "files", "memory", "cpu", "max_sandboxes"];

/// The wrapper that a name of PostgreSQL's world stands for, where no wrapper has that name.
pub fn wrapper_alias(name: &str) -> Option<&'static str> {
    ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, wrapper)| *wrapper)
}

/// The connector behind a handler or validator function that a script names: `postgres_fdw_handler`.
pub fn connector_of_handler(function: &str) -> Option<&'static str> {
    let name = function.strip_suffix("_handler").or_else(|| function.strip_suffix("_validator"))?;
    wrapper_alias(name)
}

impl Ddl<'_> {
    pub(super) fn create_wrapper(&mut self, create: &CreateWrapper) -> SqlResult<&'static str> {
        const TAG: &str = "CREATE FOREIGN DATA WRAPPER";
        let name = &create.name;
        if !self.is_superuser() {
            return Err(SqlError::denied(format!("permission denied to create foreign-data wrapper \"{name}\""))
                .hint("Must be superuser to create a foreign-data wrapper."));
        }
        if self.catalog().wrapper(name).is_some() {
            let message = format!("foreign-data wrapper \"{name}\" already exists");
            if create.if_not_exists {
                self.notices.push(Notice::skipping(SqlState::DUPLICATE_OBJECT, message));
                return Ok(TAG);
            }
            return Err(duplicate(message));
        }
        let connector = self.connector_of(create)?;
        let oid = self.working.take_oid()?;
        let site = Site { connector: connector.clone(), scope: OptionScope::Wrapper, object: oid };
        refuse_sandbox(connector.is_some(), create.options.iter().map(|option| option.name.as_str()))?;
        let options = self.new_options(&site, &create.options)?;
        let header = self.new_header(oid, name);
        self.working.put(Object::Wrapper(ForeignDataWrapper { header, connector, options }));
        Ok(TAG)
    }

    /// From HANDLER and VALIDATOR, else from the name.
    fn connector_of(&mut self, create: &CreateWrapper) -> SqlResult<Option<String>> {
        let unknown = |function: &QualifiedName, arguments: &str| {
            SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function {function}({arguments}) does not exist"))
        };
        if let Some(validator) = &create.validator {
            connector_of_handler(validator.name()).ok_or_else(|| unknown(validator, "text[], oid"))?;
        }
        let Some(handler) = &create.handler else {
            return Ok(wrapper_alias(&create.name).map(str::to_owned));
        };
        let connector = connector_of_handler(handler.name()).ok_or_else(|| unknown(handler, ""))?;
        self.notice(format!("handler \"{handler}\" stands for the built-in connector \"{connector}\""));
        Ok(Some(connector.to_owned()))
    }

    pub(super) fn alter_wrapper(&mut self, alter: &AlterWrapper) -> SqlResult<&'static str> {
        let mut wrapper = self.wrapper(&alter.name)?;
        let name = &alter.name;
        match &alter.action {
            AlterAction::Options(actions) => {
                if !self.is_superuser() {
                    return Err(SqlError::denied(format!(
                        "permission denied to alter foreign-data wrapper \"{name}\""
                    ))
                    .hint("Must be superuser to alter a foreign-data wrapper."));
                }
                let (connector, object) = (wrapper.connector.clone(), wrapper.header.oid);
                let names = actions.iter().map(|action| match action {
                    crate::statement::ast::OptionAction::Add(option)
                    | crate::statement::ast::OptionAction::Set(option) => option.name.as_str(),
                    crate::statement::ast::OptionAction::Drop { name, .. } => name.as_str(),
                });
                refuse_sandbox(connector.is_some(), names)?;
                let site = Site { connector, scope: OptionScope::Wrapper, object };
                wrapper.options = self.changed_options(&site, &wrapper.options, actions)?;
            }
            AlterAction::OwnerTo(role) => {
                let owner = self.role_spec(role)?;
                let denied = format!("permission denied to change owner of foreign-data wrapper \"{name}\"");
                if !self.is_superuser() {
                    return Err(
                        SqlError::denied(denied).hint("Must be superuser to change owner of a foreign-data wrapper.")
                    );
                }
                if !privilege::is_superuser(self.catalog(), owner) {
                    return Err(
                        SqlError::denied(denied).hint("The owner of a foreign-data wrapper must be a superuser.")
                    );
                }
                return self.set_owner(wrapper.header.oid, owner).map(|()| "ALTER FOREIGN DATA WRAPPER");
            }
            AlterAction::RenameTo(new_name) => {
                self.check_owner(wrapper.header.oid)?;
                if wrapper.header.oid < FIRST_USER_OID {
                    let message = format!("foreign-data wrapper \"{name}\" is built in and cannot be renamed");
                    return Err(SqlError::unsupported(message));
                }
                if self.catalog().wrapper(new_name).is_some() {
                    return Err(duplicate(format!("foreign-data wrapper \"{new_name}\" already exists")));
                }
                new_name.clone_into(&mut wrapper.header.name);
            }
            AlterAction::Version { .. } => return Err(SqlError::syntax("a foreign-data wrapper has no VERSION")),
        }
        self.working.put(Object::Wrapper(wrapper));
        Ok("ALTER FOREIGN DATA WRAPPER")
    }

    /// What makes PostgreSQL's wrappers known there is built in here: a script that creates them runs.
    pub(super) fn create_extension(&mut self, name: &str, if_not_exists: bool) -> SqlResult<&'static str> {
        if let Some(wrapper) = wrapper_alias(name) {
            self.notice(format!("extension \"{name}\" is built in: its work is done by the wrapper \"{wrapper}\""));
        } else if name == "plpgsql" {
            let message = "extension \"plpgsql\" already exists";
            if !if_not_exists {
                return Err(duplicate(message));
            }
            self.notices.push(Notice::skipping(SqlState::DUPLICATE_OBJECT, message));
        } else {
            return Err(SqlError::unsupported(format!("extension \"{name}\" is not available")));
        }
        Ok("CREATE EXTENSION")
    }

    /// The header of a new object of the current user.
    pub(super) fn new_header(&self, oid: super::Oid, name: &str) -> Header {
        Header { oid, name: name.to_owned(), owner: self.user(), acl: None, comment: None }
    }
}

fn refuse_sandbox<'a>(native: bool, options: impl IntoIterator<Item = &'a str>) -> SqlResult<()> {
    if native {
        return Ok(());
    }
    let Some(option) = options.into_iter().next() else { return Ok(()) };
    if SANDBOX_OPTIONS.contains(&option) {
        return Err(SqlError::unsupported("sandboxed connectors are not supported by this version")
            .hint("Use one of the built-in wrappers: postgres, mysql, sqlite, parquet, csv, json."));
    }
    Err(SqlError::new(SqlState::FDW_INVALID_OPTION_NAME, format!("invalid option \"{option}\""))
        .hint("There are no valid options in this context."))
}
