//! What the tests need from Debian's packages.

use std::path::PathBuf;
use std::process::{Command, exit};

use anyhow::{Context, Result, bail};

/// Where a program is, if it is installed.
type Find = fn() -> Option<PathBuf>;

/// A package, and a program that shows it is there.
const PACKAGES: &[(&str, Find)] = &[
    ("postgresql", || postgres_bin().map(|bin| bin.join("postgres"))),
    ("postgresql-client", || on_path("psql")),
    ("mariadb-server", || on_path("mariadbd").or_else(|| on_path("mysqld"))),
];

/// The directory of PostgreSQL's server programs, which Debian keeps off the path; the newest version's.
pub(crate) fn postgres_bin() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop()
}

/// A program on the path, or among the administrator's programs.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// Installs what is missing: as root directly, else by `sudo -n`; else prints the line to run and exits with 3.
pub(crate) fn install() -> Result<()> {
    let missing: Vec<&str> =
        PACKAGES.iter().filter(|(_, found)| found().is_none()).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let Some(apt) = on_path("apt-get") else {
        eprintln!("The tests need these programs: {}. Install them and run again.", missing.join(", "));
        exit(3);
    };
    let sudo = on_path("sudo");
    let prefix: Vec<String> = if rustix::process::geteuid().is_root() {
        Vec::new()
    } else if sudo.as_ref().is_some_and(|sudo| quiet(Command::new(sudo).args(["-n", "true"]))) {
        vec!["sudo".to_owned(), "-n".to_owned()]
    } else {
        eprintln!("The tests need packages that are not installed. Run this, and then the tests again:");
        eprintln!("  sudo apt-get install -y --no-install-recommends {}", missing.join(" "));
        exit(3);
    };
    println!("installing {}", missing.join(" "));
    let run = |arguments: &[&str]| -> Result<bool> {
        let mut words = prefix.clone();
        words.push(apt.display().to_string());
        words.extend(arguments.iter().map(|word| (*word).to_owned()));
        // The packages' own services are not wanted: a policy that forbids starting them lasts for this call only.
        let status = Command::new(&words[0])
            .args(&words[1..])
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("RUNLEVEL", "1")
            .status()
            .context("could not run apt-get")?;
        Ok(status.success())
    };
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(&missing);
    if !run(&install)? {
        run(&["update"])?;
        if !run(&install)? {
            bail!("apt-get could not install {}", missing.join(" "));
        }
    }
    Ok(())
}

/// Checks docker-compose.yml by `docker compose config`. False: there is no docker compose here.
///
/// # Errors
/// The file is not valid.
pub(crate) fn check_compose_file(root: &std::path::Path) -> Result<bool> {
    if on_path("docker").is_none() || !quiet(Command::new("docker").args(["compose", "version"])) {
        return Ok(false);
    }
    let output = Command::new("docker").args(["compose", "config", "--quiet"]).current_dir(root).output()?;
    if !output.status.success() {
        bail!("docker-compose.yml is not valid:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(true)
}

fn quiet(command: &mut Command) -> bool {
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status().is_ok_and(|s| s.success())
}
