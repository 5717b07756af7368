"""The bits of the keys in table call_keys, which find the traces that may hold copies of a call.

Three kinds, told by their highest bits. 0: the minute of the start (28 bits), then the likeness of a call (36).
10: what surely is the same, a hash of a response id or message id (40). 11: the hash of a trace id (32).
The SQL below says the same as the functions; a test compares both with the view that writes the keys.
"""

LIKENESS_BITS = 36
HASH_SHIFT = 24  # of a hash of 64 bits, to the 40 that a key of what surely is the same keeps
SURE_BIT = 63
TRACE_BITS = 62

SQL_OF_TRACE = "bitOr(bitShiftLeft(toUInt64(3), 62), toUInt64({hash}))"
SQL_OF_SAME = "bitOr(bitShiftLeft(toUInt64(1), 63), bitShiftRight({hash}, 24))"
SQL_OF_LIKENESS = "bitOr(bitShiftLeft({minute}, 36), {likeness})"
SQL_IS_SURE = "bitShiftRight(key, 63)"
SQL_MINUTE = "bitShiftRight(key, 36)"
SQL_LIKENESS = "bitAnd(key, 0xfffffffff)"


def of_trace(trace_hash: int) -> int:
    """The key under which a trace says its id; `trace_hash` as in column `trace`."""
    return 3 << TRACE_BITS | trace_hash


def of_same(name_hash: int) -> int:
    """The key of a response id or message id, by its hash of 64 bits."""
    return 1 << SURE_BIT | name_hash >> HASH_SHIFT


def of_likeness(minute: int, likeness: int) -> int:
    """The key of what two tellings of one call have in common, in a minute since 1970."""
    return minute << LIKENESS_BITS | likeness


def is_sure(key: int) -> bool:
    """Whether spans that share the key surely tell of the same call or message."""
    return bool(key >> SURE_BIT)


def minute_of(key: int) -> int:
    """Of a key of likeness: the minute since 1970."""
    return key >> LIKENESS_BITS


def likeness_of(key: int) -> int:
    """Of a key of likeness: the rest."""
    return key & (1 << LIKENESS_BITS) - 1
