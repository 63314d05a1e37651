#![allow(clippy::unwrap_used)]

use super::*;

const WINDOW: usize = 8;

#[test]
fn two_deaths_in_a_row_without_progress_make_the_next_owner_careful() {
    let first = Mark::Closed.taken_over(5, 100, WINDOW);
    let second = first.taken_over(5, 100, WINDOW);
    let third = second.taken_over(5, 100, WINDOW);
    assert_eq!([first, second, third], [Mark::Open, Mark::Suspicious, Mark::Careful { records: 8, until: 100 }]);
    assert_eq!(third.taken_over(5, 200, WINDOW), third, "what came later was not there");
}

#[test]
fn progress_clears_a_partition_but_for_what_was_there_when_the_owners_died() {
    assert_eq!(Mark::Suspicious.after(1, 6), Mark::Open);
    let careful = Mark::Careful { records: 3, until: 100 };
    assert_eq!(careful.after(0, 5), careful);
    assert_eq!(careful.after(1, 6), Mark::Careful { records: 2, until: 100 });
    assert_eq!(careful.after(3, 8), Mark::Open, "owners hold no more than that");
    assert_eq!(careful.after(1, 100), Mark::Open, "the rest came later");
    assert_eq!(careful.taken_over(100, 200, WINDOW), Mark::Open);
}

#[test]
fn a_death_in_an_empty_partition_counts_for_nothing() {
    for mark in [Mark::Closed, Mark::Open, Mark::Suspicious, Mark::Careful { records: 3, until: 100 }] {
        assert_eq!(mark.taken_over(7, 7, WINDOW), Mark::Open);
    }
}

#[test]
fn what_is_given_away_in_order_is_no_death() {
    let careful = Mark::Careful { records: 3, until: 100 };
    assert_eq!(Mark::Open.given_away(false), Mark::Closed);
    assert_eq!(Mark::Suspicious.given_away(false), Mark::Closed);
    assert_eq!(careful.given_away(false), careful, "nobody knows yet which of them it is");
    assert_eq!(careful.given_away(true), Mark::Closed, "slow is not deadly");
}

#[test]
fn what_was_written_is_read_and_anything_else_is_no_suspicion() {
    for mark in [Mark::Closed, Mark::Open, Mark::Suspicious, Mark::Careful { records: 3, until: 100 }] {
        assert_eq!(Mark::parse(&mark.to_string()), mark);
    }
    for text in ["", "careful", "careful x 1", "careful 1 2 3", "{\"v\":1}", "OPEN"] {
        assert_eq!(Mark::parse(text), Mark::Closed, "{text}");
    }
}

#[test]
fn what_other_tools_commit_is_survived() {
    let marks = [Mark::Suspicious, Mark::Careful { records: 3, until: 100 }];
    precis_fuzz::survives("mark", &marks.map(|mark| mark.to_string().into_bytes()), |bytes| {
        let mark = Mark::parse(&String::from_utf8_lossy(bytes));
        assert_eq!(Mark::parse(&mark.to_string()), mark);
        let next = mark.taken_over(5, 100, WINDOW).after(1, 6).given_away(false);
        assert_eq!(Mark::parse(&next.to_string()), next);
    });
}
