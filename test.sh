#!/usr/bin/env bash
# Runs every check and every test. Needs a Rust toolchain (see rust-version in Cargo.toml), a C compiler for one
# dependency, redis-server and tmux, which it installs where it may, Python 3.10 or later, and Node.js 20 or later; says what
# is missing. `./test.sh long` adds the long runs of the exam, three minutes of faults at random, a hundred kills of a server
# and ten thousand who wait at it; `./test.sh python` runs the tests of the Python
# package alone, `./test.sh clients` those of other languages, `./test.sh web` the dashboard in Chromium, which
# it installs where it may.
set -euo pipefail
cd "$(dirname "$0")"

say() { printf '\n== %s\n' "$*"; }
missing() { printf 'test.sh: %s\n' "$*" >&2; exit 1; }

command -v cargo >/dev/null || missing "cargo is not there: install a Rust toolchain, $(grep -m1 rust-version Cargo.toml | tr -d '"' | cut -d= -f2 | xargs) or later"
want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
have=$(rustc --version | cut -d' ' -f2)
[ "$(printf '%s\n%s\n' "$want" "${have%%-*}" | sort -V | head -n 1)" = "$want" ] || missing "rustc is $have, this needs $want or later"
command -v cc >/dev/null || missing "a C compiler is not there: install gcc or clang"

if ! command -v redis-server >/dev/null; then
    root=$([ "$(id -u)" = 0 ] || echo "sudo -n")
    if command -v apt-get >/dev/null && $root true 2>/dev/null; then
        say "redis-server"
        # Without a service that listens: the tests start servers of their own, sentinels among them.
        { $root apt-get update -qq && $root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
            apt-get install -qq -y --no-install-recommends redis-server; } >/dev/null || true
    fi
fi
if ! command -v tmux >/dev/null; then
    root=$([ "$(id -u)" = 0 ] || echo "sudo -n")
    if command -v apt-get >/dev/null && $root true 2>/dev/null; then
        say "tmux"
        { $root apt-get update -qq && $root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -qq -y --no-install-recommends tmux; } >/dev/null || true
    fi
fi
command -v tmux >/dev/null || missing "tmux is not there, and could not be installed: apt-get install tmux, for \`paceline top\` is tried in a real terminal"
command -v redis-server >/dev/null || missing "redis-server is not there, and could not be installed: apt-get install redis-server (7.0 or later), as root"
have=$(redis-server --version | sed -n 's/.* v=\([0-9.]*\).*/\1/p')
[ "$(printf '7.0\n%s\n' "$have" | sort -V | head -n 1)" = 7.0 ] || missing "redis-server is ${have:-of an unknown version}, the tests need 7.0 or later"

python=${PYTHON:-$(command -v python3 || true)}
[ -n "$python" ] || missing "python3 is not there: install CPython 3.10 or later, or name it by PYTHON="
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || missing "$("$python" --version) is too old, the tests need 3.10 or later (PYTHON= names another)"
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing "$python cannot make virtual environments: install its venv (apt-get install python3-venv)"

# Tests the package as users have it: built as a wheel, installed into environments of its own.
test_python() {
    local home=target/python sdks=target/python/sdks frameworks=target/python/frameworks
    say "the Python package"
    for environment in "$sdks" "$frameworks"; do
        [ -x "$environment/bin/python" ] || "$python" -m venv "$environment"
        "$environment/bin/python" -m pip install --quiet --upgrade "pip>=25.1"
        "$environment/bin/python" -m pip install --quiet --group "${environment##*/}"
    done
    rm -rf "$home/wheels"
    # Compiled as the tests of Rust are, which have most of it compiled already.
    MATURIN_PEP517_ARGS="--profile dev" "$sdks/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$home/wheels" .
    for environment in "$sdks" "$frameworks"; do
        "$environment/bin/python" -m pip install --quiet --no-deps --force-reinstall "$home"/wheels/paceline-*.whl
    done
    say "types of the Python package"
    "$frameworks/bin/python" -m mypy python/paceline
    say "tests of the Python package, with the newest SDKs"
    "$sdks/bin/python" -m pytest --quiet python/tests/core python/tests/compat python/tests/wrap python/tests/test_guide.py
    say "tests of the Python package, with the frameworks and the SDKs that they take"
    "$frameworks/bin/python" -m pytest --quiet python/tests/reading python/tests/wrap python/tests/frameworks python/tests/examples
}

# Uses the control plane as strangers do, by what its description says.
test_clients() {
    say "the control plane's OpenAPI document"
    command -v npm >/dev/null || missing "npm is not there: install Node.js 20 or later, for a TypeScript client is made of that document"
    command -v curl >/dev/null || missing "curl is not there: install it"
    local api=target/python/api
    [ -x "$api/bin/python" ] || "$python" -m venv "$api"
    "$api/bin/python" -m pip install --quiet --upgrade "pip>=25.1"
    "$api/bin/python" -m pip install --quiet --group api
    cargo build --workspace --all-features --locked --quiet --bin paceline
    clients/check.sh "${CARGO_TARGET_DIR:-target}/debug/paceline" "$api/bin/python"
}

# Uses the dashboard in a real browser.
test_web() {
    say "the dashboard"
    command -v npm >/dev/null || missing "npm is not there: install Node.js 20 or later, for the dashboard is built by it"
    cargo build --workspace --all-features --locked --quiet --bin paceline
    web/check.sh "${CARGO_TARGET_DIR:-target}/debug/paceline"
}

if [ "${1:-}" = web ]; then
    test_web
    exit
fi
if [ "${1:-}" = clients ]; then
    test_clients
    exit
fi
if [ "${1:-}" = python ]; then
    test_python
    exit
fi
if [ "${1:-}" = long ]; then
    export PACELINE_EXAM_STEPS="${PACELINE_EXAM_STEPS:-400000}"
    export PACELINE_SOAK_S="${PACELINE_SOAK_S:-180}"
    export PACELINE_SERVE_KILLS="${PACELINE_SERVE_KILLS:-100}" PACELINE_CROWD="${PACELINE_CROWD:-10000}"
    export PACELINE_MUTATIONS="${PACELINE_MUTATIONS:-500000}"
fi

if cargo fmt --version >/dev/null 2>&1; then
    say "format"
    cargo fmt --all --check
else
    say "format: skipped, rustfmt is not installed"
fi
if cargo clippy --version >/dev/null 2>&1; then
    say "lints"
    cargo clippy --workspace --all-targets --all-features --locked --quiet -- -D warnings
else
    say "lints: skipped, clippy is not installed"
fi
if command -v cargo-deny >/dev/null; then
    say "dependencies"
    cargo deny --all-features check bans licenses sources
fi

say "tests"
if command -v cargo-nextest >/dev/null; then
    cargo nextest run --workspace --all-features --locked --no-fail-fast
else
    cargo test --workspace --all-features --locked --no-fail-fast --lib --bins --tests
fi
say "examples in the documentation"
cargo test --workspace --all-features --locked --doc
test_clients
test_web
test_python
say "everything passed"
