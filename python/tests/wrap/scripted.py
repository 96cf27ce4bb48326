"""A server that answers as it is told, for what the fake provider never does."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MESSAGES: list[Any] = [{"role": "user", "content": "Say something."}]

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Something."}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}


@dataclass
class Answer:
    """One response. ``body`` is sent in its parts; after ``hold`` parts it waits for ``Scripted.go``."""

    status: int = 200
    body: Any = field(default_factory=lambda: CHAT)
    headers: dict[str, str] = field(default_factory=dict)
    hold: int | None = None
    """After how many parts to wait; 0 waits before the headers."""
    cut: bool = False
    """Ends the connection where more was promised."""


class Scripted(ThreadingHTTPServer):
    """A provider that gives the answers it was told to give, the last one for ever."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Answer] = [Answer()]
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.go = threading.Event()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def told(self, *answers: Answer) -> Scripted:
        self.answers = list(answers)
        return self

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Scripted

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        with self.server.lock:
            answers = self.server.answers
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            try:
                body = json.loads(content)
            except ValueError:
                body = {}
            self.server.seen.append((self.path, body))
        if answer.hold == 0:
            self.server.go.wait(20)
        parts = answer.body if isinstance(answer.body, list) else [answer.body]
        parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in parts]
        self.send_response(answer.status)
        kind = "text/event-stream" if isinstance(answer.body, list) else "application/json"
        for name, value in {"content-type": kind, **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(sum(map(len, parts)) + (1 if answer.cut else 0)))
        self.end_headers()
        for number, part in enumerate(parts, 1):
            self.wfile.write(part)
            self.wfile.flush()
            if number == answer.hold:
                self.server.go.wait(20)
        if answer.cut:
            self.close_connection = True

    do_GET = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


def event(data: Any) -> bytes:
    """A server-sent event, named as Anthropic does."""
    name = b"event: " + data["type"].encode() + b"\n" if isinstance(data, dict) and "type" in data else b""
    return name + b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


def chat_stream(*words: str, usage: bool = True) -> list[bytes]:
    """A chat completion as it is streamed."""
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    events = [event({**base, "choices": [{"index": 0, "delta": {"content": word}}]}) for word in words]
    events.append(event({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
    if usage:
        events.append(event({**base, "choices": [], "usage": CHAT["usage"]}))
    return [*events, event(b"[DONE]")]
