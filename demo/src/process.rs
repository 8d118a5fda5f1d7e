//! A child process that ends with its value.

use std::{
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};

use crate::error::ServerError;

/// How long a process may take to end before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A running process, with all processes that it starts.
#[derive(Debug)]
pub struct Process {
    pub name: String,
    child: Child,
}

impl Process {
    /// Starts a process. Its group differs from that of this program: Ctrl-C in the terminal
    /// reaches only this program, which then ends the process.
    pub fn start(name: &str, command: &mut Command) -> Result<Self, ServerError> {
        let spawned = command.process_group(0).spawn();
        let program = || command.get_program().to_string_lossy().into_owned();
        let child = spawned.map_err(|source| ServerError::Spawn { program: program(), source })?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// How the process ended, if it has.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            // It fails if the group has ended, which is the goal.
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exit_status().is_some() {
            return;
        }
        self.signal(Signal::TERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            if self.exit_status().is_some() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}
