"""Emission by our own chat service: the only importer of the OpenTelemetry SDK.

telemetry = start("http://127.0.0.1:4318")
telemetry.instrument_app(app)
with GenAI(telemetry).inference(InferenceRequest("openai", "gpt-4o-mini")) as call:
    ...
    call.answer(InferenceResult(usage))
telemetry.shutdown()
"""

from spanledger.telemetry.genai import CacheSavings, GenAI, Inference, InferenceRequest, InferenceResult
from spanledger.telemetry.ids import Ids
from spanledger.telemetry.outbox import Outbox
from spanledger.telemetry.setup import Part, Telemetry, off, start

__all__ = [
    "CacheSavings",
    "GenAI",
    "Ids",
    "Inference",
    "InferenceRequest",
    "InferenceResult",
    "Outbox",
    "Part",
    "Telemetry",
    "off",
    "start",
]
