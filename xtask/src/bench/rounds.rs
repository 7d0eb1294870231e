//! Rounds: every system in turn, again and again, so that what else the machine does hits all alike.

use std::collections::BTreeMap;
use std::time::Duration;

use super::system::{Answer, Asked, System};
use super::table::{Cell, Row, median};

/// Digits of two systems' numbers may differ by rounding: means have other scales, sums of floats other orders.
const RELATIVE_STEP: f64 = 1e-6;

/// How often, and how long a statement may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounds {
    /// Rounds that count, after one that does not.
    pub(super) count: u32,
    pub(super) within: Duration,
}

/// A query, and where a system is asked with other words.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) sql: String,
    pub(super) other: BTreeMap<System, String>,
}

impl Case {
    pub(super) fn new(name: impl Into<String>, sql: impl Into<String>) -> Self {
        Self { name: name.into(), sql: sql.into(), other: BTreeMap::new() }
    }
}

impl Rounds {
    /// Asks all systems one query in turn; a system that failed is not asked again.
    pub(super) async fn measure(self, figure: &'static str, case: &Case, systems: &mut BTreeMap<System, Asked>) -> Row {
        let mut times: BTreeMap<System, Vec<f64>> = BTreeMap::new();
        let mut answers: BTreeMap<System, Answer> = BTreeMap::new();
        let mut failed: BTreeMap<System, String> = BTreeMap::new();
        for round in 0..=self.count {
            for (system, asked) in systems.iter_mut() {
                if failed.contains_key(system) {
                    continue;
                }
                let sql = case.other.get(system).unwrap_or(&case.sql);
                match asked.ask(sql, self.within).await {
                    Ok(answer) if round > 0 => times.entry(*system).or_default().push(answer.seconds),
                    Ok(answer) => _ = answers.insert(*system, answer),
                    Err(error) => _ = failed.insert(*system, format!("{error:#}")),
                }
            }
        }
        let mut row = Row::new(figure, case.name.clone(), "s");
        for (system, error) in failed {
            row.cells.insert(system, Cell::Failed(error));
        }
        let own = answers.get(&System::Atoll);
        for (system, times) in times {
            let Some(time) = median(times).filter(|_| !row.cells.contains_key(&system)) else { continue };
            let differs = own.zip(answers.get(&system)).and_then(|(own, other)| difference(own, other));
            row.cells.insert(system, differs.map_or(Cell::Value(time), |differs| Cell::Differs(time, differs)));
        }
        println!("{}", said(&row));
        row
    }
}

/// One line on what was measured, while it runs.
pub(super) fn said(row: &Row) -> String {
    let cell = |(system, cell): (&System, &Cell)| match cell {
        Cell::Value(value) => format!("{} {value:.3}", system.name()),
        Cell::Differs(value, why) => format!("{} {value:.3} DIFFERS ({why})", system.name()),
        Cell::Failed(why) => format!("{} FAILED ({why})", system.name()),
    };
    let cells: Vec<String> = row.cells.iter().map(cell).collect();
    format!("{} {} [{}]: {}", row.figure, row.case, row.unit, cells.join(", "))
}

/// How two answers differ. Their rows' order is not looked at: equal keys may come in any.
fn difference(own: &Answer, other: &Answer) -> Option<String> {
    if own.rows.len() != other.rows.len() {
        return Some(format!("{} rows, Atoll {}", other.rows.len(), own.rows.len()));
    }
    let columns = own.rows.first().map_or(0, Vec::len);
    (0..columns).find_map(|column| {
        let values = |answer: &Answer| -> Vec<String> {
            let value = |row: &Vec<Option<String>>| row.get(column).cloned().flatten();
            // Blanks at the end of char(n) are no part of the value.
            answer.rows.iter().map(|row| value(row).unwrap_or_default().trim_end().to_owned()).collect()
        };
        let (mine, theirs) = (values(own), values(other));
        let numbers = |values: &[String]| values.iter().map(|value| value.parse().ok()).collect::<Option<Vec<f64>>>();
        let equal = match (numbers(&mine), numbers(&theirs)) {
            (Some(mine), Some(theirs)) => {
                let (mine, theirs): (f64, f64) = (mine.iter().sum(), theirs.iter().sum());
                (mine - theirs).abs() <= RELATIVE_STEP * mine.abs().max(theirs.abs())
            }
            _ => {
                let sorted = |mut values: Vec<String>| {
                    values.sort();
                    values
                };
                sorted(mine) == sorted(theirs)
            }
        };
        (!equal).then(|| format!("column {} has other values", column + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rows: &[&[&str]]) -> Answer {
        let row = |row: &&[&str]| row.iter().map(|value| Some((*value).to_owned())).collect();
        Answer { seconds: 1.0, rows: rows.iter().map(row).collect() }
    }

    #[test]
    fn answers_that_only_look_different_are_equal() {
        let own = answer(&[&["A   ", "1.50"], &["B", "2"]]);
        assert_eq!(difference(&own, &answer(&[&["B", "2.0000001"], &["A", "1.5"]])), None);
        assert!(difference(&own, &answer(&[&["A", "1.5"]])).is_some());
        assert!(difference(&own, &answer(&[&["A", "1.5"], &["B", "2.1"]])).is_some());
        assert!(difference(&own, &answer(&[&["A", "1.5"], &["C", "2"]])).is_some());
    }
}
