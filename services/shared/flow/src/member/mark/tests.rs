#![allow(clippy::unwrap_used)]

use super::*;

const WINDOW: usize = 8;

/// Two deaths in a row without progress make the next owner careful.
#[test]
fn two_crashes_without_progress_lead_to_quarantine() {
    let first = OwnerMark::Released.taken_over(5, 100, WINDOW);
    let second = first.taken_over(5, 100, WINDOW);
    let third = second.taken_over(5, 100, WINDOW);
    assert_eq!(
        [first, second, third],
        [OwnerMark::Owned, OwnerMark::AfterOneCrash, OwnerMark::Quarantine { records: 8, until: 100 }]
    );
    assert_eq!(third.taken_over(5, 200, WINDOW), third, "what came later was not there");
}

/// Progress clears a partition but for what was there when the owners died.
#[test]
fn progress_clears_all_but_what_was_there_at_the_crashes() {
    assert_eq!(OwnerMark::AfterOneCrash.after(1, 6), OwnerMark::Owned);
    let careful = OwnerMark::Quarantine { records: 3, until: 100 };
    assert_eq!(careful.after(0, 5), careful);
    assert_eq!(careful.after(1, 6), OwnerMark::Quarantine { records: 2, until: 100 });
    assert_eq!(careful.after(3, 8), OwnerMark::Owned, "owners hold no more than that");
    assert_eq!(careful.after(1, 100), OwnerMark::Owned, "the rest came later");
    assert_eq!(careful.taken_over(100, 200, WINDOW), OwnerMark::Owned);
}

#[test]
fn a_death_in_an_empty_partition_counts_for_nothing() {
    for mark in [
        OwnerMark::Released,
        OwnerMark::Owned,
        OwnerMark::AfterOneCrash,
        OwnerMark::Quarantine { records: 3, until: 100 },
    ] {
        assert_eq!(mark.taken_over(7, 7, WINDOW), OwnerMark::Owned);
    }
}

#[test]
fn what_is_given_away_in_order_is_no_death() {
    let careful = OwnerMark::Quarantine { records: 3, until: 100 };
    assert_eq!(OwnerMark::Owned.given_away(false), OwnerMark::Released);
    assert_eq!(OwnerMark::AfterOneCrash.given_away(false), OwnerMark::Released);
    assert_eq!(careful.given_away(false), careful, "nobody knows yet which of them it is");
    assert_eq!(careful.given_away(true), OwnerMark::Released, "slow is not deadly");
}

#[test]
fn what_was_written_is_read_and_anything_else_is_no_suspicion() {
    for mark in [
        OwnerMark::Released,
        OwnerMark::Owned,
        OwnerMark::AfterOneCrash,
        OwnerMark::Quarantine { records: 3, until: 100 },
    ] {
        assert_eq!(OwnerMark::parse(&mark.to_string()), mark);
    }
    for text in ["", "careful", "careful x 1", "careful 1 2 3", "{\"v\":1}", "OPEN"] {
        assert_eq!(OwnerMark::parse(text), OwnerMark::Released, "{text}");
    }
}

#[test]
fn what_other_tools_commit_is_survived() {
    let marks = [OwnerMark::AfterOneCrash, OwnerMark::Quarantine { records: 3, until: 100 }];
    precis_fuzz::survives("mark", &marks.map(|mark| mark.to_string().into_bytes()), |bytes| {
        let mark = OwnerMark::parse(&String::from_utf8_lossy(bytes));
        assert_eq!(OwnerMark::parse(&mark.to_string()), mark);
        let next = mark.taken_over(5, 100, WINDOW).after(1, 6).given_away(false);
        assert_eq!(OwnerMark::parse(&next.to_string()), next);
    });
}
