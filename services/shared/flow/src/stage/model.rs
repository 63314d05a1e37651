//! The stage's protocol, explored: two members on a group of partitions, through every order of assignment, revocation,
//! loss, commit, abort and crash that a few records and faults allow.
//!
//! ```text
//!   broker ── assign, evict, owner, committed, written ──┐
//!                                                        ├── protocol: what can happen, and what must hold
//!   member ── poll thread, commit thread, stage ─────────┘
//! ```
//!
//! [`Partitions`](super::partitions::Partitions) with their trackers and standings, [`Lanes`](super::lanes::Lanes),
//! [`Drain`](super::drain::Drain) and Kafka's [`Ownership`](crate::kafka::ownership::Ownership) are the real ones. What
//! [`run`](super::run) and the two threads of the Kafka member do around them is written down once more in [`member`],
//! without tasks and time, under the same names: the two are to be read side by side. The broker is as permissive as
//! Kafka: it takes the transaction of any live member, whatever partition it is of, and a commit that was begun may land
//! after its member died. All that it promises is that a new owner is told no offset while one is pending (KIP-447).
//!
//! A rule that is broken on purpose ([`Broken`](member::Broken)) must be found out, or its check checks nothing.

mod broker;
mod member;
mod protocol;
mod scenarios;
