#!/usr/bin/env bash
# Uses the dashboard as people do: `web/check.sh PROGRAM` starts the paceline program PROGRAM, and drives its pages in a real
# Chromium, which is installed where that may be. CHROMIUM names another.
set -euo pipefail
program=$(realpath "$1")
cd "$(dirname "$0")"
missing() { printf 'web/check.sh: %s\n' "$*" >&2; exit 1; }

command -v npm >/dev/null || missing "npm is not there: install Node.js 20 or later"
browser() {
    local name
    for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
        [ -n "$name" ] && command -v "$name" && return
    done
    return 1
}
if ! browser >/dev/null; then
    root=$([ "$(id -u)" = 0 ] || echo "sudo -n")
    if command -v apt-get >/dev/null && $root true 2>/dev/null; then
        echo "== chromium"
        { $root apt-get update -qq && $root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
            apt-get install -qq -y --no-install-recommends chromium; } >/dev/null || true
    fi
fi
CHROMIUM=$(browser) || missing "there is no browser, and none could be installed: apt-get install chromium, as root, or name one by CHROMIUM="
export CHROMIUM PACELINE_BINARY=$program

npm ci --silent --no-progress --ignore-scripts
echo "== types of the dashboard"
npm run --silent check
echo "== the dashboard in $CHROMIUM"
npm run --silent test
