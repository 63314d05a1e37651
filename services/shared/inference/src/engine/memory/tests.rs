use super::{MemoryNeeds, meminfo_available};
use crate::error::EngineError;

const MIB: u64 = 1 << 20;

#[test]
fn too_little_memory_is_refused_with_the_numbers() {
    let needs = MemoryNeeds { weights: 500 * MIB, pool: 700 * MIB, work: 100 * MIB };
    assert!(needs.check(1300 * MIB).is_ok());
    let error = needs.check(1299 * MIB).err();
    assert!(
        matches!(
            error,
            Some(EngineError::NotEnoughMemory {
                needed_mib: 1300,
                weights_mib: 500,
                pool_mib: 700,
                work_mib: 100,
                available_mib: 1299
            })
        ),
        "{error:?}"
    );
}

#[test]
fn the_kernels_figure_is_read() {
    let text = "MemTotal:       24000000 kB\nMemFree:  1 kB\nMemAvailable:    2048 kB\n";
    assert_eq!(meminfo_available(text), Some(2 * MIB));
    assert_eq!(meminfo_available("MemTotal: 1 kB\n"), None);
}
