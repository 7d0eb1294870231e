//! Plans of prepared statements that are kept: for the first execution, which follows at once, and where every source
//! can say in one word that nothing has changed, for the later ones.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use atoll_connector_api::subplan::{FederatedTable, RemoteRelation};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::LogicalPlan;

use super::execute::Limits;
use super::planning::Planning;
use super::{Prepared, ResultColumn, Session};
use crate::catalog::{Catalog, Oid};
use crate::error::{SqlError, SqlResult};
use crate::federation::planner::{Planned, Planner};
use crate::federation::relations::NameScope;

/// How long the plan that described a statement may serve its first execution as it is: a client's next message, not its
/// next minute, since sources change.
const PLAN_KEPT: Duration = Duration::from_secs(2);

/// Plans that a session keeps at once. A plan takes a hundred times the memory of its statement.
const PLANS_KEPT_MAX: usize = 16;

/// Where a statement's plan waits for its next execution.
pub(super) type PlanSlot = Arc<Mutex<Option<KeptPlan>>>;

fn lock(slot: &PlanSlot) -> MutexGuard<'_, Option<KeptPlan>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The plans that wait, the oldest first.
#[derive(Debug, Default)]
pub(super) struct KeptPlans(VecDeque<Weak<Mutex<Option<KeptPlan>>>>);

impl KeptPlans {
    /// Keeps the plan of a statement that was described.
    pub(super) fn keep(&mut self, plan: KeptPlan) -> PlanSlot {
        let slot = Arc::new(Mutex::new(Some(plan)));
        self.add(&slot);
        slot
    }

    /// Keeps a plan that was made for one more execution, if it can serve others.
    pub(super) fn keep_again(&mut self, slot: &PlanSlot, plan: &KeptPlan) {
        if plan.tables.is_some() {
            *lock(slot) = Some(plan.clone());
            self.add(slot);
        }
    }

    fn add(&mut self, slot: &PlanSlot) {
        let this = Arc::downgrade(slot);
        self.0.retain(|other| other.strong_count() > 0 && !other.ptr_eq(&this));
        if self.0.len() >= PLANS_KEPT_MAX
            && let Some(oldest) = self.0.pop_front().and_then(|slot| slot.upgrade())
        {
            lock(&oldest).take();
        }
        self.0.push_back(this);
    }
}

/// What a plan was made by and for, beside its statement.
#[derive(Debug, Clone)]
pub(super) struct MadeBy {
    pub(super) planning: Arc<Planning>,
    catalog: Arc<Catalog>,
    user: Oid,
    scope: NameScope,
    generation: u64,
}

/// A plan with what it depends on.
#[derive(Debug, Clone)]
pub(super) struct KeptPlan {
    pub(super) planned: Planned,
    pub(super) columns: Vec<ResultColumn>,
    pub(super) made_by: MadeBy,
    made: Instant,
    /// It has served: from here on sources are asked every time.
    served: bool,
    /// What it reads, where all of it can be asked whether it has changed.
    tables: Option<Vec<Arc<dyn RemoteRelation>>>,
}

impl KeptPlan {
    pub(super) fn new(planned: Planned, columns: Vec<ResultColumn>, made_by: MadeBy) -> Self {
        let tables = tables(&planned.plan);
        Self { planned, columns, made_by, made: Instant::now(), served: false, tables }
    }
}

/// The tables that a plan reads; `None` where it reads anything that is no table of a source: what a system table or a
/// function in FROM returns is found when it is planned.
fn tables(plan: &LogicalPlan) -> Option<Vec<Arc<dyn RemoteRelation>>> {
    let mut tables = Some(Vec::new());
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let provider = source_as_provider(&scan.source).ok();
            let table = provider.and_then(|provider| Some(provider.downcast_ref::<FederatedTable>()?.0.clone()));
            match (&mut tables, table) {
                (Some(tables), Some(table)) => tables.push(table),
                _ => tables = None,
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.ok().and(tables)
}

impl Session {
    /// What a plan that is made now depends on.
    ///
    /// # Errors
    /// Bugs only.
    pub(super) fn planned_by(&self, planner: &Planner) -> SqlResult<MadeBy> {
        let planning = self.planning.clone().ok_or_else(|| SqlError::internal("a planner without its options"))?;
        Ok(MadeBy {
            planning,
            catalog: Arc::clone(&planner.catalog),
            user: planner.role,
            scope: planner.scope.clone(),
            generation: self.generation,
        })
    }

    /// The plan of a statement, if it may serve now, and the tables that have to be asked first whether they have changed.
    ///
    /// # Errors
    /// Those of the system tables that it may look at.
    pub(super) async fn kept_plan(
        &mut self,
        prepared: &Prepared,
        limits: &Limits,
    ) -> SqlResult<Option<(KeptPlan, Vec<Arc<dyn RemoteRelation>>)>> {
        let Some(mut kept) = self.take_plan(prepared) else { return Ok(None) };
        let is_young = kept.made.elapsed() < PLAN_KEPT && kept.made_by.generation == self.generation;
        let is_new = is_young && !kept.served;
        let Some(tables) = kept.tables.clone() else { return Ok(is_new.then_some((kept, Vec::new()))) };
        if !is_new {
            let text = prepared.statement.as_ref().map_or("", |statement| statement.text.as_str());
            kept.made_by.planning.begin(self.system_context(limits, text).await?);
        }
        kept.served = true;
        *lock(&prepared.planned) = Some(kept.clone());
        Ok(Some((kept, if is_new { Vec::new() } else { tables })))
    }

    fn take_plan(&self, prepared: &Prepared) -> Option<KeptPlan> {
        let kept = lock(&prepared.planned).take()?;
        let made_by = &kept.made_by;
        let serves = Arc::ptr_eq(&made_by.catalog, &self.catalog())
            && made_by.user == self.current_user
            && made_by.planning.serves(&self.settings)
            && made_by.scope == self.name_scope();
        serves.then_some(kept)
    }
}
