//! Settings, connections, time zones.

use atoll_connector_api::types::PgType;
use chrono::{Offset, TimeZone};
use chrono_tz::{OffsetComponents, OffsetName};

use super::super::context::{BackendInfo, PgCatalogContext};
use super::{Cell, Rows};
use crate::catalog::Oid;
use crate::catalog::model::DATABASE_OID;

/// `pg_settings`.
pub(super) fn settings(context: &PgCatalogContext, rows: &mut Rows) {
    for setting in &context.settings {
        let value = context.hooks.as_ref().and_then(|hooks| hooks.current_setting(&setting.name.to_lowercase()));
        rows.push(|column| match column {
            "name" => setting.name.as_str().into(),
            "setting" => value.clone().unwrap_or_else(|| setting.value.clone()).into(),
            "unit" => setting.unit.as_deref().into(),
            "category" => setting.category.as_str().into(),
            "short_desc" => setting.description.as_str().into(),
            "context" => setting.context.as_str().into(),
            "vartype" => setting.value_type.as_str().into(),
            "source" => setting.source.as_str().into(),
            "min_val" => setting.min.as_deref().into(),
            "max_val" => setting.max.as_deref().into(),
            "enumvals" => setting.enum_values.clone().into(),
            "boot_val" => setting.boot_value.as_deref().into(),
            "reset_val" => setting.reset_value.as_deref().into(),
            "pending_restart" => false.into(),
            _ => Cell::Unset,
        });
    }
}

/// `pg_stat_activity`: what others run is shown to those who have their role only.
pub(super) fn activity(context: &PgCatalogContext, rows: &mut Rows) {
    for backend in &context.backends {
        let shown = context.has_role(context.current_user, backend.role);
        rows.push(|column| match column {
            "datid" => database_oid(context, &backend.database).into(),
            "datname" => backend.database.as_str().into(),
            "pid" => backend.pid.into(),
            "usesysid" => backend.role.into(),
            "usename" => context.catalog.role_name(backend.role).into(),
            "application_name" => backend.application_name.as_str().into(),
            "query" if !shown => "<insufficient privilege>".into(),
            other if shown => backend_cell(backend, other),
            _ => Cell::Unset,
        });
    }
}

/// `pg_stat_ssl`: a row for each connection.
pub(super) fn encryption(context: &PgCatalogContext, rows: &mut Rows) {
    for backend in &context.backends {
        let shown = context.has_role(context.current_user, backend.role);
        let tls = backend.tls.as_ref().filter(|_| shown);
        rows.push(|column| match (column, tls) {
            ("pid", _) => backend.pid.into(),
            ("ssl", _) if shown => tls.is_some().into(),
            ("version", Some((version, _))) => (*version).into(),
            ("cipher", Some((_, cipher))) => cipher.as_str().into(),
            ("bits", Some((_, cipher))) => (if cipher.contains("128") { 128 } else { 256 }).into(),
            _ => Cell::Unset,
        });
    }
}

fn backend_cell<'a>(backend: &'a BackendInfo, column: &str) -> Cell<'a> {
    match column {
        "client_addr" => backend.client_address.map(|address| address.ip().to_string()).into(),
        "client_port" => backend.client_address.map_or(-1, |address| i32::from(address.port())).into(),
        "backend_start" => backend.backend_start.into(),
        "xact_start" => backend.transaction_start.into(),
        "query_start" => backend.query_start.into(),
        "state_change" => backend.state_change.into(),
        "state" => backend.state.as_deref().into(),
        "query" => backend.query.as_str().into(),
        "backend_type" => "client backend".into(),
        _ => Cell::Unset,
    }
}

/// `pg_prepared_statements`. A statement without parameters needs no plan of its own for their values.
pub(super) fn prepared_statements(context: &PgCatalogContext, rows: &mut Rows) {
    for prepared in &context.prepared {
        let plain = prepared.parameter_types.is_empty();
        rows.push(|column| match column {
            "name" => prepared.name.as_str().into(),
            "statement" => prepared.statement.as_str().into(),
            "prepare_time" => prepared.prepare_time.into(),
            "parameter_types" => {
                let bare = prepared.parameter_types.iter().map(|own| PgType { modifier: -1, ..own.clone() });
                bare.map(|own| own.sql_name()).collect::<Vec<_>>().into()
            }
            "from_sql" => prepared.from_sql.into(),
            "generic_plans" => (if plain { prepared.runs } else { 0 }).into(),
            "custom_plans" => (if plain { 0 } else { prepared.runs }).into(),
            _ => Cell::Unset,
        });
    }
}

/// `pg_cursors`.
pub(super) fn cursors(context: &PgCatalogContext, rows: &mut Rows) {
    for cursor in &context.cursors {
        rows.push(|column| match column {
            "name" => cursor.name.as_str().into(),
            "statement" => cursor.statement.as_str().into(),
            "is_holdable" => cursor.is_holdable.into(),
            "is_binary" => cursor.is_binary.into(),
            "is_scrollable" => false.into(),
            "creation_time" => cursor.creation_time.into(),
            _ => Cell::Unset,
        });
    }
}

fn database_oid(context: &PgCatalogContext, name: &str) -> Oid {
    context.catalog.server(name).map_or(DATABASE_OID, |server| server.header.oid)
}

/// `pg_stat_database`: how many connections the database has; nothing else is counted.
pub(super) fn database_statistics(context: &PgCatalogContext, rows: &mut Rows) {
    let count = context.backends.iter().filter(|backend| backend.database == context.database).count();
    rows.push(|column| match column {
        "datid" => database_oid(context, &context.database).into(),
        "datname" => context.database.as_str().into(),
        "numbackends" => Cell::Int(i64::try_from(count).unwrap_or_default()),
        _ => Cell::Unset,
    });
}

/// `pg_timezone_names`.
pub(super) fn time_zones(_context: &PgCatalogContext, rows: &mut Rows) {
    let now = chrono::Utc::now().naive_utc();
    for zone in chrono_tz::TZ_VARIANTS {
        let offset = zone.offset_from_utc_datetime(&now);
        rows.push(|column| match column {
            "name" => zone.name().into(),
            "abbrev" => offset.abbreviation().unwrap_or_default().to_owned().into(),
            "utc_offset" => Cell::Seconds(i64::from(offset.fix().local_minus_utc())),
            "is_dst" => (!offset.dst_offset().is_zero()).into(),
            _ => Cell::Unset,
        });
    }
}
