use super::*;
use crate::record::PartitionId;

const IDLE: Moment = Moment { holding: false, closing: false, alone_in_process: false };
const BUSY: Moment = Moment { holding: true, ..IDLE };
const LAST: Moment = Moment { closing: true, ..BUSY };

fn standing(committed: Option<Mark>) -> Standing {
    let partition = PartitionId { topic: "t".into(), partition: 0 };
    Standing::new(&Assignment { partition, epoch: 1, start: 5, end: 100, committed }, 8)
}

fn commit(standing: &mut Standing, done: usize, next: Option<i64>, moment: Moment) -> (i64, Mark) {
    let written = standing.lend(done, next, moment);
    standing.confirm();
    written
}

#[test]
fn a_start_without_an_offset_is_committed_without_any_record() {
    let mut standing = standing(None);
    assert!(standing.ready(IDLE));
    standing.lend(0, None, IDLE);
    standing.abort();
    assert!(standing.ready(IDLE), "aborted: still to be committed");
    assert_eq!(commit(&mut standing, 0, None, IDLE), (5, Mark::Closed), "nobody has worked here yet");
    assert!(!standing.ready(IDLE));
    assert_eq!(standing.admission(), Admission::None);
}

#[test]
fn no_record_starts_before_the_log_holds_that_somebody_works_here() {
    let mut standing = standing(Some(Mark::Open));
    assert!(!standing.ready(IDLE), "an idle partition costs nothing");
    assert!(standing.ready(BUSY));
    assert_eq!(standing.lend(0, None, BUSY), (5, Mark::Suspicious));
    assert_eq!(standing.admission(), Admission::None, "not committed yet");
    standing.abort();
    assert_eq!(standing.admission(), Admission::None);
    commit(&mut standing, 0, None, BUSY);
    assert_eq!(standing.admission(), Admission::All);
    assert_eq!(commit(&mut standing, 1, Some(6), BUSY), (6, Mark::Open), "progress: nobody is suspect");
    assert!(!standing.ready(BUSY) && !standing.ready(IDLE), "no transaction for a mark alone");
}

#[test]
fn what_the_log_holds_already_is_not_written_again() {
    let careful = Mark::Careful { records: 2, until: 100 };
    let mut standing = standing(Some(careful));
    assert!(!standing.ready(BUSY));
    assert_eq!(standing.admission(), Admission::Alone);
    assert_eq!(commit(&mut standing, 1, Some(6), BUSY), (6, Mark::Careful { records: 1, until: 100 }));
    assert_eq!(standing.admission(), Admission::Alone);
    assert_eq!(commit(&mut standing, 1, Some(7), BUSY), (7, Mark::Open));
    assert_eq!(standing.admission(), Admission::All);
}

#[test]
fn giving_away_takes_a_transaction_of_its_own_only_when_there_is_none_to_join() {
    let mut alone = standing(Some(Mark::Closed));
    assert!(!alone.ready(LAST), "it never worked here");
    commit(&mut alone, 0, None, BUSY);
    assert!(alone.ready(LAST));
    assert_eq!(commit(&mut alone, 0, None, LAST), (5, Mark::Closed));
    assert!(!alone.ready(LAST));
    let mut joined = standing(Some(Mark::Closed));
    commit(&mut joined, 0, None, BUSY);
    assert_eq!(commit(&mut joined, 3, Some(8), LAST), (8, Mark::Closed));
    assert!(!joined.ready(LAST));
}

#[test]
fn a_record_that_runs_alone_when_its_partition_is_given_away_is_slow_and_not_deadly() {
    let careful = Mark::Careful { records: 2, until: 100 };
    let mut standing = standing(Some(careful));
    assert!(!standing.ready(LAST), "the suspects stay suspect");
    let running = Moment { alone_in_process: true, ..LAST };
    assert!(standing.ready(running));
    assert_eq!(commit(&mut standing, 0, None, running), (5, Mark::Closed));
}
