"""A few messages of an application, for tests of lists and exports."""

import os
import time
import uuid

from otlp_make import trace_request
from system import System

SECOND = 1_000_000_000


class Shop:
    """Three messages of two users in one service."""

    def __init__(self, system: System, name: str = "find") -> None:
        self.name = self.service = f"{name}-{uuid.uuid4().hex[:10]}"
        self.users = [f"{self.name}-u{number}" for number in range(2)]
        self.traces = [os.urandom(16) for _ in range(3)]
        for number, trace_id in enumerate(self.traces):
            system.export(self._body(number, trace_id))

    def _body(self, number: int, trace_id: bytes) -> bytes:
        at = time.time_ns() - (100 - number) * SECOND
        span = {
            "name": "chat gpt-4o-mini",
            "kind": 3,
            "span_id": bytes([number + 1] * 8),
            "start_time_unix_nano": at,
            "end_time_unix_nano": at + SECOND,
            "attributes": {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o-mini",
                "gen_ai.response.id": f"resp-{self.name}-{number}",
                "gen_ai.usage.input_tokens": 1000 * (number + 1),
                "gen_ai.usage.output_tokens": 100,
                "gen_ai.conversation.id": f"{self.name}-c{number % 2}",
                "spanledger.message.id": f"{self.name}-m{number}",
                "user.id": f"{self.name}-u{number % 2}",
                "team": "search" if number else "sales",
            },
        }
        return trace_request(span, trace_id=trace_id, resource={"service.name": self.name}).SerializeToString()
