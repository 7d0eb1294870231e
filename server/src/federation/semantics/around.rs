//! The WITH clauses around a part of a query, so that the part can be planned by itself.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Cte, ObjectName, ObjectNamePart, Query, Visit, Visitor, With};

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

    /// The tables that a part of the query at this place reads as one clause, one more among them.
    pub(super) fn clause(&self, part: &impl Visit, more: Option<Cte>) -> Option<With> {
        let clauses = self.frames.iter().filter_map(|frame| {
            let with = frame.with.as_ref()?;
            Some(With { cte_tables: with.cte_tables.iter().take(frame.done).cloned().collect(), ..with.clone() })
        });
        let mut clauses: Vec<With> = clauses.collect();
        if let (Some(table), Some(last)) = (more, clauses.last().cloned()) {
            clauses.push(With { recursive: false, cte_tables: vec![table], ..last });
        }
        let mut all = merged(&clauses)?;
        let mut read = relations(part);
        // A table reads those before it, so that the last ones come first.
        let mut tables = Vec::new();
        for table in all.cte_tables.into_iter().rev() {
            if read.contains(&folded(&table.alias.name)) {
                read.extend(relations(&table.query));
                tables.push(table);
            }
        }
        tables.reverse();
        all.cte_tables = tables;
        (!all.cte_tables.is_empty()).then_some(all)
    }
}

/// The unqualified names of relations that a part of a query reads.
pub(super) fn relations(part: &impl Visit) -> HashSet<String> {
    struct Names(HashSet<String>);
    impl Visitor for Names {
        type Break = ();

        fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
            if let [ObjectNamePart::Identifier(name)] = relation.0.as_slice() {
                self.0.insert(folded(name));
            }
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(HashSet::new());
    let _ = part.visit(&mut names);
    names.0
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
