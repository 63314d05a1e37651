//! Records that kill their process, and records that only look like it.

use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use precis_flow::{CODE_HEADER, CRASH_SUSPECT, Delivery, Log, Output, Processor, StageConfig};
use precis_schemas::{DeadLetter, codec};
use tokio::sync::Barrier;

use crate::kill::{Copying, Orders, kill, start};
use crate::support::{
    FileMarkers, FromFn, Running, World, assert_each_once, copy, counts, lag, publish_numbers, read_all, read_count,
    text, until, within,
};

contract! {
    deadly_record_ends_as_a_dead_letter,
    kills_from_outside_convict_nobody_while_records_move_on,
    record_that_kills_when_rejected_ends_as_a_dead_letter,
    suspects_of_two_crashes_run_one_at_a_time,
    slow_record_given_away_in_order_is_not_suspected,
}

/// Starts the child again as often as it dies, until every record has its end; says how often it
/// died.
async fn run_until_done(log: &Arc<dyn Log>, copying: &Copying, total: usize) -> usize {
    let mut deaths = 0;
    loop {
        let (mut child, _output) = start(&Orders::Copy(copying.clone()));
        let mut died: Option<ExitStatus> = None;
        until(|| {
            died = child.try_wait().unwrap();
            let over = died.is_some();
            async move {
                over || read_all(log, &copying.output).await.len() + read_all(log, &copying.dead_letters).await.len()
                    == total
                    && lag(log, &copying.group).await == 0
            }
        })
        .await;
        if died.is_none() {
            kill(child);
            return deaths;
        }
        deaths += 1;
        assert!(deaths < 20, "it dies for ever");
    }
}

async fn deadly_record_ends_as_a_dead_letter(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 2).await, world.topic(&log, "out", 1).await);
    let markers = tempfile::tempdir().unwrap();
    publish_numbers(&log, &input, 60, 60).await;
    // The first of its partition: it kills before anything is committed there.
    let deadly = Some(("0".to_owned(), 0));
    let copying = Copying { deadly, ..Copying::of(&world, &input, &output, Some(markers.path())).await };
    assert_eq!(run_until_done(&log, &copying, 60).await, 4, "two deaths in company, two alone");
    let letters = read_all(&log, &copying.dead_letters).await;
    assert_eq!(letters[0].headers.get_str(CODE_HEADER), Some(CRASH_SUSPECT));
    let letter: DeadLetter = codec::decode(letters[0].value.as_ref().unwrap()).unwrap();
    assert_eq!(letter.value.as_deref(), Some(b"0".as_slice()));
    let copies = counts(&read_all(&log, &output).await);
    assert_eq!(copies, (1..60).map(|n| (n, 1)).collect(), "all others, each once");
}

async fn record_that_kills_when_rejected_ends_as_a_dead_letter(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    let markers = tempfile::tempdir().unwrap();
    publish_numbers(&log, &input, 20, 20).await;
    // Late enough for all before it to be done: so its partition makes progress in the first run.
    let copying = Copying {
        deadly: Some(("7".to_owned(), 500)),
        deadly_rejection: true,
        ..Copying::of(&world, &input, &output, Some(markers.path())).await
    };
    assert_eq!(run_until_done(&log, &copying, 20).await, 5, "and one with the rejection");
    let letters = read_all(&log, &copying.dead_letters).await;
    assert_eq!(letters[0].headers.get_str(CODE_HEADER), Some(CRASH_SUSPECT));
    let copies = counts(&read_all(&log, &output).await);
    assert_eq!(copies, (0..20).filter(|n| *n != 7).map(|n| (n, 1)).collect(), "all others, each once");
}

async fn kills_from_outside_convict_nobody_while_records_move_on(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    let markers = tempfile::tempdir().unwrap();
    let copying = Copying::of(&world, &input, &output, Some(markers.path())).await;
    let mut published = 0;
    for _ in 0..5 {
        let (child, _stdout) = start(&Orders::Copy(copying.clone()));
        let done = read_all(&log, &output).await.len();
        // Killed in the midst of what is published meanwhile, but not before something was
        // committed.
        while read_all(&log, &output).await.len() == done || published < done + 50 {
            let more = (published..published + 20).map(|n| Output::to(&input).key(n.to_string()).value(n.to_string()));
            log.publish(more.collect()).await.unwrap();
            published += 20;
        }
        kill(child);
    }
    let (child, _stdout) = start(&Orders::Copy(copying.clone()));
    let records = read_count(&log, &output, published).await;
    kill(child);
    assert_each_once(&records, published);
    assert!(read_all(&log, &copying.dead_letters).await.is_empty());
    assert_eq!(std::fs::read_dir(markers.path()).unwrap().count(), 0, "none even ran alone");
}

/// A processor that never ends; counts what it began.
fn stuck() -> (Arc<dyn Processor>, Arc<AtomicUsize>) {
    let began = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&began);
    let processor = FromFn(move |_: Delivery| {
        counter.fetch_add(1, Ordering::SeqCst);
        std::future::pending()
    });
    (Arc::new(processor), began)
}

async fn dead_letters(world: &World, log: &Arc<dyn Log>, input: &str) -> StageConfig {
    let dead = world.topic(log, "dead", 1).await;
    world.stage(input).with_dead_letters(dead, None)
}

async fn suspects_of_two_crashes_run_one_at_a_time(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    let config = dead_letters(&world, &log, &input).await;
    let folder = tempfile::tempdir().unwrap();
    // Each run has markers of its own, as another process would.
    let config = || StageConfig {
        attempt_markers: Some(Arc::new(FileMarkers::new(folder.path()))),
        max_in_flight: 10,
        ..config.clone()
    };
    // Four are held as well, and never begin: they are no suspects.
    publish_numbers(&log, &input, 14, 14).await;
    for _ in 0..2 {
        let (processor, began) = stuck();
        let stage = Running::start(&world.open().await, config(), processor);
        until(|| async { began.load(Ordering::SeqCst) == 10 }).await;
        stage.crash().await;
    }
    let (together, most, pair) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(2)));
    let processor = {
        let (most, output) = (Arc::clone(&most), output.clone());
        Arc::new(FromFn(move |delivery: Delivery| {
            let (together, most, pair) = (Arc::clone(&together), Arc::clone(&most), Arc::clone(&pair));
            let output = copy(&delivery.record, &output);
            async move {
                if text(&delivery.record).parse::<usize>().unwrap() >= 10 {
                    // Only two at a time get on.
                    pair.wait().await;
                    return Ok(vec![output]);
                }
                most.fetch_max(together.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                together.fetch_sub(1, Ordering::SeqCst);
                Ok(vec![output])
            }
        }))
    };
    let stage = Running::start(&world.open().await, config(), processor);
    within(read_count(&log, &output, 14)).await;
    assert_eq!(most.load(Ordering::SeqCst), 1);
    let later = (14..20).map(|n| Output::to(&input).key(n.to_string()).value(n.to_string()));
    log.publish(later.collect()).await.unwrap();
    let records = read_count(&log, &output, 20).await;
    stage.stop().await.unwrap();
    assert_eq!(counts(&records), (0..20).map(|n| (n, 1)).collect());
    assert!(read_all(&log, &world.name("dead")).await.is_empty());
}

async fn slow_record_given_away_in_order_is_not_suspected(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    let config = StageConfig { drain_budget: Duration::from_millis(200), ..dead_letters(&world, &log, &input).await };
    publish_numbers(&log, &input, 4, 4).await;
    for _ in 0..4 {
        let (processor, began) = stuck();
        let stage = Running::start(&world.open().await, config.clone(), processor);
        until(|| async { began.load(Ordering::SeqCst) == 4 }).await;
        stage.stop().await.unwrap();
    }
    // It would wait for ever if they ran one at a time.
    let pair = Arc::new(Barrier::new(2));
    let processor = {
        let output = output.clone();
        Arc::new(FromFn(move |delivery: Delivery| {
            let (pair, output) = (Arc::clone(&pair), copy(&delivery.record, &output));
            async move {
                pair.wait().await;
                Ok(vec![output])
            }
        }))
    };
    let stage = Running::start(&world.open().await, config, processor);
    within(read_count(&log, &output, 4)).await;
    stage.stop().await.unwrap();
    assert!(read_all(&log, &world.name("dead")).await.is_empty());
}
