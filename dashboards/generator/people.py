"""Dashboards that follow a question down: Users, Conversations & messages, Trace explorer, Errors & latency."""

from generator import sql
from generator.model import Column, Dashboard, Panel, Variable
from generator.parts import (
    ANNOTATIONS,
    CONVERSATION,
    ERRORS,
    FILTERS,
    OF_ANY_MODEL,
    SECONDS,
    SHARE,
    TENANT,
    USD,
    USER,
    Maker,
)

_CHAT = (
    Column(name="exchanges", title="Exchanges"),
    Column(name="failed_exchanges", title="Failed"),
    Column(name="unpriced_calls", title="Calls without a price"),
)


def users() -> Dashboard:
    variables = (TENANT, USER)
    make = Maker(variables)
    rows = [
        "user_id",
        "llm_calls",
        "failed_calls",
        "input_tokens",
        "output_tokens",
        "cost_usd",
        "cost_per_call_usd",
        "error_share",
        "unpriced_share",
    ]
    panels = [
        make.number("Active users", "user_counts", "active_users", width=6),
        make.number("Cost per user", "user_counts", "cost_per_user_usd", USD, width=6),
        make.number("Dearest user in a hundred", "user_counts", "p99_cost_usd", USD, width=6),
        make.number("Spent by the dearest tenth", "user_counts", "top_tenth_share", SHARE, width=6, decimals=1),
        make.lines("Active users", "users_over_time", {"active_users": "users"}),
        make.lines("Cost", "users_over_time", {"cost_usd": "cost"}, USD, bars=True),
        make.table(
            "Users",
            "users",
            rows,
            width=24,
            height=9,
            given={"limit": 200},
            description="Whole hours. A user opens with their conversations",
        ),
        make.table("Conversations", "conversations", width=24, height=9, look=_CHAT, given={"limit": 100}),
    ]
    return Dashboard(
        uid="spanledger-users",
        title="Users",
        description="Who uses what; leave the user empty for all",
        panels=panels,
        variables=variables,
        annotations=ANNOTATIONS,
        span="now-7d",
    )


def conversations() -> Dashboard:
    variables = (TENANT, CONVERSATION, USER)
    make = Maker(variables)
    panels = [
        make.lines(
            "Duration of messages",
            "message_latency_over_time",
            {"p50_s": "p50", "p95_s": "p95", "p99_s": "p99"},
            SECONDS,
            description="The whole tenant",
        ),
        make.lines(
            "Messages",
            "usage_over_time",
            {"messages": "messages"},
            bars=True,
            given={"by": "''"},
            description="The whole tenant; user's and assistant's",
        ),
        make.table("Conversations", "conversations", width=24, height=9, look=_CHAT, given={"limit": 100}),
        make.table(
            "Messages",
            "messages",
            width=24,
            height=11,
            given={"limit": 200},
            description="A message opens with its trace",
        ),
    ]
    return Dashboard(
        uid="spanledger-conversations",
        title="Conversations & messages",
        description="Conversations with a message in the time range, and their messages; empty fields mean all",
        panels=panels,
        variables=variables,
        annotations=ANNOTATIONS,
    )


def trace() -> Dashboard:
    wanted = Variable(name="id", label="Correlation, trace, message or conversation id")
    found = sql.pick(sql.bind("dashboards/find_traces", ["tenant", "id"], {"limit": 50}), ["trace_id"])
    variables = (TENANT, wanted, Variable(name="trace", label="Trace", query=found))
    make = Maker(variables)
    look = (
        Column(name="span_name", title="Span", width=260),
        Column(name="cost_state", title="Cost is"),
        Column(name="failed_spans", title="Failed spans"),
    )
    panels = [
        make.table(
            "Traces of this id",
            "find_traces",
            width=24,
            height=6,
            look=look,
            given={"limit": 50},
            description="Of any time",
        ),
        make.table("What the books say about its spans", "trace_calls", width=24, height=10, look=look),
    ]
    panels.insert(1, Panel(title="Trace", kind="traces", query=make.query("trace_frame"), width=24, height=14))
    panels.append(
        Panel(title="Logs", kind="logs", query=make.query("trace_log_lines", limit=500), width=24, may_be_empty=True)
    )
    return Dashboard(
        uid="spanledger-trace",
        title="Trace explorer",
        description="From any id to its traces, their spans, tokens, cost and logs",
        panels=panels,
        variables=variables,
        refresh="",
    )


def errors() -> Dashboard:
    make = Maker(FILTERS)
    known = "error_share IS NOT NULL AND series != '(none)'"
    quantiles = {"p50_s": "p50", "p95_s": "p95", "p99_s": "p99"}
    panels = [
        make.number("Failed calls", "usage_total", "failed_calls", width=6),
        make.number("Failed share", "usage_total", "error_share", SHARE, thresholds=ERRORS, width=6, decimals=2),
        make.number("Failed tool runs", "usage_total", "failed_tool_calls", width=6),
        make.number("Mean duration of a call", "usage_total", "mean_call_s", SECONDS, width=6),
        make.series(
            "Failed share of calls by service",
            "usage_over_time",
            "error_share",
            SHARE,
            where=known,
            given={"by": "service"},
        ),
        make.series(
            "Failed share of calls by model",
            "usage_over_time",
            "error_share",
            SHARE,
            where=known,
            given={"by": "model"},
        ),
        make.series(
            "Failed spans by error",
            "errors_over_time",
            "spans",
            stacked=True,
            bars=True,
            description="The whole tenant",
        ),
        make.lines("Duration of calls", "latency_over_time", quantiles, SECONDS, given={"kind": "call"}),
        make.lines("Duration of messages", "message_latency_over_time", quantiles, SECONDS),
        make.lines(
            "Duration of tools", "latency_over_time", quantiles, SECONDS, given={"kind": "tool", **OF_ANY_MODEL}
        ),
        make.table(
            "Failed messages", "messages", width=24, given={"limit": 100, "only_status": ["error"]}, may_be_empty=True
        ),
    ]
    return Dashboard(
        uid="spanledger-errors",
        title="Errors & latency",
        description="What failed and what was slow",
        panels=panels,
        variables=FILTERS,
        annotations=ANNOTATIONS,
    )
