"""What happens in workflows, as it happens: spans become events on a bus, and everybody reads at their own pace."""

from spanledger.live.event import FOR_ADMINS, TYPES, Filter, parse_cursor
from spanledger.live.live import Live, Unavailable

__all__ = ["FOR_ADMINS", "TYPES", "Filter", "Live", "Unavailable", "parse_cursor"]
