//! Variables of the environment that look like settings and are none.

use clap::CommandFactory;

use super::CommandLine;

const PREFIX: &str = "ATOLL_";
/// Secrets: no setting of the command line, see [`super::EnvironmentSecrets`].
const SECRETS: [&str; 2] = ["ATOLL_PASSWORD", "ATOLL_MASTER_KEY"];
/// Of the tests that run beside a server.
const TESTS_PREFIX: &str = "ATOLL_TEST_";

/// The names among `names` that begin like a setting's and that nothing reads: misspelt, most likely. `secrets` are those
/// that user mappings may name.
pub fn unknown_variables(names: impl IntoIterator<Item = String>, secrets: &[String]) -> Vec<String> {
    let command = CommandLine::command();
    let known: Vec<&str> = command
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .filter_map(|argument| argument.get_env()?.to_str())
        .collect();
    let mut unknown: Vec<String> = names
        .into_iter()
        .filter(|name| name.starts_with(PREFIX) && !name.starts_with(TESTS_PREFIX))
        .filter(|name| !known.contains(&name.as_str()) && !SECRETS.contains(&name.as_str()) && !secrets.contains(name))
        .collect();
    unknown.sort();
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nothing_reads_is_unknown() {
        let names = ["ATOLL_NOSUCH", "ATOLL_LISTEN", "ATOLL_PASSWORD", "ATOLL_TEST_X", "PATH", "ATOLL_MINE"];
        let unknown = unknown_variables(names.map(str::to_owned), &["ATOLL_MINE".to_owned()]);
        assert_eq!(unknown, ["ATOLL_NOSUCH"]);
    }
}
