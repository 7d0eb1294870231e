//! Statements out of choices.

use std::collections::BTreeSet;

use super::choices::Choices;
use super::data;
use super::kinds::Kind;
use super::operators::{AGGREGATES, OPERATORS, Operator, RISKY, WINDOWS};
use crate::differential::table::Source;

/// Operators within operators.
const DEPTH_MAX: usize = 3;
/// Subqueries in one statement.
const SUBQUERIES_MAX: usize = 2;
/// So many of a hundred statements are one risky operator over one table.
const RISKY_PERCENT: usize = 2;
/// Labels of pieces that are no expressions.
const RELATION: u32 = 1;
const CLAUSE: u32 = 2;
const ITEM: u32 = 3;

/// A statement, and what is known of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Statement {
    pub(super) sql: String,
    /// Its ORDER BY decides the order of its rows.
    pub(super) ordered: bool,
    /// It may fail, and so no other is taken in its place.
    pub(super) risky: bool,
    /// It groups: of equal values that are written differently any may be shown.
    pub(super) groups: bool,
    /// The sources of its tables.
    pub(super) sources: BTreeSet<Source>,
    /// Operators with the kind of their first operand and the sources of the columns beneath them.
    pub(super) operators: Vec<(&'static str, Kind, BTreeSet<Source>)>,
}

/// A piece of SQL, and the sources of the columns in it.
#[derive(Debug, Clone, Default)]
struct Piece {
    sql: String,
    sources: BTreeSet<Source>,
}

/// Something in FROM.
#[derive(Debug, Clone)]
struct Relation {
    alias: String,
    columns: Vec<(String, Kind)>,
    /// A column that is different in every row.
    key: Option<String>,
    source: BTreeSet<Source>,
}

impl Relation {
    fn column(&self, name: &str) -> Piece {
        Piece { sql: format!("{}.{name}", self.alias), sources: self.source.clone() }
    }

    fn key(&self) -> Option<String> {
        self.key.as_ref().map(|key| format!("{}.{key}", self.alias))
    }
}

/// Makes the statement that choices stand for.
pub(super) fn generate(choices: &mut Choices) -> Statement {
    let mut generator = Generator { choices, statement: Statement::default(), aliases: 0, subqueries: 0, named: None };
    generator.top();
    generator.statement
}

struct Generator<'a> {
    choices: &'a mut Choices,
    statement: Statement,
    aliases: usize,
    subqueries: usize,
    /// The common table expression.
    named: Option<Relation>,
}

impl Generator<'_> {
    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("a{}", self.aliases)
    }

    fn top(&mut self) {
        if self.choices.chance(RISKY_PERCENT) {
            self.risky();
            return;
        }
        let piece = self.choices.open(CLAUSE);
        let with = if self.choices.chance(15) { self.common_table() } else { String::new() };
        self.choices.close(piece);
        let body = match self.choices.pick(100) {
            0..45 => self.plain(),
            45..72 => self.grouped(),
            72..84 => self.windowed(),
            84..95 => self.set_operation(),
            _ => self.distinct_on(),
        };
        self.statement.sql = with + &body;
    }

    /// One risky operator over one table's columns.
    fn risky(&mut self) {
        self.statement.risky = true;
        let relation = self.table();
        let (name, from) = (relation.1.key(), relation.0);
        let scope = [relation.1];
        let operator = self.choices.of(RISKY).copied();
        if let (Some(operator), Some(key)) = (operator, name) {
            let item = self.operation(&operator, Kind::Any, &scope, 0);
            self.statement.sql = format!("SELECT {key}, {} AS r FROM {from}", item.sql);
        }
    }

    fn common_table(&mut self) -> String {
        let (sql, relation) = if self.choices.chance(40) { self.grouped_relation() } else { self.projection() };
        let alias = self.alias();
        self.named = Some(Relation { alias: alias.clone(), ..relation });
        format!("WITH {alias} AS ({sql}) ")
    }

    // Relations.

    fn table(&mut self) -> (String, Relation) {
        let source = match self.choices.pick(100) {
            0..34 => Source::Postgres,
            34..58 => Source::MariaDb,
            58..74 => Source::Sqlite,
            74..88 => Source::Parquet,
            _ => Source::Csv,
        };
        let table = match self.choices.pick(100) {
            0..50 => 0,
            50..80 => 1,
            80..98 => 2,
            _ => 3,
        };
        self.statement.sources.insert(source);
        let name = data::TABLES.get(table).map_or("t1", |(name, _)| *name);
        let alias = self.alias();
        let columns = data::columns(source).map(|(name, kind)| (name.to_owned(), kind)).collect();
        let sql = format!("{}.{name} {alias}", source.name());
        (sql, Relation { alias, columns, key: Some("id".to_owned()), source: BTreeSet::from([source]) })
    }

    /// `SELECT id, expressions FROM table WHERE …`
    fn projection(&mut self) -> (String, Relation) {
        let (from, relation) = self.table();
        let (key, source) = (relation.key().unwrap_or_default(), relation.source.clone());
        let scope = [relation];
        let (mut items, mut columns) = (vec![format!("{key} AS id")], vec![("id".to_owned(), Kind::Small)]);
        for index in 1..=2 + self.choices.pick(2) {
            let kind = self.kind();
            let item = self.expression(kind, &scope, DEPTH_MAX - 1);
            items.push(format!("{} AS c{index}", item.sql));
            columns.push((format!("c{index}"), kind));
        }
        let filter = self.filter(&scope, 75);
        let sql = format!("SELECT {} FROM {from}{filter}", items.join(", "));
        (sql, Relation { alias: String::new(), columns, key: Some("id".to_owned()), source })
    }

    /// `SELECT group, aggregates FROM table GROUP BY …`
    fn grouped_relation(&mut self) -> (String, Relation) {
        self.statement.groups = true;
        let (from, relation) = self.table();
        let source = relation.source.clone();
        let group = relation.column("k").sql;
        let scope = [relation];
        let (mut items, mut columns) = (vec![format!("{group} AS k")], vec![("k".to_owned(), Kind::Small)]);
        for index in 1..=2 {
            let (item, kind) = self.aggregate(&scope);
            items.push(format!("{item} AS c{index}"));
            columns.push((format!("c{index}"), kind));
        }
        let filter = self.filter(&scope, 60);
        let sql = format!("SELECT {} FROM {from}{filter} GROUP BY {group}", items.join(", "));
        (sql, Relation { alias: String::new(), columns, key: None, source })
    }

    fn relation(&mut self) -> (String, Relation) {
        let piece = self.choices.open(RELATION);
        let made = match self.choices.pick(100) {
            0..72 => self.table(),
            72..86 => {
                let (sql, relation) = self.projection();
                let alias = self.alias();
                (format!("({sql}) {alias}"), Relation { alias, ..relation })
            }
            86..92 => {
                let (sql, relation) = self.grouped_relation();
                let alias = self.alias();
                (format!("({sql}) {alias}"), Relation { alias, ..relation })
            }
            _ => match self.named.clone() {
                Some(named) => {
                    let alias = self.alias();
                    (format!("{} {alias}", named.alias), Relation { alias, ..named })
                }
                None => self.table(),
            },
        };
        self.choices.close(piece);
        made
    }

    /// FROM, with joins.
    fn from(&mut self) -> (String, Vec<Relation>) {
        let (mut sql, first) = self.relation();
        let mut scope = vec![first];
        let joins = match self.choices.pick(100) {
            0..45 => 0,
            45..88 => 1,
            _ => 2,
        };
        for _ in 0..joins {
            let piece = self.choices.open(CLAUSE);
            sql = self.join(sql, &mut scope);
            self.choices.close(piece);
        }
        (sql, scope)
    }

    fn join(&mut self, left: String, scope: &mut Vec<Relation>) -> String {
        let form = self.choices.pick(100);
        if form >= 94 {
            return self.lateral(left, scope);
        }
        let (right, relation) = self.relation();
        if (90..94).contains(&form) && relation.columns.len() > 4 {
            scope.push(relation);
            return format!("{left} CROSS JOIN {right}");
        }
        let words = match form {
            0..40 => "JOIN",
            40..65 => "LEFT JOIN",
            65..75 => "RIGHT JOIN",
            _ => "FULL JOIN",
        };
        let (condition, compared) = self.join_condition(scope, &relation);
        self.note("join =", compared, scope.iter().chain([&relation]).flat_map(|one| one.source.clone()).collect());
        scope.push(relation);
        let more = if words == "FULL JOIN" || !self.choices.chance(25) {
            String::new()
        } else {
            format!(" AND {}", self.predicate(scope, 1).sql)
        };
        format!("{left} {words} {right} ON {condition}{more}")
    }

    /// An equality of two columns, of the join keys where both have them.
    fn join_condition(&mut self, scope: &[Relation], relation: &Relation) -> (String, Kind) {
        let left = self.choices.of(scope).cloned().unwrap_or_else(|| relation.clone());
        let pairs: Vec<_> = left
            .columns
            .iter()
            .flat_map(|(name, kind)| {
                let same = relation.columns.iter().filter(|(_, other)| other.plain() == kind.plain());
                same.map(|(other, _)| (name.clone(), other.clone(), *kind))
            })
            .collect();
        let named = |wanted: &str| pairs.iter().find(|(name, other, _)| name == wanted && other == wanted).cloned();
        let pair = match self.choices.pick(100) {
            0..20 => named("id"),
            20..55 => named("k"),
            _ => None,
        };
        match pair.or_else(|| self.choices.of(&pairs).cloned()) {
            Some((name, other, kind)) => (format!("{}.{name} = {}.{other}", left.alias, relation.alias), kind),
            None => ("true".to_owned(), Kind::Bool),
        }
    }

    fn lateral(&mut self, left: String, scope: &mut Vec<Relation>) -> String {
        let outer = scope.iter().find(|relation| relation.columns.iter().any(|(name, _)| name == "k"));
        let outer = outer.map(|relation| relation.column("k").sql);
        let (from, relation) = self.table();
        let (key, inner) = (relation.key().unwrap_or_default(), relation.column("k").sql);
        let alias = self.alias();
        let words = if self.choices.chance(50) { "LEFT JOIN LATERAL" } else { "JOIN LATERAL" };
        let condition = outer.map_or_else(|| "true".to_owned(), |outer| format!("{inner} = {outer}"));
        let columns: Vec<_> = relation.columns.iter().map(|(name, _)| relation.column(name).sql).collect();
        let sql = format!("SELECT {} FROM {from} WHERE {condition} ORDER BY {key} LIMIT 2", columns.join(", "));
        scope.push(Relation { alias: alias.clone(), ..relation });
        format!("{left} {words} ({sql}) {alias} ON true")
    }

    // Clauses.

    fn kind(&mut self) -> Kind {
        self.choices.of(&Kind::ALL).copied().unwrap_or(Kind::Small)
    }

    fn filter(&mut self, scope: &[Relation], percent: usize) -> String {
        let piece = self.choices.open(CLAUSE);
        let mut parts = Vec::new();
        // A conjunct that a source may take, and one that may be anything.
        if self.choices.chance(percent) {
            parts.push(self.comparison(scope).sql);
        }
        if self.choices.chance(percent / 2) {
            parts.push(self.predicate(scope, DEPTH_MAX).sql);
        }
        self.choices.close(piece);
        if parts.is_empty() { String::new() } else { format!(" WHERE {}", parts.join(" AND ")) }
    }

    /// The keys of all relations, where every one has one: they make an order total.
    fn keys(scope: &[Relation]) -> Option<Vec<String>> {
        scope.iter().map(Relation::key).collect()
    }

    fn direction(&mut self) -> &'static str {
        self.choices.of(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST", " ASC NULLS LAST"]).copied().unwrap_or("")
    }

    fn limit(&mut self) -> &'static str {
        self.choices
            .of(&["", "", "", " LIMIT 5", " LIMIT 4 OFFSET 2", " OFFSET 3", " LIMIT 0", " LIMIT 10"])
            .unwrap_or(&"")
    }

    fn items(&mut self, scope: &[Relation], most: usize) -> Vec<String> {
        let count = 1 + self.choices.pick(most);
        (0..count)
            .map(|index| {
                let piece = self.choices.open(ITEM);
                let kind = self.kind();
                let item = self.expression(kind, scope, DEPTH_MAX);
                self.choices.close(piece);
                if self.choices.chance(40) { format!("{} AS e{index}", item.sql) } else { item.sql }
            })
            .collect()
    }

    /// `SELECT [DISTINCT] keys, expressions FROM … [ORDER BY …, keys [LIMIT]]`
    fn plain(&mut self) -> String {
        let (from, scope) = self.from();
        let mut items = Self::keys(&scope).unwrap_or_default();
        items.extend(self.items(&scope, 3));
        let filter = self.filter(&scope, 80);
        let distinct = if self.choices.chance(12) {
            self.statement.groups = true;
            "DISTINCT "
        } else {
            ""
        };
        let mut sql = format!("SELECT {distinct}{} FROM {from}{filter}", items.join(", "));
        let piece = self.choices.open(CLAUSE);
        if let (Some(keys), true, true) = (Self::keys(&scope), distinct.is_empty(), self.choices.chance(50)) {
            let kind = self.kind();
            let by = self.expression(kind, &scope, 1);
            // A literal would be the position of a column.
            let first = if by.sources.is_empty() { String::new() } else { format!("{}{}, ", by.sql, self.direction()) };
            sql.push_str(&format!(" ORDER BY {first}{}{}", keys.join(", "), self.limit()));
            self.statement.ordered = true;
        }
        self.choices.close(piece);
        sql
    }

    /// An expression to group by or to partition by: no literal, and without subqueries, which would be written twice.
    fn group(&mut self, scope: &[Relation]) -> String {
        let kind = self.kind();
        let subqueries = std::mem::replace(&mut self.subqueries, SUBQUERIES_MAX);
        let made = self.expression(kind, scope, 1);
        self.subqueries = subqueries;
        match scope.first() {
            Some(relation) if made.sources.is_empty() => {
                relation.columns.first().map_or(made.sql, |(name, _)| relation.column(name).sql)
            }
            _ => made.sql,
        }
    }

    /// `SELECT groups, aggregates FROM … GROUP BY … [HAVING …]`
    fn grouped(&mut self) -> String {
        self.statement.groups = true;
        let (from, scope) = self.from();
        let groups: Vec<String> = (0..self.choices.pick(3)).map(|_| self.group(&scope)).collect();
        let mut items = groups.clone();
        for index in 0..1 + self.choices.pick(3) {
            let piece = self.choices.open(ITEM);
            let (item, _) = self.aggregate(&scope);
            items.push(if self.choices.chance(30) { format!("{item} AS g{index}") } else { item });
            self.choices.close(piece);
        }
        let filter = self.filter(&scope, 75);
        let by = match (groups.as_slice(), self.choices.pick(10)) {
            ([], _) => String::new(),
            ([one], 9) => format!(" GROUP BY GROUPING SETS (({one}), ())"),
            ([one, two], 7) => format!(" GROUP BY ROLLUP ({one}, {two})"),
            ([one, two], 8) => format!(" GROUP BY CUBE ({one}, {two})"),
            ([one, two], 9) => format!(" GROUP BY GROUPING SETS (({one}), ({two}), ())"),
            (_, 4..7) => {
                let positions: Vec<_> = (1..=groups.len()).map(|at| at.to_string()).collect();
                format!(" GROUP BY {}", positions.join(", "))
            }
            _ => format!(" GROUP BY {}", groups.join(", ")),
        };
        let piece = self.choices.open(CLAUSE);
        let having = match self.choices.pick(10) {
            7 => " HAVING count(*) > 1".to_owned(),
            8 => {
                let (item, _) = self.aggregate(&scope);
                format!(" HAVING {item} IS NOT NULL")
            }
            9 => {
                let counted = self.expression(Kind::Small, &scope, 1);
                format!(" HAVING coalesce(sum({}), 0) < 100000", counted.sql)
            }
            _ => String::new(),
        };
        self.choices.close(piece);
        format!("SELECT {} FROM {from}{filter}{by}{having}", items.join(", "))
    }

    fn aggregate(&mut self, scope: &[Relation]) -> (String, Kind) {
        let Some(operator) = self.choices.of(AGGREGATES).copied() else { return Default::default() };
        let item = self.operation(&operator, Kind::Any, scope, 2);
        let piece = self.choices.open(CLAUSE);
        let filter = if self.choices.chance(15) {
            format!(" FILTER (WHERE {})", self.predicate(scope, 1).sql)
        } else {
            String::new()
        };
        self.choices.close(piece);
        (item.sql + &filter, operator.result)
    }

    /// `SELECT keys, function OVER (…) FROM …`
    fn windowed(&mut self) -> String {
        let (from, scope) = self.from();
        let filter = self.filter(&scope, 75);
        let Some(keys) = Self::keys(&scope) else {
            return format!("SELECT count(*) FROM {from}{filter}");
        };
        let mut items = keys.clone();
        for _ in 0..1 + self.choices.pick(2) {
            let piece = self.choices.open(ITEM);
            let kind = self.kind();
            let operator = self.choices.of(WINDOWS).copied();
            if let Some(operator) = operator {
                let call = self.operation(&operator, kind, &scope, 1);
                let partition = if self.choices.chance(50) {
                    format!("PARTITION BY {} ", self.group(&scope))
                } else {
                    String::new()
                };
                let first = self.group(&scope);
                let direction = self.direction();
                let frames = [
                    "",
                    "",
                    " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
                    " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
                    " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW",
                    " GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW",
                ];
                let frame = self.choices.of(&frames).copied().unwrap_or("");
                items.push(format!(
                    "{} OVER ({partition}ORDER BY {first}{direction}, {}{frame})",
                    call.sql,
                    keys.join(", ")
                ));
            }
            self.choices.close(piece);
        }
        format!("SELECT {} FROM {from}{filter}", items.join(", "))
    }

    fn set_operation(&mut self) -> String {
        self.statement.groups = true;
        let kinds: Vec<Kind> = (0..1 + self.choices.pick(2)).map(|_| self.kind()).collect();
        let words = ["UNION ALL", "UNION", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL"];
        let word = self.choices.of(&words).copied().unwrap_or("UNION ALL");
        let branches: Vec<String> = (0..2)
            .map(|_| {
                let (from, scope) = self.from();
                let items: Vec<_> = kinds.iter().map(|kind| self.expression(*kind, &scope, 1).sql).collect();
                format!("SELECT {} FROM {from}{}", items.join(", "), self.filter(&scope, 70))
            })
            .collect();
        let positions: Vec<_> = (1..=kinds.len()).map(|at| at.to_string()).collect();
        let order = if self.choices.chance(40) {
            self.statement.ordered = true;
            format!(" ORDER BY {}{}", positions.join(", "), self.limit())
        } else {
            String::new()
        };
        branches.join(&format!(" {word} ")) + &order
    }

    fn distinct_on(&mut self) -> String {
        let (from, scope) = self.from();
        let filter = self.filter(&scope, 75);
        let Some(keys) = Self::keys(&scope) else {
            return format!("SELECT count(*) FROM {from}{filter}");
        };
        self.statement.groups = true;
        let (by, keys) = (self.group(&scope), keys.join(", "));
        let direction = self.direction();
        format!("SELECT DISTINCT ON ({by}) {keys} FROM {from}{filter} ORDER BY {by}{direction}, {keys}")
    }

    // Expressions.

    fn expression(&mut self, kind: Kind, scope: &[Relation], depth: usize) -> Piece {
        let piece = self.choices.open(kind.label());
        let form = self.choices.pick(100);
        let made = match form {
            0..40 => self.column(kind, scope),
            40..48 => self.literal(kind),
            _ if depth == 0 => self.column(kind, scope),
            96.. if matches!(kind, Kind::Small | Kind::Int8 | Kind::Text) => self.scalar_subquery(kind, scope),
            _ => {
                let fitting: Vec<&Operator> = OPERATORS
                    .iter()
                    .filter(|operator| operator.result.fits(kind) || operator.result == Kind::Any)
                    .collect();
                match self.choices.of(&fitting) {
                    Some(operator) => self.operation(operator, kind, scope, depth - 1),
                    None => self.column(kind, scope),
                }
            }
        };
        self.choices.close(piece);
        made
    }

    fn column(&mut self, kind: Kind, scope: &[Relation]) -> Piece {
        let fitting: Vec<Piece> = scope
            .iter()
            .flat_map(|relation| {
                let columns = relation.columns.iter().filter(|(_, other)| other.fits(kind));
                columns.map(|(name, _)| relation.column(name))
            })
            .collect();
        self.choices.of(&fitting).cloned().unwrap_or_else(|| self.literal(kind))
    }

    fn literal(&mut self, kind: Kind) -> Piece {
        let sql = self.choices.of(kind.literals()).copied().unwrap_or("NULL");
        Piece { sql: sql.to_owned(), sources: BTreeSet::new() }
    }

    /// An operator with its operands. `wanted`: what [`Kind::Any`] is where the operator's result is that.
    fn operation(&mut self, operator: &Operator, wanted: Kind, scope: &[Relation], depth: usize) -> Piece {
        let any = if operator.result == Kind::Any && wanted != Kind::Any {
            wanted
        } else if operator.operands.contains(&Kind::Any) {
            self.kind()
        } else {
            Kind::Any
        };
        let mut made = Piece { sql: operator.sql.to_owned(), sources: BTreeSet::new() };
        let mut operands = Vec::new();
        for operand in operator.operands {
            let kind = if *operand == Kind::Any { any } else { *operand };
            operands.push(self.expression(kind, scope, depth));
        }
        for (at, operand) in operands.into_iter().enumerate() {
            made.sql = made.sql.replace(&format!("{{{at}}}"), &operand.sql);
            made.sources.extend(operand.sources);
        }
        let first = operator.operands.first().copied().unwrap_or(Kind::Any);
        self.note(operator.name, if first == Kind::Any { any } else { first }, made.sources.clone());
        made
    }

    fn note(&mut self, name: &'static str, kind: Kind, sources: BTreeSet<Source>) {
        self.statement.operators.push((name, kind.plain(), sources));
    }

    // Predicates.

    fn predicate(&mut self, scope: &[Relation], depth: usize) -> Piece {
        let piece = self.choices.open(Kind::Bool.label());
        let form = self.choices.pick(100);
        let made = match form {
            0..45 => self.comparison(scope),
            45..60 if depth > 0 => {
                let (left, right) = (self.predicate(scope, depth - 1), self.predicate(scope, depth - 1));
                let word = if self.choices.chance(40) { "AND" } else { "OR" };
                Piece {
                    sql: format!("({} {word} {})", left.sql, right.sql),
                    sources: left.sources.union(&right.sources).copied().collect(),
                }
            }
            60..75 if self.subqueries < SUBQUERIES_MAX && depth > 0 => self.semi_join(scope),
            _ => self.expression(Kind::Bool, scope, depth.max(1)),
        };
        self.choices.close(piece);
        made
    }

    /// `column operator literal`: what a source may be asked.
    fn comparison(&mut self, scope: &[Relation]) -> Piece {
        let kind = self.kind();
        let (column, literal) = (self.column(kind, scope), self.literal(kind));
        let forms = ["<>", "=", "<", ">=", "<=", ">", "IS NOT NULL", "IS NULL", "IN", "NOT IN", "BETWEEN"];
        let form = self.choices.of(&forms).copied().unwrap_or("=");
        let sql = match form {
            "IS NOT NULL" | "IS NULL" => format!("{} {form}", column.sql),
            "IN" | "NOT IN" => format!("{} {form} ({}, {})", column.sql, literal.sql, self.literal(kind).sql),
            "BETWEEN" => format!("{} BETWEEN {} AND {}", column.sql, literal.sql, self.literal(kind).sql),
            _ => format!("{} {form} {}", column.sql, literal.sql),
        };
        self.note(form, kind, column.sources.clone());
        Piece { sql, sources: column.sources }
    }

    /// EXISTS, IN, ANY and ALL over another table.
    fn semi_join(&mut self, scope: &[Relation]) -> Piece {
        self.subqueries += 1;
        let (from, relation) = self.table();
        let inner = [relation];
        let kind = self.kind();
        let (outside, inside) = (self.column(kind, scope), self.column(kind, &inner));
        let filter = self.predicate(&inner, 1).sql;
        let form = self.choices.pick(8);
        let (name, sql) = match form {
            0 => ("EXISTS", format!("EXISTS (SELECT 1 FROM {from} WHERE {} = {})", inside.sql, outside.sql)),
            1 => (
                "NOT EXISTS",
                format!("NOT EXISTS (SELECT 1 FROM {from} WHERE {} = {} AND {filter})", inside.sql, outside.sql),
            ),
            2 => ("IN SELECT", format!("{} IN (SELECT {} FROM {from} WHERE {filter})", outside.sql, inside.sql)),
            3 => {
                ("NOT IN SELECT", format!("{} NOT IN (SELECT {} FROM {from} WHERE {filter})", outside.sql, inside.sql))
            }
            4 => ("< ANY", format!("{} < ANY (SELECT {} FROM {from} WHERE {filter})", outside.sql, inside.sql)),
            5 => (">= ALL", format!("{} >= ALL (SELECT {} FROM {from} WHERE {filter})", outside.sql, inside.sql)),
            6 => (
                "EXISTS <",
                format!("EXISTS (SELECT 1 FROM {from} WHERE {} < {} AND {filter})", inside.sql, outside.sql),
            ),
            _ => ("EXISTS alone", format!("EXISTS (SELECT 1 FROM {from} WHERE {filter})")),
        };
        let sources: BTreeSet<Source> = outside.sources.union(&inside.sources).copied().collect();
        self.note(name, kind, sources.clone());
        Piece { sql, sources }
    }

    fn scalar_subquery(&mut self, kind: Kind, scope: &[Relation]) -> Piece {
        if self.subqueries >= SUBQUERIES_MAX {
            return self.column(kind, scope);
        }
        self.subqueries += 1;
        let (from, relation) = self.table();
        let (correlated, inner_k) = (self.choices.chance(50), relation.column("k").sql);
        let inner = [relation];
        let item = match kind {
            Kind::Int8 => "count(*)".to_owned(),
            _ => format!("max({})", self.column(kind, &inner).sql),
        };
        let outer = self.column(Kind::Small, scope);
        let condition = if correlated { format!("{inner_k} = {}", outer.sql) } else { self.predicate(&inner, 1).sql };
        self.note("scalar subquery", kind, outer.sources.clone());
        Piece { sql: format!("(SELECT {item} FROM {from} WHERE {condition})"), sources: outer.sources }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_statement_and_nothing_makes_the_simplest() {
        let of = |seed| generate(&mut Choices::of_seed(seed)).sql;
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
        let simplest = generate(&mut Choices::again(Vec::new()));
        assert_eq!(simplest.sql, "SELECT a1.id, a1.id FROM pg.t1 a1");
        for seed in 0..2000 {
            let statement = generate(&mut Choices::of_seed(seed));
            assert!(!statement.sql.contains('{') && !statement.sources.is_empty(), "{}", statement.sql);
        }
    }
}
