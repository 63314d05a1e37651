#![allow(clippy::panic, clippy::unwrap_used)]

use tokio::sync::mpsc;

use super::*;

#[test]
fn a_member_that_did_not_poll_in_time_is_at_its_end() {
    let (events, mut received) = mpsc::unbounded_channel();
    let context = MemberContext {
        group: "g".to_owned(),
        ownership: Arc::default(),
        events,
        heartbeat: Heartbeat::new(),
        revoke_patience: Duration::ZERO,
        closing: AtomicBool::new(false),
        reassigned: AtomicBool::new(false),
        topic_ids: TopicIds::open(&crate::config::KafkaConfig::default()).unwrap(),
        topics_read: Arc::default(),
        reading: Mutex::default(),
        joining: Mutex::default(),
    };
    context.note(RDKafkaLogLevel::Warning, "REQTMOUT", "a request timed out");
    assert!(received.try_recv().is_err(), "a log line is no failure");
    context.note(RDKafkaLogLevel::Warning, "MAXPOLL", "maximum poll interval exceeded");
    let Ok(MemberEvent::Failed(error)) = received.try_recv() else { panic!("the stage was not told") };
    assert_eq!((error.code(), error.class()), ("kafka_client", Class::Fatal));
}
