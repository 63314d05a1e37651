//! The mark that an owner commits beside an offset. Whoever takes the partition over learns from
//! the mark whether the last owner died, and how often that happened without any progress.
//!
//! ```text
//!   Released ─▶ Owned ─died─▶ AfterOneCrash ─died─▶ Quarantine ─died─▶ Quarantine
//!                 ▲                │ a record done       │ the suspects done
//!                 └────────────────┴─────────────────────┘   given away in order: Released, from each of them
//! ```
//!
//! A death counts when a record was there to be processed and none of the partition was committed
//! since the owner came: most deaths are the machine's fault, and a partition that moves on has no
//! record that kills. Records that two owners in a row left unfinished are suspects: at most as
//! many records as an owner has in process, and none that came later. A deadly record that is not
//! among the suspects, behind others that ended before a slow one, is found later: the suspects are
//! committed one by one.

use std::fmt;

/// What the owner of a partition was to it when it committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OwnerMark {
    /// It gave the partition away in order. Also what is not of this crate: offsets that were set
    /// by hand.
    #[default]
    Released,
    /// It worked on the partition.
    Owned,
    /// The same, and the owner before it had died.
    AfterOneCrash,
    /// The same, and the two owners before it had died without getting anything done: the next
    /// records run alone.
    Quarantine {
        /// How many.
        records: usize,
        /// Those before this offset: what came later was not there when the owners died.
        until: i64,
    },
}

impl OwnerMark {
    /// What the next owner writes while it works, from `start` on in a partition that ends at
    /// `end`, when owners have at most `window` records in process.
    pub(crate) fn taken_over(self, start: i64, end: i64, window: usize) -> Self {
        match self {
            // Nothing was there that could have killed anybody.
            _ if start >= end => Self::Owned,
            Self::Released => Self::Owned,
            Self::Owned => Self::AfterOneCrash,
            Self::AfterOneCrash => Self::Quarantine { records: window.max(1), until: end },
            Self::Quarantine { until, .. } if start >= until => Self::Owned,
            Self::Quarantine { .. } => self,
        }
    }

    /// The same after so many records more, up to the offset `next`, were done.
    pub(crate) fn after(self, done: usize, next: i64) -> Self {
        match self {
            _ if done == 0 => self,
            Self::Quarantine { records, until } if done < records && next < until => {
                Self::Quarantine { records: records - done, until }
            }
            _ => Self::Owned,
        }
    }

    /// What an owner leaves that gives the partition away in order. Suspects stay suspect, but not
    /// when one of them is given away while it runs: then it is slow, and kills nobody.
    pub(crate) fn given_away(self, alone_in_process: bool) -> Self {
        match self {
            Self::Quarantine { .. } if !alone_in_process => self,
            _ => Self::Released,
        }
    }

    /// Reads what [`Display`](fmt::Display) wrote.
    pub(crate) fn parse(text: &str) -> Self {
        match text.split(' ').collect::<Vec<_>>()[..] {
            ["open"] => Self::Owned,
            ["suspicious"] => Self::AfterOneCrash,
            ["careful", records, until] => match (records.parse(), until.parse()) {
                (Ok(records), Ok(until)) => Self::Quarantine { records, until },
                _ => Self::Released,
            },
            _ => Self::Released,
        }
    }
}

impl fmt::Display for OwnerMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Released => f.write_str("closed"),
            Self::Owned => f.write_str("open"),
            Self::AfterOneCrash => f.write_str("suspicious"),
            Self::Quarantine { records, until } => write!(f, "careful {records} {until}"),
        }
    }
}

#[cfg(test)]
mod tests;
