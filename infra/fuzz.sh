#!/usr/bin/env bash
# Every decoder against broken copies of valid input, SECONDS each (10 when left out): `infra/fuzz.sh 60`.
# The same tests run for a moment in `cargo test`. An input that breaks a decoder is kept in a file that the failure names;
# it belongs into the decoder's own tests.
set -euo pipefail
cd "$(dirname "$0")/.."

export PRECIS_FUZZ_SECONDS="${1:-10}"
cargo test --locked --no-fail-fast -p precis-schemas -p precis-policy -p precis-telemetry -p precis-flow -p precis-quality \
    -p precis-inference -p precis-api-worker -p precis -- surviv
