//! The check, before any memory is taken, that the engine fits into it.

use std::fs;

use crate::error::EngineError;
use crate::step::BLOCK_TOKENS;

/// Bytes that the engine will keep, or need at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemoryNeeds {
    pub(crate) weights: u64,
    pub(crate) pool: u64,
    pub(crate) work: u64,
    /// What adapters may take together.
    pub(crate) adapters: u64,
}

impl MemoryNeeds {
    /// All of it.
    pub(crate) fn total(self) -> u64 {
        // The bound for adapters is any number that a user writes.
        (self.weights + self.pool + self.work).saturating_add(self.adapters)
    }

    /// Fails with the numbers when `available` bytes are too few; `kv_tokens` is the size of the
    /// pool in tokens.
    pub(crate) fn check(self, available: u64, kv_tokens: usize) -> Result<(), EngineError> {
        let needed = self.total();
        if needed <= available {
            return Ok(());
        }
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let room = available.saturating_sub(needed - self.pool);
        let token = (self.pool / kv_tokens.max(1) as u64).max(1);
        Err(EngineError::NotEnoughMemory {
            needed_mib: mib(needed),
            weights_mib: mib(self.weights),
            pool_mib: mib(self.pool),
            work_mib: mib(self.work),
            adapters_mib: mib(self.adapters),
            available_mib: available >> 20,
            fitting_kv_tokens: room / token / BLOCK_TOKENS as u64 * BLOCK_TOKENS as u64,
        })
    }

    /// Writes the numbers to the log, in one line; `available` where it is known.
    pub(crate) fn log(self, device: &str, available: Option<u64>) {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let Self { weights, pool, work, adapters } = self;
        tracing::info!(
            device,
            weights_mib = mib(weights),
            pool_mib = mib(pool),
            work_mib = mib(work),
            adapters_mib = mib(adapters),
            needed_mib = mib(self.total()),
            available_mib = available.map(|bytes| bytes >> 20),
            "the engine's memory"
        );
    }
}

/// Bytes that this process may still take: the machine's free memory, or less where the control
/// group has a limit. `None` where the system does not say.
pub fn available_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| meminfo_available(&text));
    let read = |name: &str| fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse::<u64>().ok();
    let group = read("memory.max").and_then(|limit| Some(limit.saturating_sub(read("memory.current")?)));
    match (machine, group) {
        (Some(machine), Some(group)) => Some(machine.min(group)),
        (machine, group) => machine.or(group),
    }
}

fn meminfo_available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests;
