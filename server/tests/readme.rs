//! The README is true: its tour prints what the demo prints, and its tables name every option and setting.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const PROMPT: &str = "atoll=> ";

fn readme() -> String {
    // Read at run time: clones that share a target directory share this program.
    let server = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap();
    std::fs::read_to_string(server.join("../README.md")).unwrap()
}

/// A running demo. Dropping it ends it.
struct Demo {
    child: Child,
    url: String,
    /// What a demo that is killed leaves behind.
    _scratch: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_atoll"))
            .args(["demo", "--listen", "127.0.0.1:0"])
            .env("TMPDIR", scratch.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.map_while(Result::ok).find_map(|line| Some(line.split('\'').nth(1)?.to_owned()));
        Self { child, url: url.unwrap(), _scratch: scratch }
    }

    /// What psql prints for one statement or command.
    fn psql(&self, statement: &str) -> String {
        let output = Command::new("psql")
            .args(["-X", "-q", "-d", &self.url, "-c", statement])
            .env("PGCLIENTENCODING", "UTF8")
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        format!("{}{error}", String::from_utf8(output.stdout).unwrap())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The statements of the tour, each with what the README says that it prints.
fn tour(readme: &str) -> Vec<(String, String)> {
    let mut steps: Vec<(String, String)> = Vec::new();
    for block in readme.split("```").skip(1).step_by(2).filter(|block| block.contains(PROMPT)) {
        let mut typing = false;
        for line in block.lines().skip(1) {
            if let Some(start) = line.strip_prefix(PROMPT) {
                steps.push((start.to_owned(), String::new()));
                typing = !(start.starts_with('\\') || start.ends_with(';'));
            } else if typing {
                let (statement, _) = steps.last_mut().unwrap();
                statement.push('\n');
                statement.push_str(line);
                typing = !line.ends_with(';');
            } else if let Some((_, printed)) = steps.last_mut() {
                printed.push_str(line);
                printed.push('\n');
            }
        }
    }
    steps
}

/// Lines without the blanks at their ends; of a plan only what does not depend on the number of cores.
fn comparable(statement: &str, printed: &str) -> Vec<String> {
    let plan = statement.starts_with("EXPLAIN");
    let lines = printed.lines().map(|line| line.trim_end().to_owned());
    let lines = lines.filter(|line| !line.is_empty() && (!plan || line.contains("ForeignScanExec")));
    lines.map(|line| if plan { line.trim_start().to_owned() } else { line }).collect()
}

#[test]
fn the_tour_prints_what_the_readme_says() {
    if Command::new("psql").arg("--version").output().is_err() {
        println!("SKIPPED the_tour_prints_what_the_readme_says: no psql");
        return;
    }
    let steps = tour(&readme());
    assert!(steps.len() >= 6, "{steps:?}");
    let demo = Demo::start();
    for (statement, expected) in &steps {
        let printed = demo.psql(statement);
        assert_eq!(comparable(statement, &printed), comparable(statement, expected), "{statement}");
    }
}

#[test]
fn the_examples_of_the_demo_run() {
    if Command::new("psql").arg("--version").output().is_err() {
        println!("SKIPPED the_examples_of_the_demo_run: no psql");
        return;
    }
    let demo = Demo::start();
    for statement in ["SELECT count(*) FROM sales", "SELECT carrier, count(*) FROM shipments GROUP BY carrier"] {
        let printed = demo.psql(statement);
        assert!(printed.contains("row") && !printed.contains("ERROR"), "{printed}");
    }
}

#[test]
fn every_option_is_in_the_tables() {
    let readme = readme();
    let options = readme.split("## Options").nth(1).unwrap().split("## The folders").next().unwrap();
    let registry = atoll::host::Registry::default();
    for wrapper in registry.names() {
        for option in registry.get(wrapper).unwrap().options().iter().filter(|option| !option.ignored) {
            assert!(options.contains(&format!("`{}`", option.name)), "{wrapper}: {}", option.name);
        }
    }
}

#[test]
fn every_setting_of_ours_is_in_the_table() {
    let readme = readme();
    for setting in atoll::session::settings::DEFINITIONS.iter().filter(|setting| setting.name.starts_with("atoll.")) {
        assert!(readme.contains(&format!("| `{}` | {} |", setting.name, setting.default)), "{}", setting.name);
    }
}
