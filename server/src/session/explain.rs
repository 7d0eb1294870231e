//! How EXPLAIN shows a plan: lines of text, or a tree of properties.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan, displayable};
use serde_json::{Map, Value, json};

use super::explain_formats::{xml, yaml};
use super::stoppable::{unwatched, without_watchers};
use crate::federation::ctes::{SharedRows, shared_rows};
use crate::statement::ast::{Explain, ExplainFormat};

/// A plan, and what running it took.
pub(super) struct Explained {
    pub plan: Arc<dyn ExecutionPlan>,
    pub planning: Duration,
    /// How long it ran, and the rows it returned; `None`: it did not run.
    pub ran: Option<(Duration, usize)>,
}

impl Explained {
    /// The rows of the one column.
    pub(super) fn lines(&self, explain: &Explain) -> Vec<String> {
        match explain.format {
            ExplainFormat::Text => {}
            ExplainFormat::Json => return vec![format!("{:#}", Value::Array(vec![self.json(explain)]))],
            ExplainFormat::Yaml => return vec![yaml(&self.json(explain))],
            ExplainFormat::Xml => return vec![xml(&self.json(explain))],
        }
        let mut lines = self.shown(&self.plan, explain);
        for rows in shared_rows(&self.plan) {
            lines.push(format!("CTE {}{}", rows.name(), self.kept(&rows)));
            lines.extend(self.shown(&rows.input(), explain).into_iter().map(|line| format!("  {line}")));
        }
        if !explain.timing {
            lines = lines.iter().map(|line| without_times(line)).collect();
        }
        if let Some((_, rows)) = self.ran {
            lines.push(format!("Rows: {rows}"));
        }
        if self.summarized(explain) {
            lines.push(format!("Planning Time: {:.3} ms", milliseconds(self.planning)));
            if let Some((execution, _)) = self.ran {
                lines.push(format!("Execution Time: {:.3} ms", milliseconds(execution)));
            }
        }
        lines
    }

    fn shown(&self, plan: &Arc<dyn ExecutionPlan>, explain: &Explain) -> Vec<String> {
        let shown = match self.ran {
            Some(_) => DisplayableExecutionPlan::with_metrics(plan.as_ref()).indent(explain.verbose).to_string(),
            None => displayable(plan.as_ref()).indent(explain.verbose).to_string(),
        };
        without_watchers(&shown)
    }

    /// What of a WITH query's rows found no room in memory.
    fn kept(&self, rows: &SharedRows) -> String {
        let spilled =
            self.ran.and_then(|_| rows.metrics().aggregate_by_name().spilled_bytes()).filter(|bytes| *bytes > 0);
        spilled.map(|bytes| format!(", metrics=[spilled_bytes={bytes}]")).unwrap_or_default()
    }

    fn json(&self, explain: &Explain) -> Value {
        let mut plan = self.node(&self.plan, explain);
        let within = shared_rows(&self.plan).into_iter().map(|rows| {
            let mut node = self.node(&rows.input(), explain);
            node["Parent Relationship"] = "InitPlan".into();
            node["Subplan Name"] = format!("CTE {}", rows.name()).into();
            node
        });
        let mut within: Vec<Value> = within.collect();
        if !within.is_empty() {
            if let Some(Value::Array(children)) = plan.get_mut("Plans").map(Value::take) {
                within.extend(children);
            }
            plan["Plans"] = within.into();
        }
        let mut shown = json!({ "Plan": plan });
        if self.summarized(explain) {
            shown["Planning Time"] = json!(milliseconds(self.planning));
            if let Some((execution, _)) = self.ran {
                shown["Execution Time"] = json!(milliseconds(execution));
            }
        }
        shown
    }

    fn summarized(&self, explain: &Explain) -> bool {
        explain.summary.unwrap_or(self.ran.is_some())
    }

    /// An operator, with those that it reads from.
    fn node(&self, plan: &Arc<dyn ExecutionPlan>, explain: &Explain) -> Value {
        let plan = unwatched(plan);
        let mut node = Map::new();
        node.insert("Node Type".to_owned(), plan.name().into());
        let line = Line(plan.as_ref(), explain.verbose).to_string();
        let details = line.strip_prefix(plan.name()).unwrap_or(&line).trim_start_matches([':', ' ']);
        if !details.is_empty() {
            node.insert("Details".to_owned(), details.into());
        }
        if let (Some(_), Some(metrics)) = (self.ran, plan.metrics()) {
            if let Some(rows) = metrics.output_rows() {
                node.insert("Actual Rows".to_owned(), rows.into());
            }
            let metrics = metrics.aggregate_by_name().sorted_for_display().timestamps_removed();
            let shown: Map<String, Value> = metrics
                .iter()
                .filter(|metric| metric.value().name() != "output_rows")
                .filter(|metric| explain.timing || !is_time(metric.value()))
                .map(|metric| (metric.value().name().to_owned(), metric_json(metric.value())))
                .collect();
            if !shown.is_empty() {
                node.insert("Metrics".to_owned(), shown.into());
            }
        }
        let children: Vec<Value> = plan.children().into_iter().map(|child| self.node(child, explain)).collect();
        if !children.is_empty() {
            node.insert("Plans".to_owned(), children.into());
        }
        node.into()
    }
}

struct Line<'a>(&'a dyn ExecutionPlan, bool);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_as(if self.1 { DisplayFormatType::Verbose } else { DisplayFormatType::Default }, f)
    }
}

fn milliseconds(time: Duration) -> f64 {
    // Three digits behind the point, as in text.
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn is_time(value: &MetricValue) -> bool {
    matches!(value, MetricValue::ElapsedCompute(_) | MetricValue::Time { .. })
}

/// Times are milliseconds, counts numbers; the rest is as in text.
fn metric_json(value: &MetricValue) -> Value {
    if is_time(value) {
        return json!(milliseconds(Duration::from_nanos(u64::try_from(value.as_usize()).unwrap_or(u64::MAX))));
    }
    let text = value.to_string();
    text.parse::<u64>().map_or_else(|_| text.as_str().into(), Value::from)
}

/// An operator's line without the metrics that are times.
fn without_times(line: &str) -> String {
    let Some((before, metrics)) =
        line.rsplit_once("metrics=[").and_then(|(before, rest)| Some((before, rest.strip_suffix(']')?)))
    else {
        return line.to_owned();
    };
    let is_duration = |metric: &&str| {
        let value = metric.split_once('=').map_or("", |(_, value)| value);
        let unit = value.trim_start_matches(|char: char| char.is_ascii_digit() || char == '.');
        unit.len() < value.len() && ["ns", "µs", "ms", "s", "m", "h"].contains(&unit)
    };
    let kept: Vec<&str> = metrics.split(", ").filter(|metric| !is_duration(metric)).collect();
    format!("{before}metrics=[{}]", kept.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_leave_a_line_and_counts_stay() {
        let line =
            "  SortExec: expr=[a], metrics=[output_rows=9, elapsed_compute=16.48µs, output_bytes=180.0 B, x=2ms]";
        let expected = "  SortExec: expr=[a], metrics=[output_rows=9, output_bytes=180.0 B]";
        assert_eq!(without_times(line), expected);
        assert_eq!(without_times("EmptyExec"), "EmptyExec");
    }
}
