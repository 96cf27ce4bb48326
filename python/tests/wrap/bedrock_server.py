"""A Bedrock that speaks Converse and InvokeModel, streams included, and enforces a limit of requests."""

from __future__ import annotations

import base64
import json
import struct
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

USAGE = {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18}
THROTTLED = "Too many requests, please wait before trying again."


class Bedrock(ThreadingHTTPServer):
    """Serves ``room`` calls, and refuses all further ones."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.room = 1_000
        self.seen: list[tuple[str, str]] = []
        self.go = threading.Event()
        self.go.set()
        self.throttle_in_stream = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Bedrock

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        _, _, model, operation = self.path.split("/")
        self.server.seen.append((unquote(model), operation))
        if len(self.server.seen) > self.server.room:
            body = json.dumps({"message": THROTTLED}).encode()
            self._send(429, body, {"x-amzn-errortype": "ThrottlingException", "content-type": "application/json"})
        elif operation == "converse":
            message = {"role": "assistant", "content": [{"text": "Hello."}]}
            answer = {"output": {"message": message}, "stopReason": "end_turn", "usage": USAGE, "metrics": {"latencyMs": 1}}
            self._send(200, json.dumps(answer).encode(), {"content-type": "application/json"})
        elif operation == "invoke":
            counts = {"x-amzn-bedrock-input-token-count": "11", "x-amzn-bedrock-output-token-count": "7"}
            self._send(200, b'{"content": "Hello."}', {"content-type": "application/json", **counts})
        elif operation == "converse-stream":
            self._stream(
                _event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello."}}),
                _refusal() if self.server.throttle_in_stream else b"",
                _event("messageStop", {"stopReason": "end_turn"}),
                _event("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}}),
            )
        else:
            last = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 11, "outputTokenCount": 7}}
            chunks = [{"bytes": base64.b64encode(json.dumps(chunk).encode()).decode()} for chunk in ({"text": "Hello."}, last)]
            self._stream(*(_event("chunk", chunk) for chunk in chunks))

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, first: bytes, *events: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/vnd.amazon.eventstream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self._chunk(first)
        self.server.go.wait(20)
        for event in filter(None, events):
            self._chunk(event)
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


def _event(name: str, payload: dict[str, Any]) -> bytes:
    return _message({":event-type": name, ":content-type": "application/json", ":message-type": "event"}, payload)


def _refusal() -> bytes:
    kind = {":exception-type": "throttlingException", ":content-type": "application/json", ":message-type": "exception"}
    return _message(kind, {"message": THROTTLED})


def _message(headers: dict[str, str], payload: dict[str, Any]) -> bytes:
    packed = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in headers.items()
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", 16 + len(packed) + len(body), len(packed))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + packed + body
    return message + struct.pack("!I", zlib.crc32(message))
