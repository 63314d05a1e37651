//! What is explored. Each scenario is small enough to be explored whole; what one leaves out
//! another has.
#![allow(clippy::print_stderr, reason = "how much was explored is worth reading")]

use precis_explore::explore;
use tokio::time::Instant;

use super::payload::{Entry, Kind};
use super::protocol::{Faults, Protocol};
use crate::member::OwnerMark;
use crate::stage::machine::Rule;

/// More than any scenario has.
const LIMIT: usize = 1_000_000;

fn entries(kinds: &[(Kind, Option<u8>)]) -> Vec<Entry> {
    let named = kinds.iter().enumerate();
    named.map(|(name, (kind, key))| Entry { name: name as u8, key: *key, kind: *kind, attempts: 0 }).collect()
}

fn good(count: usize) -> Vec<Entry> {
    entries(&vec![(Kind::Good, None); count])
}

/// Two members and these partitions.
fn protocol(logs: Vec<Vec<Entry>>, faults: Faults) -> Protocol {
    Protocol {
        members: 2,
        logs,
        committed: Some(0),
        mark: OwnerMark::Released,
        limit: 2,
        faults,
        breaks: false,
        broken: None,
        stable_offsets: true,
        began: Instant::now(),
    }
}

fn holds(name: &str, protocol: &Protocol) {
    let began = std::time::Instant::now();
    match explore(protocol, LIMIT) {
        Ok(explored) => eprintln!("{name}: {explored} in {:.1} s", began.elapsed().as_secs_f64()),
        Err(violation) => panic!("{name}: {violation}"),
    }
}

/// The broken rule must be found out, by a violation that says so.
fn found(name: &str, protocol: &Protocol, what: &str) {
    let violation = explore(protocol, LIMIT).expect_err("nothing was found");
    eprintln!("{name}: {violation}");
    assert!(violation.what.contains(what), "{violation}");
}

fn broken(rule: Rule, protocol: Protocol) -> Protocol {
    Protocol { broken: Some(rule), ..protocol }
}

/// A partition moves, with and without warning, and comes back.
fn moves() -> Protocol {
    protocol(vec![good(1)], Faults { revocations: 1, evictions: 1, delays: 1, ..Faults::default() })
}

/// A partition whose one record may be read twice.
fn comes_back() -> Protocol {
    protocol(vec![good(1)], Faults { revocations: 1, delays: 1, ..Faults::default() })
}

/// Transactions abort.
fn aborts() -> Protocol {
    protocol(vec![good(2)], Faults { evictions: 1, aborts: 1, ..Faults::default() })
}

/// Two partitions, of which one moves.
fn two_partitions() -> Protocol {
    protocol(vec![good(1), good(1)], Faults { revocations: 1, delays: 1, ..Faults::default() })
}

/// Members die, with a commit under way, and stop in good order; nothing is committed at first.
fn ends() -> Protocol {
    let faults = Faults { revocations: 1, crashes: 1, stops: 1, delays: 1, ..Faults::default() };
    Protocol { committed: None, ..protocol(vec![good(2)], faults) }
}

/// Records of one key, and one that the log refuses.
fn keys() -> Protocol {
    let one_key = [(Kind::Refused, Some(7)), (Kind::Good, Some(7)), (Kind::Good, Some(7))];
    protocol(vec![entries(&one_key)], Faults { evictions: 1, ..Faults::default() })
}

/// A record that is refused beside one that is not, of another partition.
fn refusals() -> Protocol {
    let logs = vec![entries(&[(Kind::Refused, None)]), good(1)];
    protocol(logs, Faults { revocations: 1, delays: 1, ..Faults::default() })
}

/// A record that fails and is re-enqueued.
fn failures() -> Protocol {
    let log = entries(&[(Kind::Flaky, Some(7)), (Kind::Good, Some(7))]);
    protocol(vec![log], Faults { evictions: 1, crashes: 1, ..Faults::default() })
}

/// A record whose rejection pauses the topic, before and behind others.
fn pauses() -> Protocol {
    let log = entries(&[(Kind::Good, None), (Kind::Broken, None), (Kind::Good, None)]);
    let faults = Faults { revocations: 1, delays: 1, ..Faults::default() };
    Protocol { breaks: true, ..protocol(vec![log], faults) }
}

/// Two partitions with which two owners died: their records are suspects, one of which may be in
/// process when its partition is lost.
fn suspects() -> Protocol {
    let faults = Faults { evictions: 1, ..Faults::default() };
    Protocol { mark: OwnerMark::AfterOneCrash, ..protocol(vec![good(1), good(1)], faults) }
}

#[test]
fn suspects_run_one_at_a_time_and_end() {
    holds("suspects", &suspects());
}

#[test]
fn suspects_that_run_together_are_found_out() {
    found("one suspect", &broken(Rule::OneSuspectAtATime, suspects()), "while another was in process");
}

#[test]
fn a_partition_that_moves_loses_and_repeats_nothing() {
    holds("moves", &moves());
}

#[test]
fn transactions_that_abort_are_committed_later() {
    holds("aborts", &aborts());
}

#[test]
fn a_partition_that_moves_leaves_the_other_alone() {
    holds("two partitions", &two_partitions());
}

#[test]
fn members_that_die_or_stop_lose_and_repeat_nothing() {
    holds("ends", &ends());
}

#[test]
fn records_of_one_key_are_processed_in_order() {
    holds("keys", &keys());
}

#[test]
fn only_what_the_log_refuses_is_rejected() {
    holds("refusals", &refusals());
}

#[test]
fn a_re_enqueued_record_ends_once() {
    holds("failures", &failures());
}

#[test]
fn a_pause_loses_and_repeats_nothing_and_ends() {
    holds("pauses", &pauses());
}

#[test]
fn a_pause_that_never_ends_is_found_out() {
    found("pause ends", &broken(Rule::PauseEnds, pauses()), "never done");
}

#[test]
fn a_record_that_starts_in_a_pause_is_found_out() {
    found("paused starts", &broken(Rule::PausedStartsNothing, pauses()), "while its topic is paused");
}

#[test]
fn a_commit_thread_without_the_epoch_check_is_found_out() {
    found("epoch check", &broken(Rule::EpochCheck, moves()), "under an assignment that is over");
}

#[test]
fn a_watermark_that_is_too_far_is_found_out() {
    found("watermark", &broken(Rule::Watermark, aborts()), "is committed, and written are");
}

#[test]
fn a_commit_before_the_drain_is_found_out() {
    found("commit before drain", &broken(Rule::DrainBeforeCommit, moves()), "is committed, and written are");
}

#[test]
fn a_record_that_starts_without_an_owner_is_found_out() {
    found("unopened", &broken(Rule::OwnedBeforeStart, moves()), "before that was opened");
}

#[test]
fn a_drained_partition_that_is_not_released_is_found_out() {
    found("closing", &broken(Rule::ReleasedWhenDrained, moves()), "given away in order, and marked");
}

#[test]
fn an_abort_that_counts_as_a_commit_is_found_out() {
    found("abort is done", &broken(Rule::AbortKeepsRecords, aborts()), "is committed, and written are");
}

#[test]
fn a_log_that_tells_unstable_offsets_is_found_out() {
    found("unstable offsets", &Protocol { stable_offsets: false, ..moves() }, "under an assignment that is over");
}

#[test]
fn a_rejection_that_frees_its_key_queue_is_found_out() {
    found("key queue", &broken(Rule::RejectionBesideKeyQueue, keys()), "before an earlier record of its key ended");
}

#[test]
fn blaming_what_is_left_of_a_transaction_is_found_out() {
    found("blame", &broken(Rule::BlameSingleRecord, refusals()), "and ended as Rejected");
}

#[test]
fn an_abandoned_record_that_counts_as_finished_is_found_out() {
    found("abandoned is done", &broken(Rule::AbandonedStaysOpen, moves()), "is committed, and written are");
}

#[test]
fn a_drain_that_outlives_its_assignment_is_found_out() {
    found("drain", &broken(Rule::DrainExcludesReturned, comes_back()), "never done");
}
