"""Where clients of redis-py are connected to, as the URLs of stores."""

from __future__ import annotations

from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.sentinel import Sentinel

import paceline
from paceline.compat._redis import url_of

CLIENTS: list[tuple[Any, str]] = [
    (redis.Redis(), "redis://localhost:6379"),
    (redis.asyncio.Redis(host="cache", port=6380, db=2), "redis://cache:6380/2"),
    (redis.Redis(host="::1", username="me", password="p@ss/w"), "redis://me:p%40ss%2Fw@[::1]:6379"),
    (redis.Redis.from_url("rediss://:secret@cache:6379/1"), "rediss://:secret@cache:6379/1"),
    (redis.asyncio.Redis(host="cache", ssl=True), "rediss://cache:6379"),
    (redis.Redis(unix_socket_path="/run/redis.sock", db=3), "redis+unix:///run/redis.sock?db=3"),
    (
        Sentinel([("a", 26379), ("b", 26379)]).master_for("main", db=1),  # type: ignore[no-untyped-call]
        "redis+sentinel://a:26379,b:26379/main/1",
    ),
    (
        redis.asyncio.RedisCluster(startup_nodes=[ClusterNode("a", 7000), ClusterNode("b", 7001)]),
        "redis+cluster://a:7000,b:7001",
    ),
]


@pytest.mark.parametrize(("client", "url"), CLIENTS, ids=[url for _, url in CLIENTS])
def test_clients(client: Any, url: str) -> None:
    assert url_of(client) == url
    paceline.Limiter("m", rpm=1, store=url)


def test_what_is_no_client() -> None:
    with pytest.raises(TypeError, match="^expected a URL or a client of redis-py, got dict; pass the server's URL"):
        url_of({})
