#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use super::*;

/// A stream that takes some bytes and then fails.
#[derive(Clone, Default)]
struct Stream {
    taken: Arc<Mutex<Vec<u8>>>,
    room: Option<usize>,
    failure: Option<io::ErrorKind>,
}

impl Stream {
    fn text(&self) -> String {
        String::from_utf8(self.taken.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = self.taken.lock().unwrap();
        let left = self.room.map_or(bytes.len(), |room| room.saturating_sub(taken.len()).min(bytes.len()));
        if left == 0 && !bytes.is_empty() {
            return Err(self.failure.unwrap().into());
        }
        taken.extend(&bytes[..left]);
        Ok(left)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failing(room: usize, failure: io::ErrorKind) -> Stream {
    Stream { room: Some(room), failure: Some(failure), ..Stream::default() }
}

#[test]
fn a_reader_that_goes_away_does_not_change_the_exit_code() {
    let (stdout, stderr) = (failing(4, io::ErrorKind::BrokenPipe), Stream::default());
    let out = Output::to(false, stdout.clone(), stderr.clone());
    out.line("one");
    out.line("two");
    assert_eq!((out.finish(Exit::SomeFailed), out.finish(Exit::Done)), (Exit::SomeFailed, Exit::Done));
    assert_eq!((stdout.text().as_str(), stderr.text().as_str()), ("one\n", ""));
}

#[test]
fn a_full_disk_under_stdout_is_an_error_that_is_told() {
    let (stdout, stderr) = (failing(5, io::ErrorKind::StorageFull), Stream::default());
    let out = Output::to(false, stdout.clone(), stderr.clone());
    out.line("one");
    out.line("two");
    // Half a line is not followed by another one.
    out.line("three");
    assert_eq!(out.finish(Exit::Done), Exit::Environment);
    assert_eq!(stdout.text(), "one\nt");
    assert!(stderr.text().starts_with("error: stdout cannot be written: "), "{}", stderr.text());
}

#[test]
fn a_remark_is_one_line_whatever_its_text() {
    let stderr = Stream::default();
    let out = Output::to(false, Stream::default(), stderr.clone());
    out.note("a\nerror: b\u{1b}[2J");
    out.error("two settings are wrong:\n  a\nb");
    assert_eq!(stderr.text(), "a\\nerror: b\\u{1b}[2J\nerror: two settings are wrong:\n  a\n  b\n");
}

#[test]
fn files_are_printed_as_they_are_where_no_terminal_is() {
    let stdout = Stream::default();
    let out = Output::to(false, stdout.clone(), Stream::default());
    out.file("# \u{202e}");
    out.text("# \u{202e}");
    out.value(&"\u{202e}").unwrap();
    assert_eq!(stdout.text(), "# \u{202e}\n# \\u{202e}\n\"\\u202e\"\n");
}
