"""Numbers and times as exports have them, and as spreadsheets write them when they save an export again.

What can be read in two ways (`1,234` as an amount, `11/1/2026`) is not read.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

NOTHING = frozenset({"", "null", "none", "nan", "n/a", "-", "—"})  # cells without a value
_DIGITS, _PLACES = 40, 40  # before and behind the point; `0E-6176` and `1E-50` are amounts of nothing
_SPACES = dict.fromkeys(map(ord, " \u00a0\u2009\u202f'\u2019"))  # between groups of digits
_SIGN = re.compile(r"^(-?)(?:US)?\$|\s*USD$", re.IGNORECASE)
_POINT = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+\.\d*|[-+]?[1-9]\d{0,2}(?:,\d{3}){2,}")  # 1,234.56 and 1,234,567
_COMMA = re.compile(  # 1.234,56 and 0,06 and 1234,567
    r"[-+]?\d{1,3}(?:\.\d{3})+,\d*|[-+]?\d*,(?!\d{3}$)\d+|[-+]?(?:0*|\d{4,}),\d+"
)
_GROUPS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3}|([.,])\d{3}(?:\1\d{3})+)")
_ZONE = re.compile(r"\s*(?:UTC|GMT)$", re.IGNORECASE)
_OFFSET = re.compile(r"\s+([+-]\d{2}:?\d{2})$")
_WRITTEN_OUT = ("%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y")
_DAY = re.compile(r"(?:19|20)\d{6}")  # 20261105; as seconds since 1970 it would be of August 1970


def amount(value: object) -> Decimal | None:
    """A number, with or without a currency sign, in either style of separators."""
    if not isinstance(value, str):
        return _bounded(value)
    text = value.strip()
    if text.startswith("(") and text.endswith(")"):  # accountants' way to write less than nothing
        text = f"-{text[1:-1].strip()}"
    text = _SIGN.sub(r"\1", text).translate(_SPACES)
    if _POINT.fullmatch(text):
        text = text.replace(",", "")
    elif _COMMA.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    return _bounded(text)


def count(value: object) -> Decimal | None:
    """A number that is whole, so that one comma before three digits parts thousands."""
    if isinstance(value, str) and _GROUPS.fullmatch(text := value.strip().translate(_SPACES)):
        value = re.sub("[.,]", "", text)
    return amount(value)


def _bounded(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    if number.is_zero():
        return Decimal(0)  # with whatever exponent
    if not number.is_finite() or number.adjusted() >= _DIGITS:
        return None
    return number if number.as_tuple().exponent >= -_PLACES else number.quantize(Decimal(1).scaleb(-_PLACES))  # type: ignore[operator]  # finite


def moment(value: object) -> datetime | None:
    """A time in UTC; what names no zone is in UTC."""
    try:
        if isinstance(value, str) and (_DAY.fullmatch(value.strip()) or not value.replace(".", "", 1).isdigit()):
            found = _written(_OFFSET.sub(r"\1", _ZONE.sub("", value.strip())))
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        if isinstance(value, (int, str, Decimal)) and not isinstance(value, bool):
            seconds = float(value)
            return datetime.fromtimestamp(seconds / 1000 if seconds >= 1e11 else seconds, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _written(text: str) -> datetime:
    """Raises ValueError."""
    if text[:4].isdigit():
        return datetime.fromisoformat(text.replace("/", "-"))
    for form in _WRITTEN_OUT:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    raise ValueError(text)
