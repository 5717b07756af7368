"""Reads what providers say was used: OpenAI's and Anthropic's usage and cost exports, per day (UTC) and model.

Formats, record apart by their content (checked November 2026):

- OpenAI usage API, `GET /v1/organization/usage/{completions,embeddings,…}`, and costs API, `…/organization/costs`:
  https://platform.openai.com/docs/api-reference/usage; as typed in the package `openai`, `types.admin.organization`.
  `input_tokens` includes cached and cache-write tokens. A cost's `line_item` is like `gpt-4o-2024-08-06, cached input`,
  `priority | gpt-5.6-sol, output, long context` or `web search tool calls`.
- OpenAI usage dashboard, its Export button (https://help.openai.com/en/articles/8554956): CSV with the same names, the
  cost as `amount_value`.
- Anthropic Admin API, `GET /v1/organizations/usage_report/messages` and `/cost_report`:
  https://platform.claude.com/docs/en/api/admin/usage_report/retrieve_messages and …/cost_report/retrieve.
  Input is uncached + cache reads + cache writes. A cost is a decimal string of cents.
- Claude Console, CSV of the usage page (`usage_date_utc, model_version, …, usage_input_tokens_no_cache, …`) and of the
  cost page (`usage_date_utc, model, …, token_type, cost_usd, …`; models by display name, amounts rounded to cents):
  https://support.claude.com/en/articles/9534590-cost-and-usage-reporting-in-the-claude-console.

An API answer may be one page, a list of pages, or one page after the other. Files may be packed (gzip, zip).
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import Any

from spanledger.errors import BadRequest
from spanledger.foreign import json_text, texts
from spanledger.reconcile import files
from spanledger.reconcile.usage_rows import (
    Export,
    OtherCost,
    Place,
    UsageRow,
    is_nothing,
    read_count,
    read_moment,
    read_money,
    read_name,
    summed,
    total,
)

_DAY_S = 86_400
_HALF_A_CENT = Decimal("0.005")


def read_export(path: Path) -> Export:
    """Reads a usage or cost export. BadRequest says what is wrong with the file and where."""
    return parse_export(files.text_of(path), path.name)


def parse_export(text: str, name: str) -> Export:
    """The same of its content; `name`: what messages call it."""
    start = text.lstrip()[:1]
    if not start:
        raise BadRequest(f"{name} is empty")
    export = _read_json(text, name) if start in "[{" else _read_csv(text, name)
    if not export.days:
        raise BadRequest(f"{name}: {export.kind} without a single day")
    export.rows = summed(export.rows)
    return export


# JSON


def _read_json(text: str, name: str) -> Export:
    buckets: list[Any] = []
    wrong: list[BadRequest] = []
    more = False
    for page in _pages(text, name, wrong):
        if isinstance(page, dict) and isinstance(page.get("data"), list):
            buckets += page["data"]
            more = bool(page.get("has_more"))
        else:
            buckets.append(page)
    export: Export | None = None
    for number, bucket in enumerate(buckets):
        place = Place(name, f"bucket {number}")
        try:
            day, results = _bucket(bucket, place)
        except BadRequest as exc:
            wrong.append(exc)
            continue
        export = export or _json_export(bucket)
        export.days.add(day)
        for position, result in enumerate(results):
            with _set_aside(wrong):
                _json_result(export, day, result, Place(name, f"bucket {number}, result {position}"))
    export = _with_wrong(export, wrong)
    if export is None:
        raise BadRequest(f"{name} has no usage buckets: expected a page of OpenAI's or Anthropic's usage or cost API")
    if more:
        export.notes.append("the last page says that more pages follow: the export is not complete")
    return export


@contextmanager
def _set_aside(wrong: list[BadRequest]) -> Iterator[None]:
    """A line that cannot be read is listed and left out; its neighbours count."""
    try:
        yield
    except BadRequest as exc:
        wrong.append(exc)


def _with_wrong(export: Export | None, wrong: list[BadRequest]) -> Export | None:
    """The export with its unreadable lines listed. Raises the first one where nothing was readable."""
    if wrong and (export is None or not (export.rows or export.other)):
        raise wrong[0]
    if export is not None:
        export.unreadable += [str(exc) for exc in wrong]
    return export


def _pages(text: str, name: str, wrong: list[BadRequest]) -> list[Any]:
    """The document, or those of each line; lines that are none are listed as `wrong`."""
    try:
        whole = json_text.loads(text, Decimal)
    except ValueError as exc:
        pages = _documents(text) or _lines(text, name, wrong)
        if len(pages) < max(1, len(wrong)):
            raise BadRequest(f"{name} is not JSON: {exc}") from exc
        return pages
    return whole if isinstance(whole, list) else [whole]


_SPACE = re.compile(r"\s*")


def _documents(text: str) -> list[Any]:
    """Documents one after the other, each over several lines, as `jq` leaves them; none where one is broken."""
    found, decoder = list[Any](), json_text.decoder(Decimal)
    at = _end_of_space(text, 0)
    try:
        while at < len(text):
            document, at = decoder.raw_decode(text, at)
            found.append(document)
            at = _end_of_space(text, at)
    except (ValueError, RecursionError):
        return []
    return found


def _end_of_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _lines(text: str, name: str, wrong: list[BadRequest]) -> list[Any]:
    pages = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                pages.append(json_text.loads(line, Decimal))
            except ValueError as exc:
                wrong.append(Place(name, f"line {number}").wrong(f"not JSON: {exc}"))
    return pages


def _bucket(bucket: object, place: Place) -> tuple[date, list[Any]]:
    if isinstance(bucket, dict) and isinstance(failure := bucket.get("error"), dict):
        raise place.wrong(f"the provider refused the export: {failure.get('message') or failure.get('type')}")
    if isinstance(bucket, dict) and "aggregation_timestamp" in bucket:
        raise place.wrong("OpenAI's old /v1/usage, which is not by UTC day; export /v1/organization/usage/completions")
    if not isinstance(bucket, dict) or not isinstance(bucket.get("results", 0), (list, NoneType)):
        raise place.wrong("not a usage bucket: expected `results` beside `start_time` or `starting_at`")
    start, end = (
        read_moment(bucket.get(unix, bucket.get(text)), place)
        for unix, text in (("start_time", "starting_at"), ("end_time", "ending_at"))
    )
    if (end - start).total_seconds() > _DAY_S:
        raise place.wrong("the bucket is longer than a day: export with bucket_width=1d or shorter")
    return start.date(), bucket["results"] or []  # null: an empty list, by programs in Go


def _json_export(bucket: Mapping[str, Any]) -> Export:
    """OpenAI's buckets have Unix times, Anthropic's RFC 3339."""
    return Export("OpenAI API", "openai") if "start_time" in bucket else Export("Anthropic Admin API", "anthropic")


def _json_result(export: Export, day: date, result: Any, place: Place) -> None:
    if not isinstance(result, dict):
        raise place.wrong("a result is not an object")
    if export.provider == "openai":
        if isinstance(result.get("amount"), dict) or result.get("object") == "organization.costs.result":
            amount = result.get("amount") or {}
            _openai_cost(export, day, result.get("line_item"), amount.get("value"), amount.get("currency"), place)
        elif "num_model_requests" in result and not _is_of_a_tool(result):
            export.rows.append(_openai_usage(day, result, place))
        else:  # vector stores, code interpreter sessions: no calls of a model
            export.notes.append(f"not compared: {result.get('object', 'a result without num_model_requests')}")
    elif "amount" in result:
        _anthropic_cost(export, day, result, place)
    elif "output_tokens" in result:
        export.rows.append(_anthropic_usage(day, result, place))
    else:
        raise place.wrong("a result with neither `amount` nor `output_tokens`")


# OpenAI


def _is_of_a_tool(result: Mapping[str, Any]) -> bool:
    """Searches in the web: the requests that made them are counted among the completions, too."""
    return "search" in str(result.get("object"))


def _openai_usage(day: date, record: Mapping[str, Any], place: Place) -> UsageRow:
    return UsageRow(
        day=day,
        provider="openai",
        model=read_name(record.get("model")),
        calls=read_count(record, "num_model_requests", place),
        input_tokens=read_count(record, "input_tokens", place),
        cache_read_input_tokens=read_count(record, "input_cached_tokens", place),
        cache_write_input_tokens=read_count(record, "input_cache_write_tokens", place),
        output_tokens=read_count(record, "output_tokens", place),
    )


_LINE_ITEM = re.compile(r"^(?:\w+ \| )?(?P<model>[^,\s]+)(?: (?:text|audio|image|video))?, .+$")


def _openai_cost(export: Export, day: date, item: object, value: object, currency: object, place: Place) -> None:
    if is_nothing(value):
        return
    cost = read_money(value, currency, place)
    if not item:
        export.rows.append(UsageRow(day, "openai", "", cost_usd=cost))
    elif found := _LINE_ITEM.match(str(item)):
        export.rows.append(UsageRow(day, "openai", read_name(found["model"]), cost_usd=cost))
    else:
        export.other.append(OtherCost(day, texts.whole(str(item)), cost))


# Anthropic


def _anthropic_usage(day: date, record: Mapping[str, Any], place: Place) -> UsageRow:
    creation = record.get("cache_creation")
    parts = creation if isinstance(creation, dict) else {}
    writes = total(read_count(parts, f"ephemeral_{ttl}_input_tokens", place) for ttl in ("5m", "1h"))
    reads = read_count(record, "cache_read_input_tokens", place)
    return UsageRow(
        day=day,
        provider="anthropic",
        model=read_name(record.get("model")),
        calls=read_count(record, "requests", place),
        input_tokens=total((read_count(record, "uncached_input_tokens", place), reads, writes)),
        cache_read_input_tokens=reads,
        cache_write_input_tokens=writes,
        output_tokens=read_count(record, "output_tokens", place),
    )


def _anthropic_cost(export: Export, day: date, record: Mapping[str, Any], place: Place) -> None:
    if is_nothing(record["amount"]):
        return
    cost = read_money(record["amount"], record.get("currency") or "USD", place).scaleb(-2)
    if record.get("cost_type") not in (None, "tokens"):
        export.other.append(OtherCost(day, texts.whole(str(record["cost_type"])), cost))
    else:
        export.rows.append(UsageRow(day, "anthropic", read_name(record.get("model")), cost_usd=cost))


# CSV


def _read_csv(text: str, name: str) -> Export:
    text = _DELIMITER_LINE.sub("", text.lstrip("\ufeff \t\r\n"))
    delimiter = max(",;\t", key=text.split("\n", 1)[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        columns = _columns(next(reader))
        kind, provider, read_line = _csv_kind(set(columns), name)
        export, wrong = Export(kind, provider), list[BadRequest]()
        for cells in _rows(reader, name, wrong):
            if _columns(cells) == columns:
                continue  # several exports one after the other
            record = dict.fromkeys(columns, "") | {c: cell.strip() for c, cell in zip(columns, cells, strict=False)}
            if any(record.values()):
                place = Place(name, f"line {reader.line_num}")
                with _set_aside(wrong):
                    day = _csv_day(record, place)
                    read_line(export, day, record, place)
                    export.days.add(day)
    except csv.Error as exc:
        raise BadRequest(f"{name}, line {reader.line_num}: not CSV: {exc}") from exc
    _with_wrong(export, wrong)
    return export


_DELIMITER_LINE = re.compile(r'^"?sep=.?"?[ \t]*(?:\r\n?|\n)', re.IGNORECASE)  # a note from Excel to itself


def _columns(header: list[str]) -> list[str]:
    return [column.strip().lower().replace(" ", "_") for column in header]


def _rows(reader: Any, name: str, wrong: list[BadRequest]) -> Iterator[list[str]]:
    """The cells of each line that is CSV."""
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            wrong.append(Place(name, f"line {reader.line_num}").wrong(f"not CSV: {exc}"))


_ReadLine = Callable[[Export, date, Mapping[str, str], Place], None]


def _csv_kind(columns: set[str], name: str) -> tuple[str, str, _ReadLine]:
    if "amount_value" in columns:
        return "OpenAI cost CSV", "openai", _openai_cost_line
    if "num_model_requests" in columns:
        return "OpenAI usage CSV", "openai", _openai_usage_line
    if "usage_output_tokens" in columns:
        return "Anthropic usage CSV", "anthropic", _anthropic_usage_line
    if {"cost_usd", "token_type"} <= columns:
        return "Anthropic cost CSV", "anthropic", _anthropic_cost_line
    raise BadRequest(
        f"{name}: not a known export. Its columns are {', '.join(sorted(columns))[:200]}; known are OpenAI's "
        "(num_model_requests or amount_value) and Anthropic's (usage_output_tokens, or cost_usd with token_type)"
    )


def _csv_day(record: Mapping[str, str], place: Place) -> date:
    columns = ("start_time", "usage_date_utc", "usage_hour_utc", "start_time_iso", "date")
    value = next((record[column] for column in columns if record.get(column)), None)
    if value is None:
        raise place.wrong(f"no day: expected one of the columns {', '.join(columns)}")
    return read_moment(value, place).date()


def _openai_usage_line(export: Export, day: date, record: Mapping[str, str], place: Place) -> None:
    if record["num_model_requests"]:  # empty days have a line of empty cells
        export.rows.append(_openai_usage(day, record, place))


def _openai_cost_line(export: Export, day: date, record: Mapping[str, str], place: Place) -> None:
    _openai_cost(export, day, record.get("line_item"), record["amount_value"], record.get("amount_currency"), place)


def _anthropic_usage_line(export: Export, day: date, record: Mapping[str, str], place: Place) -> None:
    reads = read_count(record, "usage_input_tokens_cache_read", place)
    names = ("", "_5m", "_1h")
    writes = total(read_count(record, f"usage_input_tokens_cache_write{name}", place) for name in names)
    fresh = read_count(record, "usage_input_tokens_no_cache", place)
    row = UsageRow(
        day=day,
        provider="anthropic",
        model=read_name(record.get("model_version") or record.get("model")),
        input_tokens=total((fresh, reads, writes)),
        cache_read_input_tokens=reads,
        cache_write_input_tokens=writes,
        output_tokens=read_count(record, "usage_output_tokens", place),
    )
    export.rows.append(row)


def _anthropic_cost_line(export: Export, day: date, record: Mapping[str, str], place: Place) -> None:
    if is_nothing(record["cost_usd"]):
        return
    cost = read_money(record["cost_usd"], "USD", place)
    if record.get("cost_type") not in (None, "", "token", "tokens"):
        export.other.append(OtherCost(day, record["cost_type"], cost))
        return
    exponent = cost.as_tuple().exponent
    rounding = _HALF_A_CENT if isinstance(exponent, int) and exponent >= -2 else Decimal(0)
    export.rows.append(UsageRow(day, "anthropic", read_name(record.get("model")), cost_usd=cost, rounding_usd=rounding))
