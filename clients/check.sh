#!/usr/bin/env bash
# Uses a running server as strangers do: a TypeScript client made of its OpenAPI document, and requests at random that
# keep to the document, or just not (schemathesis). `clients/check.sh PROGRAM PYTHON`: the paceline program, and a Python
# that has schemathesis.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$1 python=$2
home=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$home"' EXIT
server=
cat >"$home/limits.yaml" <<'YAML'
openai:
  gpt-4o: {requests_per_minute: 500, tokens_per_minute: 30_000, requests_per_day: 10_000, concurrent_requests: 20}
YAML
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$program" serve --listen "127.0.0.1:$port" --state "$home/state" --config "$home/limits.yaml" >"$home/out" 2>"$home/log" &
server=$!
export PACELINE_URL="http://127.0.0.1:$port"
for _ in $(seq 100); do
    curl -sf "$PACELINE_URL/readyz" >/dev/null && break
    kill -0 "$server" 2>/dev/null || { cat "$home/log" >&2; exit 1; }
    sleep 0.1
done

echo "== a TypeScript client of the OpenAPI document"
(cd clients/typescript && npm ci --silent --no-progress && mkdir -p build && npm run --silent check)

echo "== requests at random by the OpenAPI document"
# What waits on purpose is left out (polls, events, the watch), and keys, the first of which would shut all later requests out. No answer
# may be a 5xx or other than documented. One worker: CPython before 3.11.8 and 3.12.2 cannot parse code in several threads.
"$python" -m schemathesis.cli run "$PACELINE_URL/v1/openapi.json" \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
    --exclude-path /v1/events --exclude-path /v1/watch --exclude-path /v1/session --exclude-path-regex '^/v1/(tickets|keys)' \
    --suppress-health-check filter_too_much --warnings off \
    --request-timeout 30 --max-examples "${PACELINE_FUZZ:-25}" --seed 7 --workers 1 || { tail -20 "$home/log" >&2; exit 1; }
kill -0 "$server" || { cat "$home/log" >&2; exit 1; }
