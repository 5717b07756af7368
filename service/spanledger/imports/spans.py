"""Exchanges as OTLP spans. Ids are hashes of what the source calls them, so that a second import changes nothing."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanledger.dialects.tables import IMPORT_MS, IMPORT_SCOPE
from spanledger.imports.history import MAX_TEXT, Answer, Exchange, ToolUse
from spanledger.telemetry import semconv

_KIND_INTERNAL, _KIND_CLIENT = 1, 3
_USAGE = "gen_ai.usage.raw"  # which the dialects read as a provider's usage object


def request(exchanges: Iterable[Exchange], content: bool, at_ms: int) -> bytes:
    """One OTLP request. `content`: texts go with it. `at_ms`: when the import began; of two imports of a message the
    later one stands, with all of its spans."""
    body = ExportTraceServiceRequest()
    groups: dict[str, Any] = {}
    for exchange in exchanges:
        group = groups.get(exchange.source)
        if group is None:
            resource_spans = body.resource_spans.add()
            _fill(resource_spans.resource, {"service.name": exchange.source})
            group = groups[exchange.source] = resource_spans.scope_spans.add()
            group.scope.name = IMPORT_SCOPE
        _exchange(group, exchange, content, at_ms)
    serialized: bytes = body.SerializeToString()
    return serialized


def trace_id(exchange: Exchange) -> bytes:
    return _digest(exchange.source, exchange.conversation_id, exchange.message_id)[:16]


def _exchange(group: Any, exchange: Exchange, content: bool, at_ms: int) -> None:
    trace, first = trace_id(exchange), len(group.spans)
    root = group.spans.add(
        trace_id=trace,
        span_id=_span_id(trace, "message"),
        name=f"message {exchange.source}" if exchange.alone else f"{semconv.INVOKE_WORKFLOW} {exchange.source}",
        kind=_KIND_INTERNAL,
        start_time_unix_nano=exchange.at_ns,
        end_time_unix_nano=exchange.end_ns,
    )
    operation = "human_message" if exchange.alone else semconv.INVOKE_WORKFLOW
    attributes: dict[str, Any] = {**_ids(exchange), semconv.OPERATION_NAME: operation, **exchange.more}
    if not exchange.alone:
        attributes[semconv.WORKFLOW_NAME] = exchange.source
    if content and exchange.text:
        attributes[semconv.INPUT_MESSAGES] = _said("user", exchange.text)
    if content and exchange.title:
        attributes["spanledger.import.title"] = exchange.title
    _fill(root, attributes)
    for answer in exchange.answers:
        _answer(group, exchange, root, answer, content)
    for tool in exchange.tools:
        _tool(group, exchange, root, tool, content)
    for span in group.spans[first:]:
        span.attributes.add(key=IMPORT_MS).value.string_value = str(at_ms)


def _answer(group: Any, exchange: Exchange, root: Span, answer: Answer, content: bool) -> None:
    span = group.spans.add(
        trace_id=root.trace_id,
        span_id=_span_id(root.trace_id, f"answer/{answer.answer_id}"),
        parent_span_id=root.span_id,
        name=f"{semconv.CHAT} {_clean(answer.model)}".rstrip(),
        kind=_KIND_CLIENT,
        start_time_unix_nano=answer.at_ns,
        end_time_unix_nano=max(answer.at_ns, answer.end_ns),
    )
    attributes: dict[str, Any] = {
        **_ids(exchange),
        semconv.OPERATION_NAME: semconv.CHAT,
        semconv.PROVIDER_NAME: answer.provider,
        semconv.REQUEST_MODEL: answer.model,
        semconv.RESPONSE_MODEL: answer.model,
        _USAGE: answer.usage,
        semconv.RESPONSE_FINISH_REASONS: [answer.finish_reason] if answer.finish_reason else None,
    }
    if answer.cost_usd is not None:
        attributes |= {semconv.COST_AMOUNT: float(answer.cost_usd), semconv.COST_CURRENCY: "USD"}
    if content and answer.text:
        attributes[semconv.OUTPUT_MESSAGES] = _said("assistant", answer.text)
    _fill(span, attributes)


def _tool(group: Any, exchange: Exchange, root: Span, tool: ToolUse, content: bool) -> None:
    span = group.spans.add(
        trace_id=root.trace_id,
        span_id=_span_id(root.trace_id, f"tool/{tool.use_id}"),
        parent_span_id=root.span_id,
        name=f"{semconv.EXECUTE_TOOL} {_clean(tool.name)}",
        kind=_KIND_INTERNAL,
        start_time_unix_nano=tool.at_ns,
        end_time_unix_nano=tool.at_ns,
    )
    attributes: dict[str, Any] = {
        **_ids(exchange),
        semconv.OPERATION_NAME: semconv.EXECUTE_TOOL,
        semconv.TOOL_NAME: tool.name,
    }
    if content and tool.text:
        attributes[semconv.TOOL_CALL_RESULT] = tool.text
    _fill(span, attributes)


def _ids(exchange: Exchange) -> dict[str, str]:
    return {
        semconv.CONVERSATION_ID: exchange.conversation_id,
        semconv.MESSAGE_ID: exchange.message_id,
        semconv.USER_ID: exchange.user_id,
        semconv.SOURCE: exchange.source,
    }


def _said(role: str, text: str) -> str:
    message = [{"role": role, "parts": [{"type": "text", "content": _clean(text)}]}]
    return json.dumps(message, ensure_ascii=False)


def _fill(target: Any, values: dict[str, Any]) -> None:
    """Attributes; what is unknown (None or empty) is left out."""
    for key, value in values.items():
        if value is None or value == "":
            continue
        slot = target.attributes.add(key=key).value
        if isinstance(value, bool):
            slot.bool_value = value
        elif isinstance(value, int):
            slot.int_value = value
        elif isinstance(value, float):
            slot.double_value = value
        elif isinstance(value, list):
            for item in value:
                slot.array_value.values.add(string_value=_clean(item))
        else:
            slot.string_value = _clean(value)


def _clean(text: str) -> str:
    """Half characters, which JSON can spell, have no place in a protobuf string."""
    return text[:MAX_TEXT].encode("utf-8", "replace").decode()


def _digest(*parts: str) -> bytes:
    named = "\x1f".join(("spanledger-import", *parts))
    return hashlib.sha256(named.encode("utf-8", "surrogatepass")).digest()


def _span_id(trace: bytes, part: str) -> bytes:
    return _digest(trace.hex(), part)[:8]
