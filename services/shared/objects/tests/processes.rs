//! A directory store is shared by processes: this binary starts copies of itself that race for the
//! same keys.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use precis_objects::{DirectoryStore, ObjectStore, Put};

const ROOT: &str = "PRECIS_TEST_OBJECTS_ROOT";
const PROCESSES: usize = 8;
const KEYS: usize = 50;

#[tokio::test]
async fn of_racing_processes_one_creates_each_object() {
    let root = tempfile::tempdir().unwrap();
    let mut children: Vec<_> = (0..PROCESSES)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "one_of_the_racing_processes", "--nocapture"])
                .env(ROOT, root.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    // All are up and wait for their input to end: this starts them together.
    for child in &mut children {
        drop(child.stdin.take());
    }
    let mut winners: HashMap<String, u32> = HashMap::new();
    for child in children {
        let process = child.id();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        for key in String::from_utf8(output.stdout).unwrap().lines().filter_map(|line| line.strip_prefix("created ")) {
            assert_eq!(winners.insert(key.to_owned(), process), None, "{key} was created twice");
        }
    }
    assert_eq!(winners.len(), KEYS);
    let store = DirectoryStore::open(root.path(), 1024).await.unwrap();
    for (key, process) in winners {
        assert_eq!(store.get(&key).await.unwrap().unwrap(), process.to_string().into_bytes(), "{key}");
    }
}

/// Does nothing unless the test above started it.
#[tokio::test]
async fn one_of_the_racing_processes() {
    let Some(root) = std::env::var_os(ROOT).map(PathBuf::from) else { return };
    let store = DirectoryStore::open(&root, 1024).await.unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let me = std::process::id().to_string();
    // The harness writes on this line, too; a line of its own for each key.
    #[expect(clippy::print_stdout, reason = "standard output is how the parent learns who won")]
    for number in 0..KEYS {
        let key = format!("race/{number}");
        if store.put_if_absent(&key, me.clone().into_bytes()).await.unwrap() == Put::Created {
            println!("\ncreated {key}");
        }
    }
}
