//! What the worker says and does where no CUDA device is available: in a build without CUDA and, by
//! `make cuda`, in one with it.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The worker's binary on a log and a store of its own, with the configured `device`, if any.
fn worker(folder: &TempDir, device: Option<&str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_precis-gpu-worker"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PRECIS_") && name != "PRECIS_MODELS_DIR") {
        command.env_remove(name);
    }
    command
        .current_dir(folder)
        .env("RUST_BACKTRACE", "1")
        // Hides the GPUs of a machine that has some.
        .env("CUDA_VISIBLE_DEVICES", "")
        .env("PRECIS_GPU_WORKER__ENGINE__KV_TOKENS", "1024")
        .envs(device.map(|device| ("PRECIS_GPU_WORKER__ENGINE__DEVICE", device)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Without a CUDA device the worker says so in one line, and computes on the processor.
#[test]
fn without_a_device_the_worker_computes_on_the_processor() {
    let folder = TempDir::new().unwrap();
    let mut child = worker(&folder, None).spawn().unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        lines.push(line.unwrap());
        // Stopped as soon as it is ready; the loop then reads all of its output.
        if lines.last().is_some_and(|line| line.contains("the engine is ready")) {
            Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        }
    }
    let all = lines.join("\n");
    assert!(child.wait().unwrap().success(), "{all}");
    assert!(all.contains("the engine is ready") && all.contains("device=\"cpu\""), "{all}");
    let warnings: Vec<&String> = lines.iter().filter(|line| line.contains(" WARN ")).collect();
    if cfg!(feature = "cuda") {
        assert_eq!(warnings.len(), 1, "{all}");
        assert!(warnings[0].contains("no CUDA device is usable: computing on the processor"), "{all}");
        assert!(warnings[0].contains("CUDA_ERROR_NO_DEVICE"), "{all}");
    } else {
        assert_eq!(warnings.len(), 0, "a build without CUDA promised nothing\n{all}");
    }
    assert!(lines.iter().all(|line| line.starts_with("20")), "every line is an event, none a backtrace's\n{all}");
}

/// A device that is configured and missing ends the start, with the reason.
#[test]
fn a_configured_device_that_is_missing_ends_the_start() {
    let folder = TempDir::new().unwrap();
    let output = worker(&folder, Some("cuda")).output().unwrap();
    let all = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{all}");
    let last = all.lines().last().unwrap();
    let start = "precis-gpu-worker: the engine did not start: the device `cuda` cannot be used: ";
    let reason = if cfg!(feature = "cuda") { "CUDA_ERROR_NO_DEVICE" } else { "build with `--features cuda`" };
    assert!(last.starts_with(start) && last.contains(reason), "{all}");
}
