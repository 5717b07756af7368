"""OpenTelemetry metrics of the OTLP endpoint. They are exported like those of any application."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation

Health = Callable[[], Mapping[str, Any]]
Reading = Callable[[Mapping[str, Any]], Iterable[Observation]]


def report(meter: Meter, health: Health) -> None:
    """Registers the instruments; they read `health` (of service.Ingest) whenever metrics are collected."""
    look = _Look(health)
    gauges: tuple[tuple[str, str, str, Reading], ...] = (
        ("spool.size", "By", "Acknowledged and not loaded yet", lambda state: [Observation(state["spool_bytes"])]),
        ("lag", "s", "Age of the oldest that is not loaded yet", lambda state: [Observation(state["lag_ms"] / 1000)]),
        ("dead_letters", "{record}", "Set aside for a person", lambda state: [Observation(state["dead_letters"])]),
    )
    counters: tuple[tuple[str, str, str, Reading], ...] = (
        ("accepted", "{item}", "Spans, log records and data points acknowledged", _by_signal("accepted")),
        ("rejected", "{item}", "Invalid ones in requests that were otherwise accepted", _by_signal("rejected")),
        ("masked", "{text}", "Texts masked before they were stored, by rule", _masked),
        ("loaded", "{item}", "In ClickHouse", _by_signal("loaded")),
        ("refused", "{request}", "Requests that were not accepted", _refused),
        ("retries", "{batch}", "Loads that had to be tried again", lambda state: [Observation(state["retries"])]),
    )
    for name, unit, description, reading in gauges:
        meter.create_observable_gauge(f"spanledger.ingest.{name}", [look.through(reading)], unit, description)
    for name, unit, description, reading in counters:
        meter.create_observable_counter(f"spanledger.ingest.{name}", [look.through(reading)], unit, description)


class _Look:
    """One snapshot serves all instruments of a collection; a second read of one instrument takes a new snapshot."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._guard = threading.Lock()
        self._seen: Mapping[str, Any] = {}
        self._served: set[Reading] | None = None

    def through(self, reading: Reading) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda _: reading(self._state(reading))

    def _state(self, who: Reading) -> Mapping[str, Any]:
        with self._guard:
            if self._served is None or who in self._served:
                self._seen, self._served = self._health(), set()
            self._served.add(who)
            return self._seen


def _by_signal(name: str) -> Reading:
    return lambda state: [Observation(count, {"signal": signal}) for signal, count in state[name].items()]


def _masked(state: Mapping[str, Any]) -> list[Observation]:
    return [Observation(count, {"rule": rule}) for rule, count in state["masked"].items()]


def _refused(state: Mapping[str, Any]) -> list[Observation]:
    refusals = {int(status): count for status, count in state["answers"].items() if int(status) != 200}
    return [Observation(count, {"http.response.status_code": status}) for status, count in refusals.items()]
