//! What is committed beside an offset: how its owner stood to the partition. Whoever takes the partition over learns
//! from it whether the last owner died, and how often that happened without anything getting done.
//!
//! ```text
//!   Closed ─▶ Open ─died─▶ Suspicious ─died─▶ Careful ─died─▶ Careful
//!               ▲              │ a record done    │ the suspects done
//!               └──────────────┴──────────────────┘      given away in order: Closed, from each of them
//! ```
//!
//! A death counts when a record was there to be processed and none of the partition was committed since the owner
//! came: most deaths are the machine's fault, and a partition that moves on has no record that kills. What two owners
//! in a row left unfinished is suspect: at most as many records as an owner has in process, and none that came later. A
//! killer that is not among them, behind others that ended before a slow one, is later: they are committed one by one.

use std::fmt;

/// How the owner of a partition stood to it when it committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mark {
    /// It gave the partition away in order. Also what is not of this crate: offsets that were set by hand.
    #[default]
    Closed,
    /// It worked on the partition.
    Open,
    /// The same, and the owner before it had died.
    Suspicious,
    /// The same, and the two owners before it had died without getting anything done: the next records run alone.
    Careful {
        /// How many.
        records: usize,
        /// Those before this offset: what came later was not there when the owners died.
        until: i64,
    },
}

impl Mark {
    /// What the next owner writes while it works, from `start` on in a partition that ends at `end`, when owners have
    /// at most `window` records in process.
    pub(crate) fn taken_over(self, start: i64, end: i64, window: usize) -> Self {
        match self {
            // Nothing was there that could have killed anybody.
            _ if start >= end => Self::Open,
            Self::Closed => Self::Open,
            Self::Open => Self::Suspicious,
            Self::Suspicious => Self::Careful { records: window.max(1), until: end },
            Self::Careful { until, .. } if start >= until => Self::Open,
            Self::Careful { .. } => self,
        }
    }

    /// The same after so many records more, up to the offset `next`, were done.
    pub(crate) fn after(self, done: usize, next: i64) -> Self {
        match self {
            _ if done == 0 => self,
            Self::Careful { records, until } if done < records && next < until => {
                Self::Careful { records: records - done, until }
            }
            _ => Self::Open,
        }
    }

    /// What an owner leaves that gives the partition away in order. Suspects stay suspect, but not when one of them is
    /// given away while it runs: then it is slow, and kills nobody.
    pub(crate) fn given_away(self, alone_in_process: bool) -> Self {
        match self {
            Self::Careful { .. } if !alone_in_process => self,
            _ => Self::Closed,
        }
    }

    /// Reads what [`Display`](fmt::Display) wrote.
    pub(crate) fn parse(text: &str) -> Self {
        match text.split(' ').collect::<Vec<_>>()[..] {
            ["open"] => Self::Open,
            ["suspicious"] => Self::Suspicious,
            ["careful", records, until] => match (records.parse(), until.parse()) {
                (Ok(records), Ok(until)) => Self::Careful { records, until },
                _ => Self::Closed,
            },
            _ => Self::Closed,
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::Open => f.write_str("open"),
            Self::Suspicious => f.write_str("suspicious"),
            Self::Careful { records, until } => write!(f, "careful {records} {until}"),
        }
    }
}

#[cfg(test)]
mod tests;
