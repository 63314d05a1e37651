#!/usr/bin/env bash
# Checks what a machine needs for Précis and installs what is missing.
#
#   infra/setup.sh demo     build and run: Rust, make, a C and a C++ compiler, Python 3 with pip
#   infra/setup.sh test     that, and format, lints and tests: Java 17, Maven, Python's venv, Valgrind
#
# Missing Debian or Ubuntu packages are installed when this runs as root; otherwise the exact command is printed and
# the exit code is 1. Rust itself comes from rustup, which this does not install.
set -euo pipefail

mode=${1:-}
if [[ $mode != demo && $mode != test ]]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi

root=$(cd "$(dirname "$0")/.." && pwd)
packages=()

# need COMMAND PACKAGE: remembers PACKAGE when COMMAND is not there.
need() {
    command -v "$1" >/dev/null 2>&1 || packages+=("$2")
}

# The Kafka of the tests runs on Java 17 or later; the macOS stub `java` and older ones do not count.
java_is_recent() {
    local version
    version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
    [[ ${version:-0} -ge 17 ]]
}

need make make
need cc gcc
need c++ g++
need perl perl-base
need python3 python3
python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)
if ! printf '#include <stdlib.h>\n' | cc -E - >/dev/null 2>&1; then
    packages+=(libc6-dev)
fi
if [[ $mode == test ]]; then
    python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || packages+=(python3-venv)
    need mvn maven
    need valgrind valgrind
    if ! java_is_recent; then
        if apt-cache show openjdk-17-jre-headless >/dev/null 2>&1; then
            packages+=(openjdk-17-jre-headless)
        else
            packages+=(default-jre-headless)
        fi
    fi
fi

if ((${#packages[@]})); then
    install=(apt-get install --yes --no-install-recommends "${packages[@]}")
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "missing; please install, by your system's names for these Debian packages: ${packages[*]}" >&2
        exit 1
    elif [[ $(id -u) -ne 0 ]]; then
        echo "missing packages; please run:" >&2
        echo "  sudo apt-get update && sudo ${install[*]}" >&2
        exit 1
    fi
    echo "installing: ${packages[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq </dev/null >&2
    "${install[@]}" </dev/null >&2
    if [[ $mode == test ]] && ! java_is_recent; then
        echo "the tests need Java 17 or later first on PATH; found: $(java -version 2>&1 | head -n 1)" >&2
        exit 1
    fi
fi

if ! command -v cargo >/dev/null 2>&1; then
    echo "Rust is missing: install it with rustup (toolchain 'stable', profile 'default'), then run this again" >&2
    exit 1
fi
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
found=$(rustc --version | sed 's/^rustc \([0-9.]*\).*/\1/')
if [[ $(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1) != "$wanted" ]]; then
    echo "Rust $wanted or later is needed and $found is here; please run: rustup update stable" >&2
    exit 1
fi

if [[ $mode == test ]]; then
    for component in rustfmt clippy; do
        tool=cargo-${component/rustfmt/fmt}
        if ! "$tool" --version >/dev/null 2>&1; then
            rustup component add "$component" || {
                echo "please install Rust's component $component: rustup component add $component" >&2
                exit 1
            }
        fi
    done
    # Kafka's jars and the tests' Python environment, cached under ~/.cache/precis.
    python3 "$root/tests/harness/provision.py" </dev/null >/dev/null
fi
