"""Pairs a second of several limiters on one redis-server, in interleaved rounds. Started by run.sh.

The work: ask for one call of 10 + 10 tokens under four limits (requests, tokens, input tokens, output tokens), then
settle it at 5 + 5, or as much of this as a limiter can do. Every limit is so large that nothing waits.
"""

import argparse
import asyncio
import importlib.metadata
import os
import re
import socket
import statistics
import subprocess
import tempfile
import time

import redis

HUGE = 1_000_000_000
# One for all rounds: some clients keep connections, and with them the loop that they were made on.
LOOP = asyncio.new_event_loop()
CALLERS = (1, 64)


class TokenThrottle:
    name, package = "token-throttle", "token-throttle"
    does = "acquire + refund, 4 limits, waits without an order"

    def __init__(self, url, key):
        from redis.asyncio import Redis
        from token_throttle import PerModelConfig, Quota, RateLimiter, RedisBackendBuilder, UsageQuotas

        metrics = ("requests", "tokens", "input_tokens", "output_tokens")
        quotas = UsageQuotas([Quota(metric=metric, limit=HUGE, per_seconds=60) for metric in metrics])
        self.client = Redis.from_url(url)
        backend = RedisBackendBuilder(self.client, key_prefix=key)
        self.limiter = RateLimiter(PerModelConfig(quotas=quotas), backend=backend)

    async def pair(self):
        wanted = {"requests": 1, "tokens": 20, "input_tokens": 10, "output_tokens": 10}
        used = {"requests": 1, "tokens": 10, "input_tokens": 5, "output_tokens": 5}
        reservation = await self.limiter.acquire_capacity(wanted, model="gpt")
        await self.limiter.refund_capacity(used, reservation)

    async def close(self):
        await self.limiter.aclose()
        await self.client.aclose()


class LlmRateLimiter:
    name, package = "llmratelimiter", "llmratelimiter"
    does = "acquire + adjust, 4 limits, books a slot"

    def __init__(self, url, key):
        from llmratelimiter import RateLimiter
        from redis.asyncio import Redis

        self.client = Redis.from_url(url)
        limits = {"tpm": HUGE, "rpm": HUGE, "input_tpm": HUGE, "output_tpm": HUGE}
        self.limiter = RateLimiter(self.client, key, smooth_requests=False, **limits)

    async def pair(self):
        result = await self.limiter.acquire(input_tokens=10, output_tokens=10)
        await self.limiter.adjust(result.record_id, actual_output=5)

    async def close(self):
        await self.client.aclose()


class Throttled:
    name, package = "throttled-py", "throttled-py"
    does = "4 token buckets, one call each, no refund, no line"

    def __init__(self, url, key):
        from throttled.asyncio import RateLimiterType, RedisStore, rate_limiter
        from throttled.asyncio import Throttled as Limiter

        store = RedisStore(server=url, options={"REUSE_CONNECTION": True})
        quota = rate_limiter.per_min(HUGE, burst=HUGE)
        costs = (1, 20, 10, 10)
        using = RateLimiterType.TOKEN_BUCKET.value
        self.limiters = [
            Limiter(key=f"{key}:{number}", using=using, quota=quota, store=store, cost=cost)
            for number, cost in enumerate(costs)
        ]

    async def pair(self):
        for limiter in self.limiters:
            result = await limiter.limit()
            assert not result.limited

    async def close(self):
        pass


class Limits:
    name, package = "limits", "limits"
    does = "4 sliding-window counters, one call each, no refund, no line"

    def __init__(self, url, key):
        from limits import RateLimitItemPerMinute
        from limits.aio.storage import RedisStorage
        from limits.aio.strategies import SlidingWindowCounterRateLimiter

        self.key = key
        self.item = RateLimitItemPerMinute(HUGE)
        self.limiter = SlidingWindowCounterRateLimiter(RedisStorage(f"async+{url}", implementation="redispy"))

    async def pair(self):
        for number, cost in enumerate((1, 20, 10, 10)):
            assert await self.limiter.hit(self.item, self.key, str(number), cost=cost)

    async def close(self):
        pass


class PacelinePython:
    """Ours, as these callers would use it."""

    name, package = "paceline (Python)", "paceline"
    does = "acquire + settle, 4 limits, one line"

    def __init__(self, url, key):
        import paceline

        limits = [{"metric": metric, "amount": HUGE, "window": "60s"} for metric in ("requests", "tokens", "input_tokens", "output_tokens")]
        config = {"resources": {"gpt": {"limits": limits}}}
        self.limiter = paceline.Limiter(config=config, store=url, key_prefix=key.replace(" ", "-") + ":")

    async def pair(self):
        async with self.limiter.acquire(tokens=20, input_tokens=10, output_tokens=10) as permit:
            permit.settle(tokens=10, input_tokens=5, output_tokens=5)

    async def close(self):
        self.limiter.close()


PEERS = (PacelinePython, TokenThrottle, LlmRateLimiter, Throttled, Limits)


class Paceline:
    """Ours, in Rust: another process, told what to do a line at a time."""

    name, does = "paceline (Rust)", "acquire + settle, 4 limits, one line"

    def __init__(self, program, url):
        arguments = [program, "worker", "pairs", url, "peers-paceline:"]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def rate(self, callers, seconds):
        self.process.stdin.write(f"ours {int(seconds * 1000)} {callers}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


async def repeated(peer, callers, seconds):
    """Returns how many pairs a second the callers do."""
    count, began = 0, time.perf_counter()

    async def caller():
        nonlocal count
        while time.perf_counter() - began < seconds:
            await peer.pair()
            count += 1

    await asyncio.gather(*(caller() for _ in range(callers)))
    return count / (time.perf_counter() - began)


async def one_round(kind, url, key, callers, seconds):
    peer = kind(url, key)
    await peer.pair()
    try:
        return await repeated(peer, callers, seconds)
    finally:
        await peer.close()


def available(kind, url):
    """Says whether a peer is there and works."""
    try:
        importlib.metadata.version(kind.package)
        LOOP.run_until_complete(one_round(kind, url, "try", 1, 0.01))
    except importlib.metadata.PackageNotFoundError:
        print(f"skipped: {kind.name} is not installed")
        return False
    except Exception as error:  # whatever it raises, the others are measured
        print(f"skipped: {kind.name} does not work here: {type(error).__name__}: {error}")
        return False
    return True


def measure(url, program, rounds, seconds):
    server = redis.Redis.from_url(url)
    kinds = [kind for kind in PEERS if available(kind, url)]
    ours = Paceline(program, url) if program else None
    if ours:
        kinds.insert(0, ours)
    rates, commands = {}, {}
    for number in range(rounds):
        for callers in CALLERS:
            for kind in kinds:
                before = server.info("stats")["total_commands_processed"]
                if kind is ours:
                    rate = ours.rate(callers, seconds)
                else:
                    key = f"peer-{kind.name}-{number}-{callers}"
                    rate = LOOP.run_until_complete(one_round(kind, url, key, callers, seconds))
                done = server.info("stats")["total_commands_processed"] - before
                rates.setdefault((kind, callers), []).append(rate)
                commands.setdefault((kind, callers), []).append(done / max(rate * seconds, 1))
    report(server, kinds, rates, commands, rounds, seconds)


def spread(values):
    values = sorted(values)
    middle = statistics.median(values)
    return f"{middle:,.0f} ({values[len(values) // 4]:,.0f}–{values[(len(values) * 3) // 4]:,.0f})"


def report(server, kinds, rates, commands, rounds, seconds):
    load = os.getloadavg()[0]
    print(f"\nRedis {server.info('server')['redis_version']}, {os.cpu_count()} cores, load {load:.1f} at the end. Medians of")
    print(f"{rounds} interleaved rounds of {seconds} s, quartiles in brackets. Commands are those that the server counts,")
    print("those of scripts included.\n")
    print("| limiter | version | work | pairs a second, 1 caller | 64 callers | commands a pair, 1 caller | 64 |")
    print("|---|---|---|---|---|---|---|")
    for kind in kinds:
        version = importlib.metadata.version(kind.package) if hasattr(kind, "package") else "this tree"
        cells = [spread(rates[kind, callers]) for callers in CALLERS]
        cells += [f"{statistics.median(commands[kind, callers]):.1f}" for callers in CALLERS]
        print(f"| {kind.name} | {version} | {kind.does} | {' | '.join(cells)} |")


def private_server(folder):
    """Starts a redis-server on a free port, and returns it and its URL once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(arguments, cwd=folder, stdout=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}"
    for _ in range(200):
        try:
            redis.Redis.from_url(url).ping()
            return process, url
        except redis.ConnectionError:
            time.sleep(0.05)
    process.kill()
    raise SystemExit("redis-server does not answer")


def main():
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__)[0])
    parser.add_argument("--paceline", help="the program of benches/src/redis, for the row of the Rust library")
    parser.add_argument("--url", help="a running server in place of a private one")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        process, url = (None, args.url) if args.url else private_server(folder)
        try:
            measure(url, args.paceline, args.rounds, args.seconds)
        finally:
            if process:
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
