//! Options of wrappers, servers, user mappings, foreign tables and columns: names, scopes and checks.

use std::collections::BTreeMap;

use crate::{ConnectorError, Result};

/// Where an option may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OptionScope {
    /// `CREATE FOREIGN DATA WRAPPER … OPTIONS`.
    Wrapper,
    /// `CREATE SERVER … OPTIONS`.
    Server,
    /// `CREATE USER MAPPING … OPTIONS`.
    UserMapping,
    /// `CREATE FOREIGN TABLE … OPTIONS`.
    Table,
    /// `column type OPTIONS (…)` within a foreign table.
    Column,
    /// `IMPORT FOREIGN SCHEMA … OPTIONS`.
    Import,
}

/// One option that a wrapper knows.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// The name as users write it, lower case.
    pub name: &'static str,
    /// Where it may stand.
    pub scope: OptionScope,
    /// The value is a secret: stored encrypted, printed nowhere, may be `env:NAME` or `file:PATH`.
    pub secret: bool,
    /// Accepted for scripts written for PostgreSQL's wrappers, and without effect: a NOTICE says so.
    pub ignored: bool,
    /// Refuses a value; the text says what is valid. No network and no file is touched.
    pub check: fn(&str) -> std::result::Result<(), String>,
}

impl OptionSpec {
    /// An option whose value is any text.
    pub const fn text(name: &'static str, scope: OptionScope) -> Self {
        Self { name, scope, secret: false, ignored: false, check: any_text }
    }

    /// An option whose value is secret.
    pub const fn secret(name: &'static str, scope: OptionScope) -> Self {
        Self { name, scope, secret: true, ignored: false, check: any_text }
    }

    /// An option with a check of its value.
    pub const fn checked(
        name: &'static str,
        scope: OptionScope,
        check: fn(&str) -> std::result::Result<(), String>,
    ) -> Self {
        Self { name, scope, secret: false, ignored: false, check }
    }

    /// An option that is accepted with a NOTICE and has no effect.
    pub const fn ignored(name: &'static str, scope: OptionScope) -> Self {
        Self { name, scope, secret: false, ignored: true, check: any_text }
    }
}

fn any_text(_: &str) -> std::result::Result<(), String> {
    Ok(())
}

/// Check: a TCP port.
///
/// # Errors
/// Says what is valid.
pub fn check_port(value: &str) -> std::result::Result<(), String> {
    match value.parse::<u16>() {
        Ok(port) if port > 0 => Ok(()),
        _ => Err("a port is a number from 1 to 65535".into()),
    }
}

/// Check: a boolean as PostgreSQL reads one.
///
/// # Errors
/// Says what is valid.
pub fn check_bool(value: &str) -> std::result::Result<(), String> {
    parse_bool(value).map(|_| ()).ok_or_else(|| "requires a Boolean value".into())
}

/// Check: a positive whole number that fits 32 bits.
///
/// # Errors
/// Says what is valid.
pub fn check_positive(value: &str) -> std::result::Result<(), String> {
    match value.parse::<u32>() {
        Ok(number) if number > 0 => Ok(()),
        _ => Err("requires a whole number greater than zero".into()),
    }
}

/// Reads a boolean as PostgreSQL does: unique prefixes of true, false, yes, no; on, off; 1, 0.
pub fn parse_bool(value: &str) -> Option<bool> {
    let lower = value.trim().to_ascii_lowercase();
    match lower.as_str() {
        "1" | "on" => Some(true),
        "0" | "off" | "of" => Some(false),
        "" => None,
        text if "true".starts_with(text) || "yes".starts_with(text) => Some(true),
        text if "false".starts_with(text) || "no".starts_with(text) => Some(false),
        _ => None,
    }
}

/// Options by name. A secret's value is in here in the clear, so this type prints names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<String, String>);

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl FromIterator<(String, String)> for Options {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

impl Options {
    /// The value of an option, if given.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets an option.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// All options, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether no option is given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A number option, or `default` where it is not given.
    ///
    /// # Errors
    /// [`ConnectorError::OptionValue`] where it is not a number of that type.
    pub fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> Result<T> {
        self.get(name).map_or(Ok(default), |value| {
            value.trim().parse().map_err(|_| ConnectorError::OptionValue {
                option: name.into(),
                reason: "requires a number in range".into(),
            })
        })
    }

    /// A boolean option, or `default` where it is not given.
    ///
    /// # Errors
    /// [`ConnectorError::OptionValue`] where it is not a boolean.
    pub fn boolean(&self, name: &str, default: bool) -> Result<bool> {
        self.get(name).map_or(Ok(default), |value| {
            parse_bool(value).ok_or_else(|| ConnectorError::OptionValue {
                option: name.into(),
                reason: "requires a Boolean value".into(),
            })
        })
    }
}

/// Checks names and values of options against what the wrapper knows in `scope`.
///
/// # Errors
/// * [`ConnectorError::UnknownOption`] with the valid names.
/// * [`ConnectorError::OptionValue`] where a value is refused. A secret's value is not repeated.
pub fn check_options<'a>(
    specs: &[OptionSpec],
    scope: OptionScope,
    options: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<()> {
    for (name, value) in options {
        let Some(spec) = specs.iter().find(|spec| spec.scope == scope && spec.name == name) else {
            let mut valid: Vec<_> =
                specs.iter().filter(|spec| spec.scope == scope && !spec.ignored).map(|spec| spec.name).collect();
            valid.sort_unstable();
            return Err(ConnectorError::UnknownOption { option: name.into(), valid });
        };
        (spec.check)(value).map_err(|reason| ConnectorError::OptionValue { option: name.into(), reason })?;
    }
    Ok(())
}
