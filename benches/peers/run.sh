#!/usr/bin/env bash
# Measures other limiters beside ours on one private redis-server: same machine, same server, same work. Installs them
# from PyPI into a virtual environment under target/. Takes redis-server, cargo and a Python; PYTHON names one (some
# peers want 3.12 or later). Arguments go to peers.py: --rounds, --seconds, --url.
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
venv="$target/peers-venv"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
for peer in "token-throttle[redis]" llmratelimiter "throttled-py[redis]" limits redis; do
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$peer" 2>/dev/null \
        || echo "skipped: $peer does not install with $("$venv/bin/python" --version)" >&2
done
cargo build --release --quiet -p paceline-benches --bin redis
exec "$venv/bin/python" benches/peers/peers.py --paceline "$target/release/redis" "$@"
