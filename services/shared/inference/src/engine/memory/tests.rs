#![allow(clippy::unwrap_used)]

use super::{MemoryNeeds, meminfo_available};
use crate::error::EngineError;

const MIB: u64 = 1 << 20;

#[test]
fn too_little_memory_is_refused_with_the_numbers() {
    let needs = MemoryNeeds { weights: 400 * MIB, pool: 700 * MIB, work: 100 * MIB, adapters: 100 * MIB };
    assert!(needs.check(1300 * MIB, 7000).is_ok());
    let error = needs.check(1299 * MIB, 7000).err().unwrap();
    assert!(
        matches!(
            error,
            EngineError::NotEnoughMemory {
                needed_mib: 1300,
                weights_mib: 400,
                pool_mib: 700,
                work_mib: 100,
                adapters_mib: 100,
                available_mib: 1299,
                // 699 MiB for a tenth of a MiB each, in whole blocks.
                fitting_kv_tokens: 6976
            }
        ),
        "{error:?}"
    );
    let said = error.to_string();
    assert!(said.contains("work space 100, adapters up to 100) but 1299 MiB are available"), "{said}");
    assert!(said.ends_with("lower `kv_tokens` to 6976 or `step_tokens` or `adapter_bytes`, or use a smaller model"));
    let without = MemoryNeeds { adapters: 0, ..needs };
    assert!(without.check(1200 * MIB, 7000).is_ok());
    let none = without.check(500 * MIB, 7000).err().unwrap();
    assert!(none.to_string().ends_with("available: lower `step_tokens`, or use a smaller model"), "{none}");
}

/// A bound for adapters beyond all memory is a number like any other.
#[test]
fn a_bound_beyond_all_numbers_is_refused_not_wrapped() {
    let needs = MemoryNeeds { weights: MIB, pool: MIB, work: MIB, adapters: u64::MAX };
    let error = needs.check(1 << 40, 7000).err().unwrap();
    assert!(matches!(error, EngineError::NotEnoughMemory { fitting_kv_tokens: 0, .. }), "{error:?}");
}

#[test]
fn the_kernels_figure_is_read() {
    let text = "MemTotal:       24000000 kB\nMemFree:  1 kB\nMemAvailable:    2048 kB\n";
    assert_eq!(meminfo_available(text), Some(2 * MIB));
    assert_eq!(meminfo_available("MemTotal: 1 kB\n"), None);
}
