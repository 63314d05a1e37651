#!/usr/bin/env bash
# Makes the CUDA toolkit that builds with the feature `cuda` need, where a machine has none, and prints its folder:
#
#   CUDA_HOME=$(infra/cuda-toolkit.sh)
#
# Compiler, headers and libraries are NVIDIA's own PyPI wheels (about 1.2 GB, cached under ~/.cache/precis/cuda), pinned by
# digest in cuda-requirements.txt; no root and no GPU needed. What the wheels lack to link against is added: library names without a version, and a stub of the
# driver's libcuda.so, since the driver belongs to the machine with the GPU. The stub answers every call with "no
# device", so that what was linked also starts here, and calls itself a stub, should it ever hide a real driver.
set -euo pipefail

# The lowest 13: the kernels are PTX that the driver compiles when they are loaded, and it must know the toolkit's dialect.
# 12 has no complete compiler among the wheels. cudarc 0.19 knows toolkits up to 13.4.
requirements=$(cd "$(dirname "$0")" && pwd)/cuda-requirements.txt
version=$(sed -n 's/^cuda-toolkit==\([0-9.]*\).*/\1/p' "$requirements")

cache=${PRECIS_CACHE_DIR:-$HOME/.cache/precis}/cuda
final=$cache/$version
home=nvidia/cu13
if [[ -d $final ]]; then
    echo "$final/$home"
    exit 0
fi

# Made beside its place and renamed into it: an interrupted run leaves nothing half made.
mkdir -p "$cache"
made=$(mktemp -d "$cache/.$version-XXXXXX")
trap 'rm -rf "$made"' EXIT
echo "fetching the CUDA toolkit $version (about 1.2 GB on disk)" >&2
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$made" \
    --require-hashes --no-deps --only-binary :all: --requirement "$requirements" >&2

cd "$made/$home"
ln -s lib lib64
for library in cudart cublas cublasLt curand nvrtc; do
    versioned=(lib/lib"$library".so.*)
    ln -s "$(basename "${versioned[0]}")" "lib/lib$library.so"
done

# Every entry point that the driver's header declares, with the versioned names that it maps plain ones to. They read no
# argument, so they need none; but for the one that explains errors.
mkdir lib/stubs
python3 - include/cuda.h >lib/stubs/libcuda.c <<'PYTHON'
import re
import sys

header = open(sys.argv[1]).read()
names = set(re.findall(r"\bCUDAAPI\s+(cu[A-Z]\w*)\s*\(", header))
for plain, mapped in re.findall(r"#\s*define\s+(cu[A-Z]\w*)\s+(?:__CUDA_API_\w+\()?(cu[A-Z]\w*)\)?", header):
    names |= {plain, mapped}
for name in re.findall(r"__CUDA_API_P(?:TSZ|TDS)\((cu[A-Z]\w*)\)", header):
    names |= {name, f"{name}_ptsz", f"{name}_ptds"}
CUDA_ERROR_NO_DEVICE = 100
for name in sorted(names - {"cuGetErrorString"}):
    print(f"int {name}(void) {{ return {CUDA_ERROR_NO_DEVICE}; }}")
print('int cuGetErrorString(int error, const char **text) { *text = "the driver library is a stub"; return 0; }')
PYTHON
cc -w -shared -fPIC -Wl,-soname,libcuda.so.1 -o lib/stubs/libcuda.so lib/stubs/libcuda.c
ln -s libcuda.so lib/stubs/libcuda.so.1

bin/nvcc --version >&2
chmod 755 "$made"
mv --no-target-directory "$made" "$final" 2>/dev/null || [[ -d $final ]]
echo "$final/$home"
