"""OTLP over gRPC: the three Export methods of the endpoint."""

from collections.abc import AsyncIterable
from typing import Any

import grpc

from spanledger.ingest.answers import Answer
from spanledger.ingest.door import Door
from spanledger.ingest.http import Sync, over_limit, synced
from spanledger.ingest.limits import Limited, Limits
from spanledger.ingest.senders import Senders, TurnedAway
from spanledger.ingest.signals import SIGNALS, Signal

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_MAX_CONCURRENT = 256


async def serve(door: Door, sync: Sync | None, limits: Limits, senders: Senders) -> tuple[Any, int]:
    """Starts the server on a free port of loopback; returns it (a grpc.aio.Server) and the port.

    Raises OSError where there is none.
    """
    options = [
        ("grpc.max_receive_message_length", door.max_body_bytes),
        ("grpc.so_reuseport", 0),  # the port is this process' alone
        ("grpc.max_concurrent_streams", 128),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 60_000),  # who is gone without a word is noticed
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.max_connection_idle_ms", 300_000),  # clients connect again by themselves
        ("grpc.server_handshake_timeout_ms", 30_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),  # Go's clients may ask every 10 s, and come early
    ]
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=_MAX_CONCURRENT)
    handlers = [_handler(door, sync, limits, senders, signal) for signal in SIGNALS.values()]
    server.add_generic_rpc_handlers(handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    if port == 0:
        raise OSError("the gRPC server has no port on loopback")
    await server.start()
    return server, port


def _handler(door: Door, sync: Sync | None, limits: Limits, senders: Senders, signal: Signal) -> Any:
    async def export(messages: AsyncIterable[bytes], context: Any) -> bytes:
        key_id = ""
        body = await anext(aiter(messages), None)
        if body is None:  # gRPC itself has refused a message that is too large (or its sender broke off)
            door.counts.answers[door.too_large().status] += 1
            return b""
        try:
            given = dict(context.invocation_metadata() or ())
            sender = senders.of(given.get("authorization"), given.get("x-api-key"))
            key_id = sender.key_id
            with limits.request(key_id, len(body)):
                answer, _ = await door.accept_in_turn(sender, signal, body, "protobuf")
                answer = await synced(answer, signal, sync)
        except TurnedAway as exc:
            answer, key_id = exc.answer, exc.key_id
            door.counts.answers[answer.status] += 1
        except Limited as exc:
            answer = over_limit(exc)
            door.counts.answers[answer.status] += 1
        door.counts.senders[f"{key_id}/{answer.status}"] += 1
        if not answer.ok:
            await _abort(context, answer)
        return answer.body(signal, "protobuf")

    # No (de)serialiser: the body goes to the spool as it came. To a sender a stream of one message is the same as the
    # message, and only of a stream one hears that its message was refused.
    method = grpc.stream_unary_rpc_method_handler(export)
    return grpc.method_handlers_generic_handler(signal.grpc_service, {"Export": method})


async def _abort(context: Any, answer: Answer) -> None:
    trailing = (("grpc-status-details-bin", answer.rpc_status()),) if answer.retry_after else ()
    await context.abort(_CODES[answer.rpc_code], answer.message, trailing)
