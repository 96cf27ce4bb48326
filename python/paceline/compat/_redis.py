"""Where a client of redis-py is connected to, as the URL of a store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode


def url_of(client: Any) -> str:
    """Returns the URL of the server that a ``redis.Redis`` or ``redis.asyncio.Redis`` client is connected to.

    The connection itself is not used: Paceline has its own. Clients of a sentinel and of a cluster work too.

    Raises:
        TypeError: it is not such a client, or does not say where it is connected to.
    """
    nodes = getattr(client, "startup_nodes", None) or getattr(getattr(client, "nodes_manager", None), "startup_nodes", None)
    if nodes:
        return _of_cluster(client, nodes)
    pool = getattr(client, "connection_pool", None)
    options = getattr(pool, "connection_kwargs", None)
    if not isinstance(options, Mapping):
        raise TypeError(
            f"expected a URL or a client of redis-py, got {type(client).__name__}; pass the server's URL, such as "
            "redis://localhost:6379"
        )
    if getattr(pool, "sentinel_manager", None) is not None:
        return _of_sentinels(pool, options)
    if options.get("path"):
        return _with_query("redis+unix://" + quote(options["path"]), _in_query(options))
    if not options.get("host"):
        raise TypeError("this client does not say where it is connected to; pass the server's URL")
    address = _address(options["host"], options.get("port", 6379))
    return _with_query(f"{_scheme(pool, options)}://{_user(options)}{address}{_database(options)}", _tls(options))


def of_parts(host: str, port: int, db: int, user: str | None, password: str | None, *, tls: bool) -> str:
    """Returns the URL of a server that is named by its parts.

    >>> of_parts("cache", 6380, 2, None, "p@ss", tls=True)
    'rediss://:p%40ss@cache:6380/2'
    """
    options = {"username": user, "password": password, "db": db}
    return f"{'rediss' if tls else 'redis'}://{_user(options)}{_address(host, port)}{_database(options)}"


def with_parts(url: str, db: int, password: str | None) -> str:
    """Returns a URL with another database and password, where they are said.

    >>> with_parts("redis://cache:6379", 3, "secret")
    'redis://:secret@cache:6379/3'
    """
    if not db and password is None:
        return url
    scheme, _, rest = url.partition("://")
    rest, mark, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    if password is not None:
        user, at = f"{user.partition(':')[0]}:{quote(password, safe='')}", "@"
    if db:
        slash, path = "/", str(db)
    return f"{scheme}://{user}{at}{host}{slash}{path}{mark}{query}"


def _of_cluster(client: Any, nodes: Any) -> str:
    named = list(nodes.values()) if isinstance(nodes, Mapping) else list(nodes)
    manager = getattr(client, "nodes_manager", None)
    options = getattr(client, "connection_kwargs", None) or getattr(manager, "connection_kwargs", None) or {}
    scheme = "rediss+cluster" if options.get("ssl") else "redis+cluster"
    return f"{scheme}://{_user(options)}" + ",".join(_address(node.host, node.port) for node in named)


def _of_sentinels(pool: Any, options: Mapping[str, Any]) -> str:
    asked = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
    scheme = "rediss+sentinel" if _scheme(pool, options) == "rediss" else "redis+sentinel"
    addresses = ",".join(_address(one["host"], one["port"]) for one in asked)
    return f"{scheme}://{_user(options)}{addresses}/{pool.service_name}{_database(options)}"


def _scheme(pool: Any, options: Mapping[str, Any]) -> str:
    kinds = getattr(pool, "connection_class", type(None)).__mro__
    return "rediss" if options.get("ssl") or any("SSL" in kind.__name__ for kind in kinds) else "redis"


def _user(options: Mapping[str, Any]) -> str:
    user, password = options.get("username"), options.get("password")
    provider = options.get("credential_provider")
    if provider is not None:
        said = provider.get_credentials()
        user, password = said if len(said) == 2 else (None, said[0])
    if not user and not password:
        return ""
    secret = f":{quote(str(password), safe='')}" if password else ""
    return f"{quote(str(user or ''), safe='')}{secret}@"


def _address(host: Any, port: Any) -> str:
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def _database(options: Mapping[str, Any]) -> str:
    return f"/{options['db']}" if options.get("db") else ""


def _tls(options: Mapping[str, Any]) -> dict[str, str]:
    return {"ca": options["ssl_ca_certs"]} if options.get("ssl_ca_certs") else {}


def _in_query(options: Mapping[str, Any]) -> dict[str, str]:
    said = {"db": options.get("db"), "user": options.get("username"), "pass": options.get("password")}
    return {name: str(value) for name, value in said.items() if value}


def _with_query(url: str, said: Mapping[str, str]) -> str:
    return f"{url}?{urlencode(said)}" if said else url
