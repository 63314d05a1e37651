use super::*;

const MARKS: [OwnerMark; 4] =
    [OwnerMark::Released, OwnerMark::Owned, OwnerMark::AfterOneCrash, OwnerMark::Quarantine { records: 3, until: 100 }];

#[test]
fn what_is_committed_beside_an_offset_is_read_back() {
    let id = TopicId::parse("7QcY9yb_QzSZRiiIH8kxLg");
    assert!(id.is_some());
    for mark in MARKS {
        assert_eq!(read_metadata(&metadata(mark, id.as_ref())), (mark, id.clone()));
        assert_eq!(read_metadata(&metadata(mark, None)), (mark, None));
        assert_eq!(read_metadata(&mark.to_string()), (mark, None), "an older version wrote it");
    }
}

#[test]
fn what_other_tools_commit_beside_an_offset_is_survived() {
    for text in ["", " topic=", "open topic=short", "topic=7QcY9yb_QzSZRiiIH8kxLg", "{\"v\":1}"] {
        assert_eq!(read_metadata(text).1, None, "{text}");
    }
    let valid = MARKS.map(|mark| metadata(mark, TopicId::parse("7QcY9yb_QzSZRiiIH8kxLg").as_ref()).into_bytes());
    precis_fuzz::survives("offset-metadata", &valid, |bytes| {
        let (mark, id) = read_metadata(&String::from_utf8_lossy(bytes));
        assert_eq!(read_metadata(&metadata(mark, id.as_ref())), (mark, id));
    });
}
