//! kill -9: a child process works, is killed without warning, and a new one goes on. Nothing that
//! was acknowledged is lost, and no output appears twice.
//!
//! The child is this test program again, running the one test [`child`] with its orders in the
//! environment.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use precis_flow::{AttemptMarkers, Delivery, LogConfig, Output, Processor, Rejection, StageConfig, Subscription};

use crate::support::{
    FileMarkers, Running, WithRejected, World, assert_each_once, copy, counts, lag, read_all, text, until,
};

const ORDERS: &str = "PRECIS_TEST_CHILD";

contract! {
    stage_killed_repeatedly_loses_and_repeats_nothing,
    what_was_acknowledged_before_a_kill_is_there_after_it,
}

/// What a child is told to do.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) enum Orders {
    /// Copy one topic to another, as a member of a group.
    Copy(Copying),
    /// Publish 0, 1, …, and say so on standard output after each acknowledgement.
    Publish { log: LogConfig, topic: String },
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Copying {
    pub(crate) log: LogConfig,
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) dead_letters: String,
    pub(crate) group: String,
    /// Where attempt markers are kept; without them nobody is found guilty.
    pub(crate) markers: Option<PathBuf>,
    /// The record that kills the process, so many milliseconds after its processing began.
    pub(crate) deadly: Option<(String, u64)>,
    /// Whether settling its rejection kills the process too.
    pub(crate) deadly_rejection: bool,
}

impl Copying {
    /// From `input` to `output`, and what is rejected to `dead_letters`, which it makes.
    pub(crate) async fn of(world: &World, input: &str, output: &str, markers: Option<&Path>) -> Self {
        let mut log = world.config.clone();
        if world.is_kafka() {
            // A name, so that the next run takes over at once.
            log.kafka.instance_id = Some(world.name("pod-0"));
        }
        Self {
            log,
            input: input.to_owned(),
            output: output.to_owned(),
            dead_letters: world.topic(&world.open().await, "dead", 1).await,
            group: world.name("group"),
            markers: markers.map(Path::to_owned),
            deadly: None,
            deadly_rejection: false,
        }
    }

    fn processor(&self) -> Arc<dyn Processor> {
        let (output, deadly, deadly_rejection) = (self.output.clone(), self.deadly.clone(), self.deadly_rejection);
        let process = move |delivery: Delivery| {
            let output = copy(&delivery.record, &output);
            let dies_after = deadly.as_ref().filter(|(value, _)| text(&delivery.record) == *value).map(|(_, ms)| *ms);
            async move {
                if let Some(milliseconds) = dies_after {
                    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                    std::process::abort();
                }
                Ok(vec![output])
            }
        };
        let rejected = move |_: Delivery, _: Rejection| async move {
            if deadly_rejection {
                std::process::abort();
            }
            Ok(Vec::new())
        };
        Arc::new(WithRejected(process, rejected))
    }

    fn stage(&self) -> StageConfig {
        let subscription = Subscription::topics([self.input.as_str()]);
        let markers = self.markers.as_ref().map(|folder| Arc::new(FileMarkers::new(folder)) as Arc<dyn AttemptMarkers>);
        StageConfig {
            commit_interval: Duration::from_millis(10),
            max_in_flight: 8,
            attempt_markers: markers,
            ..StageConfig::new("test", &self.group, subscription).with_dead_letters(&self.dead_letters, None)
        }
    }
}

/// No test of its own: the child's part of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the parent reads it")]
async fn child() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    match serde_json::from_str(&orders).unwrap() {
        Orders::Publish { log, topic } => {
            let log = precis_flow::open(&log).await.unwrap();
            for n in 0.. {
                log.publish(vec![Output::to(&topic).key(n.to_string()).value(n.to_string())]).await.unwrap();
                println!("\nacknowledged {n}");
            }
        }
        Orders::Copy(copying) => {
            let log = precis_flow::open(&copying.log).await.unwrap();
            println!("\nstarting");
            Running::start(&log, copying.stage(), copying.processor()).ended().await.unwrap();
        }
    }
}

pub(crate) fn start(orders: &Orders) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture"])
        .env(ORDERS, serde_json::to_string(orders).unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

/// On Unix `Child::kill` is SIGKILL: no destructor runs, nothing is flushed.
pub(crate) fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

async fn stage_killed_repeatedly_loses_and_repeats_nothing(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 3).await, world.topic(&log, "out", 2).await);
    let mut total = 0;
    // Killed as often as this, a partition may well make no progress three times, and no test could
    // say whose fault it was.
    let orders = Orders::Copy(Copying::of(&world, &input, &output, None).await);
    let (mut kills, mut done) = (0, true);
    // A busy machine may do all of it between two kills: then there is more.
    while !done || kills < 3 {
        if done {
            let more =
                (total..total + 3_000).map(|n| Output::to(&input).key(format!("key-{}", n % 100)).value(n.to_string()));
            log.publish(more.collect()).await.unwrap();
            total += 3_000;
        }
        let (child, _output) = start(&orders);
        let before = read_all(&log, &output).await.len();
        // Killed once it has committed something and, but for the last, before it has committed
        // everything.
        until(|| async { read_all(&log, &output).await.len() > before || before == total }).await;
        if before < total {
            tokio::time::sleep(Duration::from_millis(rand::random::<u64>() % 60)).await;
        }
        done = before == total && lag(&log, &world.name("group")).await == 0;
        kill(child);
        kills += 1;
        let records = read_all(&log, &output).await;
        assert!(counts(&records).values().all(|times| *times == 1), "repeated after kill {kills}");
    }
    assert_each_once(&read_all(&log, &output).await, total);
}

async fn what_was_acknowledged_before_a_kill_is_there_after_it(world: World) {
    let log = world.open().await;
    let topic = world.topic(&log, "t", 1).await;
    let (child, output) = start(&Orders::Publish { log: world.config.clone(), topic: topic.clone() });
    let mut acknowledged = 0;
    for line in output.lines() {
        if let Some(number) = line.unwrap().strip_prefix("acknowledged ") {
            acknowledged = number.parse::<usize>().unwrap();
        }
        if acknowledged == 100 {
            break;
        }
    }
    kill(child);
    let found = counts(&read_all(&world.open().await, &topic).await);
    for number in 0..=acknowledged {
        assert_eq!(found.get(&number), Some(&1), "{number} was acknowledged");
    }
}
