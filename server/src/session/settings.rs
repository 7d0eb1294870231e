//! A session's settings: what SET, SHOW and RESET know, with PostgreSQL's names, defaults and messages.

mod contexts;
mod definitions;
mod units;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atoll_connector_api::options::parse_bool;
use atoll_connector_api::types::text::{DateStyle, IntervalStyle, OutputStyle};

use self::contexts::{BOOLEANS, BY_CONNECTING, BY_SUPERUSERS, SECRET, is_encoding, unchangeable};
pub use self::definitions::{DEFINITIONS, Definition, SERVER_VERSION, definition};
use self::definitions::{Kind, WITHOUT_EFFECT};
use self::units::{INTEGER_MAX, parse_signed_time_ms, show_memory, show_time_ms};
pub use self::units::{parse_memory, parse_time_ms};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::federation::semantics::Clock;

/// Names that no session has set may be kept, as PostgreSQL keeps `extension.name`; at most so many.
const CUSTOM_SETTINGS_MAX: usize = 200;

/// A session's values: those set for the session, and those set for the transaction only.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    base: BTreeMap<String, String>,
    session: BTreeMap<String, String>,
    local: BTreeMap<String, String>,
    saved: Option<BTreeMap<String, String>>,
    /// When the transaction and the statement began.
    clock: Arc<Clock>,
}

impl Settings {
    /// When the transaction and the statement began.
    pub fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// The value in force; `None`: no such setting.
    pub fn get(&self, name: &str) -> Option<&str> {
        let key = name.to_ascii_lowercase();
        let own = self.local.get(&key).or_else(|| self.session.get(&key)).or_else(|| self.base.get(&key));
        own.map(String::as_str).or_else(|| definition(name).map(|definition| definition.default))
    }

    /// The value in force, for SHOW.
    ///
    /// # Errors
    /// `42704`; `42501` for what only superusers see.
    pub fn show(&self, name: &str) -> SqlResult<&str> {
        if SECRET.contains(&name.to_ascii_lowercase().as_str()) && !self.on("is_superuser") {
            return Err(SqlError::denied(format!(
                "must be superuser or have privileges of pg_read_all_settings to examine \"{name}\""
            )));
        }
        self.get(name).ok_or_else(|| unrecognized(name))
    }

    /// SET and SET LOCAL; `None` is DEFAULT.
    ///
    /// # Errors
    /// `42704` no such setting; `22023` bad value; `55P02` cannot be changed.
    pub fn set(&mut self, name: &str, value: Option<&[String]>, local: bool) -> SqlResult<()> {
        let key = name.to_ascii_lowercase();
        if BY_SUPERUSERS.contains(&key.as_str()) && !self.on("is_superuser") {
            return Err(SqlError::denied(format!("permission denied to set parameter \"{name}\"")));
        }
        if BY_CONNECTING.contains(&key.as_str()) {
            return Err(cannot_be_changed(name, "cannot be set after connection start"));
        }
        let Some(values) = value else {
            if definition(name).is_none() && self.get(name).is_none() {
                return Err(unrecognized(name));
            }
            if matches!(key.as_str(), "server_version" | "server_version_num" | "server_encoding") {
                return Err(cannot_be_changed(name, "cannot be changed"));
            }
            self.local.remove(&key);
            if !local {
                self.session.remove(&key);
                return Ok(());
            }
            // What the session has set is hidden until the transaction ends.
            let default = definition(name).map(|definition| definition.default);
            if let Some(value) = self.base.get(&key).map(String::as_str).or(default) {
                self.local.insert(key, value.to_owned());
            }
            return Ok(());
        };
        let value = self.checked(name, values)?;
        if local {
            self.local.insert(key, value);
        } else {
            self.local.remove(&key);
            self.session.insert(key, value);
        }
        Ok(())
    }

    /// Sets what a new session begins with, and RESET returns to: from the role, the startup packet, or the server itself
    /// (fixed ones too).
    pub fn set_base(&mut self, name: &str, value: &str) {
        self.base.insert(name.to_ascii_lowercase(), value.to_owned());
    }

    /// Sets a value without checks, where the caller has made its own: `role`, `session_authorization`.
    pub fn set_internal(&mut self, name: &str, value: &str, local: bool) {
        self.local.remove(name);
        let values = if local { &mut self.local } else { &mut self.session };
        values.insert(name.to_owned(), value.to_owned());
    }

    /// The same with the checks of [`Self::set`]. A list of names is one text here.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub fn set_base_checked(&mut self, name: &str, value: &str) -> SqlResult<()> {
        let value = self.checked(name, &split_value(name, value))?;
        self.set_base(name, &value);
        Ok(())
    }

    /// Makes the schema of this name the search path of a new session.
    pub fn set_base_schema(&mut self, schema: &str) {
        self.set_base("search_path", &search_path_text(&[schema.to_owned()]));
    }

    /// Checks what ALTER ROLE and ALTER DATABASE would store, and spells the name as it is known. `None`: RESET.
    ///
    /// # Errors
    /// As [`Self::set`]; `0A000` for the settings that say who the user is.
    pub fn check_stored(&self, name: &str, value: Option<&str>) -> SqlResult<String> {
        if matches!(name.to_ascii_lowercase().as_str(), "role" | "session_authorization" | "session authorization") {
            return Err(SqlError::unsupported(format!("a stored setting of \"{name}\" is not supported")));
        }
        match value {
            Some(value) => {
                self.checked(name, &split_value(name, value))?;
            }
            None => {
                let known = definition(name).is_some() || is_custom(name) || is_without_effect(name);
                if !known {
                    return Err(unrecognized(name));
                }
            }
        }
        Ok(definition(name).map_or(name, |definition| definition.name).to_owned())
    }

    /// Whether nothing has changed it.
    pub fn is_default(&self, name: &str) -> bool {
        definition(name).is_none_or(|definition| self.get(name) == Some(definition.default))
    }

    /// RESET ALL.
    pub fn reset_all(&mut self) {
        self.session.clear();
        self.local.clear();
    }

    /// A transaction begins, with what the session says of all transactions.
    pub fn begin(&mut self) {
        self.saved = Some(self.session.clone());
        for name in ["transaction_isolation", "transaction_read_only", "transaction_deferrable"] {
            if let Some(value) = self.get(&format!("default_{name}")) {
                self.local.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// A transaction ends: what was local is gone, and where it failed what it set too.
    pub fn end(&mut self, committed: bool) {
        self.local.clear();
        if let Some(saved) = self.saved.take()
            && !committed
        {
            self.session = saved;
        }
    }

    /// All names with values and descriptions, for SHOW ALL and `pg_settings`.
    pub fn all(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut all: Vec<_> = DEFINITIONS
            .iter()
            .map(|definition| {
                (definition.name, self.get(definition.name).unwrap_or_default().to_owned(), definition.description)
            })
            .collect();
        all.sort_by_key(|(name, _, _)| name.to_ascii_lowercase());
        all
    }

    fn checked(&self, name: &str, values: &[String]) -> SqlResult<String> {
        let joined = || values.join(", ");
        let Some(definition) = definition(name) else {
            let custom = is_custom(name);
            let key = name.to_ascii_lowercase();
            if let Some(reason) = unchangeable(&key) {
                return Err(cannot_be_changed(name, reason));
            }
            if BOOLEANS.contains(&key.as_str()) {
                return boolean(name, &joined());
            }
            if custom && values.len() > 1 {
                let message = format!("SET {name} takes only one argument");
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
            }
            if custom && self.session.len() + self.local.len() >= CUSTOM_SETTINGS_MAX {
                return Err(SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "too many custom settings"));
            }
            if custom || is_without_effect(name) {
                return Ok(joined());
            }
            return Err(unrecognized(name));
        };
        if !matches!(definition.kind, Kind::SearchPath | Kind::DateStyle) && values.len() > 1 {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("SET {name} takes only one argument"),
            ));
        }
        let value = values.first().map_or("", String::as_str);
        match definition.kind {
            Kind::Text => Ok(value.to_owned()),
            Kind::Bool => boolean(name, value),
            Kind::Integer(low, high) => match value.trim().parse::<i64>() {
                Ok(number) if (low..=high).contains(&number) => Ok(number.to_string()),
                Ok(number) => Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("{number} is outside the valid range for parameter \"{name}\" ({low} .. {high})"),
                )),
                Err(_) => Err(invalid(name, value)),
            },
            Kind::Time => match parse_signed_time_ms(value) {
                Some(time) => match u64::try_from(time) {
                    Ok(time) if time <= INTEGER_MAX => Ok(show_time_ms(time)),
                    Ok(_) => Err(invalid(name, value).hint("Value exceeds integer range.")),
                    Err(_) => Err(out_of_range(name, &format!("{time} ms"), 0)),
                },
                None => Err(with_units(
                    invalid(name, value),
                    value,
                    "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".",
                )),
            },
            Kind::Memory(least) => match parse_memory(value) {
                Some(bytes) if bytes / 1024 > INTEGER_MAX => {
                    Err(invalid(name, value).hint("Value exceeds integer range."))
                }
                Some(bytes) if bytes < least * 1024 => Err(out_of_range(name, &format!("{} kB", bytes / 1024), least)),
                Some(bytes) => Ok(show_memory(bytes)),
                None if is_negative(value) => Err(out_of_range(name, &format!("{} kB", value.trim()), least)),
                None => Err(with_units(
                    invalid(name, value),
                    value,
                    "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".",
                )),
            },
            Kind::Choice(choices) => {
                let lower = value.trim().to_ascii_lowercase();
                choices
                    .iter()
                    .find(|choice| **choice == lower)
                    .map(|choice| (*choice).to_owned())
                    .ok_or_else(|| invalid(name, value).hint(format!("Available values: {}.", choices.join(", "))))
            }
            Kind::Fixed => {
                let current = self.get(definition.name).unwrap_or_default();
                if current.eq_ignore_ascii_case(value)
                    || (parse_bool(value).is_some() && parse_bool(value) == parse_bool(current))
                {
                    return Ok(current.to_owned());
                }
                if parse_bool(current).is_some() && parse_bool(value).is_none() {
                    return boolean(name, value);
                }
                let key = definition.name.to_ascii_lowercase();
                Err(cannot_be_changed(definition.name, unchangeable(&key).unwrap_or("cannot be changed")))
            }
            Kind::DateStyle => {
                let (style, order) = date_style(self.get("datestyle").unwrap_or("ISO, MDY"), &joined())
                    .map_err(|detail| invalid(definition.name, &joined()).detail(detail))?;
                Ok(format!("{style}, {order}"))
            }
            Kind::TimeZone => time_zone(value).map(|(shown, _)| shown).ok_or_else(|| invalid(definition.name, value)),
            Kind::SearchPath => Ok(search_path_text(values)),
            Kind::Encoding => {
                let plain: String =
                    value.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
                match plain.as_str() {
                    // PostgreSQL shows this name as it was given.
                    "UNICODE" if value == "UNICODE" => Ok(value.to_owned()),
                    "UTF8" | "UNICODE" => Ok("UTF8".to_owned()),
                    "SQLASCII" => Ok("SQL_ASCII".to_owned()),
                    plain if !is_encoding(plain) => Err(invalid(definition.name, value)),
                    _ => Err(SqlError::unsupported(format!("client encoding \"{value}\" is not supported"))
                        .hint("Use UTF8.")),
                }
            }
        }
    }

    /// How values print.
    pub fn output_style(&self) -> OutputStyle {
        let (style, order) = self
            .get("datestyle")
            .and_then(|text| text.split_once(", "))
            .map_or(("ISO", "MDY"), |(style, order)| (style, order));
        OutputStyle {
            now_usecs: Some(self.clock.transaction()),
            time_zone: self.get("timezone").and_then(time_zone).map_or(chrono_tz::UTC, |(_, zone)| zone),
            date_style: match style {
                "SQL" => DateStyle::Sql,
                "Postgres" => DateStyle::Postgres,
                "German" => DateStyle::German,
                _ => DateStyle::Iso,
            },
            day_first: order == "DMY",
            interval_style: match self.get("intervalstyle") {
                Some("postgres_verbose") => IntervalStyle::PostgresVerbose,
                Some("sql_standard") => IntervalStyle::SqlStandard,
                Some("iso_8601") => IntervalStyle::Iso8601,
                _ => IntervalStyle::Postgres,
            },
            bytea_escape: self.get("bytea_output") == Some("escape"),
            extra_float_digits: self.get("extra_float_digits").and_then(|text| text.parse().ok()).unwrap_or(1),
        }
    }

    /// A time setting; `None` where it is 0, which is off.
    pub fn time(&self, name: &str) -> Option<Duration> {
        let milliseconds = self.get(name).and_then(parse_time_ms)?;
        (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
    }

    /// A memory setting in bytes.
    pub fn memory(&self, name: &str) -> Option<usize> {
        self.get(name).and_then(parse_memory).and_then(|bytes| usize::try_from(bytes).ok())
    }

    /// A boolean setting.
    pub fn on(&self, name: &str) -> bool {
        self.get(name).and_then(parse_bool).unwrap_or(false)
    }

    /// The schemas of `search_path`, `"$user"` replaced by `user`; `pg_catalog` and `pg_temp` left out.
    pub fn search_path(&self, user: &str) -> Vec<String> {
        split_identifiers(self.get("search_path").unwrap_or_default())
            .into_iter()
            .map(|name| if name == "$user" { user.to_owned() } else { name })
            .filter(|name| name != "pg_catalog" && name != "pg_temp")
            .collect()
    }
}

/// `extension.name`, as PostgreSQL keeps it for whoever knows what it means.
fn is_custom(name: &str) -> bool {
    name.contains('.') && !name.starts_with("atoll.")
}

fn is_without_effect(name: &str) -> bool {
    WITHOUT_EFFECT.iter().any(|known| name.starts_with(known))
}

/// A setting's value from one text: a list of names is taken apart.
pub(super) fn split_value(name: &str, value: &str) -> Vec<String> {
    if name.eq_ignore_ascii_case("search_path") { split_identifiers(value) } else { vec![value.to_owned()] }
}

fn unrecognized(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
}

/// A negative number without a unit.
fn is_negative(value: &str) -> bool {
    value.trim().parse::<i64>().is_ok_and(|number| number < 0)
}

/// What follows a number is no unit; what is no number has none.
fn with_units(error: SqlError, value: &str, hint: &str) -> SqlError {
    let number = value.trim().trim_start_matches(['-', '+']);
    if number.starts_with(|first: char| first.is_ascii_digit() || first == '.') { error.hint(hint) } else { error }
}

fn invalid(name: &str, value: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid value for parameter \"{name}\": \"{value}\""))
}

fn boolean(name: &str, value: &str) -> SqlResult<String> {
    parse_bool(value).map(|on| if on { "on" } else { "off" }.to_owned()).ok_or_else(|| {
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("parameter \"{name}\" requires a Boolean value"))
    })
}

fn cannot_be_changed(name: &str, reason: &str) -> SqlError {
    SqlError::new(SqlState::CANT_CHANGE_RUNTIME_PARAM, format!("parameter \"{name}\" {reason}"))
}

fn out_of_range(name: &str, value: &str, least: u64) -> SqlError {
    let range = format!("({least} .. {INTEGER_MAX})");
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("{value} is outside the valid range for parameter \"{name}\" {range}"),
    )
}

/// `ISO`, `SQL, DMY` … applied to the current value; else what is wrong with it.
fn date_style(current: &str, text: &str) -> Result<(&'static str, &'static str), String> {
    let (style, order) = date_words(text)?;
    let (old_style, old_order) = date_words(current)?;
    // German dates begin with the day, unless it is said otherwise.
    let implied = if style == Some("German") { Some("DMY") } else { None };
    let default = |found: Option<&'static str>, default| found.unwrap_or(default);
    Ok((default(style.or(old_style), "ISO"), default(order.or(implied).or(old_order), "MDY")))
}

type DateWords = (Option<&'static str>, Option<&'static str>);

fn date_words(text: &str) -> Result<DateWords, String> {
    let (mut style, mut order) = (None, None);
    for word in text.split(',').map(str::trim) {
        let (of_style, said) = match word.to_ascii_uppercase().as_str() {
            "ISO" => (true, "ISO"),
            "SQL" => (true, "SQL"),
            "GERMAN" => (true, "German"),
            word if word.starts_with("POSTGRES") => (true, "Postgres"),
            "YMD" => (false, "YMD"),
            "DMY" => (false, "DMY"),
            word if word.starts_with("EURO") => (false, "DMY"),
            "MDY" | "US" => (false, "MDY"),
            word if word.starts_with("NONEURO") => (false, "MDY"),
            "DEFAULT" => {
                style.get_or_insert("ISO");
                order.get_or_insert("MDY");
                continue;
            }
            _ => return Err(format!("Unrecognized key word: \"{}\".", word.to_lowercase())),
        };
        let slot = if of_style { &mut style } else { &mut order };
        if slot.replace(said).is_some_and(|before| before != said) {
            return Err("Conflicting \"datestyle\" specifications.".to_owned());
        }
    }
    Ok((style, order))
}

/// A zone by name (any case), abbreviation or whole-hour offset, with the name that SHOW prints.
pub fn time_zone(text: &str) -> Option<(String, chrono_tz::Tz)> {
    let trimmed = text.trim();
    if let Some(zone) = chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(trimmed)) {
        return Some((zone.name().to_owned(), *zone));
    }
    if trimmed.eq_ignore_ascii_case("z") || trimmed.eq_ignore_ascii_case("utc") {
        return Some(("UTC".to_owned(), chrono_tz::UTC));
    }
    // POSIX names offsets the other way round: `+1` as an SQL offset is `<+01>-01`, and Etc/GMT-1.
    let hours: i32 = match trimmed.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((_, west)) => west.parse::<i32>().ok()?.checked_neg()?,
        None => trimmed.parse().ok()?,
    };
    let name = match hours {
        0 => "Etc/GMT".to_owned(),
        1..=14 => format!("Etc/GMT-{hours}"),
        -12..=-1 => format!("Etc/GMT+{}", -hours),
        _ => return None,
    };
    Some((format!("<{hours:+03}>{:+03}", -hours), name.parse().ok()?))
}

fn search_path_text(values: &[String]) -> String {
    let plain = |name: &str| {
        name.chars()
            .enumerate()
            .all(|(index, c)| c == '_' || c.is_ascii_lowercase() || (index > 0 && c.is_ascii_digit()))
            && !name.is_empty()
    };
    values
        .iter()
        .map(|name| if plain(name) { name.clone() } else { format!("\"{}\"", name.replace('"', "\"\"")) })
        .collect::<Vec<_>>()
        .join(", ")
}

/// Splits `a, "B c", $user` into names, folded.
pub(super) fn split_identifiers(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut current = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                current.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => names.push(std::mem::take(&mut current)),
            c if quoted => current.push(c),
            c if c.is_whitespace() => {}
            c => current.extend(c.to_lowercase()),
        }
    }
    names.push(current);
    names.retain(|name| !name.is_empty());
    names
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn set(settings: &mut Settings, name: &str, value: &str) -> SqlResult<()> {
        settings.set(name, Some(&[value.to_owned()]), false)
    }

    #[test]
    fn values_are_checked_and_shown_as_postgresql_shows_them() {
        let mut settings = Settings::default();
        set(&mut settings, "statement_timeout", "90s").unwrap();
        assert_eq!(settings.get("STATEMENT_TIMEOUT"), Some("90s"));
        assert_eq!(settings.time("statement_timeout"), Some(Duration::from_secs(90)));
        set(&mut settings, "statement_timeout", "120000").unwrap();
        assert_eq!(settings.get("statement_timeout"), Some("2min"));
        set(&mut settings, "datestyle", "sql, dmy").unwrap();
        assert_eq!(settings.get("DateStyle"), Some("SQL, DMY"));
        set(&mut settings, "timezone", "europe/berlin").unwrap();
        assert_eq!(settings.get("TimeZone"), Some("Europe/Berlin"));
        assert_eq!(set(&mut settings, "extra_float_digits", "9").unwrap_err().sqlstate.as_str(), "22023");
        assert_eq!(set(&mut settings, "nonsense", "9").unwrap_err().sqlstate.as_str(), "42704");
        assert_eq!(set(&mut settings, "server_version", "9").unwrap_err().sqlstate.as_str(), "55P02");
        set(&mut settings, "my.own", "x").unwrap();
        assert_eq!(settings.get("my.own"), Some("x"));
    }

    #[test]
    fn a_rollback_takes_settings_back_and_a_commit_the_local_ones() {
        let mut settings = Settings::default();
        set(&mut settings, "application_name", "before").unwrap();
        settings.begin();
        set(&mut settings, "application_name", "inside").unwrap();
        settings.end(false);
        assert_eq!(settings.get("application_name"), Some("before"));
        settings.begin();
        settings.set("application_name", Some(&["local".to_owned()]), true).unwrap();
        assert_eq!(settings.get("application_name"), Some("local"));
        settings.end(true);
        assert_eq!(settings.get("application_name"), Some("before"));
    }

    #[test]
    fn what_is_stored_is_checked_as_set_checks_it() {
        let settings = Settings::default();
        for (name, value, code) in [
            ("nosuch", Some("1"), "42704"),
            ("nosuch", None, "42704"),
            ("statement_timeout", Some("soon"), "22023"),
            ("extra_float_digits", Some("9"), "22023"),
            ("server_version", Some("9"), "55P02"),
            ("role", Some("x"), "0A000"),
        ] {
            assert_eq!(settings.check_stored(name, value).unwrap_err().sqlstate.as_str(), code, "{name}");
        }
        assert_eq!(settings.check_stored("timezone", Some("europe/berlin")).unwrap(), "TimeZone");
        assert_eq!(settings.check_stored("my.own", Some("x")).unwrap(), "my.own");
        assert_eq!(settings.check_stored("DATESTYLE", None).unwrap(), "DateStyle");
        let mut settings = Settings::default();
        settings.set_base_checked("search_path", "a, \"B, c\"").unwrap();
        assert_eq!(settings.search_path("me"), ["a", "B, c"]);
    }

    #[test]
    fn the_search_path_is_a_list_of_names() {
        let mut settings = Settings::default();
        assert_eq!(settings.search_path("me"), ["me", "public"]);
        settings.set("search_path", Some(&["a".to_owned(), "B c".to_owned()]), false).unwrap();
        assert_eq!(settings.get("search_path"), Some("a, \"B c\""));
        assert_eq!(settings.search_path("me"), ["a", "B c"]);
    }
}
