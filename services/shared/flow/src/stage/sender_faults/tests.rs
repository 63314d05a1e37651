use super::*;

fn topic(name: &str) -> Arc<str> {
    name.into()
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_told_once_a_minute_for_each_topic() {
    let faults = SenderFaults::default();
    let told: Vec<bool> = (0..400).map(|_| faults.note(&topic("evil"), "not_single_object")).collect();
    assert_eq!(told.iter().filter(|told| **told).count(), 1, "the first at once");
    assert!(faults.note(&topic("other"), "text_empty"), "each topic by itself");
    assert_eq!(faults.take_due(), []);
    tokio::time::advance(TELL_INTERVAL).await;
    let more = Told { topic: topic("evil"), count: 399, last_code: "not_single_object" };
    assert_eq!(faults.take_due(), [more]);
    assert!(faults.note(&topic("other"), "text_empty"), "nothing came for a minute: told at once");
    tokio::time::advance(TELL_INTERVAL).await;
    assert_eq!(faults.take_due(), []);
    assert!(faults.topics.lock().is_ok_and(|topics| topics.is_empty()), "nothing is kept of topics that are quiet");
}
