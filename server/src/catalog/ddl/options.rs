//! OPTIONS of every kind of object: added, set and dropped, checked by the connector, secrets sealed.

use atoll_connector_api::options::check_options;
use atoll_connector_api::{ConnectorError, OptionScope, OptionSpec, Options};

use super::super::model::{Oid, SealedSecret, StoredOption, StoredValue};
use super::super::secret::is_reference;
use super::Ddl;
use super::names::{duplicate, undefined};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::statement::ast::{OptionAction, OptionClause, OptionValue};

/// Whose options, and what kind.
#[derive(Debug, Clone)]
pub(super) struct Site {
    /// The native connector that knows them; `None`: whatever is given is kept, as by a wrapper without validator.
    pub(super) connector: Option<String>,
    pub(super) scope: OptionScope,
    /// The object that holds them, to which secrets are bound.
    pub(super) object: Oid,
}

/// An option's value on its way.
enum Value {
    New(OptionValue),
    Kept(StoredValue),
}

impl Ddl<'_> {
    /// CREATE … OPTIONS.
    pub(super) fn new_options(&mut self, site: &Site, clauses: &[OptionClause]) -> SqlResult<Vec<StoredOption>> {
        let actions: Vec<_> = clauses.iter().cloned().map(OptionAction::Add).collect();
        self.changed_options(site, &[], &actions)
    }

    /// ALTER … OPTIONS.
    pub(super) fn changed_options(
        &mut self,
        site: &Site,
        current: &[StoredOption],
        actions: &[OptionAction],
    ) -> SqlResult<Vec<StoredOption>> {
        let is_added = |name: &str| {
            actions.iter().any(|action| matches!(action, OptionAction::Add(clause) if clause.name == name))
        };
        let kept = |option: &&StoredOption| !(option.implicit && is_added(&option.name));
        let implicit: Vec<&str> =
            current.iter().filter(|option| option.implicit).map(|option| option.name.as_str()).collect();
        let mut options: Vec<(String, Value)> = current
            .iter()
            .filter(kept)
            .map(|option| (option.name.clone(), Value::Kept(option.value.clone())))
            .collect();
        for action in actions {
            change(&mut options, action)?;
        }
        self.check_all(site, &options)?;
        let specs = self.specs(site);
        let mut stored = Vec::with_capacity(options.len());
        for (name, value) in options {
            let implicit = matches!(value, Value::Kept(_)) && implicit.contains(&name.as_str());
            let value = match value {
                Value::Kept(value) => value,
                Value::New(OptionValue(text)) => {
                    if specs.iter().any(|spec| spec.name == name && spec.ignored) {
                        self.notice(format!("option \"{name}\" is accepted and has no effect"));
                    }
                    self.stored_value(site, &specs, &name, text)?
                }
            };
            stored.push(StoredOption { name, value, implicit });
        }
        Ok(stored)
    }

    /// Options that a connector gave itself: checked by nobody, sealed like others.
    pub(super) fn trusted_options(&mut self, site: &Site, options: &Options) -> SqlResult<Vec<StoredOption>> {
        let specs = self.specs(site);
        options
            .iter()
            .map(|(name, value)| {
                let value = self.stored_value(site, &specs, name, value.to_owned())?;
                Ok(StoredOption { name: name.to_owned(), value, implicit: false })
            })
            .collect()
    }

    /// Checks options that are stored nowhere, or not yet.
    pub(super) fn checked_options(&self, site: &Site, clauses: &[OptionClause]) -> SqlResult<Options> {
        let mut options = Vec::with_capacity(clauses.len());
        for clause in clauses {
            change(&mut options, &OptionAction::Add(clause.clone()))?;
        }
        self.check_all(site, &options)?;
        Ok(clauses.iter().map(|clause| (clause.name.clone(), clause.value.0.clone())).collect())
    }

    fn open(&self, object: Oid, name: &str, sealed: &SealedSecret) -> SqlResult<String> {
        // The cause names the option and is no secret, and the key is the operator's matter.
        let open = self.cx.key.open(object, name, sealed);
        open.map_err(|error| SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, error.to_string()))
    }

    /// What the connector knows in a site's scope.
    fn specs(&self, site: &Site) -> Vec<&'static OptionSpec> {
        let all = site.connector.as_deref().and_then(|connector| self.cx.wrappers.options(connector));
        all.unwrap_or_default().iter().filter(|spec| spec.scope == site.scope).collect()
    }

    fn check_all(&self, site: &Site, options: &[(String, Value)]) -> SqlResult<()> {
        let Some(connector) = site.connector.as_deref() else { return Ok(()) };
        let Some(specs) = self.cx.wrappers.options(connector) else {
            return Err(SqlError::unsupported(format!("this server was built without the connector \"{connector}\"")));
        };
        let mut plain = Vec::with_capacity(options.len());
        for (name, value) in options {
            let text = match value {
                Value::New(text) => text.0.clone(),
                Value::Kept(StoredValue::Plain(text)) => text.clone(),
                Value::Kept(StoredValue::Secret(sealed)) => self.open(site.object, name, sealed)?,
            };
            plain.push((name.as_str(), text));
        }
        // A reference is no value yet: only its name can be checked.
        let checkable = |name: &str, text: &str| {
            let secret = specs.iter().any(|spec| spec.scope == site.scope && spec.name == name && spec.secret);
            !(secret && is_reference(text))
        };
        for (name, text) in &plain {
            let known = specs.iter().any(|spec| spec.scope == site.scope && spec.name == *name);
            if !known || checkable(name, text) {
                check_options(specs, site.scope, [(*name, text.as_str())]).map_err(option_error)?;
            }
        }
        let options = plain.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
        self.cx.wrappers.check(connector, site.scope, &options).map_err(option_error)
    }

    fn stored_value(
        &self,
        site: &Site,
        specs: &[&'static OptionSpec],
        name: &str,
        text: String,
    ) -> SqlResult<StoredValue> {
        let secret = match &site.connector {
            Some(_) => specs.iter().any(|spec| spec.name == name && spec.secret),
            // Nobody says what is secret: all that a mapping holds is, but the user's name.
            None => site.scope == OptionScope::UserMapping && !matches!(name, "user" | "username"),
        };
        if !secret || is_reference(&text) {
            return Ok(StoredValue::Plain(text));
        }
        let sealed = self.cx.key.seal(site.object, name, &text);
        sealed.map(StoredValue::Secret).map_err(|error| SqlError::internal(error.to_string()))
    }
}

fn change(options: &mut Vec<(String, Value)>, action: &OptionAction) -> SqlResult<()> {
    let (OptionAction::Add(OptionClause { name, .. })
    | OptionAction::Set(OptionClause { name, .. })
    | OptionAction::Drop { name, .. }) = action;
    let found = options.iter().position(|(other, _)| other == name);
    match (action, found) {
        (OptionAction::Add(_), Some(_)) => {
            return Err(duplicate(format!("option \"{name}\" provided more than once")));
        }
        (OptionAction::Set(_) | OptionAction::Drop { .. }, None) => {
            return Err(undefined(format!("option \"{name}\" not found")));
        }
        (OptionAction::Add(clause), None) => options.push((name.clone(), Value::New(clause.value.clone()))),
        (OptionAction::Set(clause), Some(index)) => options[index].1 = Value::New(clause.value.clone()),
        (OptionAction::Drop { .. }, Some(index)) => {
            options.remove(index);
        }
    }
    Ok(())
}

/// An option error as PostgreSQL's wrappers word it.
pub(super) fn option_error(error: ConnectorError) -> SqlError {
    match error {
        ConnectorError::UnknownOption { option, valid } => {
            let hint = if valid.is_empty() {
                "There are no valid options in this context.".to_owned()
            } else {
                format!("Valid options in this context are: {}", valid.join(", "))
            };
            SqlError::new(SqlState::FDW_INVALID_OPTION_NAME, format!("invalid option \"{option}\"")).hint(hint)
        }
        // PostgreSQL knows these, and reads them as settings.
        ConnectorError::OptionValue { ref option, .. } if matches!(option.as_str(), "fetch_size" | "batch_size") => {
            SqlError::new(SqlState::INVALID_PARAMETER_VALUE, error.to_string())
        }
        ConnectorError::OptionValue { .. } => SqlError::new(SqlState::FDW_INVALID_ATTRIBUTE_VALUE, error.to_string()),
        ConnectorError::OptionMissing { .. } => SqlError::new(SqlState::FDW_INVALID_HANDLE, error.to_string()),
        ConnectorError::Denied { message, hint } => {
            let denied = SqlError::denied(message);
            if let Some(hint) = hint { denied.hint(hint) } else { denied }
        }
        ConnectorError::Unsupported { message, hint } => {
            let unsupported = SqlError::unsupported(message);
            if let Some(hint) = hint { unsupported.hint(hint) } else { unsupported }
        }
        other => SqlError::new(SqlState::FDW_ERROR, other.to_string()),
    }
}
