"""What both limiters do, as plans."""

from __future__ import annotations

import collections
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import paceline
from paceline.compat._calls import name_of as name_of_call
from paceline.compat.token_throttle import _callbacks
from paceline.compat.token_throttle._backends import Backend
from paceline.compat.token_throttle._errors import (
    CardinalityLimitExceededError,
    DuplicateRefundError,
    UnknownReservationError,
)
from paceline.compat.token_throttle._family import Family
from paceline.compat.token_throttle._plan import Plan
from paceline.compat.token_throttle._quotas import (
    MAX_ALIAS_LENGTH,
    MAX_MODEL_FAMILY_LENGTH,
    UNLIMITED,
    Capacities,
    CapacityReservation,
    Frozen,
    FrozenUsage,
    PerModelConfig,
    PerModelConfigGetter,
    Usage,
    checked,
    frozen_usage,
    name_of,
    number,
)

MOST_REFUNDED = 131_072
"""How many refunded reservations are remembered, to tell a repeated refund from an unknown one."""


@dataclass(frozen=True)
class Bounds:
    """How much a limiter keeps."""

    families: int
    aliases: int
    metrics: int
    reservations: int
    lifetime: float | None
    callback_timeout: float | None


class Engine:
    """The families of one limiter, and its reservations."""

    def __init__(
        self,
        cfg: PerModelConfig | PerModelConfigGetter,
        backend: Backend,
        callbacks: _callbacks._Callbacks | None,
        bounds: Bounds,
    ) -> None:
        if not isinstance(cfg, PerModelConfig) and not callable(cfg):
            raise ValueError(f"cfg must be a PerModelConfig or a function that returns one (got {type(cfg).__name__})")
        self._cfg = cfg
        self.backend = backend
        self._callbacks = callbacks
        self._bounds = bounds
        self._id = uuid.uuid4().hex
        self._lock = threading.RLock()
        self._families: dict[str, Family] = {}
        self._aliases: dict[str, str] = {}
        self._open: dict[str, paceline.Permit | None] = {}
        self._refunded: collections.OrderedDict[str, None] = collections.OrderedDict()
        self.closed = False

    def acquire(self, usage: Usage, model: str, timeout: float | None) -> Plan[CapacityReservation]:
        """Waits in line for capacity, and reserves it."""
        wanted = frozen_usage(usage)
        timeout = _timeout(timeout)
        family = self._family(model)
        if family is None:
            return self._unlimited(model)
        wanted = checked(wanted, family.quotas.names, "quota keys")
        if len(self._open) >= self._bounds.reservations:
            raise CardinalityLimitExceededError(
                f"{len(self._open)} reservations are not refunded yet, and max_in_flight_reservations is "
                f"{self._bounds.reservations}: refund each of them once"
            )
        family.waiting += 1
        try:
            permit = yield from self._granted(family, wanted, timeout)
        finally:
            family.waiting -= 1
            family.touched = time.monotonic()
        permit.renew(family.lease)
        reservation = self._reservation(family, wanted, model, name_of_call(permit))
        self._open[reservation.reservation_id] = permit
        try:
            yield from self._consumed(family, reservation, "capacity_consumed")
        except BaseException:
            self._open.pop(reservation.reservation_id, None)
            permit.give_back()
            raise
        return reservation

    def _granted(self, family: Family, wanted: FrozenUsage, timeout: float | None) -> Plan[paceline.Permit]:
        amounts, callbacks = family.amounts(wanted), self._callbacks
        tells = callbacks is not None and (callbacks.on_wait_start or callbacks.after_wait_end_consumption)
        permit: paceline.Permit
        if timeout != 0 and not tells:
            permit = yield family.limiter.acquire(family.name, timeout=timeout, **amounts)
            return permit
        try:
            permit = yield family.limiter.try_acquire(family.name, **amounts)
            return permit
        except paceline.Busy as busy:
            if timeout == 0:
                raise TimeoutError(str(busy)) from busy
        before = yield from family.left()
        facts = {"model_family": family.name, "usage": wanted}
        yield from self._tell("on_wait_start", preconsumption_capacities=before, **facts)
        permit = yield family.limiter.acquire(family.name, timeout=timeout, **amounts)
        try:
            after = yield from family.left()
            yield from self._tell(
                "after_wait_end_consumption",
                preconsumption_capacities=_moved(after, wanted, +1),
                postconsumption_capacities=after,
                wait_time_s=permit.waited,
                **facts,
            )
        except BaseException:
            permit.give_back()
            raise
        return permit

    def record(self, usage: Usage, model: str) -> Plan[CapacityReservation]:
        """Counts use that nobody asked for."""
        family = self._family(model)
        if family is None:
            return self._unlimited(model)
        used = checked(usage, family.quotas.names, "quota keys")
        yield family.limiter.record(family.name, **family.amounts(used))
        reservation = self._reservation(family, used, model, uuid.uuid4().hex)
        self._open[reservation.reservation_id] = None
        yield from self._consumed(family, reservation, "usage_recorded")
        return reservation

    def request(self, request: dict[str, Any], extra: Mapping[str, float] | None, timeout: float | None) -> Plan[CapacityReservation]:
        """Counts a request, waits in line for as much, and reserves it."""
        model = request.get("model")
        if not isinstance(model, str) or not model:
            raise ValueError("the request has no model: pass model= among its keywords")
        config = self._config(model)
        added = {metric: number(more, f"extra_usage for {metric}") for metric, more in (extra or {}).items()}
        if config.usage_counter is None:
            if not config.is_unlimited:
                raise ValueError(
                    "usage_counter cannot be None for acquire_capacity_for_request: set it in the PerModelConfig, or call "
                    "acquire_capacity with the usage"
                )
            return self._unlimited(model)
        usage = dict(frozen_usage(config.usage_counter(**request)))
        for metric, more in added.items():
            if metric not in usage and not config.is_unlimited:
                raise ValueError(f"extra_usage names {metric}, which the usage_counter did not count: {sorted(usage)}")
            usage[metric] = usage.get(metric, 0.0) + more
        return (yield from self.acquire(usage, model, timeout))

    def refund(self, actual_usage: Usage, reservation: CapacityReservation) -> Plan[None]:
        """Replaces what was reserved by what was used."""
        if isinstance(actual_usage, CapacityReservation) or not isinstance(reservation, CapacityReservation):
            raise TypeError(
                "refund_capacity expects (actual_usage, reservation); did you mean refund_capacity_from_response?"
            )
        if reservation.is_unlimited:
            return
        self._check_open()
        actual = checked(actual_usage, reservation.usage, "reservation usage keys")
        family = self._families.get(reservation.model_family)
        ids = {"reservation_id": reservation.reservation_id, "model_family": reservation.model_family}
        if reservation.reservation_id in self._refunded:
            raise DuplicateRefundError("reservation already refunded", **ids)
        mine = reservation.reservation_id in self._open
        if not mine and not self.backend.is_shared:
            raise UnknownReservationError("reservation was never acquired by this limiter", **ids)
        if family is None:
            if reservation.model is not None:
                family = self._family(reservation.model)
            if family is None:
                raise ValueError(f"there are no quotas of model family {reservation.model_family!r}")
        self._check_age(reservation)
        permit = self._open.pop(reservation.reservation_id, None)
        self._refunded[reservation.reservation_id] = None
        while len(self._refunded) > MOST_REFUNDED:
            self._refunded.popitem(last=False)
        family.touched = time.monotonic()
        before = yield from self._left(family)
        try:
            if permit is not None:
                yield permit.settle(**family.amounts(actual))
            elif mine:
                yield from self._record_more(family, reservation, actual)
            else:
                yield family.limiter.settle(reservation.reservation_id, **family.amounts(actual))
        except paceline.PermitOver as over:
            raise UnknownReservationError("reservation has ended, or was never acquired on this store", **ids) from over
        yield from self._returned(family, reservation, actual, before)

    def _record_more(self, family: Family, reservation: CapacityReservation, actual: FrozenUsage) -> Plan[None]:
        more = {metric: max(0.0, used - reservation.usage[metric]) for metric, used in actual.items()}
        if any(more.values()):
            yield family.limiter.record(family.name, **family.amounts(more))

    def refund_from_response(self, reservation: CapacityReservation, response: Any, usage: Any) -> Plan[None]:
        """Refunds by the total of a response of OpenAI's shape."""
        if reservation.is_unlimited:
            return
        if set(reservation.usage) != {"requests", "tokens"}:
            raise ValueError(
                "refund_capacity_from_response requires metric names ['requests', 'tokens'] (as set by the create_openai_* "
                f"factories); got reservation with {sorted(reservation.usage)}. Use refund_capacity directly for custom "
                "metric names."
            )
        if usage is None:
            usage = _part(response, "usage")
        if usage is None:
            raise ValueError("Either 'response' or 'usage' keyword argument is required, with the usage in it")
        total = _part(usage, "total_tokens")
        if total is None:
            raise ValueError("there is no total_tokens in the usage; pass the actual usage to refund_capacity")
        yield from self.refund({"requests": 1, "tokens": number(total, "total_tokens")}, reservation)

    @property
    def families(self) -> list[Family]:
        """All families."""
        with self._lock:
            return list(self._families.values())

    def set_max(self, model: str, metric: str, per_seconds: int, value: float) -> None:
        """Puts another limit into force while the program runs."""
        self._check_open()
        if number(value, "value") <= 0:
            raise ValueError(f"value must be greater than 0 (got {value!r})")
        config = self._config(model)
        if config.is_unlimited:
            raise ValueError("Cannot set max capacity: model has unlimited quotas")
        name = config.model_family or model
        with self._lock:
            family = self._families.get(name)
            if family is None:
                raise ValueError(
                    f"No backend for model family '{name}'. Call acquire_capacity or record_usage first."
                )
            family.set_max((metric, per_seconds), float(value))

    def snapshot(self) -> dict[str, object]:
        """Returns how many reservations and families there are."""
        state: dict[str, object] = {
            "in_flight_reservations": len(self._open),
            "model_families": len(self._families),
            "backend_type": self.backend.kind,
        }
        if self.backend.is_shared:
            state.update(marker_count_estimate=len(self._open), refund_dedup_count_estimate=len(self._refunded))
        return state

    def clear_unused(self, unused_for_seconds: int) -> int:
        """Forgets families that nobody used for so long."""
        if not isinstance(unused_for_seconds, int) or isinstance(unused_for_seconds, bool) or unused_for_seconds < 0:
            raise ValueError(f"unused_for_seconds must be an int from 0 (got {unused_for_seconds!r})")
        before = time.monotonic() - unused_for_seconds
        with self._lock:
            held = {permit.resource for permit in self._open.values() if permit is not None}
            idle = [
                name
                for name, family in self._families.items()
                if name not in held and not family.waiting and family.touched <= before
            ]
            for name in idle:
                self._families.pop(name).limiter.close()
            self._aliases = {model: name for model, name in self._aliases.items() if name in self._families}
        return len(idle)

    def close(self) -> None:
        """Refuses everybody who waits, and all calls from then on."""
        with self._lock:
            self.closed = True
            for family in self._families.values():
                family.limiter.close()
            self._open.clear()

    def _check_open(self) -> None:
        if self.closed:
            raise RuntimeError("RateLimiter is closed")

    def _check_age(self, reservation: CapacityReservation) -> None:
        most, made = self._bounds.lifetime, reservation.created_at_seconds
        if most is not None and made is not None and time.time() - made > most:
            raise ValueError(
                f"Reservation lifetime exceeded max_reservation_lifetime_seconds={most:g}; expired reservations cannot be "
                "refunded."
            )

    def _config(self, model: str) -> PerModelConfig:
        if not isinstance(model, str) or not model or len(model) > MAX_ALIAS_LENGTH:
            raise ValueError(f"model must be a string of 1 to {MAX_ALIAS_LENGTH} characters (got {model!r})")
        config = self._cfg if isinstance(self._cfg, PerModelConfig) else self._cfg(model)
        if not isinstance(config, PerModelConfig):
            raise ValueError(f"the configuration of {model!r} must be a PerModelConfig (got {type(config).__name__})")
        return config

    def _family(self, model: str) -> Family | None:
        """Returns the family of a model under its quotas of the moment; none where there is no limit."""
        self._check_open()
        config = self._config(model)
        if config.is_unlimited:
            return None
        name = config.model_family or name_of(model.replace(":", "."), "model", MAX_MODEL_FAMILY_LENGTH)
        with self._lock:
            before = self._aliases.get(model, name)
            if before != name:
                raise ValueError(
                    f"Config for model '{model}' changed model_family from '{before}' to '{name}'. Model routing must stay "
                    "stable for a limiter instance; create a new RateLimiter instead."
                )
            family = self._families.get(name)
            if family is None:
                family = self._found(name, config)
            elif family.quotas != config.quotas:
                self._check_agreed(model, name, config)
                family.reconfigure(config.quotas)
            if model not in self._aliases and len(self._aliases) >= self._bounds.aliases:
                raise CardinalityLimitExceededError(f"max_aliases is {self._bounds.aliases}, and {model!r} is one more")
            self._aliases[model] = name
            return family

    def _found(self, name: str, config: PerModelConfig) -> Family:
        if len(self._families) >= self._bounds.families:
            raise CardinalityLimitExceededError(
                f"max_model_families is {self._bounds.families}, and {name!r} is one more; clear_unused_model_families "
                "forgets the idle ones"
            )
        if len(config.quotas.names) > self._bounds.metrics:
            raise CardinalityLimitExceededError(f"max_metrics_per_family is {self._bounds.metrics}")
        family = Family(name, config.quotas, self.backend, self._bounds.lifetime)
        self._families[name] = family
        return family

    def _check_agreed(self, model: str, name: str, config: PerModelConfig) -> None:
        """Refuses two models of one family that say different quotas at one time."""
        for other, family in self._aliases.items():
            if family == name and other != model and self._config(other).quotas != config.quotas:
                raise ValueError(
                    f"Config for model_family '{name}' is inconsistent across models: '{model}' and '{other}' say "
                    "different quotas; give them different families"
                )

    def _unlimited(self, model: str) -> CapacityReservation:
        return CapacityReservation(
            usage=Frozen(), model_family=UNLIMITED, limiter_instance_id=self._id, model=model, is_unlimited=True
        )

    def _reservation(self, family: Family, usage: FrozenUsage, model: str, name: str) -> CapacityReservation:
        return CapacityReservation(
            usage=usage,
            model_family=family.name,
            limiter_instance_id=self._id,
            reservation_id=name,
            bucket_ids=family.buckets,
            model=model,
        )

    def _tell(self, slot: str, **facts: Any) -> Plan[None]:
        callback = getattr(self._callbacks, slot, None)
        if callback is not None:
            yield _callbacks.Call(slot, callback, self._bounds.callback_timeout, facts)

    def _left(self, family: Family) -> Plan[Capacities | None]:
        if self._callbacks is None or self._callbacks.on_capacity_refunded is None:
            return None
        return (yield from family.left())

    def _consumed(self, family: Family, reservation: CapacityReservation, kind: str) -> Plan[None]:
        callbacks = self._callbacks
        if callbacks is None:
            return
        if callbacks.on_missing_consumption_data is not None and not self.backend.is_shared and not family.overrides:
            yield from self._missing(family)
        if callbacks.on_capacity_consumed is not None:
            after = yield from family.left()
            yield from self._tell(
                "on_capacity_consumed",
                model_family=family.name,
                preconsumption_capacities=_moved(after, reservation.usage, +1),
                postconsumption_capacities=after,
                usage=reservation.usage,
                current_time=time.time(),
            )
        yield from self._tell("on_lifecycle_event", event=_callbacks.event(kind, reservation))

    def _missing(self, family: Family) -> Plan[None]:
        """Tells once of each quota of a family that nothing was known of it before."""
        unknown, family.told = family.buckets - family.told, family.buckets
        for metric, seconds in sorted(unknown):
            yield from self._tell(
                "on_missing_consumption_data", model_family=family.name, usage_metric=metric, per_seconds=seconds
            )

    def _returned(
        self, family: Family, reservation: CapacityReservation, actual: FrozenUsage, before: Capacities | None
    ) -> Plan[None]:
        if before is not None:
            returned: FrozenUsage = Frozen({metric: reservation.usage[metric] - used for metric, used in actual.items()})
            after = yield from family.left()
            yield from self._tell(
                "on_capacity_refunded",
                model_family=family.name,
                reserved_usage=reservation.usage,
                actual_usage=actual,
                refunded_usage=returned,
                prerefund_capacities=before,
                postrefund_capacities=after,
            )
        yield from self._tell("on_lifecycle_event", event=_callbacks.event("capacity_refunded", reservation))


def _moved(capacities: Capacities, usage: Usage, sign: int) -> Capacities:
    return Frozen({bucket: left + sign * usage.get(bucket[0], 0.0) for bucket, left in capacities.items()})


def _timeout(timeout: float | None) -> float | None:
    if timeout is not None and number(timeout, "timeout") < 0:
        raise ValueError(f"timeout must be non-negative or None (got {timeout!r})")
    return timeout


def _part(whole: Any, name: str) -> Any:
    return whole.get(name) if isinstance(whole, Mapping) else getattr(whole, name, None)
