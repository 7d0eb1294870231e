//! The connectors, one for each format.

use std::sync::Arc;

use atoll_connector_api::{Connector, ForeignSource, OptionScope, OptionSpec, Options, Result, ServerSpec};

use crate::location::Location;
use crate::options::{self, Format, TableOptions};
use crate::source::FilesSource;

/// Reads files of one format.
#[derive(Debug)]
struct FilesConnector {
    format: Format,
}

/// All connectors of this crate.
pub(crate) fn all() -> Vec<Arc<dyn Connector>> {
    [Format::Parquet, Format::Csv, Format::Json]
        .into_iter()
        .map(|format| Arc::new(FilesConnector { format }) as Arc<dyn Connector>)
        .collect()
}

impl Connector for FilesConnector {
    fn wrapper(&self) -> &'static str {
        self.format.name()
    }

    fn options(&self) -> &'static [OptionSpec] {
        match self.format {
            Format::Parquet => options::PARQUET,
            Format::Csv => options::CSV,
            Format::Json => options::JSON,
        }
    }

    fn check(&self, scope: OptionScope, options: &Options) -> Result<()> {
        match scope {
            OptionScope::Table => TableOptions::parse(options, "the foreign table").map(|_| ()),
            OptionScope::Server => match options.get("location") {
                Some(location) => Location::parse(location).map(|_| ()).map_err(|reason| {
                    atoll_connector_api::ConnectorError::OptionValue { option: "location".into(), reason }
                }),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn open(&self, server: ServerSpec) -> Result<Arc<dyn ForeignSource>> {
        Ok(Arc::new(FilesSource::new(self.format, self.options(), server)?))
    }
}
