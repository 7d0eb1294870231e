//! The loop: make a statement, ask both, compare, shrink what differs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::choices::{Choices, Span};
use super::data;
use super::floors::Floors;
use super::generate::{Statement, generate};
use super::shrink;
use crate::differential::answer::{Answer, Asker, Difference, Format, compare};
use crate::differential::benchmarks::Report;
use crate::differential::by_design::{self, Case};
use crate::differential::place::Places;
use crate::differential::switches::{Combination, Switch};

/// Statements that are made for one seed until PostgreSQL answers one with rows.
const TRIES_MAX: u64 = 10;
/// Statements that shrinking may ask.
const SHRINK_MAX: usize = 400;
/// How long one statement may take.
const STATEMENT_MAX: &str = "20s";

/// What to run.
#[derive(Debug, Clone)]
pub struct RandomRun {
    /// The first seed.
    pub seed: u64,
    /// How many seeds.
    pub count: u64,
    /// Combinations of switches for each: the defaults, push-down off, and others by the seed.
    pub combinations: usize,
    /// Connections that ask at once.
    pub jobs: u64,
    /// Stop taking further seeds after so long.
    pub time: Option<Duration>,
    /// The tables are those of a former run.
    pub reuse: bool,
    /// Print every count of the operators.
    pub verbose: bool,
    /// Print the statements and do nothing else.
    pub show: bool,
}

/// Runs seeds, prints what differs and the floors.
///
/// # Errors
/// A server is gone.
pub async fn run_random(run: &RandomRun, places: &Places, switches: &[Switch]) -> Result<Report> {
    if run.show {
        for seed in run.seed..run.seed.saturating_add(run.count) {
            println!("{seed}: {}", generate(&mut Choices::of_seed(first_try(seed))).sql);
        }
        return Ok(Report::default());
    }
    let begun = Instant::now();
    if !run.reuse {
        places.load(&data::tables()).await?;
    }
    let mut jobs = tokio::task::JoinSet::new();
    for job in 0..run.jobs.max(1) {
        let (run, places, switches) = (run.clone(), places.clone(), switches.to_vec());
        jobs.spawn(async move {
            let mut worker = Worker::connect(&run, &places, switches).await?;
            let mut seed = run.seed + job;
            while seed < run.seed.saturating_add(run.count) && run.time.is_none_or(|most| begun.elapsed() < most) {
                worker.seed(seed).await?;
                seed += run.jobs.max(1);
            }
            anyhow::Ok((worker.report, worker.floors, worker.by_design, worker.kinds))
        });
    }
    let (mut report, mut floors) = (Report::default(), Floors::default());
    let (mut by_design, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    while let Some(done) = jobs.join_next().await {
        let (counts, tried, designed, differing) = done??;
        report.passed += counts.passed;
        report.failed += counts.failed;
        floors.merge(tried);
        designed.into_iter().for_each(|(name, count)| *by_design.entry(name).or_insert(0) += count);
        differing.into_iter().for_each(|(kind, count)| *kinds.entry(kind).or_insert(0) += count);
    }
    for entry in by_design::ENTRIES {
        println!("by design: {}: {}", entry.name, by_design.get(entry.name).copied().unwrap_or(0));
    }
    for (kind, count) in kinds {
        println!("differences: {kind}: {count}");
    }
    if !floors.print(run.verbose) {
        println!("FAILED: a floor is not reached");
        report.failed += 1;
    }
    println!(
        "random: seeds from {}: {} held, {} failed in {:.0} s",
        run.seed,
        report.passed,
        report.failed,
        begun.elapsed().as_secs_f64()
    );
    Ok(report)
}

const fn first_try(seed: u64) -> u64 {
    seed.wrapping_mul(TRIES_MAX)
}

/// A statement with the choices that made it.
struct Made {
    statement: Statement,
    list: Vec<u32>,
    spans: Vec<Span>,
    expected: Answer,
}

struct Worker {
    oracle: Asker,
    atoll: Asker,
    switches: Vec<Switch>,
    combinations: usize,
    report: Report,
    floors: Floors,
    by_design: BTreeMap<&'static str, usize>,
    kinds: BTreeMap<String, usize>,
}

impl Worker {
    async fn connect(run: &RandomRun, places: &Places, switches: Vec<Switch>) -> Result<Self> {
        let mut oracle = Asker::connect(&places.oracle_database()).await?;
        oracle.set(&format!("SET statement_timeout = '{STATEMENT_MAX}';")).await?;
        Ok(Self {
            oracle,
            atoll: Asker::connect(&places.atoll).await?,
            switches,
            combinations: run.combinations,
            report: Report::default(),
            floors: Floors::default(),
            by_design: BTreeMap::new(),
            kinds: BTreeMap::new(),
        })
    }

    /// The statement of a seed: the first of a few that PostgreSQL answers with rows, else the last.
    async fn make(&mut self, seed: u64) -> Result<Made> {
        let mut attempt = 0;
        loop {
            let mut choices = Choices::of_seed(first_try(seed).wrapping_add(attempt));
            let statement = generate(&mut choices);
            let expected = self.oracle.ask(&statement.sql, Format::Binary).await?;
            attempt += 1;
            let answered = expected.row_count().is_some_and(|rows| rows > 0);
            if answered || statement.risky || attempt == TRIES_MAX {
                let (list, spans) = choices.into_parts();
                return Ok(Made { statement, list, spans, expected });
            }
        }
    }

    /// The combinations of a seed, each with the format in which the values travel.
    fn combinations(&self, seed: u64) -> Vec<(Combination, Format)> {
        let mut choices = Choices::of_seed(seed ^ 0x5EED);
        let mut combinations = vec![
            (Combination::of(&self.switches, |_| None), Format::Binary),
            (Combination::only(&self.switches, "atoll.pushdown", "off"), Format::Text),
        ];
        while combinations.len() < self.combinations {
            let combination = Combination::of(&self.switches, |switch| choices.of(switch.values).copied());
            combinations.push((combination, Format::Binary));
        }
        combinations.truncate(self.combinations.max(1));
        combinations
    }

    async fn seed(&mut self, seed: u64) -> Result<()> {
        let made = self.make(seed).await?;
        let pushed = self.pushed(&made.statement).await?;
        self.floors.count(&made.statement, made.expected.row_count(), pushed);
        for (combination, format) in self.combinations(seed) {
            let Some(difference) = self.differs(&made.statement, &combination, format).await? else {
                self.report.passed += 1;
                continue;
            };
            self.report.failed += 1;
            let kind = difference.to_string();
            let kind = kind.split(':').next().unwrap_or_default().to_owned();
            *self.kinds.entry(kind).or_default() += 1;
            let (smaller, difference) = self.shrink(made, difference, &combination, format).await?;
            println!("FAILED --seed {seed} ({combination}, {format:?})\n  {}\n  {difference}", smaller.sql);
            // What the first combination shows, the others would show again.
            return Ok(());
        }
        Ok(())
    }

    /// Whether a part of the statement is sent to a database; `None`: it names none, or is not planned.
    async fn pushed(&mut self, statement: &Statement) -> Result<Option<bool>> {
        if !statement.sources.iter().any(|source| source.is_database()) {
            return Ok(None);
        }
        self.atoll.set(&settings(&Combination::of(&self.switches, |_| None))).await?;
        let Answer::Rows { rows, .. } = self.atoll.ask(&format!("EXPLAIN {}", statement.sql), Format::Text).await?
        else {
            return Ok(None);
        };
        let sent = rows.iter().flatten().flatten().filter_map(|line| line.split_once("Remote SQL: "));
        let words = [" WHERE ", " GROUP BY ", " ORDER BY ", " LIMIT ", " JOIN ", "DISTINCT", "count("];
        Ok(Some(sent.into_iter().any(|(_, sql)| words.iter().any(|word| sql.contains(word)))))
    }

    async fn differs(
        &mut self,
        statement: &Statement,
        combination: &Combination,
        format: Format,
    ) -> Result<Option<Difference>> {
        let oracle = self.oracle.ask(&statement.sql, format).await?;
        self.atoll.set(&settings(combination)).await?;
        let atoll = self.atoll.ask(&statement.sql, format).await?;
        let Some(difference) = compare(&oracle, &atoll, statement.ordered) else { return Ok(None) };
        let case = Case {
            groups: statement.groups,
            ordered: statement.ordered,
            oracle: &oracle,
            atoll: &atoll,
            difference: &difference,
        };
        match by_design::covering(&case) {
            Some(entry) => {
                *self.by_design.entry(entry.name).or_default() += 1;
                Ok(None)
            }
            None => Ok(Some(difference)),
        }
    }

    /// Drops what can go while the statement still differs in the same way.
    async fn shrink(
        &mut self,
        made: Made,
        difference: Difference,
        combination: &Combination,
        format: Format,
    ) -> Result<(Statement, Difference)> {
        let (mut best, mut list, mut spans, mut shown) = (made.statement, made.list, made.spans, difference);
        let mut asked = 0;
        'smaller: loop {
            for candidate in shrink::candidates(&list, &spans) {
                let mut choices = Choices::again(candidate);
                let statement = generate(&mut choices);
                if statement.sql == best.sql || statement.sql.len() > best.sql.len() + 40 {
                    continue;
                }
                if asked == SHRINK_MAX {
                    break 'smaller;
                }
                asked += 1;
                let found = self.differs(&statement, combination, format).await?;
                if let Some(difference) = found.filter(|found| found.kind == shown.kind) {
                    (list, spans) = choices.into_parts();
                    (best, shown) = (statement, difference);
                    continue 'smaller;
                }
            }
            break;
        }
        Ok((best, shown))
    }
}

fn settings(combination: &Combination) -> String {
    format!("SET statement_timeout = '{STATEMENT_MAX}';{}", combination.statements())
}
