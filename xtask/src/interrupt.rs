//! Ctrl-C and SIGTERM: the command that runs is ended, and then everything as on failure, so that nothing stays behind.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::signal::unix::{SignalKind, signal};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Leader of the process group of the command that runs.
static RUNNING: Mutex<Option<Pid>> = Mutex::new(None);

/// Watches for the signals from now on.
///
/// # Errors
/// The signals cannot be watched.
pub(crate) fn watch(runtime: &tokio::runtime::Runtime) -> Result<()> {
    let _inside = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    runtime.spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        INTERRUPTED.store(true, Ordering::SeqCst);
        if let Some(group) = *running {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::TERM);
        }
    });
    Ok(())
}

/// Starts a command in a process group of its own, which a signal ends.
///
/// # Errors
/// It cannot be started, or a signal came before.
pub(crate) fn spawn(command: &mut Command) -> Result<Child> {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if INTERRUPTED.load(Ordering::SeqCst) {
        bail!("interrupted");
    }
    let child = command.process_group(0).spawn().with_context(|| format!("could not run {command:?}"))?;
    *running = Some(Pid::from_child(&child));
    Ok(child)
}

/// Waits for a command of [`spawn`]. True: it succeeded.
///
/// # Errors
/// A signal ended it.
pub(crate) fn wait(mut child: Child) -> Result<bool> {
    let status = child.wait()?;
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = None;
    if INTERRUPTED.load(Ordering::SeqCst) {
        bail!("interrupted");
    }
    Ok(status.success())
}
