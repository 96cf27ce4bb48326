"""The limiter: what its constructor takes, and what needs no native code."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from . import _native
from ._errors import ConfigError

_F = TypeVar("_F", bound=Callable[..., Any])


class Limiter(_native.Limiter):
    """Keeps callers inside the limits of a configuration; from any thread and any event loop.

    ``Limiter("openai/gpt-4o", rpm=500, tpm=30_000)`` knows one resource; ``Limiter(config="limits.yaml")`` knows those of a
    file, which it watches for changes; ``Limiter()`` reads the file that ``PACELINE_CONFIG`` names;
    ``Limiter(store="http://127.0.0.1:7411")`` knows the resources of that server.

    :param resource: the name of the only resource; its provider is the part before the slash.
    :param config: a path, a mapping, or a YAML text.
    :param store: where the limits live: ``memory://`` (this process, the default, or ``PACELINE_STORE``), ``local://NAME`` (the
        processes of this user on this host), ``redis://…``, ``http://…`` or ``unix:…`` (a ``paceline serve``); or a client of the
        ``redis`` package, whose connection settings are taken over.
    :param private: keeps everything to this limiter, in memory, shared with nobody.
    :param lease: how many seconds a permit lives that nobody ends; one whose block is open lives on.
    :param store_timeout: how many seconds a call waits for a shared store that cannot be reached.
    :param session_timeout: after how many seconds of silence a shared store takes this process for dead.
    :param on_store_failure: ``refuse``, ``allow`` or ``local``: what becomes of callers while the store cannot be reached.
    :param on_lost_state: ``elapsed``, ``empty`` or ``full``: how long windows restart where a shared store lost its state.
    :param key_prefix: what the names of all keys in a shared store begin with.
    :param name: what people see of this process on a shared store, followed by ``@host:pid``.
    :param mode: ``enforce``, ``shadow`` or ``off``; ``PACELINE_MODE`` where it is not given.
    :param limits: the limits of the only resource, short (``rpm=``, ``tpm=``, ``rpd=``, ``itpm=``, ``otpm=``, ``concurrency=``) or
        long (``requests_per_minute=``), and what else a resource of a configuration may say (``lanes=``, ``aliases=``).
    :raises ConfigError: where the configuration or an option is wrong; the message says where, and what instead.

    >>> limiter = Limiter("openai/gpt-4o", rpm=500, tpm=30_000, private=True)
    >>> with limiter.acquire(tokens=2_000) as permit:
    ...     permit.settle(tokens=1_392).wait()["returned"]["tokens"]
    608
    """

    def __new__(
        cls,
        resource: str | None = None,
        /,
        *,
        config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        store: Any = None,
        private: bool = False,
        lease: float = 900.0,
        store_timeout: float = 5.0,
        session_timeout: float = 10.0,
        on_store_failure: str = "refuse",
        on_lost_state: str = "elapsed",
        key_prefix: str | None = None,
        name: str | None = None,
        mode: str | None = None,
        clock: _native.ManualClock | None = None,
        **limits: Any,
    ) -> Limiter:
        return super().__new__(
            cls,
            **_source(resource, config, limits, store := _store(store)),
            store=store,
            private=private,
            lease=lease,
            store_timeout=store_timeout,
            session_timeout=session_timeout,
            on_store_failure=on_store_failure,
            on_lost_state=on_lost_state,
            key_prefix=key_prefix,
            name=name or _program(),
            mode=mode,
            clock=clock,
        )

    def configure(self, config: str | os.PathLike[str] | Mapping[str, Any]) -> None:
        """Puts another configuration into force, live: who waits keeps its place, permits keep what they reserved.

        What the configuration before named and this one does not is removed.

        :raises ConfigError: where it is wrong; the one before stays in force.
        """
        self.reconfigure(**_source(None, config, {}, None))

    def limited(self, resource: str | None = None, /, *, settle: bool = True, **asked: Any) -> Callable[[_F], _F]:
        """Returns a decorator: each call of the function acquires first, and settles with what the function returns.

        The keywords are those of :meth:`acquire`; one that is a function is called with the arguments of each call.
        Without ``settle`` the reservation counts as used.

        >>> limiter = Limiter("tools/search", rpm=60, private=True)
        >>> @limiter.limited(settle=False)
        ... def search(query: str) -> str:
        ...     return query.upper()
        >>> search("tokens")
        'TOKENS'
        """

        def decorate(function: _F) -> _F:
            def ask(args: tuple[Any, ...], kwargs: dict[str, Any]) -> _native.Acquire[_native.Permit]:
                said = {name: value(*args, **kwargs) if callable(value) and name != "on_error" else value for name, value in asked.items()}
                return self.acquire(resource, **said)

            from inspect import iscoroutinefunction

            if iscoroutinefunction(function):

                @functools.wraps(function)
                async def limited(*args: Any, **kwargs: Any) -> Any:
                    async with ask(args, kwargs) as permit:
                        answer = await function(*args, **kwargs)
                        _end(permit, answer, settle)
                        return answer

            else:

                @functools.wraps(function)
                def limited(*args: Any, **kwargs: Any) -> Any:
                    with ask(args, kwargs) as permit:
                        answer = function(*args, **kwargs)
                        _end(permit, answer, settle)
                        return answer

            return limited  # type: ignore[return-value]

        return decorate

    async def aclose(self) -> None:
        """Refuses everybody who waits and everybody who asks from now on, as :meth:`close` does."""
        self.close()

    def __enter__(self) -> Limiter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    async def __aenter__(self) -> Limiter:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()


def _end(permit: _native.Permit, answer: Any, settle: bool) -> None:
    if not permit.settled:
        # A plain value is a result of the function's, not what a call used.
        plain = answer is None or isinstance(answer, (bool, int, float, str, bytes, list, tuple))
        permit.settle(answer) if settle and not plain else permit.settle()


# The stores that tell a limiter without a configuration of their resources.
_SERVERS = ("http:", "https:", "unix:")


def _source(resource: str | None, config: Any, limits: dict[str, Any], store: str | None) -> dict[str, Any]:
    """Returns where the configuration comes from, as the native part takes it."""
    if resource is not None:
        if config is not None:
            raise ConfigError("give either the one resource and its limits, or config=, not both")
        return {"text": (f'Limiter("{resource}")', _written(_of_one(resource, limits)))}
    if limits:
        raise ConfigError(f"{', '.join(limits)}: name the resource that has these limits first, as in Limiter(\"openai/gpt-4o\", …)")
    if config is None:
        config = os.environ.get("PACELINE_CONFIG")
        if not config and store is not None and store.startswith(_SERVERS):
            return {}
        if not config:
            raise ConfigError(
                'no limits: name a resource, as in Limiter("openai/gpt-4o", rpm=500), give config=, or set PACELINE_CONFIG'
            )
    if isinstance(config, Mapping):
        if not config:
            raise ConfigError("config names no resource: it is empty")
        return {"text": ("config", _written(config))}
    if isinstance(config, str) and "\n" in config:
        return {"text": ("config", config)}
    return {"path": os.fspath(config)}


def _written(config: Mapping[str, Any]) -> str:
    """Returns a configuration as text."""
    import json

    try:
        return json.dumps(config, default=_as_mapping)
    except TypeError as error:
        raise ConfigError(f"the configuration is plain data, names with numbers, texts, lists and mappings under them: {error}") from None


def _as_mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{value!r} is none of them")


def _of_one(resource: str, limits: dict[str, Any]) -> dict[str, Any]:
    """Returns the configuration that names one resource."""
    said = dict(limits)
    if not said:
        raise ConfigError(f'{resource} has no limits: give some, as in Limiter("{resource}", rpm=500, tpm=30_000), or unlimited=True')
    account, slash, model = resource.partition("/")
    if slash and account and model:
        return {account: {model: said}}
    return {"resources": {resource: said}}


def _program() -> str:
    """Returns the name of the running program."""
    started = sys.argv[0] if sys.argv and sys.argv[0] else ""
    name = os.path.splitext(os.path.basename(started))[0]
    return os.path.basename(os.path.dirname(started)) if name == "__main__" else name or "python"


def _store(store: Any) -> str | None:
    """Returns the URL of a store; of a client of the ``redis`` package, that of its server."""
    if store is None:
        return os.environ.get("PACELINE_STORE") or None
    if isinstance(store, str):
        return store
    pool: Any = getattr(store, "connection_pool", None)
    settings = getattr(pool, "connection_kwargs", None)
    if not isinstance(settings, dict):
        raise ConfigError(f"store is {store!r}; it is a URL such as redis://localhost:6379, or a client of the redis package")
    return _url_of(settings, getattr(pool.connection_class, "__name__", ""))


def _url_of(settings: Mapping[str, Any], kind: str) -> str:
    """Returns the URL of a redis client's connection settings."""
    from urllib.parse import quote

    user, password = settings.get("username") or "", settings.get("password") or ""
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user or password else ""
    database = settings.get("db") or 0
    if settings.get("path"):
        asked = f"db={database}" + (f"&user={quote(user)}" if user else "") + (f"&pass={quote(password)}" if password else "")
        return f"redis+unix://{settings['path']}?{asked}"
    scheme = "rediss" if "SSL" in kind else "redis"
    host = settings.get("host") or "localhost"
    return f"{scheme}://{login}{f'[{host}]' if ':' in host else host}:{settings.get('port') or 6379}/{database}"
