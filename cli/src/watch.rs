//! A view that is drawn again and again, until the user leaves it.

use std::{
    io::{self, Write},
    time::Duration,
};

use crossterm::{
    cursor::{Hide, MoveTo, Show},
    event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    execute, queue,
    style::Print,
    terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen},
};

use crate::{failure::Failure, output::Output};

/// The screen of a view. It is restored when this value is dropped.
struct Screen;

impl Screen {
    fn open() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let screen = Self;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(screen)
    }

    fn draw(text: &str) -> io::Result<()> {
        let (columns, rows) = terminal::size()?;
        let mut stdout = io::stdout().lock();
        queue!(stdout, MoveTo(0, 0))?;
        // A line that is longer than the screen would move all others.
        for line in text.lines().take(usize::from(rows.max(2)) - 1) {
            let shown: String = line.chars().take(usize::from(columns)).collect();
            queue!(stdout, Print(shown), Clear(ClearType::UntilNewLine), Print("\r\n"))?;
        }
        queue!(stdout, Clear(ClearType::FromCursorDown))?;
        stdout.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}

/// Draws `view` at each interval until q, Escape or Ctrl-C. A failure of a later view is shown, and
/// the view is tried again.
///
/// # Errors
/// [`Failure`] if standard output is no terminal, or the first view fails.
pub async fn watch(interval: Duration, mut view: impl AsyncFnMut() -> Result<String, Failure>) -> Result<(), Failure> {
    if !Output::is_terminal() {
        return Err(Failure::usage("--watch needs a terminal").next("add --json to follow the changes in a script"));
    }
    let mut text = view().await?;
    let failed = |error: io::Error| Failure::internal(format!("cannot draw on the terminal: {error}"));
    let _screen = Screen::open().map_err(failed)?;
    loop {
        Screen::draw(&format!("{text}\n\nq ends this view")).map_err(failed)?;
        let ended = tokio::task::spawn_blocking(move || is_left_within(interval)).await;
        if ended.map_err(|error| Failure::internal(error.to_string()))?.map_err(failed)? {
            return Ok(());
        }
        match view().await {
            Ok(new) => text = new,
            Err(failure) => {
                let last = text.rsplit_once("\n\nlast attempt failed: ").map_or(text.as_str(), |(last, _)| last);
                text = format!("{last}\n\nlast attempt failed: {failure}");
            }
        }
    }
}

/// Waits for the interval. Whether the user has left the view.
fn is_left_within(interval: Duration) -> io::Result<bool> {
    let end = std::time::Instant::now() + interval;
    loop {
        let left = end.saturating_duration_since(std::time::Instant::now());
        if !event::poll(left)? {
            return Ok(false);
        }
        match event::read()? {
            Event::Key(key) if key.kind == KeyEventKind::Press => {
                let is_control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if is_control_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                    return Ok(true);
                }
            }
            // The view is drawn in the new size at once.
            Event::Resize(..) => return Ok(false),
            _ => {}
        }
    }
}
