"""Decides whether a failed load is a fault of the data or of the store."""

import re

from spanledger.errors import StoreError
from spanledger.store.client import Store

# ClickHouse error codes that say nothing about the data: memory, disk, network, time, schema, rights, shutdown.
_NOT_ITS_FAULT = frozenset(
    {"16", "20", "60", "81", "159", "160", "173", "192", "202", "209", "210", "236", "241", "242", "243", "252", "279"}
    | {"319", "341", "359", "394", "497", "516", "999"}
)
_CODE = re.compile(r"Code: (\d+)")


def code(error: StoreError) -> str:
    """ClickHouse's number of an error; "" when it did not get as far as to say."""
    found = _CODE.search(str(error))
    return found.group(1) if found else ""


def is_clear(error: StoreError) -> bool:
    """Whether ClickHouse itself says that it is the data."""
    return code(error) not in _NOT_ITS_FAULT | {""}


def blames_data(store: Store, error: StoreError) -> bool:
    """Whether the data may be at fault: the store works (else StoreError), and the error is not about its own means."""
    if code(error) in _NOT_ITS_FAULT:
        return False
    store.query("SELECT 1")
    return True
