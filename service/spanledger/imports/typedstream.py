"""The text in an `attributedBody`: an NSAttributedString in NeXT's typedstream format, where newer systems keep it.

Only the first string is wanted, so the archive is not decoded: its class name is looked for, then its length and bytes.
"""

_CLASS = b"NSString"
_MUTABLE = b"NSMutableString"
_BYTES = b"+"  # the type of what follows: a counted run of bytes
_NEAR = 48  # between the class name and the type; a mutable string names its superclass NSString there


def text(body: bytes | None) -> str:
    """'' where there is none."""
    if not body:
        return ""
    found = [body.find(name) + len(name) for name in (_CLASS, _MUTABLE) if name in body]
    if not found:
        return ""
    start = min(found)
    at = body.find(_BYTES, start, start + _NEAR) + 1
    if at == 0 or at >= len(body):
        return ""
    length, at = _length(body, at)
    return body[at : at + length].decode("utf-8", "replace")


def _length(body: bytes, at: int) -> tuple[int, int]:
    """A count of one byte, or of as many as its mark says, and where it ends."""
    size = {0x81: 2, 0x82: 4}.get(body[at], 0)
    if not size:
        return body[at], at + 1
    return int.from_bytes(body[at + 1 : at + 1 + size], "little"), at + 1 + size
