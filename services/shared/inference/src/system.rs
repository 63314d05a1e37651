//! Figures of the system about this process. Linux only; `None` elsewhere.

use std::fs;

/// Ticks a second in `/proc/self/stat`: fixed for user space on Linux (`USER_HZ`, time(7)).
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor seconds that all threads of this process have used, in steps of 10 ms.
pub fn cpu_seconds() -> Option<f64> {
    stat_cpu_seconds(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// The most memory, in bytes, that this process has had at once.
pub fn peak_rss_bytes() -> Option<u64> {
    status_bytes(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// Processor seconds from `/proc/self/stat`. User and system time are fields 14 and 15 (proc(5));
/// the second field, in parentheses, may hold any characters.
pub(crate) fn stat_cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

pub(crate) fn status_bytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
