//! What the scans of one statement know of each other: how many there are of one source, and what they share of it.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;

use crate::scan::ForeignScanExec;

/// Runs of a scan within a recursive query that are expected: its data stay shared until the statement ends.
const ROUNDS_EXPECTED: usize = 1 << 32;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// One source as one user sees it: no other in this process has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceId(u64);

impl SourceId {
    /// A new one.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// One scan of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ScanId(u64);

impl ScanId {
    /// A new one.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The scans of one statement. It is an extension of the statement's session configuration, and lives as long as its
/// streams do.
#[derive(Default)]
pub struct StatementScans {
    sources: Mutex<HashMap<SourceId, Source>>,
}

#[derive(Default)]
struct Source {
    scans: Vec<(ScanId, usize)>,
    shared: Option<Arc<dyn Any + Send + Sync>>,
}

impl fmt::Debug for StatementScans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatementScans").finish_non_exhaustive()
    }
}

impl StatementScans {
    /// Notes the scans of a plan that is about to run.
    pub fn expect_plan(&self, plan: &Arc<dyn ExecutionPlan>) {
        self.expect_below(plan, 1);
    }

    fn expect_below(&self, plan: &Arc<dyn ExecutionPlan>, runs: usize) {
        if let Some(scan) = plan.downcast_ref::<ForeignScanExec>() {
            scan.expected_by(self, runs);
        }
        // Each round of a recursive query runs its scans again.
        let runs = if plan.is::<RecursiveQueryExec>() { ROUNDS_EXPECTED } else { runs };
        plan.children().into_iter().for_each(|child| self.expect_below(child, runs));
    }

    /// Notes one scan of `parts` parts.
    pub fn expect(&self, source: SourceId, scan: ScanId, parts: usize) {
        self.with(source, |source| source.scans.push((scan, parts)));
    }

    /// The scans of a source that were noted, with the number of their parts, each time that they run.
    pub fn expected(&self, source: SourceId) -> Vec<(ScanId, usize)> {
        self.with(source, |source| source.scans.clone())
    }

    /// What the scans of a source share: made by the first that asks. All of them ask for one type.
    pub fn shared<T: Send + Sync + 'static>(
        &self,
        source: SourceId,
        make: impl FnOnce(&[(ScanId, usize)]) -> T,
    ) -> Arc<T> {
        self.with(source, |source| {
            let known = source.shared.clone().and_then(|shared| shared.downcast::<T>().ok());
            known.unwrap_or_else(|| {
                let made = Arc::new(make(&source.scans));
                source.shared = Some(Arc::clone(&made) as Arc<dyn Any + Send + Sync>);
                made
            })
        })
    }

    fn with<T>(&self, source: SourceId, work: impl FnOnce(&mut Source) -> T) -> T {
        work(self.sources.lock().unwrap_or_else(PoisonError::into_inner).entry(source).or_default())
    }
}

/// Where a part of a scan stands.
#[derive(Debug, Clone)]
pub struct ScanPlace {
    /// The statement.
    pub statement: Arc<StatementScans>,
    /// The scan within it.
    pub scan: ScanId,
}
