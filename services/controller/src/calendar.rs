//! Days and hours in UTC, as outcomes name them.

use std::fmt;
use std::str::FromStr;

use precis_schemas::Millis;
use serde::{Serialize, Serializer};
use time::Date;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const DAY_FORMAT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// The Julian day number of 1970-01-01.
const EPOCH_JULIAN_DAY: i64 = 2_440_588;

const HOUR_MILLIS: i64 = 3_600_000;
const HOURS_OF_A_DAY: i64 = 24;

/// A day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i64);

/// An hour, counted from the start of 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hour(i64);

/// Days from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Days {
    /// The first.
    pub from: Day,
    /// The last.
    pub to: Day,
}

impl Day {
    /// The day before.
    #[must_use]
    pub fn before(self) -> Self {
        self.earlier(1)
    }

    /// The day that lies so many days before.
    #[must_use]
    pub fn earlier(self, days: u32) -> Self {
        Self(self.0.saturating_sub(i64::from(days)))
    }
}

impl Hour {
    /// The hour of a time.
    pub fn of(at: Millis) -> Self {
        Self(at.div_euclid(HOUR_MILLIS))
    }

    /// The hour that lies so many hours before.
    #[must_use]
    pub fn earlier(self, hours: u32) -> Self {
        Self(self.0.saturating_sub(i64::from(hours)))
    }

    /// Hours since the start of 1970.
    pub fn number(self) -> i64 {
        self.0
    }

    /// Its day.
    pub fn day(self) -> Day {
        Day(self.0.div_euclid(HOURS_OF_A_DAY))
    }
}

impl Days {
    /// Whether the day is one of them.
    pub fn contains(&self, day: Day) -> bool {
        (self.from..=self.to).contains(&day)
    }

    /// Whether a day is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

impl FromStr for Day {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let date = Date::parse(text, DAY_FORMAT).map_err(|_| "write a day as 2026-11-30")?;
        Ok(Self(i64::from(date.to_julian_day()) - EPOCH_JULIAN_DAY))
    }
}

impl FromStr for Days {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, to) = text.split_once("..").ok_or("write days as 2026-11-01..2026-11-30")?;
        let days = Self { from: from.parse()?, to: to.parse()? };
        if days.from > days.to { Err("the first day is after the last") } else { Ok(days) }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let julian = i32::try_from(self.0.saturating_add(EPOCH_JULIAN_DAY)).ok();
        match julian.and_then(|julian| Date::from_julian_day(julian).ok()) {
            Some(date) => write!(formatter, "{date}"),
            // Beyond the years that dates have names for.
            None => write!(formatter, "day {}", self.0),
        }
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}T{:02}:00Z", self.day(), self.0.rem_euclid(HOURS_OF_A_DAY))
    }
}

impl fmt::Display for Days {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from == self.to {
            true => write!(formatter, "{}", self.from),
            false => write!(formatter, "{} to {}", self.from, self.to),
        }
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Hour {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn days_and_hours_are_those_of_utc() {
        let hour = Hour::of(1_764_547_199_999);
        assert_eq!(hour.to_string(), "2025-11-30T23:00Z");
        assert_eq!(Hour::of(1_764_547_200_000).day().to_string(), "2025-12-01");
        assert_eq!(Hour::of(-1).to_string(), "1969-12-31T23:00Z");
        let day: Day = "2025-12-01".parse().unwrap();
        assert_eq!((day, day.before()), (Hour::of(1_764_547_200_000).day(), hour.day()));
        assert_eq!(Hour::of(i64::MAX).day().to_string(), "day 106751991167");
    }

    #[test]
    fn days_are_read_as_they_are_written() {
        let days: Days = "2026-11-01..2026-11-30".parse().unwrap();
        assert_eq!(days.to_string(), "2026-11-01 to 2026-11-30");
        assert!(days.contains("2026-11-30".parse().unwrap()) && !days.contains("2026-12-01".parse().unwrap()));
        assert!(days.overlaps(&"2026-11-30..2027-01-01".parse().unwrap()));
        for wrong in ["2026-11-30..2026-11-01", "2026-11-01", "2026-11..2026-12", "2026-02-30..2026-03-01", ""] {
            assert!(wrong.parse::<Days>().is_err(), "{wrong}");
        }
    }
}
