//! What a native connector is to the server: the connector trait over DataFusion's public traits.

pub mod error;
pub mod estimate;
#[doc(hidden)]
pub mod fuzzing;
pub mod interrupt;
pub mod joined_rows;
pub mod joins;
pub mod keys;
pub mod network;
pub mod options;
pub mod paths;
pub mod pushdown;
pub mod remote;
pub mod scan;
pub mod source;
pub mod sql_table;
pub mod statement;
pub mod subplan;
pub mod types;

pub use error::{ConnectorError, Notes, Result};
pub use options::{OptionScope, OptionSpec, Options};
pub use remote::RemoteText;
pub use source::{
    ColumnDefinition, Connector, ConnectorContext, Described, ForeignSource, ServerSpec, TableDefinition, TableKind,
    TableSpec, TableSummary,
};
