#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::{fs, thread};

use super::super::{Inputs, ReadOptions, collect};

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn collect_from(path: &Path) -> Inputs {
    collect(&[path.to_path_buf()], &mut &b""[..], &ReadOptions::default())
}

/// Nobody writes to the pipe, so that a command which opened it would wait for ever.
#[test]
fn pipes_sockets_and_devices_in_folders_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.txt"), "A text.").unwrap();
    make_pipe(&at("b.txt"));
    let _socket = UnixListener::bind(at("c.md")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at("d.jsonl")).unwrap();
    std::os::unix::fs::symlink(at("b.txt"), at("e.html")).unwrap();
    make_pipe(&at("f.pipe"));

    let inputs = collect_from(folder.path());

    assert_eq!(inputs.documents.len(), 1);
    let told: Vec<_> = inputs.problems.iter().map(|problem| (problem.code, problem.message.as_str())).collect();
    assert!(told.iter().all(|(code, _)| *code == "not_a_file"), "{told:?}");
    for (problem, what) in told.iter().zip(["a named pipe", "a socket", "a device", "a named pipe"]) {
        assert!(problem.1.contains(what), "{problem:?}");
    }
    assert_eq!((told.len(), inputs.skipped), (4, 1));
}

#[test]
fn a_pipe_that_is_named_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("letters");
    make_pipe(&pipe);
    let writer = thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, "A text.").unwrap()
    });
    assert_eq!(collect_from(&pipe).documents[0].text, "A text.");
    writer.join().unwrap();
}
