//! The rules that a machine keeps, as a value: tests and the chaos build make machines that break
//! one, to see whether the model or the oracle notices. No other build can make such a machine.

use precis_chaos::{Sabotage, sabotaged};

/// A rule of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Of a partition that was given away nothing is processed further or committed.
    EpochCheck,
    /// The committed offset follows the last record of the finished front.
    Watermark,
    /// Records that are open when their partition is revoked count as open.
    DrainBeforeCommit,
    /// The records of an aborted transaction wait for the next transaction.
    AbortKeepsRecords,
    /// The rejection of a refused record runs beside the queue of its key.
    RejectionBesideKeyQueue,
    /// A record is blamed for a refused transaction only if that began with no other record.
    BlameSingleRecord,
    /// No record starts before the log holds that its partition has an owner who works on it.
    OwnedBeforeStart,
    /// The last commit of a drained partition marks the partition as released.
    ReleasedWhenDrained,
    /// A drain no longer concerns a partition that was assigned again.
    DrainExcludesReturned,
    /// A record that was abandoned stays open.
    AbandonedStaysOpen,
    /// A paused topic is tried again when its pause is over.
    PauseEnds,
    /// No record of a paused topic starts.
    PausedStartsNothing,
    /// Of the records with which two owners died, one runs at a time, over all partitions.
    OneSuspectAtATime,
}

/// All rules, but for those that are broken on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// One bit for each broken rule.
    broken: u16,
}

impl Rules {
    /// Every rule; in the chaos build without those that a control switches off at this time. The
    /// stage asks once, when it joins its group.
    pub(crate) fn in_force() -> Self {
        let controls = [
            (Sabotage::EpochCheckOff, Rule::EpochCheck),
            (Sabotage::CommitBeforeDrain, Rule::DrainBeforeCommit),
            (Sabotage::WatermarkPlus2, Rule::Watermark),
        ];
        let broken = controls.into_iter().filter(|(control, _)| sabotaged(*control));
        Self { broken: broken.fold(0, |bits, (_, rule)| bits | rule.bit()) }
    }

    /// Every rule but this one.
    #[cfg(test)]
    pub(crate) fn without(rule: Rule) -> Self {
        Self { broken: rule.bit() }
    }

    pub(crate) fn is_broken(self, rule: Rule) -> bool {
        self.broken & rule.bit() != 0
    }
}

impl Rule {
    const fn bit(self) -> u16 {
        1 << self as u16
    }
}
