//! What can happen next, and what must hold then.

use std::collections::hash_map::DefaultHasher;

use precis_explore::Model;
use tokio::time::Instant;

use super::broker::{Log, PartitionCommit, partition_id};
use super::member::{Committing, Member, Waiting};
use super::payload::Entry;
use crate::error::Class;
use crate::member::{Epoch, OwnerMark};
use crate::stage::machine::{Event, Rule};
use crate::values::PartitionId;

/// A group of two members, the records they read, and how often each fault may happen.
#[derive(Clone)]
pub(super) struct Protocol {
    pub(super) members: usize,
    pub(super) logs: Vec<Vec<Entry>>,
    /// Where the group stands at first.
    pub(super) committed: Option<i64>,
    /// What earlier owners left beside it.
    pub(super) mark: OwnerMark,
    pub(super) limit: usize,
    pub(super) faults: Faults,
    /// Whether a rejected record pauses its topic.
    pub(super) breaks: bool,
    /// A rule of the machine that is broken on purpose.
    pub(super) broken: Option<Rule>,
    /// Whether a new owner is told no offset while another is pending.
    pub(super) stable_offsets: bool,
    pub(super) began: Instant,
}

/// How often each fault may still happen.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(super) struct Faults {
    /// A partition is taken from its owner, which may drain it.
    pub(super) revocations: u8,
    /// A member is given up by the coordinator.
    pub(super) evictions: u8,
    pub(super) crashes: u8,
    pub(super) aborts: u8,
    /// The poll thread stops waiting for a drain. That a drain's own deadline passes is no fault.
    pub(super) delays: u8,
    /// A member is told to shut down.
    pub(super) stops: u8,
}

#[derive(Clone)]
pub(super) struct State {
    pub(super) logs: Vec<Log>,
    pub(super) members: Vec<Member>,
    /// Transactions whose member died: each part with the true name of its assignment.
    pub(super) orphans: Vec<Vec<(PartitionCommit, i64)>>,
    pub(super) left: Faults,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    Assign {
        member: usize,
        partition: usize,
    },
    Revoke {
        partition: usize,
    },
    /// The stage has drained: the partition goes.
    GiveAway {
        member: usize,
    },
    /// The poll thread does not wait for the stage any longer.
    RevokeTimesOut {
        member: usize,
    },
    DrainDeadline {
        member: usize,
    },
    PauseOver {
        member: usize,
    },
    Evict {
        member: usize,
    },
    /// The member finds out that it was given up, and waits for its open transaction.
    NoticeLoss {
        member: usize,
    },
    Lose {
        member: usize,
    },
    Read {
        member: usize,
        partition: usize,
    },
    Hear {
        member: usize,
    },
    FinishWork {
        member: usize,
        work: usize,
    },
    /// It waits for its next try while its partition leaves.
    AbandonWork {
        member: usize,
        work: usize,
    },
    Commit {
        member: usize,
    },
    CommitLands {
        member: usize,
    },
    Abort {
        member: usize,
    },
    HearCommitted {
        member: usize,
    },
    Crash {
        member: usize,
    },
    OrphanLands {
        orphan: usize,
    },
    OrphanAborts {
        orphan: usize,
    },
    Stop {
        member: usize,
    },
    Leave {
        member: usize,
    },
}

use Action as A;

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn initial(&self) -> State {
        State {
            logs: self.logs.iter().cloned().map(|entries| Log::new(entries, self.committed, self.mark)).collect(),
            members: (0..self.members).map(|_| self.member()).collect(),
            orphans: Vec::new(),
            left: self.faults,
        }
    }

    fn key(&self, state: &State, into: &mut DefaultHasher) {
        state.state_key(into);
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::new();
        let left = &state.left;
        for (partition, log) in state.logs.iter().enumerate() {
            let free = log.owner.is_none() && (!self.stable_offsets || !state.is_pending(partition));
            for (number, member) in state.members.iter().enumerate() {
                let polls = member.waiting.is_none() && !member.machine.is_stopping();
                if free && polls && member.in_group {
                    actions.push(A::Assign { member: number, partition });
                }
                if polls && member.reading[partition].is_some_and(|next| next < log.entries.len()) {
                    actions.push(A::Read { member: number, partition });
                }
                if log.owner == Some(number) && polls && left.revocations > 0 && member.reading[partition].is_some() {
                    actions.push(A::Revoke { partition });
                }
            }
        }
        for (number, member) in state.members.iter().enumerate() {
            actions_of(*left, number, member, &mut actions);
        }
        for orphan in 0..state.orphans.len() {
            actions.extend([A::OrphanLands { orphan }, A::OrphanAborts { orphan }]);
        }
        actions
    }

    fn next(&self, state: &State, action: &Action) -> Result<State, String> {
        let mut next = state.clone();
        next.members.iter_mut().for_each(|member| member.started.clear());
        self.apply(&mut next, *action)?;
        next.started_in_order()?;
        Ok(next)
    }

    fn check(&self, state: &State) -> Result<(), String> {
        state.logs.iter().try_for_each(Log::check)?;
        for (number, member) in state.members.iter().enumerate() {
            // It knows all, and has nothing to do: then nothing is held, or the intake would close
            // for ever.
            let owned = |(read, log): (&Option<usize>, &Log)| read.is_some() == (log.owner == Some(number));
            let knows =
                member.events.is_empty() && member.in_group && member.reading.iter().zip(&state.logs).all(owned);
            let idle = member.running.is_empty() && member.committing.is_none() && !member.machine.is_draining();
            if self.is_done(state) && knows && idle && member.held != (0, 0) {
                return Err(format!("all is done, and {} records, {} bytes are held", member.held.0, member.held.1));
            }
        }
        Ok(())
    }

    fn is_fault(&self, action: &Action) -> bool {
        matches!(
            action,
            A::Revoke { .. }
                | A::RevokeTimesOut { .. }
                | A::Evict { .. }
                | A::Abort { .. }
                | A::Crash { .. }
                | A::Stop { .. }
        )
    }

    fn is_done(&self, state: &State) -> bool {
        state.logs.iter().all(Log::is_done)
    }
}

impl Protocol {
    fn member(&self) -> Member {
        Member::new(self.broken, self.breaks, self.limit, self.logs.len(), self.began)
    }

    fn apply(&self, state: &mut State, action: Action) -> Result<(), String> {
        let State { logs, members, orphans, left } = state;
        match action {
            A::Assign { member, partition } => {
                let log = &mut logs[partition];
                log.owner = Some(member);
                log.assignments += 1;
                members[member].on_assign(partition, log)?;
            }
            A::Revoke { partition } => {
                left.revocations -= 1;
                let owner = logs[partition].owner.ok_or("nobody owns it")?;
                members[owner].on_revoke(partition);
            }
            A::GiveAway { member } | A::RevokeTimesOut { member } => {
                left.delays -= u8::from(matches!(action, A::RevokeTimesOut { .. }));
                let Some(Waiting::Drain { partition, drained, late }) = members[member].waiting else { return Ok(()) };
                if drained && !late && logs[partition].owner == Some(member) {
                    logs[partition].check_drained()?;
                }
                members[member].give_away(&[partition]);
                logs[partition].owner.take_if(|owner| *owner == member);
            }
            A::DrainDeadline { member } => members[member].on_deadline()?,
            A::PauseOver { member } => members[member].on_pause_over()?,
            A::Evict { member } => {
                left.evictions -= 1;
                members[member].in_group = false;
                give_up(logs, member);
            }
            A::NoticeLoss { member } => members[member].waiting = Some(Waiting::Loss),
            A::Lose { member } => members[member].on_lose(),
            A::Read { member, partition } => {
                let index = members[member].reading[partition].ok_or("it is not read")?;
                members[member].reading[partition] = Some(index + 1);
                members[member].on_record_read(logs[partition].record(partition, index))?;
            }
            A::Hear { member } => members[member].hear()?,
            A::FinishWork { member, work } => members[member].on_processed(work)?,
            A::AbandonWork { member, work } => members[member].on_abandoned(work)?,
            A::Commit { member } => members[member].on_commit_due()?,
            A::CommitLands { member } => {
                let member = &mut members[member];
                let Some(Committing::Open { parts, left_out }) = member.committing.take() else { return Ok(()) };
                for part in &parts {
                    let assignment = member.assignment(&part.partition, part.epoch);
                    logs[part.partition.partition as usize].land(part, assignment)?;
                }
                member.committing = Some(Committing::Ended(Ok(left_out)));
            }
            A::Abort { member } => {
                let member = &mut members[member];
                left.aborts -= u8::from(member.waiting != Some(Waiting::Loss));
                member.committing = Some(Committing::Ended(Err(Class::Retry)));
            }
            A::HearCommitted { member } => members[member].on_commit_ended()?,
            A::Crash { member } => {
                left.crashes -= 1;
                let dead = std::mem::replace(&mut members[member], self.member());
                if let Some(Committing::Open { parts, .. }) = &dead.committing {
                    let named = |part: &PartitionCommit| (part.clone(), dead.assignment(&part.partition, part.epoch));
                    orphans.push(parts.iter().map(named).collect());
                }
                give_up(logs, member);
            }
            A::OrphanLands { orphan } => {
                for (part, assignment) in orphans.remove(orphan) {
                    logs[part.partition.partition as usize].land(&part, assignment)?;
                }
            }
            A::OrphanAborts { orphan } => drop(orphans.remove(orphan)),
            A::Stop { member } => {
                left.stops -= 1;
                members[member].on(Event::Stop)?;
            }
            A::Leave { member } => {
                members[member] = self.member();
                give_up(logs, member);
            }
        }
        Ok(())
    }
}

impl State {
    /// What was started was started in a partition of which the log says that somebody works on it.
    fn started_in_order(&self) -> Result<(), String> {
        for member in &self.members {
            for (partition, epoch) in &member.started {
                let log = &self.logs[partition.partition as usize];
                if member.assignment(partition, *epoch) == log.assignments && log.mark == OwnerMark::Released {
                    return Err(format!("a record of {partition} was started before that was opened"));
                }
            }
        }
        Ok(())
    }

    /// Whether a transaction that is not over holds an offset of this partition.
    fn is_pending(&self, partition: usize) -> bool {
        let id = partition_id(partition);
        let open = self.members.iter().filter_map(|member| match &member.committing {
            Some(Committing::Open { parts, .. }) => Some(parts.iter().collect::<Vec<_>>()),
            _ => None,
        });
        let orphans = self.orphans.iter().map(|orphan| orphan.iter().map(|(part, _)| part).collect());
        open.chain(orphans).flatten().any(|part| part.partition == id)
    }
}

impl Member {
    /// The true name of an assignment.
    pub(super) fn assignment(&self, partition: &PartitionId, epoch: Epoch) -> i64 {
        let partition = partition.partition as usize;
        let found = self.assigned_as.iter().find(|(of, known, _)| (*of, *known) == (partition, epoch));
        found.map_or(0, |(_, _, assignment)| *assignment)
    }
}

/// What a member can do, and what can happen to it.
fn actions_of(left: Faults, number: usize, member: &Member, actions: &mut Vec<Action>) {
    let mut when = |possible: bool, action: Action| actions.extend(possible.then_some(action));
    match member.waiting {
        // The lock waits for the open transaction.
        Some(Waiting::Drain { drained, .. }) => {
            when(drained && !member.is_open(), A::GiveAway { member: number });
            when(!drained && left.delays > 0 && !member.is_open(), A::RevokeTimesOut { member: number });
        }
        Some(Waiting::Loss) => when(!member.is_open(), A::Lose { member: number }),
        None if member.is_open() => when(!member.in_group, A::NoticeLoss { member: number }),
        None => when(!member.in_group, A::Lose { member: number }),
    }
    when(!member.events.is_empty(), A::Hear { member: number });
    when(member.machine.next_deadline().is_some(), A::DrainDeadline { member: number });
    when(member.machine.paused_until().is_some(), A::PauseOver { member: number });
    for work in 0..member.running.len() {
        when(true, A::FinishWork { member: number, work });
        when(member.is_leaving(work), A::AbandonWork { member: number, work });
    }
    when(member.machine.commit_due().is_some(), A::Commit { member: number });
    match &member.committing {
        None => {}
        Some(Committing::Open { .. }) => {
            when(true, A::CommitLands { member: number });
            let asked = member.waiting == Some(Waiting::Loss);
            when(asked || left.aborts > 0, A::Abort { member: number });
        }
        Some(Committing::Ended(_)) => when(true, A::HearCommitted { member: number }),
    }
    let owns = member.reading.iter().any(Option::is_some);
    when(left.evictions > 0 && member.in_group && owns && !member.machine.is_stopping(), A::Evict { member: number });
    when(left.crashes > 0 && owns, A::Crash { member: number });
    when(left.stops > 0 && !member.machine.is_stopping() && owns, A::Stop { member: number });
    when(member.stopped && !member.is_open(), A::Leave { member: number });
}

fn give_up(logs: &mut [Log], member: usize) {
    for log in logs {
        log.owner.take_if(|owner| *owner == member);
    }
}
