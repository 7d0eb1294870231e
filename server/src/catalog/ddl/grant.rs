//! GRANT and REVOKE on objects.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::super::model::{AclItem, Column, DATABASE_OID, Object, Oid, Privilege};
use super::super::privilege::{
    self, AclChange, COLUMN, all_privileges, best_grantor, change_acl, effective_acl, has_column_privilege,
    has_privilege,
};
use super::Ddl;
use super::names::is_system_schema;
use super::relation::no_column;
use crate::error::{Notice, SqlError, SqlResult, SqlState};
use crate::statement::ast::{Grant, GrantObjects, PrivilegeClause};

type Privileges = BTreeSet<Privilege>;

/// What a GRANT says, for every object it is on.
pub(super) struct Wanted<'a> {
    statement: &'a Grant,
    pub(super) grantees: Vec<Oid>,
    /// ALL PRIVILEGES: what cannot be granted is passed over in silence.
    pub(super) all: bool,
    /// On the whole object.
    pub(super) object: Privileges,
    /// By column, with whether it was ALL.
    columns: BTreeMap<String, (Privileges, bool)>,
}

/// What is granted on, for messages and for who may.
struct Site<'a> {
    owner: Oid,
    /// Where grant options are looked for: the object's list, and for a column both.
    acl: Cow<'a, [AclItem]>,
    /// `"t"`, or `column "a" of relation "t"`.
    text: String,
    denied: SqlError,
    /// Whether the user holds any privilege at all.
    any: bool,
}

impl Ddl<'_> {
    pub(super) fn grant(&mut self, grant: &Grant) -> SqlResult<&'static str> {
        let objects = match self.granted_objects(&grant.objects) {
            // What is wrong with the rest is said first.
            Err(error) if error.sqlstate != SqlState::FEATURE_NOT_SUPPORTED => return Err(error),
            objects => objects,
        };
        let grantees = grant.grantees.iter().map(|role| self.grantee(role)).collect::<SqlResult<Vec<_>>>()?;
        if let Some(grantor) = &grant.granted_by
            && self.role_spec(grantor)? != self.user()
        {
            return Err(SqlError::unsupported("grantor must be current user"));
        }
        let kind = kind_of(&grant.objects);
        let mut wanted = wanted_of(grant, grantees);
        for clause in &grant.privileges {
            add_clause(&mut wanted, clause, &kind)?;
        }
        for oid in objects? {
            self.grant_on(oid, &wanted)?;
        }
        Ok(if grant.grant { "GRANT" } else { "REVOKE" })
    }

    fn granted_objects(&self, objects: &GrantObjects) -> SqlResult<Vec<Oid>> {
        match objects {
            GrantObjects::Tables(names) => names
                .iter()
                .map(|name| match self.find_relation(name)? {
                    None if self.is_system_relation(name) => {
                        Err(SqlError::unsupported("privileges on system catalogs cannot be changed"))
                    }
                    _ => Ok(self.relation(name)?.header().oid),
                })
                .collect(),
            GrantObjects::AllTablesInSchema(schemas) => {
                let mut found = Vec::new();
                for schema in schemas {
                    let schema = self.schema(schema)?.header.oid;
                    self.check_privilege(schema, Privilege::Usage)?;
                    found.extend(self.catalog().relations_in(schema).map(|relation| relation.header().oid));
                }
                Ok(found)
            }
            GrantObjects::Schemas(names) => {
                let schemas = names.iter().map(|name| Ok(self.schema(name)?.header.oid));
                let schemas = schemas.collect::<SqlResult<Vec<_>>>()?;
                if let Some(system) = schemas.iter().find(|schema| is_system_schema(**schema)) {
                    self.refuse_system_schema(*system)?;
                }
                Ok(schemas)
            }
            GrantObjects::Wrappers(names) => names.iter().map(|name| Ok(self.wrapper(name)?.header.oid)).collect(),
            GrantObjects::Servers(names) => names.iter().map(|name| Ok(self.server(name)?.header.oid)).collect(),
            GrantObjects::Databases(names) => names
                .iter()
                .map(|name| match name == self.catalog().database_name() {
                    true => Ok(DATABASE_OID),
                    false => Err(no_database(name)),
                })
                .collect(),
        }
    }

    fn grant_on(&mut self, oid: Oid, wanted: &Wanted<'_>) -> SqlResult<()> {
        let object = self.object(oid)?;
        let whole = if wanted.all { all_privileges(&object).iter().copied().collect() } else { wanted.object.clone() };
        if !whole.is_empty() {
            let acl = self.changed_object_acl(&object, &whole, wanted)?;
            let mut changed = Object::clone(&object);
            changed.header_mut().acl = Some(acl);
            // What is revoked on the whole relation is revoked on its columns too.
            if !wanted.statement.grant {
                let columns: Privileges = whole.iter().copied().filter(|p| COLUMN.contains(p)).collect();
                self.revoke_on_columns(&mut changed, &columns, wanted)?;
            }
            self.working.put(changed);
        }
        for (name, (privileges, all)) in &wanted.columns {
            self.grant_on_column(oid, name, privileges, *all, wanted)?;
        }
        Ok(())
    }

    fn changed_object_acl(
        &mut self,
        object: &Object,
        privileges: &Privileges,
        wanted: &Wanted<'_>,
    ) -> SqlResult<Vec<AclItem>> {
        let relation = object.schema().is_some();
        let name = &object.header().name;
        // Of a view too, PostgreSQL speaks as of a table here.
        let denied = if relation {
            SqlError::denied(format!("permission denied for table {name}"))
        } else {
            privilege::denied(object)
        };
        let any = all_privileges(object).iter().any(|p| has_privilege(self.catalog(), self.user(), object, *p));
        let site =
            Site { owner: object.header().owner, acl: effective_acl(object), text: format!("\"{name}\""), denied, any };
        let base = site.acl.to_vec();
        let (grantor, granted) = self.grantable(&site, privileges, wanted.all, wanted.statement.grant)?;
        self.change(&base, site.owner, grantor, &granted, wanted)
    }

    fn grant_on_column(
        &mut self,
        oid: Oid,
        name: &str,
        privileges: &Privileges,
        all: bool,
        wanted: &Wanted<'_>,
    ) -> SqlResult<()> {
        let object = self.object(oid)?;
        let relation = &object.header().name;
        let column = object.columns().iter().find(|column| column.name == name);
        let column = column.ok_or_else(|| no_column(relation, name))?;
        let own = column.acl.clone().unwrap_or_default();
        let text = format!("column \"{name}\" of relation \"{relation}\"");
        let any = COLUMN.iter().any(|p| has_column_privilege(self.catalog(), self.user(), &object, name, *p));
        let site = Site {
            owner: object.header().owner,
            acl: Cow::Owned([effective_acl(&object).as_ref(), &own].concat()),
            denied: SqlError::denied(format!("permission denied for {text}")),
            text,
            any,
        };
        let (grantor, granted) = self.grantable(&site, privileges, all, wanted.statement.grant)?;
        let acl = self.change(&own, site.owner, grantor, &granted, wanted)?;
        let mut changed = Object::clone(&object);
        for column in columns_mut(&mut changed).iter_mut().filter(|column| column.name == name) {
            column.acl = (!acl.is_empty()).then(|| acl.clone());
        }
        self.working.put(changed);
        Ok(())
    }

    fn revoke_on_columns(&self, changed: &mut Object, privileges: &Privileges, wanted: &Wanted<'_>) -> SqlResult<()> {
        let owner = changed.header().owner;
        let relation_acl = effective_acl(changed).into_owned();
        for column in columns_mut(changed) {
            let Some(own) = &column.acl else { continue };
            let both = [relation_acl.as_slice(), own].concat();
            let (grantor, granted) = best_grantor(self.catalog(), self.user(), owner, &both, privileges);
            let acl = self.change(own, owner, grantor, &granted, wanted)?;
            column.acl = (!acl.is_empty()).then_some(acl);
        }
        Ok(())
    }

    /// As whom, and what of it, the user may grant (`restrict_and_check_grant`).
    fn grantable(
        &mut self,
        site: &Site<'_>,
        privileges: &Privileges,
        all: bool,
        grant: bool,
    ) -> SqlResult<(Oid, Privileges)> {
        let (grantor, granted) = best_grantor(self.catalog(), self.user(), site.owner, &site.acl, privileges);
        if granted.is_empty() && !site.any {
            return Err(site.denied.clone());
        }
        let (code, verb) = if grant {
            (SqlState::WARNING_PRIVILEGE_NOT_GRANTED, "were granted")
        } else {
            (SqlState::WARNING_PRIVILEGE_NOT_REVOKED, "could be revoked")
        };
        if granted.is_empty() {
            self.notices.push(Notice::warning(code, format!("no privileges {verb} for {}", site.text)));
        } else if !all && granted != *privileges {
            self.notices.push(Notice::warning(code, format!("not all privileges {verb} for {}", site.text)));
        }
        Ok((grantor, granted))
    }

    fn change(
        &self,
        acl: &[AclItem],
        owner: Oid,
        grantor: Oid,
        privileges: &Privileges,
        wanted: &Wanted<'_>,
    ) -> SqlResult<Vec<AclItem>> {
        let mut acl = acl.to_vec();
        for grantee in &wanted.grantees {
            let change = AclChange {
                grant: wanted.statement.grant,
                privileges,
                grantee: *grantee,
                grantor,
                grant_option: wanted.statement.grant_option,
                cascade: wanted.statement.cascade,
            };
            acl = change_acl(self.catalog(), &acl, owner, &change)?;
        }
        Ok(acl)
    }
}

/// A statement whose privileges are not looked at yet.
pub(super) fn wanted_of(grant: &Grant, grantees: Vec<Oid>) -> Wanted<'_> {
    Wanted {
        statement: grant,
        grantees,
        all: grant.privileges.is_empty(),
        object: Privileges::new(),
        columns: BTreeMap::new(),
    }
}

pub(super) fn no_database(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))
}

fn columns_mut(object: &mut Object) -> &mut [Column] {
    match object {
        Object::ForeignTable(table) => &mut table.columns,
        Object::View(view) => &mut view.columns,
        _ => &mut [],
    }
}

/// A kind of object in messages, and what can be granted on it.
pub(super) struct Kind {
    text: &'static str,
    pub(super) valid: &'static [Privilege],
    relation: bool,
}

pub(super) fn kind_of(objects: &GrantObjects) -> Kind {
    let kind = |text, valid| Kind { text, valid, relation: false };
    match objects {
        GrantObjects::Tables(_) | GrantObjects::AllTablesInSchema(_) => {
            Kind { text: "table", valid: privilege::RELATION, relation: true }
        }
        GrantObjects::Schemas(_) => kind("schema", privilege::SCHEMA),
        GrantObjects::Wrappers(_) => kind("foreign-data wrapper", &[Privilege::Usage]),
        GrantObjects::Servers(_) => kind("foreign server", &[Privilege::Usage]),
        GrantObjects::Databases(_) => kind("database", &[Privilege::Create, Privilege::Temporary, Privilege::Connect]),
    }
}

pub(super) fn add_clause(wanted: &mut Wanted<'_>, clause: &PrivilegeClause, kind: &Kind) -> SqlResult<()> {
    let invalid = |message: String| SqlError::new(SqlState::INVALID_GRANT_OPERATION, message);
    let all = matches!(clause.name.to_ascii_lowercase().as_str(), "all" | "all privileges");
    if all && clause.columns.is_empty() {
        wanted.all = true;
        return Ok(());
    }
    if !clause.columns.is_empty() && !kind.relation {
        return Err(invalid("column privileges are only valid for relations".to_owned()));
    }
    let (valid, text) = if clause.columns.is_empty() { (kind.valid, kind.text) } else { (COLUMN, "column") };
    let privileges: Vec<Privilege> = if all {
        COLUMN.to_vec()
    } else {
        let unknown = || SqlError::syntax(format!("unrecognized privilege type \"{}\"", clause.name.to_lowercase()));
        // Privileges on objects that Atoll does not have are known, and none of these objects has them.
        let elsewhere = ["execute", "set", "alter system"].contains(&clause.name.to_lowercase().as_str());
        let privilege = match Privilege::from_word(&clause.name) {
            Some(privilege) => privilege,
            None if elsewhere => {
                let text = if text == "table" { "relation" } else { text };
                return Err(invalid(format!("invalid privilege type {} for {text}", clause.name.to_uppercase())));
            }
            None => return Err(unknown()),
        };
        if !valid.contains(&privilege) {
            // Tables and sequences are relations to PostgreSQL, which looks closer only then.
            let text = if text == "table" && privilege != Privilege::Usage { "relation" } else { text };
            return Err(invalid(format!("invalid privilege type {} for {text}", privilege.word())));
        }
        vec![privilege]
    };
    if clause.columns.is_empty() {
        wanted.object.extend(privileges);
        return Ok(());
    }
    for column in &clause.columns {
        let entry = wanted.columns.entry(column.clone()).or_default();
        entry.0.extend(&privileges);
        entry.1 |= all;
    }
    Ok(())
}
