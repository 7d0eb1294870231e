//! The settings that there are.

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// As `SHOW ALL` prints it; looked up without regard to case.
    pub name: &'static str,
    /// The value of a new session.
    pub default: &'static str,
    /// For `SHOW ALL` and `pg_settings`.
    pub description: &'static str,
    /// Sent as ParameterStatus.
    pub reported: bool,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    Bool,
    /// Bounds, inclusive.
    Integer(i64, i64),
    /// Milliseconds; 0 is off.
    Time,
    /// Bytes, PostgreSQL's unit being kB; at least so many kB.
    Memory(u64),
    Choice(&'static [&'static str]),
    /// Another value is refused.
    Fixed,
    DateStyle,
    TimeZone,
    SearchPath,
    Encoding,
}

const fn setting(name: &'static str, default: &'static str, kind: Kind, description: &'static str) -> Definition {
    Definition { name, default, description, reported: false, kind }
}

/// A switch of PostgreSQL's planner, which has nothing to act on here.
const fn planner(name: &'static str, default: &'static str, description: &'static str) -> Definition {
    setting(name, default, Kind::Bool, description)
}

const fn reported(definition: Definition) -> Definition {
    Definition { reported: true, ..definition }
}

const ON_OFF_PARTITION: &[&str] = &["partition", "on", "off"];
const ISOLATION: &[&str] = &["serializable", "repeatable read", "read committed", "read uncommitted"];
const MESSAGE_LEVELS: &[&str] =
    &["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"];

/// The version that clients are told: the PostgreSQL whose behaviour is followed.
pub const SERVER_VERSION: &str = "15.0";

/// Every setting, sorted by name without regard to case.
pub static DEFINITIONS: &[Definition] = &[
    reported(setting(
        "application_name",
        "",
        Kind::Text,
        "Sets the application name to be reported in statistics and logs.",
    )),
    setting(
        "atoll.decimal_sums",
        "on",
        Kind::Bool,
        "Adds up what is computed of decimals in machine integers while they hold it.",
    ),
    setting(
        "atoll.dynamic_filters",
        "on",
        Kind::Bool,
        "Sends the keys that a join has read to the scans of its other side.",
    ),
    setting(
        "atoll.foreign_tables_as_tables",
        "off",
        Kind::Bool,
        "Shows foreign tables as ordinary tables in the system catalogs.",
    ),
    setting("atoll.pushdown", "on", Kind::Bool, "Sends what sources can compute to them."),
    setting("atoll.pushdown_aggregates", "on", Kind::Bool, "Sends grouping and aggregates to the sources."),
    setting("atoll.pushdown_joins", "on", Kind::Bool, "Sends joins of one source's tables to it."),
    setting(
        "atoll.query_memory",
        "1GB",
        Kind::Memory(0),
        "Sets the memory that one query may use before it spills to disk.",
    ),
    setting(
        "atoll.scan_partitions",
        "0",
        Kind::Integer(0, 1024),
        "Sets the partitions of a query's plan; 0 means the number of cores.",
    ),
    setting(
        "backslash_quote",
        "safe_encoding",
        Kind::Choice(&["safe_encoding", "on", "off"]),
        "Sets whether \"\\'\" is allowed in string literals.",
    ),
    setting("bytea_output", "hex", Kind::Choice(&["escape", "hex"]), "Sets the output format for bytea."),
    setting(
        "check_function_bodies",
        "on",
        Kind::Bool,
        "Check routine bodies during CREATE FUNCTION and CREATE PROCEDURE.",
    ),
    reported(setting("client_encoding", "UTF8", Kind::Encoding, "Sets the client's character set encoding.")),
    setting(
        "client_min_messages",
        "notice",
        Kind::Choice(MESSAGE_LEVELS),
        "Sets the message levels that are sent to the client.",
    ),
    reported(setting("DateStyle", "ISO, MDY", Kind::DateStyle, "Sets the display format for date and time values.")),
    setting("default_tablespace", "", Kind::Text, "Sets the default tablespace to create tables and indexes in."),
    setting("default_table_access_method", "heap", Kind::Text, "Sets the default table access method for new tables."),
    setting(
        "default_transaction_deferrable",
        "off",
        Kind::Bool,
        "Sets the default deferrable status of new transactions.",
    ),
    setting(
        "default_transaction_isolation",
        "read committed",
        Kind::Choice(ISOLATION),
        "Sets the transaction isolation level of each new transaction.",
    ),
    reported(setting(
        "default_transaction_read_only",
        "off",
        Kind::Bool,
        "Sets the default read-only status of new transactions.",
    )),
    planner("enable_async_append", "on", "Enables the planner's use of async append plans."),
    planner("enable_bitmapscan", "on", "Enables the planner's use of bitmap-scan plans."),
    planner("enable_gathermerge", "on", "Enables the planner's use of gather merge plans."),
    planner("enable_hashagg", "on", "Enables the planner's use of hashed aggregation plans."),
    planner("enable_hashjoin", "on", "Enables the planner's use of hash join plans."),
    planner("enable_incremental_sort", "on", "Enables the planner's use of incremental sort steps."),
    planner("enable_indexonlyscan", "on", "Enables the planner's use of index-only-scan plans."),
    planner("enable_indexscan", "on", "Enables the planner's use of index-scan plans."),
    planner("enable_material", "on", "Enables the planner's use of materialization."),
    planner("enable_memoize", "on", "Enables the planner's use of memoization."),
    planner("enable_mergejoin", "on", "Enables the planner's use of merge join plans."),
    planner("enable_nestloop", "on", "Enables the planner's use of nested-loop join plans."),
    planner("enable_parallel_append", "on", "Enables the planner's use of parallel append plans."),
    planner("enable_parallel_hash", "on", "Enables the planner's use of parallel hash plans."),
    planner("enable_partition_pruning", "on", "Enables the planner's use of pruning of partitions."),
    planner(
        "enable_partitionwise_aggregate",
        "off",
        "Enables the planner's use of partitionwise aggregation and grouping.",
    ),
    planner("enable_partitionwise_join", "off", "Enables the planner's use of partitionwise joins."),
    planner("enable_seqscan", "on", "Enables the planner's use of sequential-scan plans."),
    planner("enable_sort", "on", "Enables the planner's use of explicit sort steps."),
    planner("enable_tidscan", "on", "Enables the planner's use of TID scan plans."),
    setting(
        "extra_float_digits",
        "1",
        Kind::Integer(-15, 3),
        "Sets the number of digits displayed for floating-point values.",
    ),
    setting("geqo", "on", Kind::Bool, "Enables genetic query optimization."),
    setting(
        "idle_in_transaction_session_timeout",
        "0",
        Kind::Time,
        "Sets the maximum allowed idle time between queries, when in a transaction.",
    ),
    setting(
        "idle_session_timeout",
        "0",
        Kind::Time,
        "Sets the maximum allowed idle time between queries, when not in a transaction.",
    ),
    reported(setting("in_hot_standby", "off", Kind::Fixed, "Shows whether hot standby is currently active.")),
    reported(setting("integer_datetimes", "on", Kind::Fixed, "Shows whether datetimes are integer based.")),
    reported(setting(
        "IntervalStyle",
        "postgres",
        Kind::Choice(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
        "Sets the display format for interval values.",
    )),
    reported(setting("is_superuser", "off", Kind::Fixed, "Shows whether the current user is a superuser.")),
    setting("jit", "off", Kind::Bool, "Allow JIT compilation."),
    setting("lc_collate", "C", Kind::Fixed, "Shows the collation order locale."),
    setting("lc_ctype", "C", Kind::Fixed, "Shows the character classification and case conversion locale."),
    setting("lc_messages", "C", Kind::Text, "Sets the language in which messages are displayed."),
    setting("lc_monetary", "C", Kind::Text, "Sets the locale for formatting monetary amounts."),
    setting("lc_numeric", "C", Kind::Text, "Sets the locale for formatting numbers."),
    setting("lc_time", "C", Kind::Text, "Sets the locale for formatting date and time values."),
    setting("lock_timeout", "0", Kind::Time, "Sets the maximum allowed duration of any wait for a lock."),
    setting("max_identifier_length", "63", Kind::Fixed, "Shows the maximum identifier length."),
    setting("max_index_keys", "32", Kind::Fixed, "Shows the maximum number of index keys."),
    setting("quote_all_identifiers", "off", Kind::Bool, "When generating SQL fragments, quote all identifiers."),
    setting("role", "none", Kind::Fixed, "Sets the current role."),
    setting(
        "password_encryption",
        "scram-sha-256",
        Kind::Choice(&["scram-sha-256"]),
        "Chooses the algorithm for encrypting passwords.",
    ),
    setting("row_security", "on", Kind::Bool, "Enable row security."),
    setting(
        "search_path",
        "\"$user\", public",
        Kind::SearchPath,
        "Sets the schema search order for names that are not schema-qualified.",
    ),
    reported(setting("server_encoding", "UTF8", Kind::Fixed, "Shows the server (database) character set encoding.")),
    reported(setting("server_version", SERVER_VERSION, Kind::Fixed, "Shows the server version.")),
    setting("server_version_num", "150000", Kind::Fixed, "Shows the server version as an integer."),
    reported(setting("session_authorization", "", Kind::Fixed, "Sets the session user name.")),
    setting("ssl", "off", Kind::Fixed, "Enables SSL connections."),
    reported(setting(
        "standard_conforming_strings",
        "on",
        Kind::Fixed,
        "Causes '...' strings to treat backslashes literally.",
    )),
    setting("statement_timeout", "0", Kind::Time, "Sets the maximum allowed duration of any statement."),
    setting("synchronize_seqscans", "on", Kind::Bool, "Enable synchronized sequential scans."),
    setting("synchronous_commit", "on", Kind::Text, "Sets the current transaction's synchronization level."),
    setting("tcp_keepalives_idle", "0", Kind::Integer(0, i32::MAX as i64), "Time between issuing TCP keepalives."),
    reported(setting(
        "TimeZone",
        "UTC",
        Kind::TimeZone,
        "Sets the time zone for displaying and interpreting time stamps.",
    )),
    setting(
        "transaction_deferrable",
        "off",
        Kind::Bool,
        "Whether to defer a read-only serializable transaction until it can be executed with no possible serialization failures.",
    ),
    setting(
        "transaction_isolation",
        "read committed",
        Kind::Choice(ISOLATION),
        "Sets the current transaction's isolation level.",
    ),
    setting("transaction_read_only", "off", Kind::Bool, "Sets the current transaction's read-only status."),
    setting("work_mem", "4MB", Kind::Memory(64), "Sets the maximum memory to be used for query workspaces."),
    setting(
        "xmlbinary",
        "base64",
        Kind::Choice(&["base64", "hex"]),
        "Sets how binary values are to be encoded in XML.",
    ),
    setting(
        "xmloption",
        "content",
        Kind::Choice(&["content", "document"]),
        "Sets whether XML data in implicit parsing and serialization operations is to be considered as documents or content fragments.",
    ),
    setting(
        "constraint_exclusion",
        "partition",
        Kind::Choice(ON_OFF_PARTITION),
        "Enables the planner to use constraints to optimize queries.",
    ),
];

impl Definition {
    /// It cannot be changed.
    pub fn is_fixed(&self) -> bool {
        matches!(self.kind, Kind::Fixed)
    }

    /// `pg_settings.vartype`.
    pub fn value_type(&self) -> &'static str {
        match self.kind {
            Kind::Bool => "bool",
            Kind::Integer(..) | Kind::Time | Kind::Memory(_) => "integer",
            Kind::Choice(_) => "enum",
            _ => "string",
        }
    }
}

/// Settings of PostgreSQL's planner and server that clients set and that have nothing to act on here.
pub(super) const WITHOUT_EFFECT: &[&str] = &[
    "geqo_",
    "log_",
    "debug_",
    "cursor_tuple_fraction",
    "random_page_cost",
    "seq_page_cost",
    "cpu_",
    "parallel_",
    "max_parallel_",
    "plan_cache_mode",
    "commit_delay",
    "vacuum_",
    "maintenance_work_mem",
    "temp_buffers",
    "effective_cache_size",
    "default_statistics_target",
    "from_collapse_limit",
    "join_collapse_limit",
    "gin_",
    "escape_string_warning",
    "array_nulls",
    "transform_null_equals",
    "exit_on_error",
    "local_preload_libraries",
    "session_preload_libraries",
    "tcp_",
    "track_",
    "wal_",
    "huge_pages",
    "lo_compat_privileges",
    "operator_precedence_warning",
    "ssl_renegotiation_limit",
];

/// The definition of a setting.
pub fn definition(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.name.eq_ignore_ascii_case(name))
}
