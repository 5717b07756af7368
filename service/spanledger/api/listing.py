"""Common features of answers with rows: `Link: rel=next`, `ETag`, and the same rows as CSV for `Accept: text/csv`."""

import csv
import hashlib
import inspect
import io
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from spanledger.foreign.texts import harmless

_ROWS = ("items", "groups", "buckets", "rows", "data")  # the member of an answer that a table is made of
CSV = "text/csv"
CSV_ANSWER: dict[int | str, dict[str, Any]] = {200: {"content": {CSV: {"schema": {"type": "string"}}}}}


class ListingRoute(APIRoute):
    """Reading routes of a router; the other methods are left alone."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if "GET" in (options.get("methods") or ()) and _has_rows(endpoint):
            options["responses"] = {**CSV_ANSWER, **(options.get("responses") or {})}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            response = await handle(request)
            is_json = response.headers.get("content-type", "").startswith("application/json")
            if request.method != "GET" or response.status_code != 200 or not is_json:
                return response
            return _listed(request, response)

        return handled


def _has_rows(endpoint: Callable[..., Any]) -> bool:
    answer = inspect.signature(endpoint).return_annotation
    known = getattr(answer, "model_fields", None) or getattr(answer, "__dataclass_fields__", None) or {}
    return any(name in known for name in _ROWS)


def _listed(request: Request, response: Response) -> Response:
    body = bytes(response.body)
    wants_csv = _prefers_csv(request.headers.get("accept", ""))
    answer = json.loads(body, parse_float=str) if wants_csv or b'"next_cursor":"' in body else None
    link = _next_page(request, answer)
    rows = _rows_of(answer) if wants_csv else None
    if rows is not None:
        body = _as_csv(rows)
    tag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {**_kept(response), "ETag": tag, "Vary": "Accept"} | ({"Link": link} if link else {})
    if tag in [one.strip() for one in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    if rows is not None:
        return Response(body, media_type=f"{CSV}; charset=utf-8", headers=headers)
    response.headers.update(headers)
    return response


def _prefers_csv(accept: str) -> bool:
    """Whether CSV is named before JSON, by weight and then by order."""
    weights: dict[str, float] = {}
    for part in accept.split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        quality = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        try:
            weights.setdefault(kind.lower(), float(quality))
        except ValueError:
            continue
    return weights.get(CSV, 0.0) > max(weights.get("application/json", 0.0), weights.get("text/html", 0.0))


def _next_page(request: Request, answer: Any) -> str:
    """The address of the page behind this one, as a header of RFC 8288."""
    cursor = answer.get("next_cursor") if isinstance(answer, dict) else None
    if not isinstance(cursor, str):
        return ""
    return f'<{request.url.include_query_params(cursor=cursor).replace(scheme="", netloc="")}>; rel="next"'


def _rows_of(answer: Any) -> Sequence[Mapping[str, Any]] | None:
    """The rows of an answer; None where it has none to make a table of."""
    if not isinstance(answer, dict):
        return None
    for name in _ROWS:
        rows = answer.get(name)
        if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) and (rows or name == "items"):
            return rows
    return None


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A line for each row, nested members as `usage.cost_usd`; texts that a spreadsheet would calculate stay texts."""
    flat = [dict(_flat(row)) for row in rows]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([harmless(name) for name in columns])
    writer.writerows([[harmless(row.get(name, "")) for name in columns] for row in flat])
    return out.getvalue().encode(errors="replace")


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            texts = all(isinstance(one, str) for one in value)
            yield prefix + name, "; ".join(value) if texts else json.dumps(value, ensure_ascii=False)
        else:
            yield prefix + name, "" if value is None else value


def _kept(response: Response) -> dict[str, str]:
    """Headers of the answer that hold for its rows in any form."""
    own = {"content-length", "content-type"}
    return {name: value for name, value in response.headers.items() if name not in own}
