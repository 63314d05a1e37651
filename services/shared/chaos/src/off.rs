//! Every build but the chaos build: nothing happens.

use crate::{Point, Sabotage};

/// Nothing runs.
#[derive(Debug)]
pub struct Running;

/// Nothing to start.
///
/// # Errors
/// None.
pub const fn start() -> Result<Running, String> {
    Ok(Running)
}

/// Nothing happens anywhere.
#[inline]
pub const fn pass(_: Point) {}

/// Nothing happens anywhere.
#[inline]
pub fn pass_async(_: Point) -> std::future::Ready<()> {
    std::future::ready(())
}

/// Every rule holds.
#[inline]
pub const fn sabotaged(_: Sabotage) -> bool {
    false
}
