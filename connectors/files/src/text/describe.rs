//! Columns of text files for which none are declared: names from the header or the keys, types from the first values.

use atoll_connector_api::types::PgType;
use atoll_connector_api::{ColumnDefinition, Result};

use super::COLUMNS_MAX;
use super::csv::{Records, distinct_names};
use super::infer::Guess;
use super::input::Input;
use super::json::{Kind, Members, Objects, Value, key_text, too_many_keys};
use crate::error::Owner;
use crate::listing::{FileEntry, REQUESTS_MAX, at_once};
use crate::options::{Format, Header, TableOptions};

/// Files whose first rows are looked at.
const FILES_LOOKED_AT_MAX: usize = 16;

/// Names and guesses, in the file's order.
type Sample = Vec<(String, Guess)>;

/// The columns of text files, partition columns left out.
///
/// # Errors
/// Reading errors; files whose headers differ.
pub(crate) async fn describe(
    owner: &Owner,
    format: Format,
    options: &TableOptions,
    files: &[FileEntry],
) -> Result<Vec<ColumnDefinition>> {
    // A part of the rows of each file: types follow from all of them, not from the oldest alone.
    let looked_at = &files[..files.len().min(FILES_LOOKED_AT_MAX)];
    let rows = options.infer_rows.div_ceil(looked_at.len().max(1));
    let sampling = looked_at.iter().map(|file| async move {
        match format {
            Format::Json => sample_json(owner, options, file, rows).await,
            _ => sample_csv(owner, options, file, rows).await,
        }
    });
    let samples = at_once(REQUESTS_MAX, sampling.collect()).await?;
    let merged = match format {
        Format::Json => merge_json(samples.into_iter()),
        _ => merge_csv(owner, looked_at, samples)?,
    };
    if merged.is_empty() {
        let path = files.first().map(FileEntry::display).unwrap_or_default();
        return Err(owner.format(&path, format.title(), "it is empty, so that it names no columns"));
    }
    if merged.len() > COLUMNS_MAX {
        let path = files.first().map(FileEntry::display).unwrap_or_default();
        return Err(owner.limit(&path, format!("has more than {COLUMNS_MAX} columns")));
    }
    Ok(merged.into_iter().enumerate().map(|(index, (name, guess))| column(index, name, guess.data_type())).collect())
}

/// A column's definition; one without a name gets one of ours and keeps its own as an option.
fn column(index: usize, name: String, data_type: PgType) -> ColumnDefinition {
    if !name.is_empty() {
        return ColumnDefinition::new(name, data_type);
    }
    let mut definition = ColumnDefinition::new(format!("column{}", index + 1), data_type);
    definition.options.set("column_name", "");
    definition
}

async fn sample_csv(owner: &Owner, options: &TableOptions, file: &FileEntry, rows: usize) -> Result<Sample> {
    let mut records = Records::new(Input::open(owner, file, options)?, options);
    let mut sample: Sample = Vec::new();
    let header = options.csv.header != Header::No;
    if header && records.next().await? {
        sample = distinct_names(&records.names()).into_iter().map(|name| (name, Guess::default())).collect();
    }
    let mut seen = 0;
    while seen < rows && records.next().await? {
        if !header && seen == 0 {
            sample = (1..=records.width()).map(|index| (format!("column{index}"), Guess::default())).collect();
        }
        for (index, (_, guess)) in sample.iter_mut().enumerate() {
            if let Some((text, quoted)) = records.field(index)
                && (quoted || text != options.csv.null)
            {
                guess.text(text);
            }
        }
        seen += 1;
    }
    Ok(sample)
}

/// All files must have the columns of the first, in any order.
fn merge_csv(owner: &Owner, files: &[FileEntry], samples: Vec<Sample>) -> Result<Sample> {
    let mut samples = samples.into_iter().zip(files).filter(|(sample, _)| !sample.is_empty());
    let Some((mut merged, first)) = samples.next() else { return Ok(Vec::new()) };
    for (sample, file) in samples {
        for (name, guess) in &sample {
            match merged.iter_mut().find(|(known, _)| known == name) {
                Some((_, common)) => common.merge(guess),
                None => {
                    let reason = format!("its column \"{name}\" is not in \"{}\"", first.display());
                    return Err(owner.unreadable(&file.display(), reason));
                }
            }
        }
        if let Some((name, _)) = merged.iter().find(|(name, _)| !sample.iter().any(|(other, _)| other == name)) {
            let reason = format!("it lacks the column \"{name}\" of \"{}\"", first.display());
            return Err(owner.unreadable(&file.display(), reason));
        }
    }
    Ok(merged)
}

/// Keys in the order in which they first appear.
#[derive(Debug, Default)]
struct Keys {
    sample: Sample,
    attempt: Vec<(Vec<u8>, Kind, std::ops::Range<usize>)>,
}

impl Members for Keys {
    fn begin(&mut self) {
        self.attempt.clear();
    }

    fn member(&mut self, key: &[u8], value: Value) {
        // One more than may be tells that there are too many.
        if !too_many_keys(self.attempt.len()) {
            self.attempt.push((key.to_vec(), value.kind, value.range));
        }
    }
}

impl Keys {
    fn take(&mut self, object: &str) {
        for (key, kind, range) in std::mem::take(&mut self.attempt) {
            let Some(key) = key_text(&key) else { continue };
            let index = match self.sample.iter().position(|(known, _)| *known == key) {
                Some(index) => index,
                None => {
                    self.sample.push((key.into_owned(), Guess::default()));
                    self.sample.len() - 1
                }
            };
            let guess = &mut self.sample[index].1;
            match kind {
                Kind::Null => {}
                Kind::Boolean => guess.json_boolean(),
                Kind::Number => guess.json_number(object.get(range).unwrap_or_default()),
                Kind::String => guess.json_string(),
                Kind::Nested => guess.json_nested(),
            }
        }
    }
}

async fn sample_json(owner: &Owner, options: &TableOptions, file: &FileEntry, rows: usize) -> Result<Sample> {
    let mut objects = Objects::new(Input::open(owner, file, options)?);
    let mut keys = Keys::default();
    let mut seen = 0;
    while seen < rows && objects.next(&mut keys).await? {
        keys.take(objects.text());
        if too_many_keys(keys.sample.len()) {
            return Err(owner.limit(&file.display(), format!("has more than {COLUMNS_MAX} columns")));
        }
        seen += 1;
    }
    Ok(keys.sample)
}

fn merge_json(samples: impl Iterator<Item = Sample>) -> Sample {
    let mut merged: Sample = Vec::new();
    for (name, guess) in samples.flatten() {
        match merged.iter_mut().find(|(known, _)| *known == name) {
            Some((_, common)) => common.merge(&guess),
            None => merged.push((name, guess)),
        }
    }
    merged
}
