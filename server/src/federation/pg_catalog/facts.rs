//! What PostgreSQL 15's system catalogs are made of: facts taken from its own `pg_attribute`, `pg_type` and so on, kept as
//! tab-separated files and read once.
//!
//! * `columns.tsv`: schema (`p`g_catalog or `i`nformation_schema), relation, OID, kind, and `name:type[!]` for each column;
//!   `!` marks NOT NULL.
//! * `rows.tsv`: relation and a row of it in `COPY` text, for catalogs that no DDL of Atoll changes.
//! * `procs.tsv`: OIDs of functions that such rows name.
//! * `functions.tsv`: functions that statements may call, where the planner has one of the name.
//! * `keywords.tsv`: `pg_get_keywords()`.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use atoll_connector_api::types::{BuiltinType, PgType, oids};

use crate::catalog::Oid;
use crate::catalog::model::{INFORMATION_SCHEMA_OID, PG_CATALOG_OID};

const COLUMNS: &str = include_str!("facts/columns.tsv");
const ROWS: &str = include_str!("facts/rows.tsv");
const PROCS: &str = include_str!("facts/procs.tsv");
const FUNCTIONS: &str = include_str!("facts/functions.tsv");
const KEYWORDS: &str = include_str!("facts/keywords.tsv");

/// `anyarray`, which PostgreSQL uses as a column's type in `pg_stats`.
const ANYARRAY_OID: Oid = 2277;

/// A relation of `pg_catalog` or `information_schema`.
#[derive(Debug)]
pub(super) struct Relation {
    /// `pg_catalog` or `information_schema`.
    pub(super) schema: &'static str,
    pub(super) name: &'static str,
    pub(super) oid: Oid,
    /// `r` or `v`.
    pub(super) kind: &'static str,
    pub(super) columns: Vec<ColumnFact>,
    pub(super) arrow: SchemaRef,
}

impl Relation {
    pub(super) fn namespace(&self) -> Oid {
        if self.schema == "pg_catalog" { PG_CATALOG_OID } else { INFORMATION_SCHEMA_OID }
    }

    pub(super) fn column(&self, name: &str) -> Option<&ColumnFact> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// A column of such a relation.
#[derive(Debug)]
pub(super) struct ColumnFact {
    pub(super) name: &'static str,
    /// The declared type: for `information_schema` a domain.
    pub(super) type_oid: Oid,
    /// The type that is sent: a domain's base type.
    pub(super) data_type: PgType,
    pub(super) not_null: bool,
}

/// A row of `pg_type` that no DDL changes.
#[derive(Debug)]
pub(super) struct TypeFact {
    pub(super) oid: Oid,
    pub(super) name: &'static str,
    pub(super) namespace: Oid,
    pub(super) length: i16,
    pub(super) by_value: bool,
    pub(super) element: Oid,
    pub(super) array: Oid,
    pub(super) align: &'static str,
    pub(super) storage: &'static str,
    pub(super) base: Oid,
    pub(super) modifier: i32,
    pub(super) collation: Oid,
}

/// A keyword, as `pg_get_keywords()` has it.
#[derive(Debug)]
pub(super) struct Keyword {
    pub(super) fields: [&'static str; 5],
}

/// All facts.
/// A function of PostgreSQL: the columns of `pg_proc` that tell it from others.
#[derive(Debug)]
pub(super) struct FunctionFact {
    pub(super) oid: Oid,
    pub(super) name: &'static str,
    /// `f` function, `a` aggregate, `w` window function.
    pub(super) kind: char,
    pub(super) return_type: Oid,
    pub(super) returns_set: bool,
    /// `i`, `s`, `v`.
    pub(super) volatility: &'static str,
    pub(super) strict: bool,
    /// The element type of a variadic last argument, or 0.
    pub(super) variadic: Oid,
    /// OIDs of types with blanks between them, as `oidvector` prints.
    pub(super) argument_types: &'static str,
    /// How many arguments have defaults.
    pub(super) defaults: i64,
    /// `s`, `r`, `u`.
    pub(super) parallel: &'static str,
    /// As `pg_get_function_arguments` prints them.
    pub(super) arguments: &'static str,
}

#[derive(Debug)]
pub(super) struct Facts {
    pub(super) relations: Vec<Relation>,
    by_name: HashMap<(&'static str, &'static str), usize>,
    by_oid: HashMap<Oid, usize>,
    pub(super) types: Vec<TypeFact>,
    types_by_oid: HashMap<Oid, usize>,
    types_by_name: HashMap<&'static str, usize>,
    rows: HashMap<&'static str, Vec<Vec<&'static str>>>,
    procs: HashMap<Oid, &'static str>,
    procs_by_name: HashMap<&'static str, Oid>,
    functions: Vec<FunctionFact>,
    functions_by_oid: HashMap<Oid, usize>,
    pub(super) keywords: Vec<Keyword>,
}

/// The OID of a system table and the number of a column of it.
pub fn column_origin(schema: &str, relation: &str, column: &str) -> Option<(u32, i16)> {
    let relation = facts().relation(schema, relation)?;
    let index = relation.columns.iter().position(|fact| fact.name == column)?;
    Some((relation.oid, i16::try_from(index + 1).ok()?))
}

/// The facts, read at the first call.
pub(super) fn facts() -> &'static Facts {
    static FACTS: OnceLock<Facts> = OnceLock::new();
    FACTS.get_or_init(Facts::read)
}

impl Facts {
    fn read() -> Self {
        let mut rows: HashMap<&'static str, Vec<Vec<&'static str>>> = HashMap::new();
        for line in ROWS.lines() {
            let mut fields = line.split('\t');
            let relation = fields.next().unwrap_or_default();
            rows.entry(relation).or_default().push(fields.collect());
        }
        let types: Vec<TypeFact> = rows.get("pg_type").into_iter().flatten().map(|row| type_fact(row)).collect();
        let types_by_oid: HashMap<Oid, usize> =
            types.iter().enumerate().map(|(index, fact)| (fact.oid, index)).collect();
        let types_by_name = types.iter().enumerate().map(|(index, fact)| (fact.name, index)).collect();
        let procs: HashMap<Oid, &'static str> = PROCS
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .filter_map(|(oid, name)| Some((oid.parse().ok()?, name)))
            .collect();
        let functions: Vec<FunctionFact> = FUNCTIONS.lines().filter_map(function_fact).collect();
        let mut facts = Self {
            functions_by_oid: functions.iter().enumerate().map(|(index, fact)| (fact.oid, index)).collect(),
            functions,
            relations: Vec::new(),
            by_name: HashMap::new(),
            by_oid: HashMap::new(),
            types,
            types_by_oid,
            types_by_name,
            rows,
            procs_by_name: procs.iter().map(|(oid, name)| (*name, *oid)).collect(),
            procs,
            keywords: KEYWORDS.lines().map(keyword).collect(),
        };
        let relations: Vec<Relation> = COLUMNS.lines().filter_map(|line| facts.relation_of_line(line)).collect();
        for (index, relation) in relations.iter().enumerate() {
            facts.by_name.insert((relation.schema, relation.name), index);
            facts.by_oid.insert(relation.oid, index);
        }
        facts.relations = relations;
        facts
    }

    fn relation_of_line(&self, line: &'static str) -> Option<Relation> {
        let mut fields = line.split('\t');
        let schema = if fields.next()? == "p" { "pg_catalog" } else { "information_schema" };
        let (name, oid, kind) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?);
        let columns: Vec<ColumnFact> =
            fields.next()?.split(' ').filter_map(|column| self.column_of_word(column)).collect();
        let arrow = Schema::new(columns.iter().map(arrow_field).collect::<Vec<_>>());
        Some(Relation { schema, name, oid, kind, columns, arrow: Arc::new(arrow) })
    }

    fn column_of_word(&self, word: &'static str) -> Option<ColumnFact> {
        let (name, type_name) = word.split_once(':')?;
        let (type_name, not_null) = type_name.strip_suffix('!').map_or((type_name, false), |bare| (bare, true));
        let (type_oid, data_type) = match self.type_by_name(type_name) {
            Some(fact) => (fact.oid, self.sent_type(fact)),
            // The one row type among them, in a column of pg_statistic_ext_data.
            None => (ANYARRAY_OID, PgType::new(oids::TEXT)),
        };
        Some(ColumnFact { name, type_oid, data_type, not_null })
    }

    /// The type under which values of `fact` travel: a domain's base type; text where Atoll does not know the type.
    fn sent_type(&self, fact: &TypeFact) -> PgType {
        if fact.base != 0 {
            return PgType::with_modifier(fact.base, fact.modifier);
        }
        BuiltinType::by_oid(fact.oid).map_or(PgType::new(oids::TEXT), |builtin| PgType::new(builtin.oid))
    }

    pub(super) fn relation(&self, schema: &str, name: &str) -> Option<&Relation> {
        self.by_name.get(&(schema, name)).and_then(|index| self.relations.get(*index))
    }

    pub(super) fn relation_by_oid(&self, oid: Oid) -> Option<&Relation> {
        self.by_oid.get(&oid).and_then(|index| self.relations.get(*index))
    }

    /// The types of the arguments that a function takes so many of, where only one overload does, or one of strings alone.
    pub(super) fn argument_types(&self, name: &str, count: usize) -> Option<Vec<PgType>> {
        let types = |function: &FunctionFact| -> Option<Vec<PgType>> {
            let oids = function.argument_types.split_whitespace().map(|oid| oid.parse().ok().map(PgType::new));
            oids.collect::<Option<Vec<_>>>().filter(|types| types.len() == count)
        };
        let mut overloads: Vec<Vec<PgType>> =
            self.functions.iter().filter(|function| function.name == name).filter_map(types).collect();
        if overloads.len() > 1 {
            overloads.retain(|types| types.iter().all(|data_type| data_type.oid == oids::TEXT));
        }
        let only = (overloads.len() == 1).then(|| overloads.pop()).flatten()?;
        only.iter().all(|data_type| BuiltinType::by_oid(data_type.oid).is_some()).then_some(only)
    }

    pub(super) fn type_by_oid(&self, oid: Oid) -> Option<&TypeFact> {
        self.types_by_oid.get(&oid).and_then(|index| self.types.get(*index))
    }

    pub(super) fn type_by_name(&self, name: &str) -> Option<&TypeFact> {
        self.types_by_name.get(name).and_then(|index| self.types.get(*index))
    }

    /// Rows of a catalog in `COPY` text, in the columns' order.
    pub(super) fn rows(&self, relation: &str) -> &[Vec<&'static str>] {
        self.rows.get(relation).map_or(&[], Vec::as_slice)
    }

    pub(super) fn proc_name(&self, oid: Oid) -> Option<&'static str> {
        self.procs.get(&oid).copied()
    }

    pub(super) fn proc_oid(&self, name: &str) -> Option<Oid> {
        self.procs_by_name.get(name).copied()
    }

    pub(super) fn functions(&self) -> &[FunctionFact] {
        &self.functions
    }

    pub(super) fn function_by_oid(&self, oid: Oid) -> Option<&FunctionFact> {
        self.functions_by_oid.get(&oid).and_then(|index| self.functions.get(*index))
    }

    pub(super) fn procs(&self) -> impl Iterator<Item = (Oid, &'static str)> {
        self.procs.iter().map(|(oid, name)| (*oid, *name))
    }
}

/// Arrays are lists, so that DataFusion's own functions take them; all else is in the type's storage.
fn arrow_field(column: &ColumnFact) -> Field {
    let storage = match column.data_type.element() {
        Some(element) => {
            let item = match element.storage() {
                DataType::Utf8View => DataType::Utf8,
                other => other,
            };
            DataType::List(Arc::new(Field::new_list_field(item, true)))
        }
        None => column.data_type.storage(),
    };
    column.data_type.tag(Field::new(column.name, storage, true))
}

fn type_fact(row: &[&'static str]) -> TypeFact {
    let text = |index: usize| row.get(index).copied().unwrap_or_default();
    let oid = |index: usize| text(index).parse::<Oid>().unwrap_or_default();
    let namespace = if oid(2) == PG_CATALOG_OID { PG_CATALOG_OID } else { INFORMATION_SCHEMA_OID };
    TypeFact {
        oid: oid(0),
        name: text(1),
        namespace,
        length: text(4).parse().unwrap_or(-1),
        by_value: text(5) == "t",
        element: oid(13),
        array: oid(14),
        align: text(22),
        storage: text(23),
        base: oid(25),
        modifier: text(26).parse().unwrap_or(-1),
        collation: oid(28),
    }
}

fn function_fact(line: &'static str) -> Option<FunctionFact> {
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    Some(FunctionFact {
        oid: next()?.parse().ok()?,
        name: next()?,
        kind: next()?.chars().next()?,
        return_type: next()?.parse().ok()?,
        returns_set: next()? == "t",
        volatility: next()?,
        strict: next()? == "t",
        variadic: next()?.parse().ok()?,
        argument_types: next()?,
        defaults: next()?.parse().ok()?,
        parallel: next()?,
        arguments: next()?,
    })
}

fn keyword(line: &'static str) -> Keyword {
    let mut fields = line.split('\t');
    Keyword { fields: std::array::from_fn(|_| fields.next().unwrap_or_default()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_relation_of_postgresql_15_is_there_with_its_columns() {
        assert_eq!(facts().relations.len(), 208);
        let class = facts().relation("pg_catalog", "pg_class");
        let names: Vec<&str> = class.into_iter().flat_map(|class| &class.columns).map(|column| column.name).collect();
        assert_eq!(names.len(), 33);
        assert_eq!(&names[..4], ["oid", "relname", "relnamespace", "reltype"]);
    }

    #[test]
    fn every_line_of_functions_is_read() {
        assert_eq!(facts().functions().len(), FUNCTIONS.lines().count());
        let lower = facts().functions().iter().find(|function| function.oid == 870);
        assert_eq!(lower.map(|lower| (lower.name, lower.arguments)), Some(("lower", "text")));
    }

    #[test]
    fn domains_of_the_information_schema_travel_as_their_base_types() {
        let tables = facts().relation("information_schema", "tables");
        let column = tables.and_then(|tables| tables.column("table_name")).map(|column| column.data_type.oid);
        assert_eq!(column, Some(oids::NAME));
    }
}
