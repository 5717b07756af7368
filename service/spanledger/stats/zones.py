"""Buckets of time as people count them: days, weeks and months of a time zone, with its summer time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from spanledger.errors import BadRequest

Length = Literal["minute", "hour", "day", "week", "month"]


_NO_PLACES = frozenset({"localtime", "posixrules", "Factory"})  # files beside the zones: this machine's own, or none


def zone(name: str) -> ZoneInfo:
    """By its name in the IANA database. Raises BadRequest."""
    try:
        if name in _NO_PLACES or name.startswith(("posix/", "right/")):
            raise ValueError(name)
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise BadRequest(f"tz={name!r} is not a time zone; write it like Europe/Berlin or UTC") from exc


def start_of(length: str, place: ZoneInfo) -> Callable[[int], int]:
    """The start of the bucket that a moment (seconds since 1970) lies in."""

    def start(at_s: int) -> int:
        local = datetime.fromtimestamp(at_s, UTC).astimezone(place)
        day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        if length == "week":
            day -= timedelta(days=day.weekday())
        elif length == "month":
            day = day.replace(day=1)
        return int(day.timestamp())

    return start


def needs_folding(length: str | None, place: ZoneInfo) -> bool:
    """Whether buckets are no stretches of equal length that begin with 1970."""
    return length in ("week", "month") or (length == "day" and place.key != "UTC")


def grain(place: ZoneInfo, around_s: int) -> str:
    """The bucket by which days of a zone can be added up: hours, or minutes where its offset is no whole hour."""
    moments = (around_s, around_s - 180 * 86_400)
    offsets = [datetime.fromtimestamp(moment, UTC).astimezone(place).utcoffset() for moment in moments]
    return "hour" if all(o is not None and o.total_seconds() % 3600 == 0 for o in offsets) else "minute"
