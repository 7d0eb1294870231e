//! Suites: files of sqllogictest records, with variables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sqllogictest::parser::parse_with_name;
use sqllogictest::{DefaultColumnType, Record, Runner};

use crate::engine::{Endpoint, Engine, Mode};

/// How one file went.
#[derive(Debug)]
pub enum Outcome {
    /// It ran.
    Ran {
        /// Statements and queries that held.
        passed: usize,
        /// What the others did, one text each.
        failures: Vec<String>,
    },
    /// A variable that the file needs is not given: its name.
    Skipped(String),
}

/// Files of the arguments: a directory stands for every `.slt` file beneath it, in order of their names.
///
/// # Errors
/// What is not there.
pub fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut inside: Vec<_> = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
            inside.sort();
            inside.retain(|path| path.is_dir() || path.extension().is_some_and(|end| end == "slt"));
            files.extend(expand(&inside)?);
        } else if path.is_file() {
            files.push(path.clone());
        } else {
            bail!("{} does not exist", path.display());
        }
    }
    Ok(files)
}

/// Replaces `${NAME}`; the name of the first variable that is not given is the error.
///
/// # Errors
/// The missing name.
pub fn substitute(text: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else { break };
        out.push_str(variables.get(name).ok_or_else(|| name.to_owned())?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

/// Runs one file on connections of its own, past what fails. `onlyif` and `skipif` choose by the labels and the mode.
/// `settings` are statements that each connection begins with.
///
/// # Errors
/// The file cannot be read, or is no suite.
pub async fn run_file(
    path: &Path,
    endpoint: &Endpoint,
    mode: Mode,
    variables: &BTreeMap<String, String>,
    labels: &[String],
    settings: &str,
) -> Result<Outcome> {
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    let script = match substitute(&text, variables) {
        Ok(script) => script,
        Err(name) => return Ok(Outcome::Skipped(name)),
    };
    let name = path.display().to_string();
    let records: Vec<Record<DefaultColumnType>> =
        parse_with_name(&script, name.as_str()).with_context(|| format!("{name} is no suite"))?;
    let (endpoint, settings) = (endpoint.clone(), settings.to_owned());
    let mut runner = Runner::new(move || {
        let (endpoint, settings) = (endpoint.clone(), settings.clone());
        async move { Engine::connect(&endpoint, mode, &settings).await }
    });
    labels.iter().for_each(|label| runner.add_label(label));
    let (mut passed, mut failures) = (0, Vec::new());
    for record in records {
        let counts = matches!(record, Record::Statement { .. } | Record::Query { .. });
        match runner.run_async(record).await {
            Ok(_) => passed += usize::from(counts),
            Err(error) => failures.push(error.display(false).to_string()),
        }
    }
    runner.shutdown_async().await;
    Ok(Outcome::Ran { passed, failures })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_and_missing_ones_named() {
        let variables = BTreeMap::from([("PORT".to_owned(), "5432".to_owned())]);
        assert_eq!(substitute("port '${PORT}', x", &variables).as_deref(), Ok("port '5432', x"));
        assert_eq!(substitute("${HOST}", &variables), Err("HOST".to_owned()));
    }
}
