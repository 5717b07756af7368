"""Which encodings of an answer's body a client takes."""


def accepts_gzip(accept_encoding: str) -> bool:
    """`accept_encoding`: the header of the request, empty where there is none. A weight of 0 refuses (RFC 9110)."""
    weights = dict(_weight(part) for part in accept_encoding.lower().split(","))
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weight(part: str) -> tuple[str, float]:
    """Coding and weight; a weight that is no number counts as refused."""
    coding, _, parameter = part.replace(" ", "").partition(";")
    try:
        return coding, float(parameter.removeprefix("q=") or 1)
    except ValueError:
        return coding, 0.0
