//! Failpoints where the chaos tests make a process die or wait, and rules that the tests switch off
//! to show that the violation is noticed.
//!
//! **Invariant.** Without the feature `chaos` this crate does nothing: [`sabotaged`] is a constant
//! `false`, [`pass`] and [`pass_async`] are empty, and nothing reads the environment. No crate has
//! the feature among its defaults.
//!
//! In a chaos build the environment variable `FAILPOINTS` sets them, in the syntax of the crate
//! `fail`: `before_commit=1%return;hold_completion=5%sleep(3000)`. At a [`Point`], `return` ends
//! the process at once, as `kill -9` would. At a [`Sabotage`], `return` breaks its rule. What each
//! control breaks, and how to provoke it, is in `tests/chaos/CONTROLS.md`.

#[cfg_attr(feature = "chaos", path = "on.rs")]
#[cfg_attr(not(feature = "chaos"), path = "off.rs")]
mod switch;

pub use switch::{Running, pass, pass_async, sabotaged, start};

/// A place on a document's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A worker's answer is stored, and nobody knows of it yet.
    AfterAnswerPut,
    /// A result object is there, created or adopted, and not published yet.
    AfterResultPut,
    /// The outputs of a transaction are in the log, its offsets are not.
    AfterProduce,
    /// As before, right before the call that sends the offsets.
    BeforeSendOffsets,
    /// A transaction is complete and not committed.
    BeforeCommit,
    /// A transaction is committed, and the stage has not heard of it.
    AfterCommit,
    /// Partitions are being taken away, and the stage has not heard of it.
    InRevoke,
    /// A record is processed, and the stage has not heard of it. For `sleep` alone: `return` does
    /// nothing.
    HoldCompletion,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::AfterAnswerPut,
        Self::AfterResultPut,
        Self::AfterProduce,
        Self::BeforeSendOffsets,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::InRevoke,
        Self::HoldCompletion,
    ];

    /// The name in `FAILPOINTS`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AfterAnswerPut => "after_answer_put",
            Self::AfterResultPut => "after_result_put",
            Self::AfterProduce => "after_produce",
            Self::BeforeSendOffsets => "before_send_offsets",
            Self::BeforeCommit => "before_commit",
            Self::AfterCommit => "after_commit",
            Self::InRevoke => "in_revoke",
            Self::HoldCompletion => "hold_completion",
        }
    }
}

/// A rule that can be broken on purpose: a negative control, which the chaos tests must catch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A member goes on with partitions that it gave away, and commits what comes of them.
    EpochCheckOff,
    /// A revocation commits the offsets of every record that was delivered, even one still in
    /// process.
    CommitBeforeDrain,
    /// A create-only put overwrites, and reports a create.
    PlainPut,
    /// Input offsets are committed after the transaction instead of in it.
    OffsetsOutside,
    /// The committed offset is one record beyond the finished ones.
    WatermarkPlus2,
    /// The loser of a create goes on with its own bytes.
    AdoptNothing,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::EpochCheckOff,
        Self::CommitBeforeDrain,
        Self::PlainPut,
        Self::OffsetsOutside,
        Self::WatermarkPlus2,
        Self::AdoptNothing,
    ];

    /// The name in `FAILPOINTS`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EpochCheckOff => "control_epoch_check_off",
            Self::CommitBeforeDrain => "control_commit_before_drain",
            Self::PlainPut => "control_plain_put",
            Self::OffsetsOutside => "control_offsets_outside",
            Self::WatermarkPlus2 => "control_watermark_plus_2",
            Self::AdoptNothing => "control_adopt_nothing",
        }
    }
}

#[cfg(test)]
mod tests;
