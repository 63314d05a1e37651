//! A compacted topic, followed.

use precis_flow::{Output, Table, TopicSpec};

use crate::support::{TEST_TIMEOUT, World, until, within};

contract! {
    a_table_holds_the_newest_value_of_each_key,
    a_table_follows_what_comes_and_tells_of_it,
    a_table_knows_how_fresh_it_is,
    a_table_of_transactions_knows_its_end,
}

async fn compacted(world: &World, log: &std::sync::Arc<dyn precis_flow::Log>) -> String {
    let spec = TopicSpec { compacted: true, retention_ms: None, ..world.spec("table", 2) };
    log.ensure_topics(std::slice::from_ref(&spec)).await.unwrap();
    spec.name
}

async fn a_table_holds_the_newest_value_of_each_key(world: World) {
    let log = world.open().await;
    let topic = compacted(&world, &log).await;
    let set = |key: &str, value: &str| Output::to(&topic).key(key).value(value);
    let outputs = vec![set("a", "1"), set("b", "1"), set("a", "2"), set("c", "1"), Output::to(&topic).key("b")];
    log.publish(outputs).await.unwrap();
    let error = log.publish(vec![Output::to(&topic).value("a record without a key")]).await.unwrap_err();
    assert_eq!(error.code(), "record_refused");
    let table = Table::follow(log, &topic).await.unwrap();
    assert!(table.catch_up(TEST_TIMEOUT).await);
    assert_eq!((table.get(b"a"), table.get(b"b")), (Some(b"2".to_vec()), None));
    let entries: Vec<_> = table.entries().into_iter().map(|(key, value)| (key[0], value[0])).collect();
    assert_eq!(entries, [(b'a', b'2'), (b'c', b'1')]);
}

async fn a_table_follows_what_comes_and_tells_of_it(world: World) {
    let log = world.open().await;
    let topic = compacted(&world, &log).await;
    let table = Table::follow(world.open().await, &topic).await.unwrap();
    assert!(table.catch_up(TEST_TIMEOUT).await);
    let mut changes = table.changed();
    for n in 0..3 {
        log.publish(vec![Output::to(&topic).key("k").value(n.to_string())]).await.unwrap();
        assert!(within(changes.wait()).await);
        assert_eq!(table.get(b"k"), Some(n.to_string().into_bytes()));
    }
    log.publish(vec![Output::to(&topic).key("k")]).await.unwrap();
    assert!(within(changes.wait()).await);
    assert!(table.entries().is_empty());
}

async fn a_table_knows_how_fresh_it_is(world: World) {
    let log = world.open().await;
    let topic = compacted(&world, &log).await;
    let table = Table::follow(std::sync::Arc::clone(&log), &topic).await.unwrap();
    assert!(table.catch_up(TEST_TIMEOUT).await);
    assert!(table.fresh_within(TEST_TIMEOUT));
    // Idle, it stays fresh by itself: it asks the log again and again.
    let asked = tokio::time::Instant::now();
    until(|| async { table.age().unwrap() < asked.elapsed() }).await;
    assert!(table.failure().is_none());
}

async fn a_table_of_transactions_knows_its_end(world: World) {
    let log = world.open().await;
    let topic = compacted(&world, &log).await;
    let table = Table::follow(world.open().await, &topic).await.unwrap();
    let mut writer = log.exclusive(&world.name("writer")).await.unwrap();
    for n in 0..4 {
        writer.commit(vec![Output::to(&topic).key(n.to_string()).value("x")]).await.unwrap();
        assert!(table.catch_up(TEST_TIMEOUT).await);
        assert_eq!(table.entries().len(), n + 1, "what was committed before the call is there after it");
    }
}
