"""What happens in workflows, as it happens: spans become events on a bus, and each reader has its own position."""

from spanledger.live.event import FOR_ADMINS, TYPES, Filter, parse_cursor
from spanledger.live.live import Live, Unavailable

__all__ = ["FOR_ADMINS", "TYPES", "Filter", "Live", "Unavailable", "parse_cursor"]
