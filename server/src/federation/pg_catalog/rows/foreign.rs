//! Wrappers, servers, foreign tables and user mappings.

use super::super::context::PgCatalogContext;
use super::roles::HIDDEN;
use super::{Cell, Rows};
use crate::catalog::model::{Object, PUBLIC_ROLE, Privilege, StoredOption, UserMapping};

/// Options as `name=value`; NULL where there are none. A secret's value is never among them.
pub(super) fn option_texts(options: &[StoredOption]) -> Option<Vec<String>> {
    let text = |option: &StoredOption| format!("{}={}", option.name, option.value.shown().unwrap_or(HIDDEN));
    (!options.is_empty()).then(|| options.iter().map(text).collect())
}

/// `pg_foreign_data_wrapper`.
pub(super) fn wrappers(context: &PgCatalogContext, rows: &mut Rows) {
    for object in context.catalog.objects() {
        let Object::Wrapper(wrapper) = object.as_ref() else { continue };
        let header = &wrapper.header;
        rows.push(|column| match column {
            "oid" => header.oid.into(),
            "fdwname" => header.name.as_str().into(),
            "fdwowner" => header.owner.into(),
            "fdwacl" => context.acl_texts(header.acl.as_ref()).into(),
            "fdwoptions" => option_texts(&wrapper.options).into(),
            _ => Cell::Unset,
        });
    }
}

/// `pg_foreign_server`.
pub(super) fn servers(context: &PgCatalogContext, rows: &mut Rows) {
    for object in context.catalog.objects() {
        let Object::Server(server) = object.as_ref() else { continue };
        let header = &server.header;
        rows.push(|column| match column {
            "oid" => header.oid.into(),
            "srvname" => header.name.as_str().into(),
            "srvowner" => header.owner.into(),
            "srvfdw" => server.wrapper.into(),
            "srvtype" => server.server_type.as_deref().into(),
            "srvversion" => server.version.as_deref().into(),
            "srvacl" => context.acl_texts(header.acl.as_ref()).into(),
            "srvoptions" => option_texts(&server.options).into(),
            _ => Cell::Unset,
        });
    }
}

/// `pg_foreign_table`.
pub(super) fn tables(context: &PgCatalogContext, rows: &mut Rows) {
    for object in context.catalog.objects() {
        let Object::ForeignTable(table) = object.as_ref() else { continue };
        if rows.skips("ftrelid", table.header.oid) {
            continue;
        }
        rows.push(|column| match column {
            "ftrelid" => table.header.oid.into(),
            "ftserver" => table.server.into(),
            "ftoptions" => option_texts(&table.options).into(),
            _ => Cell::Unset,
        });
    }
}

fn all_mappings(context: &PgCatalogContext) -> impl Iterator<Item = &UserMapping> {
    context.catalog.objects().filter_map(|object| match object.as_ref() {
        Object::UserMapping(mapping) => Some(mapping),
        _ => None,
    })
}

/// `pg_user_mapping`, for superusers.
pub(super) fn mappings(context: &PgCatalogContext, rows: &mut Rows) {
    for mapping in all_mappings(context) {
        rows.push(|column| match column {
            "oid" => mapping.header.oid.into(),
            "umuser" => mapping.user.into(),
            "umserver" => mapping.server.into(),
            "umoptions" => option_texts(&mapping.options).into(),
            _ => Cell::Unset,
        });
    }
}

/// Whether PostgreSQL shows a mapping's options to the current user: to the mapped user who may use the server, to the
/// server's owner for PUBLIC's mapping, and to superusers.
pub(super) fn shows_options(context: &PgCatalogContext, mapping: &UserMapping) -> bool {
    let user = context.current_user;
    let Some(server) = context.catalog.get(mapping.server) else { return false };
    let owns = context.has_role(user, server.header().owner);
    (mapping.user != PUBLIC_ROLE
        && mapping.user == user
        && (owns || context.has_privilege(user, server, Privilege::Usage, false)))
        || (mapping.user == PUBLIC_ROLE && owns)
        || context.is_superuser(user)
}

/// `pg_user_mappings`.
pub(super) fn visible_mappings(context: &PgCatalogContext, rows: &mut Rows) {
    for mapping in all_mappings(context) {
        rows.push(|column| match column {
            "umid" => mapping.header.oid.into(),
            "srvid" => mapping.server.into(),
            "srvname" => context.catalog.server_by_oid(mapping.server).map(|server| server.header.name.as_str()).into(),
            "umuser" => mapping.user.into(),
            "usename" if mapping.user == PUBLIC_ROLE => "public".into(),
            "usename" => context.catalog.role_name(mapping.user).into(),
            "umoptions" if shows_options(context, mapping) => option_texts(&mapping.options).into(),
            _ => Cell::Unset,
        });
    }
}
