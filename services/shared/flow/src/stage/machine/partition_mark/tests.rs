use super::*;
use crate::values::PartitionId;

const IDLE: CommitSnapshot = CommitSnapshot { holding: false, closing: false, alone_in_process: false };
const BUSY: CommitSnapshot = CommitSnapshot { holding: true, ..IDLE };
const LAST: CommitSnapshot = CommitSnapshot { closing: true, ..BUSY };

fn mark(committed: Option<OwnerMark>) -> PartitionMark {
    let partition = PartitionId { topic: "t".into(), partition: 0 };
    PartitionMark::new(&Assignment { partition, epoch: 1, start: 5, end: 100, committed }, 8)
}

fn commit(mark: &mut PartitionMark, done: usize, next: Option<i64>, snapshot: CommitSnapshot) -> (i64, OwnerMark) {
    let written = mark.begin(done, next, snapshot);
    mark.confirm();
    written
}

#[test]
fn a_start_without_an_offset_is_committed_without_any_record() {
    let mut mark = mark(None);
    assert!(mark.ready(IDLE));
    mark.begin(0, None, IDLE);
    mark.abort();
    assert!(mark.ready(IDLE), "aborted: still to be committed");
    assert_eq!(commit(&mut mark, 0, None, IDLE), (5, OwnerMark::Released), "nobody has worked here yet");
    assert!(!mark.ready(IDLE));
    assert_eq!(mark.start_rule(), StartRule::None);
}

/// No record starts before the log holds that somebody works here.
#[test]
fn no_record_starts_before_the_owner_mark_is_committed() {
    let mut mark = mark(Some(OwnerMark::Owned));
    assert!(!mark.ready(IDLE), "an idle partition costs nothing");
    assert!(mark.ready(BUSY));
    assert_eq!(mark.begin(0, None, BUSY), (5, OwnerMark::AfterOneCrash));
    assert_eq!(mark.start_rule(), StartRule::None, "not committed yet");
    mark.abort();
    assert_eq!(mark.start_rule(), StartRule::None);
    commit(&mut mark, 0, None, BUSY);
    assert_eq!(mark.start_rule(), StartRule::All);
    assert_eq!(commit(&mut mark, 1, Some(6), BUSY), (6, OwnerMark::Owned), "progress: nobody is suspect");
    assert!(!mark.ready(BUSY) && !mark.ready(IDLE), "no transaction for a mark alone");
}

#[test]
fn what_the_log_holds_already_is_not_written_again() {
    let careful = OwnerMark::Quarantine { records: 2, until: 100 };
    let mut mark = mark(Some(careful));
    assert!(!mark.ready(BUSY));
    assert_eq!(mark.start_rule(), StartRule::OneAtATime);
    assert_eq!(commit(&mut mark, 1, Some(6), BUSY), (6, OwnerMark::Quarantine { records: 1, until: 100 }));
    assert_eq!(mark.start_rule(), StartRule::OneAtATime);
    assert_eq!(commit(&mut mark, 1, Some(7), BUSY), (7, OwnerMark::Owned));
    assert_eq!(mark.start_rule(), StartRule::All);
}

/// Giving away takes a transaction of its own only when there is none to join.
#[test]
fn giving_away_joins_a_transaction_that_is_due() {
    let mut alone = mark(Some(OwnerMark::Released));
    assert!(!alone.ready(LAST), "it never worked here");
    commit(&mut alone, 0, None, BUSY);
    assert!(alone.ready(LAST));
    assert_eq!(commit(&mut alone, 0, None, LAST), (5, OwnerMark::Released));
    assert!(!alone.ready(LAST));
    let mut joined = mark(Some(OwnerMark::Released));
    commit(&mut joined, 0, None, BUSY);
    assert_eq!(commit(&mut joined, 3, Some(8), LAST), (8, OwnerMark::Released));
    assert!(!joined.ready(LAST));
}

/// A record that runs alone when its partition is given away is slow and not deadly.
#[test]
fn record_alone_in_a_partition_given_away_is_not_deadly() {
    let careful = OwnerMark::Quarantine { records: 2, until: 100 };
    let mut mark = mark(Some(careful));
    assert!(!mark.ready(LAST), "the suspects stay suspect");
    let running = CommitSnapshot { alone_in_process: true, ..LAST };
    assert!(mark.ready(running));
    assert_eq!(commit(&mut mark, 0, None, running), (5, OwnerMark::Released));
}
