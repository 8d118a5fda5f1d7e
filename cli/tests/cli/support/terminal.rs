//! The program on a pseudo-terminal.

use std::{
    io::{Read, Write},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::Program;

/// How long the program may take to show something.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A running program, with what it has written to its terminal.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts the program on a terminal of 140 columns and 40 rows.
    pub fn start(program: &Program) -> Self {
        let size = PtySize { rows: 40, cols: 140, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(program.arguments());
        command.env_clear();
        program.environment().into_iter().for_each(|(name, value)| command.env(name, value));
        command.env("TERM", "xterm-256color");
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let keyboard = pair.master.take_writer().expect("a writer");
        let written = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&written);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                all.lock().unwrap().extend_from_slice(&buffer[..read]);
            }
        });
        Self { child, _master: pair.master, keyboard, written }
    }

    /// All that the program has written so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    /// Waits until the program has written `part`, behind the first `after` bytes. Returns how much
    /// it has written.
    pub async fn wait_for(&self, part: &str, after: usize) -> usize {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let text = self.text();
            if text.get(after..).is_some_and(|text| text.contains(part)) {
                return text.len();
            }
            assert!(Instant::now() < deadline, "no {part:?} on the terminal:\n{text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the program reads its keyboard");
        self.keyboard.flush().expect("the program reads its keyboard");
    }

    /// Waits for the end of the program, and returns its exit code.
    pub async fn ended(&mut self) -> u32 {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().expect("the status is known") {
                return status.exit_code();
            }
            assert!(Instant::now() < deadline, "the program does not end:\n{}", self.text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}
