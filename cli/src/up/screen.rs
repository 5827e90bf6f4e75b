//! The terminal: lines that scroll by, and on a terminal a table that stays below them.

use std::{
    io::{self, IsTerminal as _, Write},
    sync::Arc,
};

use parking_lot::Mutex;

/// Standard output shared by everybody who writes to it. Clones write to the same screen.
#[derive(Clone, Debug)]
pub struct Screen(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    live: bool,
    /// The table as it is to be shown, one entry a line.
    table: Vec<String>,
    /// Lines of it that are on the screen now.
    drawn: usize,
    /// An unfinished line of the log.
    partial: Vec<u8>,
    /// The log is not shown any more.
    silent: bool,
}

impl Screen {
    /// The screen; with a live table when that is wanted and standard output is a terminal that can draw one.
    pub fn new(live: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let live = live && io::stdout().is_terminal() && !dumb;
        Self(Arc::new(Mutex::new(State { live, table: Vec::new(), drawn: 0, partial: Vec::new(), silent: false })))
    }

    /// Whether there is a live table.
    pub fn is_live(&self) -> bool {
        self.0.lock().live
    }

    /// Writes a line above the table.
    pub fn line(&self, text: &str) {
        let mut state = self.0.lock();
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(b'\n');
        state.print(&bytes);
    }

    /// Replaces the table.
    pub fn table(&self, lines: Vec<String>) {
        let mut state = self.0.lock();
        if state.live {
            state.table = lines;
            state.print(&[]);
        }
    }

    /// Leaves the table on the screen as it last was; nothing is drawn any more, and nothing logged: what the last
    /// clients say of a broker that goes is no news.
    pub fn finish(&self) {
        let mut state = self.0.lock();
        state.live = false;
        state.drawn = 0;
        state.silent = true;
    }
}

impl State {
    fn print(&mut self, above: &[u8]) {
        let mut out: Vec<u8> = Vec::new();
        if self.drawn > 0 {
            // To the start of the table, and clear from there on.
            out.extend(format!("\x1b[{}A\r\x1b[J", self.drawn).as_bytes());
        }
        out.extend(above);
        self.drawn = 0;
        if self.live {
            // A line that wraps, or a table higher than the screen, could not be found again.
            let (width, height) = terminal_size::terminal_size()
                .map_or((80, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)));
            for line in self.table.iter().take(height.saturating_sub(1)) {
                out.extend(clip(line, width).as_bytes());
                out.push(b'\n');
                self.drawn += 1;
            }
        }
        let mut stdout = io::stdout().lock();
        // Whoever reads our output may have gone; the records flow on.
        let _ = stdout.write_all(&out).and_then(|()| stdout.flush());
    }
}

/// The first `width` characters of a line that may hold colours.
fn clip(line: &str, width: usize) -> String {
    let mut clipped = String::new();
    let mut shown = 0;
    let mut escape = false;
    for character in line.chars() {
        if escape {
            escape = !character.is_ascii_alphabetic();
        } else if character == '\x1b' {
            escape = true;
        } else {
            shown += 1;
            if shown > width {
                // The end of colours must not be cut away.
                if clipped.contains('\x1b') {
                    clipped.push_str("\x1b[0m");
                }
                break;
            }
        }
        clipped.push(character);
    }
    clipped
}

/// The log goes above the table too, a line at a time.
#[derive(Debug)]
pub struct LogWriter(Screen);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.0.lock();
        if state.silent {
            return Ok(bytes.len());
        }
        state.partial.extend(bytes);
        if let Some(end) = state.partial.iter().rposition(|byte| *byte == b'\n') {
            let rest = state.partial.split_off(end + 1);
            let lines = std::mem::replace(&mut state.partial, rest);
            if state.live {
                state.print(&lines);
            } else {
                // Without a table the log is apart from what `up` says.
                io::stderr().lock().write_all(&lines)?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Screen {
    type Writer = LogWriter;

    fn make_writer(&'a self) -> LogWriter {
        LogWriter(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_to_the_width_and_its_colours_are_closed() {
        assert_eq!(clip("abcdef", 4), "abcd");
        assert_eq!(clip("abc", 4), "abc");
        assert_eq!(clip("\x1b[32mTrue\x1b[0m", 4), "\x1b[32mTrue\x1b[0m");
        assert_eq!(clip("\x1b[32mTruely\x1b[0m", 4), "\x1b[32mTrue\x1b[0m");
    }
}
