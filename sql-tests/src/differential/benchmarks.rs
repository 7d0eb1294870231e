//! TPC-H and TPC-DS: the standards' queries over their tables, which lie scattered over the sources.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tpcdsgen::config::SessionBuilder;
use tpchgen::generators as tpch;

use super::answer::{Answer, Asker, Format, compare};
use super::place::Places;
use super::switches::{Combination, Switch};
use super::table::{Column, MakeRows, Row, Source, Table};

/// How long one query may take.
const QUERY_MAX: Duration = Duration::from_secs(300);
/// A query that takes longer than this is named in the report.
const SLOW: Duration = Duration::from_secs(20);

/// The last digit of the published answers.
const PUBLISHED_STEP: f64 = 0.01;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Benchmark {
    /// 22 queries over eight tables.
    Tpch,
    /// 99 queries over 24 tables.
    Tpcds,
}

impl Benchmark {
    /// The name of its folder, and of its schema.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tpch => "tpch",
            Self::Tpcds => "tpcds",
        }
    }

    /// Its tables as `tables.txt` in its folder lists them, with rows at a scale factor.
    ///
    /// # Errors
    /// The list cannot be read, or names a table that the standard does not have.
    pub fn tables(self, folder: &Path, scale: f64) -> Result<Vec<Table>> {
        let path = folder.join(self.name()).join("tables.txt");
        let text = std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        let mut tables: Vec<Table> = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (first, second) = line.trim().split_once(' ').with_context(|| format!("no pair: {line}"))?;
            if line.starts_with(' ') {
                tables.last_mut().context("a column before the first table")?.columns.push(Column::new(first, second));
                continue;
            }
            let source = Source::ALL.into_iter().find(|source| source.name() == second);
            tables.push(Table {
                schema: self.name().to_owned(),
                name: first.to_owned(),
                columns: Vec::new(),
                source: source.with_context(|| format!("no source {second}"))?,
                rows: match self {
                    Self::Tpch => tpch_rows(first, scale)?,
                    Self::Tpcds => tpcds_rows(first, scale)?,
                },
            });
        }
        Ok(tables)
    }

    /// Its queries, in the order of their numbers.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn queries(self, folder: &Path) -> Result<Vec<(String, String)>> {
        let folder = folder.join(self.name());
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        paths.retain(|path| path.extension().is_some_and(|end| end == "sql"));
        paths.sort();
        paths
            .iter()
            .map(|path| {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                Ok((name, std::fs::read_to_string(path)?))
            })
            .collect()
    }
}

/// The fields of a line that ends each with `|`. `empty`: what an empty field is.
fn fields(line: &str, empty: Option<&str>) -> Row {
    let line = line.strip_suffix('|').unwrap_or(line);
    line.split('|').map(|field| if field.is_empty() { empty } else { Some(field) }.map(str::to_owned)).collect()
}

fn tpch_rows(table: &str, scale: f64) -> Result<MakeRows> {
    macro_rules! rows {
        ($generator:ident) => {
            Arc::new(move || {
                let generator = tpch::$generator::new(scale, 1, 1);
                Box::new(generator.iter().map(|row| fields(&row.to_string(), Some(""))).collect::<Vec<_>>().into_iter())
            })
        };
    }
    Ok(match table {
        "region" => rows!(RegionGenerator),
        "nation" => rows!(NationGenerator),
        "part" => rows!(PartGenerator),
        "supplier" => rows!(SupplierGenerator),
        "partsupp" => rows!(PartSuppGenerator),
        "customer" => rows!(CustomerGenerator),
        "orders" => rows!(OrderGenerator),
        "lineitem" => rows!(LineItemGenerator),
        _ => bail!("TPC-H has no table {table}"),
    })
}

fn tpcds_rows(table: &str, scale: f64) -> Result<MakeRows> {
    let session = SessionBuilder::new().with_scale_factor(scale).build().map_err(|error| anyhow::anyhow!("{error}"))?;
    macro_rules! rows {
        ($($name:literal $table:ident $generator:ident,)*) => {
            match table {
                $($name => Arc::new(move || {
                    let count = *session.get_source_row_range(tpcdsgen::table::Table::$table).end();
                    let generator = tpcdsgen::row::$generator::new(session.clone(), count);
                    Box::new(generator.map(|row| fields(&row.to_string(), None)))
                }),)*
                _ => bail!("TPC-DS has no table {table}"),
            }
        };
    }
    Ok(rows! {
        "call_center" CallCenter CallCenterRowGenerator,
        "catalog_page" CatalogPage CatalogPageRowGenerator,
        "catalog_returns" CatalogReturns CatalogReturnsRowGenerator,
        "catalog_sales" CatalogSales CatalogSalesRowGenerator,
        "customer" Customer CustomerRowGenerator,
        "customer_address" CustomerAddress CustomerAddressRowGenerator,
        "customer_demographics" CustomerDemographics CustomerDemographicsRowGenerator,
        "date_dim" DateDim DateDimRowGenerator,
        "household_demographics" HouseholdDemographics HouseholdDemographicsRowGenerator,
        "income_band" IncomeBand IncomeBandRowGenerator,
        "inventory" Inventory InventoryRowGenerator,
        "item" Item ItemRowGenerator,
        "promotion" Promotion PromotionRowGenerator,
        "reason" Reason ReasonRowGenerator,
        "ship_mode" ShipMode ShipModeRowGenerator,
        "store" Store StoreRowGenerator,
        "store_returns" StoreReturns StoreReturnsRowGenerator,
        "store_sales" StoreSales StoreSalesRowGenerator,
        "time_dim" TimeDim TimeDimRowGenerator,
        "warehouse" Warehouse WarehouseRowGenerator,
        "web_page" WebPage WebPageRowGenerator,
        "web_returns" WebReturns WebReturnsRowGenerator,
        "web_sales" WebSales WebSalesRowGenerator,
        "web_site" WebSite WebSiteRowGenerator,
    })
}

/// How a run went.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Queries, under one combination each, that gave PostgreSQL's answer.
    pub passed: usize,
    /// Those that did not.
    pub failed: usize,
}

/// What of a benchmark is run, and over what.
#[derive(Debug, Clone)]
pub struct Run {
    /// Which.
    pub benchmark: Benchmark,
    /// The scale factor.
    pub scale: f64,
    /// The folder of the standards' queries.
    pub folder: PathBuf,
    /// The tables are those of a former run.
    pub reuse: bool,
    /// Compare with the answers that TPC-H publishes for scale 1, too.
    pub published: bool,
    /// Only these queries; none: all.
    pub only: Vec<String>,
}

/// Loads a benchmark's tables and runs its queries, with push-down on and off.
///
/// # Errors
/// A server is gone.
pub async fn run_benchmark(run: &Run, places: &Places, switches: &[Switch]) -> Result<Report> {
    let Run { benchmark, scale, folder, only, .. } = run;
    let begun = Instant::now();
    if !run.reuse {
        places.load(&benchmark.tables(folder, *scale)?).await?;
        println!("{}: scale {scale}, loaded in {:.1} s", benchmark.name(), begun.elapsed().as_secs_f64());
    }
    let begun = Instant::now();
    let settings =
        format!("SET search_path = {}; SET statement_timeout = '{}s';", benchmark.name(), QUERY_MAX.as_secs());
    let mut oracle = Asker::connect(&places.oracle_database()).await?;
    oracle.set(&settings).await?;
    let mut atoll = Asker::connect(&places.atoll).await?;
    let combinations = [Combination::of(switches, |_| None), Combination::only(switches, "atoll.pushdown", "off")];
    let (mut report, mut empty, mut failing) = (Report::default(), Vec::new(), Vec::new());
    for (name, sql) in benchmark.queries(folder)? {
        if !only.is_empty() && !only.contains(&name) {
            continue;
        }
        let expected = oracle.ask(&sql, Format::Binary).await?;
        match expected.row_count() {
            // A scale this small leaves sums of zero to divide by: Atoll must fail likewise.
            None => failing.push(format!("{name} ({})", expected.sqlstate().unwrap_or_default())),
            Some(0) => empty.push(name.clone()),
            Some(_) => {}
        }
        for combination in &combinations {
            atoll.set(&format!("{settings}{}", combination.statements())).await?;
            let asked = Instant::now();
            let answer = atoll.ask(&sql, Format::Binary).await?;
            if asked.elapsed() > SLOW {
                println!("slow: {} {name} ({combination}): {:.0} s", benchmark.name(), asked.elapsed().as_secs_f64());
            }
            let mut said: Vec<String> = compare(&expected, &answer, sql.to_lowercase().contains("order by"))
                .map(|difference| difference.to_string())
                .into_iter()
                .collect();
            if run.published {
                said.extend(published_difference(&name, &answer)?);
            }
            report.passed += usize::from(said.is_empty());
            report.failed += usize::from(!said.is_empty());
            for text in said {
                println!("FAILED {} {name} ({combination}): {text}", benchmark.name());
            }
        }
    }
    println!(
        "{}: {} held, {} failed in {:.1} s; in PostgreSQL without rows: {}, failing: {}",
        benchmark.name(),
        report.passed,
        report.failed,
        begun.elapsed().as_secs_f64(),
        listed(&empty),
        listed(&failing)
    );
    Ok(report)
}

/// How an answer differs from the one that TPC-H publishes for a query at scale 1. Those have two digits behind the point.
fn published_difference(name: &str, answer: &Answer) -> Result<Option<String>> {
    let number = name.parse().with_context(|| format!("{name} is no number of a query"))?;
    let published = tpchgen::q_and_a::QueryAndAnswer::new(number, 1.0).map_err(anyhow::Error::msg)?;
    let Answer::Rows { rows, .. } = answer else {
        return Ok(Some("no rows to compare with the published answer".into()));
    };
    let lines: Vec<&str> = published.answer().lines().filter(|line| !line.trim().is_empty()).skip(1).collect();
    if lines.len() != rows.len() {
        return Ok(Some(format!("{} rows, {} are published", rows.len(), lines.len())));
    }
    let equal = |line: &str, row: &Row| {
        let fields: Vec<&str> = line.split('|').collect();
        fields.len() == row.len() && fields.iter().zip(row).all(|(field, value)| is_published(field, value.as_deref()))
    };
    let differing = lines.iter().zip(rows).position(|(line, row)| !equal(line, row));
    Ok(differing.map(|at| format!("row {}: {:?} where {:?} is published", at + 1, rows.get(at), lines.get(at))))
}

fn is_published(field: &str, value: Option<&str>) -> bool {
    let (field, value) = (field.trim(), value.unwrap_or_default().trim());
    match (field.parse::<f64>(), value.parse::<f64>()) {
        (Ok(field), Ok(value)) => (field - value).abs() <= PUBLISHED_STEP,
        _ => field == value,
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_answers_are_rounded_and_padded() {
        assert!(is_published("25.52  ", Some("25.5220058532573370")));
        assert!(is_published("BRAZIL   ", Some("BRAZIL")));
        assert!(!is_published("25.52", Some("25.55")) && !is_published("A", Some("B")) && !is_published("1", None));
        let answer = |value: &str| Answer::Rows { columns: Vec::new(), rows: vec![vec![Some(value.to_owned())]] };
        assert!(matches!(published_difference("06", &answer("123141078.2283")), Ok(None)));
        assert!(matches!(published_difference("06", &answer("123141079.2283")), Ok(Some(_))));
    }

    #[test]
    fn every_row_has_the_columns_of_the_list() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("differential");
        for (benchmark, tables) in [(Benchmark::Tpch, 8), (Benchmark::Tpcds, 24)] {
            let listed = benchmark.tables(&folder, 0.001).expect("the list is in the repository");
            assert_eq!(listed.len(), tables);
            for table in listed {
                let row = (table.rows)().next().expect("a table has rows");
                assert_eq!(row.len(), table.columns.len(), "{table:?}");
            }
        }
    }
}
