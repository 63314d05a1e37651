//! Signals are process-wide: their tests run in processes of their own.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use precis_telemetry::Shutdown;

/// Set for the helper process alone, so that the helper ends at once in a run of all ignored tests.
const HELPER: &str = "PRECIS_TEST_SHUTDOWN_HELPER";

const SIGNAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Run by the tests below in a process of its own: says when it listens, when it was told to stop,
/// and stays.
#[tokio::test]
#[ignore = "a helper: the tests beside it start it"]
async fn service() {
    if std::env::var_os(HELPER).is_none() {
        return;
    }
    let token = Shutdown::from_signals().unwrap();
    println!("\nlistening");
    let stay = async {
        token.cancelled().await;
        println!("\ncancelled");
        std::future::pending::<()>().await;
    };
    // Without the signals, the tests shall fail and not wait for ever.
    drop(tokio::time::timeout(SIGNAL_TIMEOUT, stay).await);
}

struct Service(Child, BufReader<std::process::ChildStdout>);

impl Service {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "service", "--nocapture"])
            .env(HELPER, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut service = Self(child, output);
        service.wait_for("listening");
        service
    }

    fn wait_for(&mut self, line: &str) {
        let found = (&mut self.1).lines().any(|read| read.unwrap().trim() == line);
        assert!(found, "the service ended before it said {line}");
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.0.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn sigterm_cancels_and_does_not_end_the_process() {
    let mut service = Service::start();
    service.signal("TERM");
    service.wait_for("cancelled");
    assert_eq!(service.0.try_wait().unwrap(), None);
}

#[test]
fn a_first_sigint_cancels_and_a_second_ends_the_process() {
    let mut service = Service::start();
    service.signal("INT");
    service.wait_for("cancelled");
    service.signal("INT");
    assert_eq!(service.0.wait().unwrap().code(), Some(130));
}
