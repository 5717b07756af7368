"""Whether a request was meant for us: the one check of `Host`, and of `Origin` for all that changes something.

A web page elsewhere can make the user's browser talk to a port of this machine. By a name of its own that suddenly
resolves to 127.0.0.1 (DNS rebinding) it could even read the answers; the Host header then shows that name. Without a
rebound name the browser says in `Sec-Fetch-Site` or `Origin` that the page is another site's.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from spanledger.settings import Settings

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({"same-origin", "none"})  # none: the user typed the address


class Origins:
    """The sites whose pages may send here: one origin, several with commas between, or * for all."""

    def __init__(self, text: str = "") -> None:
        self._named = {name.strip().rstrip("/").lower() for name in text.split(",")} - {""}

    def __bool__(self) -> bool:
        return bool(self._named)

    def allow(self, origin: str) -> bool:
        return bool(origin) and not self._named.isdisjoint({"*", origin.lower()})

    def headers(self, origin: str) -> dict[str, str]:
        """What tells the browser so. `navigator.sendBeacon`, by which exporters in a page send unless they have headers
        of their own, sends as with credentials and so needs the origin by name, also where all may send."""
        if not self._named:
            return {}
        allowed = {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
        return {"Vary": "Origin"} | (allowed if self.allow(origin) else {})


class Hosts:
    """The names that this service is reached by. `headers` are read by lower-case names."""

    def __init__(self, settings: Settings, origins: Origins = Origins()) -> None:  # noqa: B008 - nothing changes it
        self._any = settings.needs_keys and not settings.allowed_hosts
        named = (name.strip() for name in settings.allowed_hosts.split(","))
        self._names = {_bare(name) for name in (settings.host, *named) if name}
        self._extra = self._names - {_bare(settings.host)}
        self._origins = origins

    def misdirected(self, host: str) -> str:
        """Why a request for that host is not for us; empty: it is. Old clients send no host, browsers always do."""
        if self._any or not host or self._knows(_bare(host)):
            return ""
        return f"this service is not {_bare(host)[:100]!r}; name it in SPANLEDGER_ALLOWED_HOSTS if it should be"

    def foreign(self, method: str, headers: Mapping[str, str]) -> str:
        """Why a request that changes something comes from another site's page; empty: it does not."""
        if method in _READS:
            return ""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin and self._origins.allow(origin):
            return ""
        if site is not None:
            return "" if site in _OWN_SITE else f"a page of another site sent it (Sec-Fetch-Site: {site[:20]})"
        if origin is None:
            return ""
        place = urlsplit(origin)
        if place.netloc and (place.netloc.lower() == headers.get("host", "").lower() or self._is_extra(place.hostname)):
            return ""
        return f"a page of another site sent it (Origin: {origin[:100]})"

    def _knows(self, name: str) -> bool:
        if name in self._names or name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    def _is_extra(self, name: str | None) -> bool:
        return name is not None and name in self._extra


def _bare(host: str) -> str:
    """Without port, brackets and the dot at the end, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    name = host.rpartition(":")[0] if host.count(":") == 1 else host
    return name.lower().rstrip(".")
