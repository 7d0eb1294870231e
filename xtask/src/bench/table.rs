//! The table: one row for each case, one column for each system.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::system::System;

/// What a system reached in one case.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    /// The median.
    Value(f64),
    /// The median of answers that are not Atoll's.
    Differs(f64, String),
    /// Why there is none.
    Failed(String),
}

impl Cell {
    pub(super) const fn value(&self) -> Option<f64> {
        match self {
            Self::Value(value) | Self::Differs(value, _) => Some(*value),
            Self::Failed(_) => None,
        }
    }
}

/// One case of a figure.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) figure: &'static str,
    pub(super) case: String,
    pub(super) unit: &'static str,
    pub(super) cells: BTreeMap<System, Cell>,
    /// What was to be reached, and whether it was.
    pub(super) verdicts: Vec<(String, bool)>,
}

impl Row {
    pub(super) fn new(figure: &'static str, case: impl Into<String>, unit: &'static str) -> Self {
        Self { figure, case: case.into(), unit, cells: BTreeMap::new(), verdicts: Vec::new() }
    }

    pub(super) fn with(mut self, system: System, value: f64) -> Self {
        self.cells.insert(system, Cell::Value(value));
        self
    }

    pub(super) fn value(&self, system: System) -> Option<f64> {
        self.cells.get(&system).and_then(Cell::value)
    }

    /// Atoll's figure as so many times another's.
    pub(super) fn ratio(&self, to: System) -> Option<f64> {
        let (own, other) = (self.value(System::Atoll)?, self.value(to)?);
        (other > 0.0).then_some(own / other)
    }

    /// Judges the ratio to another system.
    pub(super) fn at_most_times(&mut self, most: f64, of: System) {
        if let Some(ratio) = self.ratio(of) {
            self.verdicts.push((format!("{ratio:.2} × {} (≤ {most})", of.name()), ratio <= most));
        }
    }

    /// Judges Atoll's figure itself.
    pub(super) fn at_most(&mut self, most: f64) {
        if let Some(value) = self.value(System::Atoll) {
            self.verdicts.push((format!("≤ {most} {}", self.unit), value <= most));
        }
    }
}

/// The middle value; of two, their mean.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => values.get(middle).copied(),
        _ => Some((values.get(middle - 1)? + values.get(middle)?) / 2.0),
    }
}

/// The geometric mean.
pub(super) fn geometric_mean(values: &[f64]) -> Option<f64> {
    let count = u32::try_from(values.len()).ok().filter(|count| *count > 0)?;
    Some((values.iter().map(|value| value.ln()).sum::<f64>() / f64::from(count)).exp())
}

/// The rows as Markdown, and beneath it what the marks in it mean.
pub(super) fn markdown(rows: &[Row]) -> String {
    let shown: Vec<System> =
        System::ALL.into_iter().filter(|system| rows.iter().any(|row| row.cells.contains_key(system))).collect();
    let mut text = String::from("| figure | case | unit |");
    shown.iter().for_each(|system| _ = write!(text, " {} |", system.name()));
    text.push_str(" goal |\n|---|---|---|");
    shown.iter().for_each(|_| text.push_str("---:|"));
    text.push_str("---|\n");
    let mut notes: Vec<String> = Vec::new();
    for row in rows {
        _ = write!(text, "| {} | {} | {} |", row.figure, row.case, row.unit);
        for system in &shown {
            let noted = |notes: &mut Vec<String>, note: &str| {
                notes.push(format!("{}, {}, {}: {note}", row.figure, row.case, system.name()));
                notes.len()
            };
            _ = match row.cells.get(system) {
                None => write!(text, " |"),
                Some(Cell::Value(value)) => write!(text, " {} |", number(*value)),
                Some(Cell::Differs(value, note)) => {
                    write!(text, " {} ≠[{}] |", number(*value), noted(&mut notes, note))
                }
                Some(Cell::Failed(note)) => write!(text, " failed[{}] |", noted(&mut notes, note)),
            };
        }
        let verdicts = row
            .verdicts
            .iter()
            .map(|(goal, reached)| if *reached { format!("{goal}: reached") } else { format!("**{goal}: missed**") });
        _ = writeln!(text, " {} |", verdicts.collect::<Vec<_>>().join("; "));
    }
    if !notes.is_empty() {
        text.push_str("\nWhere a system failed, or gave another answer than Atoll (≠):\n\n");
        for (index, note) in notes.iter().enumerate() {
            _ = writeln!(text, "{}. {note}", index + 1);
        }
    }
    text
}

fn number(value: f64) -> String {
    let digits = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_those_of_the_textbook() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
        assert!(geometric_mean(&[1.0, 4.0]).is_some_and(|mean| (mean - 2.0).abs() < 1e-9));
        assert_eq!(geometric_mean(&[]), None);
    }

    #[test]
    fn a_missed_goal_and_a_failed_peer_are_seen() {
        let mut row = Row::new("scan", "count", "s").with(System::Atoll, 2.0).with(System::DuckDb, 1.0);
        row.at_most_times(1.2, System::DuckDb);
        row.at_most_times(0.25, System::PostgresFdw);
        row.cells.insert(System::PostgresFdw, Cell::Failed("timed out".into()));
        let text = markdown(&[row]);
        assert!(
            text.contains("| scan | count | s | 2.00 | 1.00 | failed[1] | **2.00 × DuckDB (≤ 1.2): missed** |"),
            "{text}"
        );
        assert!(text.contains("1. scan, count, postgres_fdw: timed out"), "{text}");
    }
}
