//! Runs the binary in a state folder of its own.

use std::io::{BufRead as _, BufReader, Lines, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A policy whose one tier is off: the router settles every document itself, as failed.
pub(crate) const NO_TIER: &str = r#"
version = 1
on_exhausted = "fail"

[[tiers]]
name = "gpu"
kind = "gpu"
share = 1.0
max_sensitivity = "restricted"
enabled = false
"#;

/// A deployment on one machine, in a folder that goes with it.
pub(crate) struct Deployment {
    folder: TempDir,
}

/// A command that has ended.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Each line of stdout as JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
    }

    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self
    }
}

impl Deployment {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_precis"));
        command.args(arguments).arg("--state").arg(self.path("state")).current_dir(self.folder.path());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PRECIS_") && name != "PRECIS_MODELS_DIR")
        {
            command.env_remove(name);
        }
        // Nor is the manifest read that the user of this machine has.
        command.env("XDG_CONFIG_HOME", self.path("config")).env_remove("HF_ENDPOINT").env_remove("HF_TOKEN");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        self.run_with_stdin(arguments, "")
    }

    /// Runs a command with further variables of the environment.
    pub(crate) fn run_with_env(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Done {
        let mut command = self.command(arguments);
        Done::of(command.envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap())
    }

    pub(crate) fn run_with_stdin(&self, arguments: &[&str], stdin: &str) -> Done {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads no stdin may end first.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        Done::of(child.wait_with_output().unwrap())
    }

    /// Runs a command whose answers go elsewhere.
    pub(crate) fn run_with_stdout(&self, arguments: &[&str], stdout: Stdio) -> Done {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        // This process must not keep the other end of a pipe open.
        drop(command);
        Done::of(child.wait_with_output().unwrap())
    }

    /// Runs a command that has no stdout at all.
    pub(crate) fn run_with_closed_stdout(&self, arguments: &[&str]) -> Done {
        let command = self.command(arguments);
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$@\" >&-", "sh"]).arg(command.get_program()).args(command.get_args());
        shell.current_dir(self.folder.path()).stdin(Stdio::null());
        Done::of(shell.output().unwrap())
    }

    /// Starts a command that goes on, such as `up` or `results --follow`.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self.command(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        Running { child, lines }
    }

    /// The same, to read what it says on stderr.
    pub(crate) fn start_with_stderr(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = lines(child.stderr.take().unwrap());
        Running { child, lines }
    }

    /// `up` with a policy whose tier is off; returns once it runs.
    pub(crate) fn up_without_tier(&self) -> Running {
        let policy = self.write("no-tier.toml", NO_TIER);
        let config = self.write("precis.toml", format!("[policy]\nfile = {:?}\n", text(&policy)));
        let mut up = self.start(&["up", "--config", text(&config)]);
        up.until(|line| line.starts_with("up:"));
        up
    }
}

/// A command that goes on. It ends with the test.
pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<Box<dyn Read>>>,
}

fn lines(stream: impl Read + 'static) -> Lines<BufReader<Box<dyn Read>>> {
    BufReader::new(Box::new(stream) as Box<dyn Read>).lines()
}

impl Running {
    /// Reads its lines until one is the one; fails when it ends first.
    pub(crate) fn until(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        self.lines.by_ref().map(Result::unwrap).find(|line| wanted(line)).expect("the command ended before it said so")
    }

    /// Waits for its end, reading what it still says, and returns the exit code.
    pub(crate) fn ended(mut self) -> i32 {
        self.lines.by_ref().for_each(drop);
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// Sends SIGTERM and returns the exit code.
    pub(crate) fn terminate(mut self) -> i32 {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
