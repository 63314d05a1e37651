#!/usr/bin/env bash
# The tests of the only unsafe code, `precis-kernels`, under AddressSanitizer: reads and writes outside of their memory end
# them. RUSTC_BOOTSTRAP lets the stable compiler take the flag; the build folder is its own, since flags are part of every
# build.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/precis/target}-sanitize"
cargo test --locked --package precis-kernels --lib --target "$host"
