#!/usr/bin/env bash
# `make cuda`: does the gpu-worker still compile and link with CUDA, and start where there is no GPU?
#
# Compiles for compute capability 8.6 with the toolkit of cuda-toolkit.sh and links against its stub of the driver, so no
# GPU computes anything: what a GPU would compute stays unverified. Minutes on a new machine, seconds afterwards: the
# build folder is its own and is kept.
set -euo pipefail
cd "$(dirname "$0")/.."

CUDA_HOME=$(infra/cuda-toolkit.sh)
export CUDA_HOME CUDA_COMPUTE_CAP=86
export PATH=$CUDA_HOME/bin:$PATH
# The libraries that the tested binary loads; the stub stands in for the driver, also where there is one.
export LD_LIBRARY_PATH=$CUDA_HOME/lib:$CUDA_HOME/lib/stubs
CUDAFORGE_THREADS=$(nproc)
export CUDAFORGE_THREADS
# A third of the time of optimised kernels. Cargo does not see these flags: never build anything to be used into this folder.
export NVCC_APPEND_FLAGS="-Xcicc -O0 -Xptxas -O0"
export CARGO_TARGET_DIR=${PRECIS_CACHE_DIR:-$HOME/.cache/precis}/target-cuda

TIMEFORMAT="cuda leg: %0R s, %0U + %0S s of processor time"
time cargo test --profile cuda-check --locked --package precis-gpu-worker --features cuda --test device
