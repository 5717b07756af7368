"""What the holder of a key may do.

ingest   send telemetry (OTLP), nothing else
chat     that, and talk to models: messages, completions, feedback; it spends money
read     look at everything of its tenant; POST /v1/sql and /v1/reconcile
admin    everything of its tenant
(none)   the operator of this machine: also what concerns all tenants
"""

import re

from spanledger.principal import Principal

_TALKS = (
    ("POST", re.compile(r"/v1/conversations/[^/]+/messages")),
    ("POST", re.compile(r"/v1/messages/[^/]+/feedback")),
    ("POST", re.compile(r"/v1/(chat/)?completions")),
    ("POST", re.compile(r"/v1/responses")),
    ("POST", re.compile(r"/v1/embeddings")),
    ("POST", re.compile(r"/v1/retrieval/search")),
    ("GET", re.compile(r"/v1/models(/.*)?")),
)
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_READS_BY_POST = frozenset({("POST", "/v1/sql"), ("POST", "/v1/reconcile")})
_ADMINS_ONLY = re.compile(r"/v1/keys(/.*)?|/v1/audit|/v1/operations/.*|/v1/erasures(/.*)?")
# What shows or rewrites the data of all tenants.
_OPERATORS_ONLY = (
    ("POST", re.compile(r"/v1/reprice")),
    ("POST", re.compile(r"/v1/audit")),
    ("GET", re.compile(r"/v1/tenants")),
    ("GET", re.compile(r"/v1/dead-letters(/.*)?")),
    ("POST", re.compile(r"/v1/dead-letters(/.*)?")),
)


def may_ingest(principal: Principal) -> bool:
    return principal.role in {"ingest", "chat", "admin"}


def may_call(principal: Principal, method: str, path: str) -> bool:
    """Whether the API lets them. `path` with `%2F` for a slash inside an id."""
    if _matches(_OPERATORS_ONLY, method, path):
        return principal.operator
    match principal.role:
        case "admin":
            return True
        case "read":
            reads = method in _READS or (method, path) in _READS_BY_POST
            return reads and not _ADMINS_ONLY.fullmatch(path)
        case "chat":
            return _matches(_TALKS, method, path)
        case _:
            return False


def _matches(rules: tuple[tuple[str, re.Pattern[str]], ...], method: str, path: str) -> bool:
    return any(method == verb and pattern.fullmatch(path) for verb, pattern in rules)
