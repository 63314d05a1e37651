#!/usr/bin/env bash
# rustc for tests/fuzz/run.py, as RUSTC_WORKSPACE_WRAPPER: the crates of this workspace count what runs in them and what
# they compare, for libFuzzer. The flags are those of cargo-fuzz; none of them needs a nightly compiler. Other crates are
# compiled as ever, so they are shared with `make test`.
set -euo pipefail

case " $* " in
    # Build scripts link no libFuzzer; the fuzzer's own crates would count themselves; the kernels decode nothing.
    *" --crate-name build_script_"* | *" --crate-name precis_fuzz "* | *" --crate-name precis_libfuzzer "* | \
        *" --crate-name precis_kernels "* | *" --crate-name precis_explore "* | *" --crate-name ___ "*)
        exec "$@"
        ;;
esac
exec "$@" -Cpasses=sancov-module -Ccodegen-units=1 \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares
