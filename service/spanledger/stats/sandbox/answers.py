"""Formats and limits of SQL queries, and the error messages that callers get."""

import logging
import re

from spanledger.errors import BadRequest

MAX_SECONDS = 10
MAX_ROWS = 100_000
MAX_BYTES = 64 * 1024**2
MAX_MEMORY = 1024**3
FORMATS = {"json": "JSONCompact", "csv": "CSVWithNames", "pretty": "PrettyCompactMonoBlock"}
LIMITS = {
    "max_execution_time": MAX_SECONDS,
    "max_result_rows": MAX_ROWS,
    "max_result_bytes": MAX_BYTES,
    "result_overflow_mode": "throw",
    "timeout_overflow_mode": "throw",
    "max_memory_usage": MAX_MEMORY,
    "max_threads": 2,
    "max_subquery_depth": 50,
    "output_format_json_quote_decimals": 1,
    "output_format_json_quote_64bit_integers": 0,
    "output_format_pretty_color": 0,
    "output_format_pretty_row_numbers": 0,
    "output_format_pretty_max_rows": MAX_ROWS,
    "output_format_pretty_max_value_width": 200,
}

_log = logging.getLogger(__name__)
_SYNTAX_ERROR = "Code: 62."  # the engine does not always put the name behind it
# The engine takes the statement's own FORMAT and then finds ours, behind which only these may stand.
_SECOND_FORMAT = re.compile(r"\(FORMAT\).*Expected one of: SETTINGS, ParallelWithClause, PARALLEL WITH, end of query")
_CODE = re.compile(r"\(([A-Z][A-Z0-9_]{3,})\)")
# Errors of parsing and analysis, which describe the statement itself.
_OF_THE_STATEMENT = re.compile(
    r"SYNTAX_ERROR|UNKNOWN_\w+|NUMBER_OF_ARGUMENTS\w*|TOO_(MANY|FEW)_ARGUMENTS\w*|ILLEGAL_(TYPE|COLUMN|AGGREGATION)\w*"
    r"|AMBIGUOUS_\w+|NO_COMMON_TYPE|TYPE_MISMATCH|NOT_AN_AGGREGATE|NOT_FOUND_COLUMN\w*|MULTIPLE_EXPRESSIONS\w*"
    r"|UNEXPECTED_(EXPRESSION|AST\w*)|INVALID_\w*|UNSUPPORTED_METHOD|NOT_IMPLEMENTED|EMPTY_\w+|CYCLIC_ALIASES"
    r"|ILLEGAL_(PREWHERE|FINAL)|SAMPLING_NOT_SUPPORTED|UNION_ALL\w*|NO_SUCH_COLUMN\w*|TOO_DEEP_\w+|TOO_BIG_AST"
    r"|DUPLICATE_COLUMN|UNSUPPORTED_JOIN\w*|INCOMPATIBLE_COLUMNS|THERE_IS_NO_COLUMN"
)
_HINTS = {
    "TIMEOUT_EXCEEDED": f"it ran longer than {MAX_SECONDS} s; narrow it down",
    "TOO_SLOW": f"it ran longer than {MAX_SECONDS} s; narrow it down",
    "TOO_MANY_ROWS_OR_BYTES": f"its answer has more than {MAX_ROWS} rows or {MAX_BYTES >> 20} MiB; add a LIMIT",
    "TOO_MANY_ROWS": f"its answer has more than {MAX_ROWS} rows or {MAX_BYTES >> 20} MiB; add a LIMIT",
    "MEMORY_LIMIT_EXCEEDED": f"it needs more than {MAX_MEMORY >> 20} MiB of memory; narrow it down",
    "READONLY": "only reading is allowed here, and settings are fixed",
}
_OF_THE_PROCESS = {
    "timeout": _HINTS["TIMEOUT_EXCEEDED"],
    "memory": _HINTS["MEMORY_LIMIT_EXCEEDED"],
    "cancelled": "its client has gone",
    **dict.fromkeys(("gone", "idle"), "the engine could not finish it"),
}


PARSE = "EXPLAIN AST "  # before a statement that is inspected; engine.py, which imports nothing of ours, repeats it
_SYNTAX_PLACE = re.compile(
    r"failed at position (?P<position>\d+)(?P<token> \([^)]*\))? \(line (?P<line>\d+), col (?P<column>\d+)\)"
)


def checked_format(name: str) -> str:
    """The engine's name of a format. Raises BadRequest."""
    if name not in FORMATS:
        raise BadRequest(f"format={name!r} is unknown; it can be {', '.join(FORMATS)}")
    return FORMATS[name]


def error_of(text: str, reason: str = "") -> BadRequest:
    """The message for an error of the engine; of one that came while rows were read, its code alone."""
    if reason:
        return BadRequest(f"the query was stopped: {_OF_THE_PROCESS[reason]}")
    if _SECOND_FORMAT.search(text):
        return BadRequest(
            "leave FORMAT out of the statement; the parameter format (on the command line --format) chooses it: "
            f"{', '.join(FORMATS)}"
        )
    codes = _CODE.findall(text)
    for code in codes:
        if code in _HINTS:
            return BadRequest(f"the query was stopped: {_HINTS[code]}")
    code = codes[-1] if codes else "SYNTAX_ERROR" if text.startswith(_SYNTAX_ERROR) else "UNKNOWN"
    if _OF_THE_STATEMENT.fullmatch(code):
        return BadRequest(_readable(text))
    _log.info("a statement failed: %s", code)
    _log.debug("the engine's error: %s", _readable(text)[:2000])  # it quotes the statement and the rows
    return BadRequest(f"the query failed: {code.replace('_', ' ').lower()} ({code})")


def _readable(error: str) -> str:
    """The engine's message without its class names, numbers and version."""
    text = re.sub(
        r"Received ClickHouse exception, code: \d+, server response: |Code: \d+\. |DB::Exception: |default: "
        r"|\(version [^)]*\)\.?|\(for url [^)]*\)",
        "",
        error,
    )
    text = _SYNTAX_PLACE.sub(_place_in_statement, text).replace(" FORMAT TSVRaw", "")
    return re.sub(r"\s+", " ", text).strip()


def _place_in_statement(place: re.Match[str]) -> str:
    """A statement is parsed behind PARSE, which the engine counts in positions and in columns of the first line."""
    before = len(PARSE)
    line, column = int(place["line"]), int(place["column"])
    shown = f"(line {line}, col {column - before if line == 1 else column})"
    return f"failed at position {int(place['position']) - before}{place['token'] or ''} {shown}"
