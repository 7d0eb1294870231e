//! The WITH clauses around a part of a query, so that the part can be planned by itself.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{Cte, Query, With};

use crate::federation::naming::folded;

/// Where a walk through a query is: the queries around, outermost first.
#[derive(Debug, Default)]
pub(super) struct Around {
    frames: Vec<Frame>,
}

#[derive(Debug)]
struct Frame {
    with: Option<With>,
    /// Tables of the WITH clause that the walk has left.
    done: usize,
}

impl Frame {
    fn tables(&self) -> &[Cte] {
        self.with.as_ref().map_or(&[], |with| &with.cte_tables)
    }
}

impl Around {
    /// The walk enters a query. A query's WITH clause is walked through before its body.
    pub(super) fn enter(&mut self, query: &Query) {
        self.frames.push(Frame { with: query.with.clone(), done: 0 });
    }

    /// The walk leaves a query, which may have been changed.
    pub(super) fn leave(&mut self, query: &Query) {
        self.frames.pop();
        if let Some(frame) = self.frames.last_mut()
            && let Some(table) = frame.with.as_mut().and_then(|with| with.cte_tables.get_mut(frame.done))
        {
            *table.query = query.clone();
            frame.done += 1;
        }
    }

    /// Whether the walk is in a part of another query.
    pub(super) fn is_inner(&self) -> bool {
        self.frames.len() > 1
    }

    /// The table of a `WITH RECURSIVE` that the query is which the walk is in.
    pub(super) fn recursive_table(&self) -> Option<&Cte> {
        let parent = self.frames.len().checked_sub(2).and_then(|index| self.frames.get(index))?;
        let recursive = parent.with.as_ref().is_some_and(|with| with.recursive);
        parent.tables().get(parent.done).filter(|_| recursive)
    }

    /// All tables that the place sees as one clause, and one more.
    pub(super) fn clause(&self, more: Option<Cte>) -> Option<With> {
        let clauses = self.frames.iter().filter_map(|frame| {
            let with = frame.with.as_ref()?;
            Some(With { cte_tables: with.cte_tables.iter().take(frame.done).cloned().collect(), ..with.clone() })
        });
        let mut clauses: Vec<With> = clauses.collect();
        if let (Some(table), Some(last)) = (more, clauses.last().cloned()) {
            clauses.push(With { recursive: false, cte_tables: vec![table], ..last });
        }
        merged(&clauses)
    }
}

/// Several WITH clauses, the innermost last, as one; of equal names the inner one.
pub(super) fn merged(clauses: &[With]) -> Option<With> {
    let mut all = clauses.last()?.clone();
    let mut names = HashSet::new();
    let mut tables = Vec::new();
    for with in clauses.iter().rev() {
        all.recursive |= with.recursive;
        for table in with.cte_tables.iter().rev() {
            if names.insert(folded(&table.alias.name)) {
                tables.push(table.clone());
            }
        }
    }
    tables.reverse();
    all.cte_tables = tables;
    (!all.cte_tables.is_empty()).then_some(all)
}
