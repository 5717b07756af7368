"""Every error a person can meet, in one tree.

SpanledgerError
├── SettingsError      a flag or environment value that cannot be used
├── StoreError         ClickHouse refused or cannot be reached
│   ├── StoreBusy      another process owns the data folder
│   └── SchemaError    the schema is newer than, or differs from, this program
├── BadRequest         the caller's input cannot be used (HTTP 400/422)
├── NotFound           no such message, conversation, trace … (HTTP 404)
├── TooLarge           over a size limit (HTTP 413)
├── Refused            not allowed (HTTP 401/403)
└── UpstreamError      the model provider failed (HTTP 502)

A message says what happened and what to do about it; it is safe to show to the caller.
"""


class SpanledgerError(Exception):
    """Base of all errors whose message is meant for the person who caused or must fix it."""

    title = "Internal error"
    status = 500


class SettingsError(SpanledgerError):
    title = "Unusable setting"


class StoreError(SpanledgerError):
    title = "Store unavailable"
    status = 503


class StoreBusy(StoreError):
    title = "Data folder in use"


class SchemaError(StoreError):
    title = "Schema does not fit this version"


class BadRequest(SpanledgerError):
    title = "Bad request"
    status = 400


class NotFound(SpanledgerError):
    title = "Not found"
    status = 404


class TooLarge(SpanledgerError):
    title = "Too large"
    status = 413


class Refused(SpanledgerError):
    title = "Refused"
    status = 403


class UpstreamError(SpanledgerError):
    title = "Model provider failed"
    status = 502
