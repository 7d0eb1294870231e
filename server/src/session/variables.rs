//! SET, SHOW, RESET, DISCARD, and the two settings that are more than settings: role and session authorization.

use atoll_connector_api::types::{PgType, oids};

use super::query::text_rows;
use super::settings::definition;
use super::{Outcome, ResultColumn, RowsTag, Session};
use crate::catalog::{Catalog, Oid, privilege};
use crate::error::{Notice, SqlError, SqlResult, SqlState};
use crate::statement::ast::{DiscardTarget, SetVariable};

/// Whether a user may take on a role; `none` stands for the user itself.
///
/// # Errors
/// `22023`, `42501`.
pub(super) fn check_role(catalog: &Catalog, session_user: Oid, name: &str) -> SqlResult<()> {
    if name.eq_ignore_ascii_case("none") {
        return Ok(());
    }
    let role = catalog
        .role(name)
        .ok_or_else(|| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("role \"{name}\" does not exist")))?;
    if !privilege::is_member(catalog, session_user, role.header.oid) {
        return Err(SqlError::denied(format!("permission denied to set role \"{name}\"")));
    }
    Ok(())
}

impl Session {
    /// SET and SET LOCAL.
    pub(super) fn set_variable(&mut self, set: &SetVariable) -> SqlResult<Outcome> {
        if set.local && !self.transaction.in_block() {
            self.notices.push(Notice::warning(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "SET LOCAL can only be used in transaction blocks",
            ));
        }
        match set.name.as_str() {
            "role" => self.set_role(set.values.as_deref(), set.local)?,
            "session_authorization" | "session authorization" => {
                self.set_session_authorization(set.values.as_deref(), set.local)?;
            }
            name => self.apply_setting(name, set.values.as_deref(), set.local)?,
        }
        Ok(Outcome::Command("SET".to_owned()))
    }

    /// Changes one setting and what follows from it.
    pub(super) fn apply_setting(&mut self, name: &str, values: Option<&[String]>, local: bool) -> SqlResult<()> {
        if let Some(value) = values.and_then(<[String]>::first) {
            self.transaction.check_setting(&self.settings, name, value)?;
        }
        self.settings.set(name, values, local)?;
        self.generation += 1;
        if name.eq_ignore_ascii_case("application_name") {
            self.show_application_name();
        }
        Ok(())
    }

    /// Shows `application_name` as it is now in `pg_stat_activity`.
    pub(super) fn show_application_name(&self) {
        let value = self.settings.get("application_name").unwrap_or_default().to_owned();
        self.backend.update(|backend| backend.application_name = value);
    }

    pub(super) fn set_role(&mut self, values: Option<&[String]>, local: bool) -> SqlResult<()> {
        let catalog = self.catalog();
        let name = values.and_then(<[String]>::first).filter(|name| !name.eq_ignore_ascii_case("none"));
        if let Some(name) = name {
            check_role(&catalog, self.session_user, name)?;
        }
        self.settings.set_internal("role", name.map_or("none", String::as_str), local);
        self.role_settings();
        Ok(())
    }

    fn set_session_authorization(&mut self, values: Option<&[String]>, local: bool) -> SqlResult<()> {
        let catalog = self.catalog();
        let login = self.login_user();
        let name = values.and_then(<[String]>::first).filter(|name| !name.eq_ignore_ascii_case("default"));
        let Some(name) = name else {
            let name = catalog.role_name(login);
            self.settings.set_internal("session_authorization", &name, local);
            self.settings.set_internal("role", "none", local);
            self.role_settings();
            return Ok(());
        };
        let role = catalog.role(name).ok_or_else(|| {
            SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("role \"{name}\" does not exist"))
        })?;
        if role.header.oid != login && !catalog.role_by_oid(login).is_some_and(|role| role.superuser) {
            return Err(SqlError::denied("permission denied to set session authorization"));
        }
        self.settings.set_internal("session_authorization", name, local);
        self.settings.set_internal("role", "none", local);
        self.role_settings();
        Ok(())
    }

    /// Brings users and the settings that show them in line: after SET ROLE, and after a transaction that took one back.
    pub(super) fn role_settings(&mut self) {
        let catalog = self.catalog();
        let by_name = |name: Option<&str>| name.and_then(|name| catalog.role(name)).map(|role| role.header.oid);
        let login = self.login_user();
        self.session_user = by_name(self.settings.get("session_authorization")).unwrap_or(login);
        self.current_user = by_name(self.settings.get("role")).unwrap_or(self.session_user);
        let superuser = catalog.role_by_oid(self.current_user).is_some_and(|role| role.superuser);
        self.settings.set_base("is_superuser", if superuser { "on" } else { "off" });
        let name = catalog.role_name(login);
        self.settings.set_base("session_authorization", &name);
        self.generation += 1;
    }

    /// SHOW.
    pub(super) fn show(&self, name: &str) -> SqlResult<Outcome> {
        let columns = self.show_columns(name);
        let rows = if name.eq_ignore_ascii_case("all") {
            self.settings
                .all()
                .into_iter()
                .map(|(name, value, description)| {
                    vec![Some(name.to_owned()), Some(value), Some(description.to_owned())]
                })
                .collect()
        } else {
            vec![vec![Some(self.settings.show(name)?.to_owned())]]
        };
        Ok(Outcome::Rows(text_rows(columns, rows, RowsTag::Show)?))
    }

    pub(super) fn show_columns(&self, name: &str) -> Vec<ResultColumn> {
        let text = |name: &str| ResultColumn::new(name, PgType::new(oids::TEXT));
        if name.eq_ignore_ascii_case("all") {
            return vec![text("name"), text("setting"), text("description")];
        }
        vec![text(definition(name).map_or(name, |definition| definition.name))]
    }

    /// RESET.
    pub(super) fn reset(&mut self, name: Option<&str>) -> SqlResult<Outcome> {
        match name {
            None => {
                self.settings.reset_all();
                self.role_settings();
            }
            Some("role") => self.set_role(None, false)?,
            Some("session_authorization" | "session authorization") => self.set_session_authorization(None, false)?,
            Some(name) => self.apply_setting(name, None, false)?,
        }
        Ok(Outcome::Command("RESET".to_owned()))
    }

    /// DISCARD.
    pub(super) fn discard(&mut self, target: DiscardTarget) -> SqlResult<Outcome> {
        let tag = match target {
            DiscardTarget::All => {
                if self.transaction.in_block() {
                    return Err(SqlError::new(
                        SqlState::ACTIVE_SQL_TRANSACTION,
                        "DISCARD ALL cannot run inside a transaction block",
                    ));
                }
                self.cursors.clear();
                self.prepared.clear();
                self.advisory.0.unlock_all();
                self.settings.reset_all();
                self.role_settings();
                "DISCARD ALL"
            }
            DiscardTarget::Plans => "DISCARD PLANS",
            DiscardTarget::Sequences => "DISCARD SEQUENCES",
            DiscardTarget::Temp => "DISCARD TEMP",
        };
        self.generation += 1;
        Ok(Outcome::Command(tag.to_owned()))
    }
}
