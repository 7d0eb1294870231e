//! What was tried: the counts that keep a run without differences honest.

use std::collections::BTreeMap;

use super::data;
use super::generate::Statement;
use super::kinds::Kind;
use super::operators::{AGGREGATES, OPERATORS, RISKY, WINDOWS};
use crate::differential::Source;

/// Values that must be NULL, and that must be extremes, of a hundred.
const SHARE_MIN: f64 = 20.0;
/// Statements without error and not empty, of a hundred.
const ANSWERED_MIN: f64 = 95.0;
/// Statements over a database of which a part is sent, of a hundred.
const PUSHED_MIN: f64 = 50.0;
/// Statements from which on every operator must have been tried at every source.
const COVERING_FROM: usize = 5_000;

/// Counts over a run.
#[derive(Debug, Default, Clone)]
pub(super) struct Floors {
    statements: usize,
    answered: usize,
    /// Statements that name a table of a database, and those of them of which a part was sent.
    over_databases: usize,
    pushed: usize,
    operators: BTreeMap<(&'static str, Kind), BTreeMap<Source, usize>>,
    joins: usize,
}

impl Floors {
    pub(super) fn count(&mut self, statement: &Statement, rows: Option<usize>, pushed: Option<bool>) {
        self.statements += 1;
        self.answered += usize::from(rows.is_some_and(|rows| rows > 0));
        self.over_databases += usize::from(pushed.is_some());
        self.pushed += usize::from(pushed == Some(true));
        self.joins += usize::from(statement.sql.contains(" JOIN "));
        for (name, kind, sources) in &statement.operators {
            let counts = self.operators.entry((name, *kind)).or_default();
            for source in sources {
                *counts.entry(*source).or_default() += 1;
            }
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.statements += other.statements;
        self.answered += other.answered;
        self.over_databases += other.over_databases;
        self.pushed += other.pushed;
        self.joins += other.joins;
        for (key, counts) in other.operators {
            let own = self.operators.entry(key).or_default();
            for (source, count) in counts {
                *own.entry(source).or_default() += count;
            }
        }
    }

    /// Prints them. False: the run was long enough, and a floor is not reached.
    pub(super) fn print(&self, all: bool) -> bool {
        let share = |part: usize, of: usize| 100.0 * as_float(part) / as_float(of.max(1));
        let (nulls, extremes) = data::shares();
        let (answered, pushed) = (share(self.answered, self.statements), share(self.pushed, self.over_databases));
        println!(
            "floors: values NULL {nulls:.1} % (at least {SHARE_MIN}), extreme {extremes:.1} % (at least {SHARE_MIN})"
        );
        println!("floors: without error and not empty {answered:.1} % (at least {ANSWERED_MIN})");
        println!(
            "floors: part sent to a source {pushed:.1} % of {} statements over databases (at least {PUSHED_MIN})",
            self.over_databases
        );
        println!("floors: {} statements, {} with joins", self.statements, self.joins);
        if all {
            self.print_operators();
        }
        let missing = self.missing();
        let pairs = self.operators.len();
        println!(
            "floors: {pairs} pairs of operator and type tried; not tried at a source that has its types: {}",
            missing.len()
        );
        if self.statements >= COVERING_FROM {
            missing.iter().for_each(|line| println!("  never: {line}"));
        }
        let long = self.statements >= COVERING_FROM;
        let held = nulls >= SHARE_MIN && extremes >= SHARE_MIN;
        held && (!long || (answered >= ANSWERED_MIN && pushed >= PUSHED_MIN && missing.is_empty()))
    }

    fn print_operators(&self) {
        for ((name, kind), counts) in &self.operators {
            let counts: Vec<_> = Source::ALL
                .iter()
                .map(|source| format!("{} {}", source.name(), counts.get(source).copied().unwrap_or_default()))
                .collect();
            println!("  {name} of {kind}: {}", counts.join(", "));
        }
    }

    /// Operators never tried at a source that has columns of all their kinds.
    fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for operator in OPERATORS.iter().chain(AGGREGATES).chain(WINDOWS).chain(RISKY) {
            let Some(first) = operator.operands.first() else { continue };
            let kinds: Vec<Kind> = match first {
                Kind::Any => Kind::ALL.iter().copied().filter(|kind| kind.plain() == *kind).collect(),
                kind => vec![kind.plain()],
            };
            for kind in kinds {
                for source in Source::ALL {
                    let has = data::columns(source).any(|(_, column)| column.plain() == kind);
                    let tried = self
                        .operators
                        .get(&(operator.name, kind))
                        .and_then(|counts| counts.get(&source))
                        .is_some_and(|count| *count > 0);
                    if has && !tried {
                        missing.push(format!("{} of {kind} at {}", operator.name, source.name()));
                    }
                }
            }
        }
        missing
    }
}

fn as_float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
