"""The two ways of waiting for permits: tasks of an event loop, and threads."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from typing import Any

import paceline


class Uncancellable(Exception):
    """A thread waits, and nobody can call it back."""


class Happenings:
    """What a limiter says happened, with the permits that wait under their tickets' names."""

    def __init__(self, limiter: paceline.Limiter) -> None:
        self.events = limiter.events()
        self.names: dict[str, str] = {}
        self.order: list[str] = []

    def id_of(self, ticket: str) -> str | None:
        """The id that the permit of a ticket in line will have."""
        return next((id for id, name in self.names.items() if name == ticket), None)

    def new(self) -> list[paceline.Event]:
        """Returns what happened since it was last asked; notes the grants of who waited."""
        told = []
        while (event := self.events.try_next()) is not None:
            assert event.kind != "lost", event
            told.append(event)
            if event.kind == "granted" and event.permit in self.names:
                self.order.append(self.names[event.permit])
        return told


class AsyncDoor:
    """Each ticket is a task; all run on one loop, which runs only while the door is used."""

    def __init__(self, limiter: paceline.Limiter) -> None:
        self.loop = asyncio.new_event_loop()
        self.happenings = Happenings(limiter)
        self.id_of = self.happenings.id_of
        self.tasks: dict[str, asyncio.Task[Any]] = {}
        self.done: list[tuple[str, Any]] = []

    def turn(self) -> None:
        """Lets the loop run until nothing is left to do."""

        async def idle() -> None:
            for _ in range(3):
                await asyncio.sleep(0)

        self.loop.run_until_complete(idle())

    def ask(self, ticket: str, acquire: paceline.Acquire[paceline.Permit]) -> tuple[str, Any]:
        async def wait() -> paceline.Permit:
            return await acquire

        self.happenings.new()
        task = self.tasks[ticket] = self.loop.create_task(wait())
        self.turn()
        told = self.happenings.new()
        queued = [event for event in told if event.kind == "queued"]
        if queued:
            self.happenings.names[queued[0].permit] = ticket
            task.add_done_callback(lambda task: self.done.append((ticket, _outcome(task))))
            return "queued", queued[0].ahead
        assert task.done(), f"neither queued nor done: {told}"
        return _outcome(task)

    def decisions(self) -> list[tuple[str, Any]]:
        self.turn()
        self.happenings.new()
        order, self.happenings.order = self.happenings.order, []
        done, self.done = self.done, []
        done = [(ticket, outcome) for ticket, outcome in done if outcome is not None]
        assert order == [ticket for ticket, (what, _) in done if what == "granted"], "events tell another order than tasks"
        return done

    def cancel(self, ticket: str) -> None:
        self.tasks[ticket].cancel()
        self.turn()
        assert self.tasks[ticket].cancelled()

    def close(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        self.turn()
        self.loop.close()


def _outcome(task: asyncio.Task[Any]) -> Any:
    if task.cancelled():
        return None
    error = task.exception()
    return ("refused", error) if error else ("granted", task.result())


class BlockingDoor:
    """Each ticket is a thread that parks."""

    BOUND = 10.0

    def __init__(self, limiter: paceline.Limiter) -> None:
        self.limiter = limiter
        self.happenings = Happenings(limiter)
        self.id_of = self.happenings.id_of
        self.results: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.ended: dict[str, Any] = {}
        self.refusals: list[paceline.PacelineError] = []
        self.waits = False

    def ask(self, ticket: str, acquire: paceline.Acquire[paceline.Permit]) -> tuple[str, Any]:
        def wait() -> None:
            try:
                self.results.put((ticket, ("granted", acquire.wait())))
            except paceline.PacelineError as error:
                self.results.put((ticket, ("refused", error)))

        self.happenings.new()
        threading.Thread(target=wait, daemon=True).start()
        until = time.monotonic() + self.BOUND
        while time.monotonic() < until:
            self.collect()
            if ticket in self.ended:
                self.happenings.new()
                return self.ended.pop(ticket)
            for event in self.happenings.new():
                if event.kind == "queued":
                    self.happenings.names[event.permit] = ticket
                    return "queued", event.ahead
            time.sleep(0)
        raise AssertionError(f"nothing is known of {ticket}")

    def collect(self) -> None:
        while not self.results.empty():
            ticket, outcome = self.results.get()
            self.ended[ticket] = outcome

    def decisions(self) -> list[tuple[str, Any]]:
        told = self.happenings.new()
        order, self.happenings.order = self.happenings.order, []
        refused = sum(event.kind == "refused" for event in told)
        until = time.monotonic() + self.BOUND
        while len(self.ended) < len(order) + refused:
            assert time.monotonic() < until, f"told of {order} and {refused} refused, woken were {sorted(self.ended)}"
            self.collect()
            time.sleep(0)
        # Threads end in any order: of grants the events tell it, and refusals are taken by their tickets.
        rest = sorted((ticket for ticket in self.ended if ticket not in order), key=lambda ticket: int(ticket.split("/")[1]))
        decided = [(ticket, self.ended[ticket]) for ticket in [*order, *rest]]
        self.ended.clear()
        return decided

    def cancel(self, ticket: str) -> None:
        raise Uncancellable("a way to call back a thread that waits")

    def close(self) -> None:
        self.limiter.close()
