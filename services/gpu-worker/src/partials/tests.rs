#![allow(clippy::unwrap_used)]

use precis_inference::{FinishReason, Partial, Partials};
use precis_objects::{DirectoryConfig, StoreConfig};
use precis_pipeline::PartialAnswers;

use super::{StoredPartials, read};

fn partial(text: &str) -> Partial {
    Partial {
        asked: "ab".into(),
        text: text.into(),
        finish_reason: FinishReason::Repetition,
        input_tokens: 7,
        output_tokens: 3,
    }
}

#[tokio::test]
async fn partial_answers_come_back_unchanged_to_any_worker() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_path_buf();
    let config = StoreConfig { directory: DirectoryConfig { path }, ..StoreConfig::default() };
    let answers = |store, answer| StoredPartials(PartialAnswers::new(store, "acme", "r", answer));
    let first = answers(precis_objects::open(&config).await.unwrap(), "a");
    assert_eq!(first.get(0).await, None);
    first.put(0, &partial("one")).await;
    first.put(1, &partial("two")).await;
    first.0.put(2, b"not json".to_vec()).await;

    let store = precis_objects::open(&config).await.unwrap();
    let second = answers(store.clone(), "a");
    assert_eq!(second.get(0).await, Some(partial("one")));
    assert_eq!(second.get(1).await, Some(partial("two")));
    assert_eq!(second.get(2).await, None, "an unreadable partial answer is generated again");
    assert_eq!(answers(store, "b").get(0).await, None, "another answer has partial answers of its own");
    second.put(0, &partial("other")).await;
    assert_eq!(second.get(0).await, Some(partial("one")), "the first one stays");
    second.0.clear().await;
    assert_eq!(first.get(1).await, None);
}

#[test]
fn broken_partial_answers_are_survived() {
    precis_fuzz::survives("partial", &[serde_json::to_vec(&partial("one")).unwrap()], |bytes| {
        if let Some(partial) = read(bytes) {
            assert_eq!(read(&serde_json::to_vec(&partial).unwrap()), Some(partial));
        }
    });
}
