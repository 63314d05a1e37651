#![allow(clippy::unwrap_used)]

use super::*;

const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn a_header_survives() {
    let context = TraceContext::parse(HEADER).unwrap();
    assert_eq!(context.to_header(), HEADER);
    assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(context.is_sampled());
    assert!(!TraceContext::parse(&HEADER.replace("-01", "-00")).unwrap().is_sampled());
}

#[test]
fn a_child_stays_in_the_trace_under_a_new_span() {
    let parent = TraceContext::parse(HEADER).unwrap();
    let child = parent.child();
    assert_eq!(child.trace_id(), parent.trace_id());
    assert_ne!(child, parent);
    assert_eq!(child.is_sampled(), parent.is_sampled());
    assert_ne!(parent.child(), child);
}

#[test]
fn new_traces_differ_and_are_valid() {
    let (one, other) = (TraceContext::new(), TraceContext::new());
    assert_ne!(one.trace_id(), other.trace_id());
    assert_eq!(TraceContext::parse(&one.to_header()), Some(one));
}

#[test]
fn malformed_headers_are_ignored() {
    for header in [
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
        "00-4bf92f3577b34da6-a3ce929d0e0e4736-f067aa0ba902b7-001",
        "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
        "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b-01",
    ] {
        assert_eq!(TraceContext::parse(header), None, "{header}");
    }
}

#[test]
fn a_later_version_is_read_as_far_as_it_is_known() {
    let later = TraceContext::parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-what-comes").unwrap();
    assert_eq!(later.to_header(), HEADER);
    assert_eq!(TraceContext::parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what"), None);
}

#[test]
fn work_without_a_valid_header_starts_a_trace() {
    assert_eq!(TraceContext::continue_from(Some(HEADER)).trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_ne!(TraceContext::continue_from(Some("nonsense")), TraceContext::continue_from(None));
}

#[test]
fn what_is_read_survives_broken_headers_and_reads_back() {
    precis_fuzz::survives("traceparent", &[HEADER.as_bytes().to_vec()], |bytes| {
        if let Some(context) = TraceContext::parse(&String::from_utf8_lossy(bytes)) {
            assert_eq!(TraceContext::parse(&context.to_header()), Some(context));
        }
    });
}
