//! The stage's protocol, explored: two members on a group of partitions, through every order of
//! assignment, revocation, loss, commit, abort and crash that a few records and faults allow.
//!
//! ```text
//!   broker ── assign, evict, owner, committed, written ──┐
//!                                                        ├── protocol: what can happen, and what must hold
//!   member ── poll thread, commit thread, machine ───────┘
//! ```
//!
//! The stage's [`Machine`](super::machine::Machine) and Kafka's
//! [`Ownership`](crate::kafka::ownership::Ownership) are the ones that the services run, here with
//! records and outputs of a few bytes. [`member`] stands for what carries the machine's commands
//! out: queues, records in process, and the two threads of the Kafka member. The broker is as
//! permissive as Kafka: it takes the transaction of any live member, whatever partition it is of,
//! and a commit that was begun may land after its member died. All that the broker promises is that
//! a new owner is told no offset while another one is pending (KIP-447).
//!
//! A rule that is broken on purpose ([`Rules`](super::machine::Rules)) must be found out, or its
//! check checks nothing.

mod broker;
mod member;
mod payload;
mod protocol;
mod scenarios;
mod state_key;
