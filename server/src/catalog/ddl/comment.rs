//! COMMENT ON.

use super::super::model::{Column, DATABASE_OID, Object, Oid};
use super::super::privilege::{is_superuser, may_create_roles, owns};
use super::Ddl;
use super::grant::no_database;
use super::relation::no_column;
use crate::error::{Notice, SqlError, SqlResult, SqlState};
use crate::statement::ast::{Comment, CommentTarget, QualifiedName};

const TAG: &str = "COMMENT";

impl Ddl<'_> {
    pub(super) fn comment(&mut self, comment: &Comment) -> SqlResult<&'static str> {
        // As in PostgreSQL, an empty comment is none.
        let text = comment.comment.clone().filter(|text| !text.is_empty());
        let oid = match &comment.target {
            CommentTarget::Wrapper(name) => self.owned(self.wrapper(name)?.header.oid)?,
            CommentTarget::Server(name) => self.owned(self.server(name)?.header.oid)?,
            CommentTarget::Schema(name) => {
                let schema = self.owned(self.schema(name)?.header.oid)?;
                self.refuse_system_schema(schema)?;
                schema
            }
            CommentTarget::ForeignTable(name) => self.commented_relation(name, false)?,
            CommentTarget::Table(name) | CommentTarget::View(name)
                if self.find_relation(name)?.is_none() && self.is_system_relation(name) =>
            {
                return Err(SqlError::unsupported("comments on system catalogs are not supported"));
            }
            CommentTarget::View(name) => self.commented_relation(name, true)?,
            CommentTarget::Table(name) => {
                self.relation(name)?;
                let message = format!("\"{}\" is not a table", name.name());
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
            CommentTarget::Role(name) => self.commented_role(name)?,
            CommentTarget::Database(name) if name == self.catalog().database_name() => self.owned(DATABASE_OID)?,
            CommentTarget::Database(name) => {
                let SqlError { sqlstate, message, .. } = no_database(name);
                self.notices.push(Notice::warning(sqlstate, message));
                return Ok(TAG);
            }
            CommentTarget::Column(relation, column) => return self.comment_on_column(relation, column, text),
        };
        let mut object = Object::clone(&*self.object(oid)?);
        object.header_mut().comment = text;
        self.working.put(object);
        Ok(TAG)
    }

    fn owned(&self, oid: Oid) -> SqlResult<Oid> {
        self.check_owner(oid).map(|()| oid)
    }

    fn commented_relation(&self, name: &QualifiedName, view: bool) -> SqlResult<Oid> {
        let relation = self.relation(name)?;
        self.check_owner(relation.header().oid)?;
        if matches!(*relation, Object::View(_)) != view {
            let kind = if view { "view" } else { "foreign table" };
            let message = format!("\"{}\" is not a {kind}", name.name());
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        Ok(relation.header().oid)
    }

    fn commented_role(&self, name: &str) -> SqlResult<Oid> {
        let role = self.role_oid(name)?;
        if is_superuser(self.catalog(), role) && !self.is_superuser() {
            return Err(SqlError::denied("must be superuser"));
        }
        if !may_create_roles(self.catalog(), self.user()) {
            return Err(SqlError::denied("must have CREATEROLE privilege"));
        }
        Ok(role)
    }

    fn comment_on_column(
        &mut self,
        name: &QualifiedName,
        column: &str,
        text: Option<String>,
    ) -> SqlResult<&'static str> {
        let mut relation = Object::clone(&*self.relation(name)?);
        if !owns(self.catalog(), self.user(), &relation) {
            return Err(SqlError::denied(format!("must be owner of relation {}", name.name())));
        }
        let columns: &mut [Column] = match &mut relation {
            Object::ForeignTable(table) => &mut table.columns,
            Object::View(view) => &mut view.columns,
            _ => &mut [],
        };
        let found = columns.iter_mut().find(|other| other.name == column);
        found.ok_or_else(|| no_column(name.name(), column))?.comment = text;
        self.working.put(relation);
        Ok(TAG)
    }
}
