"""Decimal numbers from outside: `1e-30000000` has eleven characters, and 30 million digits once it is written out."""

from decimal import Decimal, InvalidOperation

_MOST_CHARS = 100
_LARGEST = 30  # digits before the point
_FINEST = 30  # and behind it


def parse(value: object) -> Decimal | None:
    """A finite number that fits into 30 digits before and 30 behind the point; None for anything else."""
    if isinstance(value, bool):
        return None
    text = str(value) if not isinstance(value, Decimal) else ""
    if len(text) > _MOST_CHARS:
        return None
    try:
        number = value if isinstance(value, Decimal) else Decimal(text)
    except InvalidOperation:
        return None
    return number if fits(number) else None


def fits(number: Decimal) -> bool:
    """Whether its digits are few, however it was written."""
    if not number.is_finite():
        return False
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and -_FINEST <= exponent <= _LARGEST and number.adjusted() <= _LARGEST
