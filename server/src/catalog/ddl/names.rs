//! Names to objects, and objects to the words of messages.

use std::sync::Arc;

use super::super::model::{
    ForeignDataWrapper, ForeignServer, INFORMATION_SCHEMA_OID, Object, Oid, PG_CATALOG_OID, PUBLIC_ROLE, Privilege,
    Schema,
};
use super::super::privilege;
use super::Ddl;
use super::wrapper::wrapper_alias;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::statement::ast::{QualifiedName, RoleSpec};

pub(super) fn undefined(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
}

pub(super) fn duplicate(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_OBJECT, message)
}

/// Whether a schema belongs to the system: nothing can be made in it, and nothing changes it.
pub(super) fn is_system_schema(oid: Oid) -> bool {
    matches!(oid, PG_CATALOG_OID | INFORMATION_SCHEMA_OID)
}

impl Ddl<'_> {
    pub(super) fn role_oid(&self, name: &str) -> SqlResult<Oid> {
        match self.catalog().role(name) {
            Some(role) => Ok(role.header.oid),
            None => Err(undefined(format!("role \"{name}\" does not exist"))),
        }
    }

    /// A role where PUBLIC is none.
    pub(super) fn role_spec(&self, spec: &RoleSpec) -> SqlResult<Oid> {
        match spec {
            RoleSpec::Name(name) => self.role_oid(name),
            RoleSpec::CurrentUser => Ok(self.cx.current_user),
            RoleSpec::SessionUser => Ok(self.cx.session_user),
            RoleSpec::Public => Err(undefined("role \"public\" does not exist")),
        }
    }

    /// A role, or PUBLIC.
    pub(super) fn grantee(&self, spec: &RoleSpec) -> SqlResult<Oid> {
        if *spec == RoleSpec::Public { Ok(PUBLIC_ROLE) } else { self.role_spec(spec) }
    }

    /// As messages show it.
    pub(super) fn role_text(&self, role: Oid) -> String {
        if role == PUBLIC_ROLE { "public".to_owned() } else { self.catalog().role_name(role) }
    }

    pub(super) fn object(&self, oid: Oid) -> SqlResult<Arc<Object>> {
        let found = self.catalog().get(oid).cloned();
        found.ok_or_else(|| SqlError::internal(format!("the catalog has no object {oid}")))
    }

    pub(super) fn schema(&self, name: &str) -> SqlResult<Schema> {
        self.catalog()
            .schema(name)
            .cloned()
            .ok_or_else(|| SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist")))
    }

    pub(super) fn server(&self, name: &str) -> SqlResult<ForeignServer> {
        let found = self.catalog().server(name).cloned();
        found.ok_or_else(|| undefined(format!("server \"{name}\" does not exist")))
    }

    /// A wrapper by its name, else by one that PostgreSQL's extensions have.
    pub(super) fn wrapper(&self, name: &str) -> SqlResult<ForeignDataWrapper> {
        let by_alias = || wrapper_alias(name).and_then(|name| self.catalog().wrapper(name));
        let found = self.catalog().wrapper(name).or_else(by_alias).cloned();
        found.ok_or_else(|| undefined(format!("foreign-data wrapper \"{name}\" does not exist")))
    }

    pub(super) fn check_privilege(&self, object: Oid, privilege: Privilege) -> SqlResult<()> {
        privilege::check_privilege(self.catalog(), self.user(), &*self.object(object)?, privilege)
    }

    pub(super) fn check_owner(&self, object: Oid) -> SqlResult<()> {
        privilege::check_owner(self.catalog(), self.user(), &*self.object(object)?)
    }

    pub(super) fn is_superuser(&self) -> bool {
        privilege::is_superuser(self.catalog(), self.user())
    }

    /// The schemas of the search path that exist and may be used, pg_catalog last where it is not named.
    fn path(&self) -> impl Iterator<Item = &Schema> {
        let catalog = self.catalog();
        self.cx.search_path.iter().filter_map(|name| catalog.schema(name)).filter(|schema| {
            let object = catalog.get(schema.header.oid);
            object.is_some_and(|object| privilege::has_privilege(catalog, self.user(), object, Privilege::Usage))
        })
    }

    /// The schema part of a name: `None` where the name has none.
    fn explicit_schema(&self, name: &QualifiedName) -> SqlResult<Option<Schema>> {
        if name.parts.len() > 3 {
            let message = format!("improper qualified name (too many dotted names): {name}");
            return Err(SqlError::syntax(message).at(name.position));
        }
        if let [database, _, _] = name.parts.as_slice()
            && database != self.catalog().database_name()
        {
            let message = if self.catalog().server(database).is_some() {
                format!("objects of server \"{database}\" cannot be changed here: \"{name}\"")
            } else {
                format!("cross-database references are not implemented: \"{name}\"")
            };
            return Err(SqlError::unsupported(message).at(name.position));
        }
        name.schema().map(|schema| self.schema(schema)).transpose()
    }

    /// A relation, if it exists.
    pub(super) fn find_relation(&self, name: &QualifiedName) -> SqlResult<Option<Arc<Object>>> {
        let Some(schema) = self.explicit_schema(name)? else {
            let mut path = self.path();
            return Ok(path.find_map(|schema| self.catalog().relation(schema.header.oid, name.name())).cloned());
        };
        self.check_privilege(schema.header.oid, Privilege::Usage)?;
        Ok(self.catalog().relation(schema.header.oid, name.name()).cloned())
    }

    pub(super) fn relation(&self, name: &QualifiedName) -> SqlResult<Arc<Object>> {
        self.find_relation(name)?.ok_or_else(|| match self.is_system_relation(name) {
            true => self.system_catalog(name),
            false => SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist")),
        })
    }

    /// Whether a name is a system catalog's, which no DDL changes.
    pub(super) fn is_system_relation(&self, name: &QualifiedName) -> bool {
        (self.cx.is_system_relation)(name.schema(), name.name())
    }

    pub(super) fn system_catalog(&self, name: &QualifiedName) -> SqlError {
        SqlError::denied(format!("permission denied: \"{}\" is a system catalog", name.name()))
    }

    /// The schema in which a relation of this name would be made, CREATE checked.
    pub(super) fn creation_schema(&self, name: &QualifiedName) -> SqlResult<Oid> {
        let schema = match self.explicit_schema(name).map_err(|error| error.at(name.position))? {
            Some(schema) => schema.header.oid,
            None => self.path().next().map(|schema| schema.header.oid).ok_or_else(|| {
                SqlError::new(SqlState::INVALID_SCHEMA_NAME, "no schema has been selected to create in")
                    .at(name.position)
            })?,
        };
        self.check_creation(schema, name.name()).map_err(|error| error.at(name.position))?;
        Ok(schema)
    }

    /// Whether something of this name may be made in a schema.
    pub(super) fn check_creation(&self, schema: Oid, name: &str) -> SqlResult<()> {
        if is_system_schema(schema) {
            let schema = self.object(schema)?.header().name.clone();
            return Err(SqlError::denied(format!("permission denied to create \"{schema}.{name}\""))
                .detail("System catalog modifications are currently disallowed."));
        }
        self.check_privilege(schema, Privilege::Create)
    }

    /// Whether a relation is found by its bare name.
    fn is_visible(&self, relation: &Object) -> bool {
        let mut path = self.path();
        let found = path.find_map(|schema| self.catalog().relation(schema.header.oid, &relation.header().name));
        found.is_some_and(|found| found.header().oid == relation.header().oid)
    }

    /// `foreign table s.t`, as PostgreSQL's `getObjectDescription` has it.
    pub(super) fn describe(&self, object: &Object) -> String {
        let name = &object.header().name;
        match object {
            Object::Role(_) => format!("role {name}"),
            Object::Schema(_) => format!("schema {name}"),
            Object::Wrapper(_) => format!("foreign-data wrapper {name}"),
            Object::Server(_) => format!("server {name}"),
            Object::Database(_) => format!("database {name}"),
            Object::UserMapping(mapping) => {
                let server =
                    self.catalog().get(mapping.server).map_or_else(String::new, |server| server.header().name.clone());
                format!("user mapping for {} on server {server}", self.role_text(mapping.user))
            }
            Object::ForeignTable(table) => format!("foreign table {}", self.relation_text(object, table.schema)),
            Object::View(view) => format!("view {}", self.relation_text(object, view.schema)),
        }
    }

    fn relation_text(&self, relation: &Object, schema: Oid) -> String {
        let name = quote_identifier(&relation.header().name);
        if self.is_visible(relation) {
            return name;
        }
        let schema = self.catalog().schema_by_oid(schema).map_or("", |schema| schema.header.name.as_str());
        format!("{}.{name}", quote_identifier(schema))
    }
}

/// An identifier as PostgreSQL's `quote_ident` prints it: in double quotes unless lower case and no keyword.
pub fn quote_identifier(name: &str) -> String {
    let mut characters = name.chars();
    let safe = characters.next().is_some_and(|first| first.is_ascii_lowercase() || first == '_')
        && characters.all(|other| other.is_ascii_lowercase() || other.is_ascii_digit() || other == '_')
        && KEYWORDS.binary_search(&name).is_err();
    if safe { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// PostgreSQL 15's keywords that are not unreserved (`pg_get_keywords()` where `catcode <> 'U'`), sorted.
const KEYWORDS: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_quoted_where_postgresql_quotes_them() {
        assert!(KEYWORDS.is_sorted());
        for (name, quoted) in [
            ("orders", "orders"),
            ("_x9", "_x9"),
            ("Orders", "\"Orders\""),
            ("9x", "\"9x\""),
            ("a b", "\"a b\""),
            ("a\"b", "\"a\"\"b\""),
            ("select", "\"select\""),
            ("year", "year"),
            ("", "\"\""),
            ("größe", "\"größe\""),
        ] {
            assert_eq!(quote_identifier(name), quoted);
        }
    }
}
