#![allow(clippy::unwrap_used)]

use super::*;

fn id(last: char) -> Option<TopicId> {
    TopicId::parse(&format!("7QcY9yb_QzSZRiiIH8kxL{last}"))
}

fn committed(offset: i64, topic_id: Option<TopicId>) -> Committed {
    Committed { offset, mark: OwnerMark::Owned, topic_id }
}

fn found(low: i64, end: i64, topic_id: Option<TopicId>) -> Found {
    Found { topic_id, low, end, is_recreated: false, is_truncated: false, position: None }
}

fn decide(committed: Option<&Committed>, found: &Found) -> Result<Start, &'static str> {
    let partition = PartitionId { topic: "documents.a".into(), partition: 1 };
    Start::decide("g", &partition, committed, found).map_err(|error| error.code())
}

#[test]
fn reading_goes_on_where_the_group_stands() {
    for topic_id in [id('a'), None] {
        for offset in [5, 7, 9] {
            let start = decide(Some(&committed(offset, topic_id.clone())), &found(5, 9, id('a')));
            assert_eq!(start, Ok(Start::Known(offset)), "also the first time that ids are committed");
        }
    }
    assert_eq!(decide(None, &found(0, 9, id('a'))), Ok(Start::Known(0)));
}

#[test]
fn a_topic_made_again_is_read_from_its_beginning() {
    for end in [0, 3, 235, 600] {
        let start = decide(Some(&committed(235, id('a'))), &found(0, end, id('b')));
        assert_eq!(start, Ok(Start::Again { offset: 0, why: Again::Recreated }), "with {end} records");
    }
}

#[test]
fn a_topic_seen_to_be_made_again_is_read_whole_whatever_is_committed() {
    let recreated = Found { is_recreated: true, ..found(0, 600, id('b')) };
    for committed in [None, Some(committed(235, None)), Some(committed(235, id('a')))] {
        let start = decide(committed.as_ref(), &recreated);
        assert_eq!(start, Ok(Start::Again { offset: 0, why: Again::Recreated }), "{committed:?}");
    }
    assert_eq!(decide(Some(&committed(7, id('b'))), &recreated), Ok(Start::Known(7)), "it is the new one's");
}

#[test]
fn a_log_that_ends_before_the_group_is_read_from_its_beginning() {
    for topic_id in [id('a'), None] {
        let start = decide(Some(&committed(235, topic_id.clone())), &found(3, 100, topic_id));
        assert_eq!(start, Ok(Start::Again { offset: 3, why: Again::Truncated }));
    }
    let start = decide(Some(&committed(80, None)), &Found { position: Some(120), ..found(0, 100, None) });
    assert_eq!(start, Ok(Start::Again { offset: 0, why: Again::Truncated }), "what was read and not committed");
    let start = decide(Some(&committed(80, None)), &Found { is_truncated: true, ..found(0, 100, None) });
    assert_eq!(start, Ok(Start::Again { offset: 0, why: Again::Truncated }), "the end has grown since");
}

#[test]
fn an_empty_log_is_read_on_from_its_end() {
    let expired = Ok(Start::Again { offset: 9, why: Again::Expired });
    assert_eq!(decide(Some(&committed(8, id('a'))), &found(9, 9, id('a'))), expired, "the last is a marker");
    assert_eq!(decide(None, &found(9, 9, id('a'))), expired, "what the group committed has expired, too");
    assert_eq!(decide(Some(&committed(9, id('a'))), &found(9, 9, id('a'))), Ok(Start::Known(9)));
    assert_eq!(decide(None, &found(0, 0, id('a'))), Ok(Start::Known(0)), "a new topic");
}

#[test]
fn nobody_guesses_what_expired() {
    assert_eq!(decide(Some(&committed(2, id('a'))), &found(3, 9, id('a'))), Err("offsets_lost"));
    assert_eq!(decide(None, &found(3, 9, id('a'))), Err("offsets_lost"));
    assert_eq!(decide(Some(&committed(5, id('a'))), &found(3, 9, id('b'))), Err("offsets_lost"));
}
