"""Reads what a call used off any known SDK's response, and off streams of events or raw bytes."""

from __future__ import annotations

from paceline._usage.read import read
from paceline._usage.sse import SseUsage
from paceline._usage.stream import StreamUsage

__all__ = ["SseUsage", "StreamUsage", "read"]
