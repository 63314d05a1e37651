//! Floods of records that end as dead letters: they end no process and stop no other topic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use precis_flow::{Delivery, Log, RejectBreaker, StageConfig, StageError, Subscription};

use crate::stage_failures::dead_letters;
use crate::support::{
    FromFn, Running, World, assert_each_once, copy, copy_to, lag, publish_numbers, read_all, read_count, until,
};

contract! {
    garbage_ends_as_dead_letters_and_stops_nobody,
    a_topic_that_may_be_rejected_by_us_pauses_alone,
    a_topic_is_tried_again_after_its_pause,
}

const FLOOD: usize = 400;
/// A flood has room for it twice.
const WINDOW: usize = 100;
/// Longer than any test.
const FOR_EVER: Duration = Duration::from_hours(1);

/// A topic that is flooded, one that is not, an output, and a stage that reads both and has dead
/// letters.
struct Flooded {
    log: Arc<dyn Log>,
    evil: String,
    innocent: String,
    output: String,
    dead: String,
    config: StageConfig,
}

impl Flooded {
    async fn new(world: &World, pause: Duration) -> Self {
        let log = world.open().await;
        let (evil, innocent) = (world.topic(&log, "in.evil", 1).await, world.topic(&log, "in.innocent", 1).await);
        let output = world.topic(&log, "out", 1).await;
        let (config, dead) = dead_letters(world, &log, &evil).await;
        let breaker =
            RejectBreaker { window: WINDOW, first_pause: pause, max_pause: pause, ..RejectBreaker::default() };
        let subscription = Subscription::topics([evil.as_str(), innocent.as_str()]);
        let config = StageConfig { subscription, reject_breaker: Some(breaker), ..config };
        Self { log, evil, innocent, output, dead, config }
    }

    /// Starts a stage that rejects all of the flooded topic with this code, while it is told to.
    fn start(&self, code: &'static str, rejects: &Arc<AtomicBool>) -> Running {
        let (evil, output, rejects) = (self.evil.clone(), self.output.clone(), Arc::clone(rejects));
        let processor = FromFn(move |delivery: Delivery| {
            let rejected = *delivery.record.topic == *evil && rejects.load(Ordering::SeqCst);
            let output = copy(&delivery.record, &output);
            async move { if rejected { Err(StageError::reject(code, "it is bad")) } else { Ok(vec![output]) } }
        });
        Running::start(&self.log, self.config.clone(), Arc::new(processor))
    }
}

/// More of it than ended every process before, and again for the next one.
async fn garbage_ends_as_dead_letters_and_stops_nobody(world: World) {
    let flooded = Flooded::new(&world, FOR_EVER).await;
    let Flooded { log, evil, innocent, output, dead, config } = &flooded;
    publish_numbers(log, evil, FLOOD, FLOOD).await;
    publish_numbers(log, innocent, 50, 50).await;
    let stage = flooded.start("not_single_object", &Arc::new(AtomicBool::new(true)));
    read_count(log, dead, FLOOD).await;
    assert_each_once(&read_count(log, output, 50).await, 50);
    until(|| async { lag(log, &config.group).await == 0 }).await;
    stage.stop().await.unwrap();
    assert_eq!(read_all(log, dead).await.len(), FLOOD, "one each");
}

async fn a_topic_that_may_be_rejected_by_us_pauses_alone(world: World) {
    let flooded = Flooded::new(&world, FOR_EVER).await;
    let Flooded { log, evil, innocent, output, dead, config } = &flooded;
    publish_numbers(log, evil, FLOOD, FLOOD).await;
    let stage = flooded.start("our_fault", &Arc::new(AtomicBool::new(true)));
    read_count(log, dead, WINDOW).await;
    publish_numbers(log, innocent, 300, 300).await;
    assert_each_once(&read_count(log, output, 300).await, 300);
    assert!(stage.health.report().ready, "a service with a paused topic works");
    stage.stop().await.unwrap();
    let letters = read_all(log, dead).await.len();
    assert!(letters < WINDOW + config.max_in_flight, "what was in process may end: {letters}");
    // Rejected for a fault of ours: mended, the rest goes through, and what was finished stays.
    let stage = Running::start(log, config.clone(), copy_to(output));
    until(|| async { lag(log, &config.group).await == 0 }).await;
    stage.stop().await.unwrap();
    assert_eq!(read_all(log, output).await.len(), 300 + FLOOD - letters);
}

async fn a_topic_is_tried_again_after_its_pause(world: World) {
    let flooded = Flooded::new(&world, Duration::from_millis(50)).await;
    let Flooded { log, evil, output, dead, config, .. } = &flooded;
    let rejects = Arc::new(AtomicBool::new(true));
    publish_numbers(log, evil, FLOOD, FLOOD).await;
    let stage = flooded.start("our_fault", &rejects);
    // Beyond the window, and what may have been in process then: so it was tried and paused again.
    read_count(log, dead, WINDOW + config.max_in_flight + 1).await;
    rejects.store(false, Ordering::SeqCst);
    until(|| async { lag(log, &config.group).await == 0 }).await;
    stage.stop().await.unwrap();
    let (published, letters) = (read_all(log, output).await.len(), read_all(log, dead).await.len());
    assert_eq!(published + letters, FLOOD, "each has one end");
    assert!(published > 0, "it goes on by itself");
}
