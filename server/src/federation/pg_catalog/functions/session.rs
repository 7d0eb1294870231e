//! Functions about the session and the server.

use super::super::advisory::{AdvisorySession, LockKey, LockMode};
use super::super::names::parse_name;
use super::super::rows::UTF8_ENCODING;
use super::udf::{Call, Definition, Returns, Value, lenient, strict, volatile};
use crate::error::{SqlError, SqlResult, SqlState};

/// The functions of this file.
pub(super) static FUNCTIONS: &[Definition] = &[
    lenient("current_schema", (0, 0), Returns::Name, current_schema),
    strict("current_schemas", (1, 1), Returns::Names, current_schemas),
    lenient("current_database", (0, 0), Returns::Name, |call| Ok(call.context.database.as_str().into())),
    lenient("current_catalog", (0, 0), Returns::Name, |call| Ok(call.context.database.as_str().into())),
    lenient("current_user", (0, 0), Returns::Name, current_user),
    lenient("current_role", (0, 0), Returns::Name, current_user),
    lenient("user", (0, 0), Returns::Name, current_user),
    lenient("session_user", (0, 0), Returns::Name, |call| {
        Ok(call.context.catalog.role_name(call.context.session_user).into())
    }),
    lenient("version", (0, 0), Returns::Text, |_| Ok(version().into())),
    strict("current_setting", (1, 2), Returns::Text, current_setting),
    volatile("set_config", (3, 3), Returns::Text, set_config),
    lenient("pg_backend_pid", (0, 0), Returns::Int4, |call| Ok(i64::from(call.context.pid).into())),
    lenient("pg_is_in_recovery", (0, 0), Returns::Bool, |_| Ok(false.into())),
    lenient("pg_postmaster_start_time", (0, 0), Returns::Timestamp, |call| Ok(call.context.server_start.into())),
    lenient("pg_conf_load_time", (0, 0), Returns::Timestamp, |call| Ok(call.context.server_start.into())),
    lenient("txid_current", (0, 0), Returns::Int8, transaction),
    lenient("txid_current_if_assigned", (0, 0), Returns::Int8, |_| Ok(Value::Null)),
    lenient("inet_server_addr", (0, 0), Returns::Inet, |call| {
        Ok(call.context.server_address.map(|address| address.ip().to_string()).into())
    }),
    lenient("inet_server_port", (0, 0), Returns::Int4, |call| {
        Ok(call.context.server_address.map(|address| i64::from(address.port())).into())
    }),
    lenient("inet_client_addr", (0, 0), Returns::Inet, |call| {
        Ok(call.context.client_address.map(|address| address.ip().to_string()).into())
    }),
    lenient("inet_client_port", (0, 0), Returns::Int4, |call| {
        Ok(call.context.client_address.map(|address| i64::from(address.port())).into())
    }),
    volatile("pg_cancel_backend", (1, 1), Returns::Bool, |call| signal(call, false)),
    volatile("pg_terminate_backend", (1, 2), Returns::Bool, |call| signal(call, true)),
    volatile("pg_advisory_unlock_all", (0, 0), Returns::Void, unlock_all),
    volatile("pg_advisory_unlock", (1, 2), Returns::Bool, |call| unlock(call, false)),
    volatile("pg_advisory_unlock_shared", (1, 2), Returns::Bool, |call| unlock(call, true)),
    volatile("pg_try_advisory_lock", (1, 2), Returns::Bool, |call| try_lock(call, false, false)),
    volatile("pg_try_advisory_lock_shared", (1, 2), Returns::Bool, |call| try_lock(call, true, false)),
    volatile("pg_try_advisory_xact_lock", (1, 2), Returns::Bool, |call| try_lock(call, false, true)),
    volatile("pg_try_advisory_xact_lock_shared", (1, 2), Returns::Bool, |call| try_lock(call, true, true)),
    lenient("pg_current_xact_id_if_assigned", (0, 0), Returns::Int8, |_| Ok(Value::Null)),
    strict("pg_blocking_pids", (1, 1), Returns::Int4s, |_| Ok(Value::List(Vec::new()))),
    lenient("pg_trigger_depth", (0, 0), Returns::Int4, |_| Ok(0_i64.into())),
    lenient("pg_jit_available", (0, 0), Returns::Bool, |_| Ok(false.into())),
    strict("pg_encoding_to_char", (1, 1), Returns::Name, encoding_name),
    strict("pg_char_to_encoding", (1, 1), Returns::Int4, encoding_number),
    lenient("getdatabaseencoding", (0, 0), Returns::Name, |_| Ok("UTF8".into())),
    lenient("pg_client_encoding", (0, 0), Returns::Name, |_| Ok("UTF8".into())),
    strict("pg_encoding_max_length", (1, 1), Returns::Int4, |_| Ok(4_i64.into())),
];

/// The server's version, as clients that parse it expect it.
fn version() -> String {
    format!(
        "PostgreSQL 15.0 (Atoll {} on {}-{})",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS
    )
}

fn current_user(call: &Call<'_>) -> SqlResult<Value> {
    Ok(call.context.catalog.role_name(call.context.current_user).into())
}

fn current_schema(call: &Call<'_>) -> SqlResult<Value> {
    let first = call.context.explicit_path().into_iter().next();
    Ok(first.and_then(|oid| call.context.schema_name(oid)).into())
}

fn current_schemas(call: &Call<'_>) -> SqlResult<Value> {
    let path = if call.truth(0) { call.context.effective_path().to_vec() } else { call.context.explicit_path() };
    let names = path.into_iter().filter_map(|oid| call.context.schema_name(oid));
    Ok(Value::List(names.map(|name| Some(name.to_owned())).collect()))
}

fn setting(call: &Call<'_>, name: &str) -> Option<String> {
    let live = call.context.hooks.as_ref().and_then(|hooks| hooks.current_setting(name));
    live.or_else(|| {
        let known = call.context.settings.iter().find(|setting| setting.name.eq_ignore_ascii_case(name));
        known.map(|setting| setting.value.clone())
    })
}

fn current_setting(call: &Call<'_>) -> SqlResult<Value> {
    let name = call.text(0).to_lowercase();
    match setting(call, &name) {
        Some(value) => Ok(value.into()),
        None if call.len() == 2 && call.truth(1) => Ok(Value::Null),
        None => Err(SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("unrecognized configuration parameter \"{}\"", call.text(0)),
        )),
    }
}

fn set_config(call: &Call<'_>) -> SqlResult<Value> {
    let Some(hooks) = &call.context.hooks else {
        return Err(SqlError::unsupported("set_config is not supported here"));
    };
    let name = parse_name(&call.text(0)).map(|parts| parts.join("."))?;
    Ok(hooks.set_config(&name, &call.text(1), call.truth(2))?.into())
}

fn signal(call: &Call<'_>, terminate: bool) -> SqlResult<Value> {
    let Some(hooks) = &call.context.hooks else {
        return Err(SqlError::unsupported("signals to other sessions are not supported here"));
    };
    let Some(pid) = call.number(0).and_then(|pid| i32::try_from(pid).ok()) else { return Ok(false.into()) };
    Ok(if terminate { hooks.terminate_backend(pid) } else { hooks.cancel_backend(pid) }?.into())
}

fn advisory<'a>(call: &Call<'a>) -> SqlResult<&'a AdvisorySession> {
    let session = call.context.advisory.as_ref();
    session.ok_or_else(|| SqlError::unsupported("advisory locks are not supported here"))
}

fn lock_key(call: &Call<'_>) -> SqlResult<LockKey> {
    let out_of_range = |what: &str| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{what} out of range"));
    let number = |index: usize| call.number(index).ok_or_else(|| out_of_range("bigint"));
    if call.len() == 1 {
        return Ok(LockKey::One(number(0)?));
    }
    let integer = |index: usize| i32::try_from(number(index)?).map_err(|_| out_of_range("integer"));
    Ok(LockKey::Two(integer(0)?, integer(1)?))
}

fn try_lock(call: &Call<'_>, shared: bool, transaction: bool) -> SqlResult<Value> {
    Ok(advisory(call)?.try_lock(lock_key(call)?, LockMode { shared, transaction })?.into())
}

fn unlock(call: &Call<'_>, shared: bool) -> SqlResult<Value> {
    Ok(advisory(call)?.unlock(lock_key(call)?, shared).into())
}

fn unlock_all(call: &Call<'_>) -> SqlResult<Value> {
    advisory(call)?.unlock_all();
    Ok("".into())
}

/// The catalog's version stands for the transaction: it grows with every change.
fn transaction(call: &Call<'_>) -> SqlResult<Value> {
    Ok(i64::try_from(call.context.catalog.version).unwrap_or(i64::MAX).into())
}

/// Names of encodings by number (`mb/pg_wchar.h`); those of Atoll's clients.
fn encoding_name(call: &Call<'_>) -> SqlResult<Value> {
    Ok(match call.number(0) {
        Some(0) => "SQL_ASCII",
        Some(number) if number == i64::from(UTF8_ENCODING) => "UTF8",
        Some(8) => "LATIN1",
        _ => "",
    }
    .into())
}

fn encoding_number(call: &Call<'_>) -> SqlResult<Value> {
    let name: String = call.text(0).to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    Ok(match name.as_str() {
        "sqlascii" => 0_i64,
        "utf8" | "unicode" => i64::from(UTF8_ENCODING),
        "latin1" | "iso88591" => 8,
        _ => -1,
    }
    .into())
}
