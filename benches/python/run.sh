#!/usr/bin/env bash
# The Python package's benchmarks, each beside its floor: in process, wrapped calls, counting, and on one redis-server beside
# other limiters. Builds the wheel and installs it with the peers into an environment under target/. Takes cargo,
# redis-server and a Python; PYTHON names one (token-throttle wants 3.12 or later).
set -euo pipefail
cd "$(dirname "$0")/../.."

command -v redis-server >/dev/null || { echo "redis-server is not there: apt-get install redis-server" >&2; exit 1; }
python="${PYTHON:-}"
for candidate in python3.14 python3.13 python3.12 "$HOME"/.pyenv/versions/3.1[2-9]*/bin/python3 python3; do
    # Some are names alone, which find nothing when they are called.
    if [ -z "$python" ] && "$candidate" -c "" 2>/dev/null; then python="$candidate"; fi
done
[ -n "$python" ] || { echo "python3 is not there" >&2; exit 1; }

target="${CARGO_TARGET_DIR:-target}"
venv="$target/python-bench"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
install() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
for package in "token-throttle[redis]" llmratelimiter "throttled-py[redis]" redis openai tiktoken litellm; do
    install "$package" || echo "skipped: $package does not install with $("$venv/bin/python" --version)" >&2
done
"$venv/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$target/python-bench/wheels" .
install --no-deps --force-reinstall "$target"/python-bench/wheels/paceline-*.whl
cargo build --release --quiet -p paceline-benches --bins

run() { printf '\n## %s\n\n' "$1"; shift; "$venv/bin/python" "$@"; }
run "In process" benches/python/inprocess.py --rust "$target/release/paceline-benches"
run "A wrapped OpenAI call" benches/python/wrapped.py
run "Counting" benches/python/count.py
run "On Redis, beside others" benches/peers/peers.py --paceline "$target/release/redis" --rounds 5
