"""Dashboards about use and money: Overview, Cost & budgets, Models & providers, Workflows, agents, tools."""

from generator.model import Column, Dashboard, Variable
from generator.parts import (
    ANNOTATIONS,
    ERRORS,
    FILTERS,
    GREEN,
    OF_ANY_MODEL,
    RED,
    SECONDS,
    SHARE,
    UNPRICED,
    USD,
    YELLOW,
    Maker,
)

_CALLS = ["series", "llm_calls", "failed_calls", "input_tokens", "output_tokens", "cost_usd"]
_BUDGET = ((None, GREEN), (0.8, YELLOW), (1.0, RED))


def overview() -> Dashboard:
    make = Maker(FILTERS)
    panels = [
        make.number("Cost", "usage_total", "cost_usd", USD),
        make.number("LLM calls", "usage_total", "llm_calls"),
        make.number("Tokens", "usage_total", "total_tokens"),
        make.number("Failed calls", "usage_total", "error_share", SHARE, thresholds=ERRORS, decimals=2),
        make.number("Without a price", "usage_total", "unpriced_share", SHARE, thresholds=UNPRICED, decimals=2),
        make.number(
            "Active users", "user_counts", "active_users", description="Whole hours; not filtered by the choices above"
        ),
        make.series(
            "Cost by model",
            "usage_over_time",
            "cost_usd",
            USD,
            where="series != '(none)'",
            given={"by": "model"},
            stacked=True,
            bars=True,
        ),
        make.lines(
            "Tokens",
            "usage_over_time",
            {"input_tokens": "input", "cache_read_input_tokens": "of it from cache", "output_tokens": "output"},
            given={"by": "''"},
        ),
        make.lines("Calls", "usage_over_time", {"llm_calls": "served", "failed_calls": "failed"}, given={"by": "''"}),
        make.lines(
            "Duration of calls",
            "latency_over_time",
            {"p50_s": "p50", "p95_s": "p95", "p99_s": "p99"},
            SECONDS,
            given={"kind": "call"},
        ),
        make.table("By service", "usage_by", _CALLS, given={"by": "service", "limit": 20}),
        make.table(
            "Dearest users",
            "users",
            ["user_id", "llm_calls", "input_tokens", "output_tokens", "cost_usd"],
            given={"limit": 10},
        ),
    ]
    return Dashboard(
        uid="spanledger-overview",
        title="Overview",
        description="Calls, tokens and cost of one tenant, with what is unsure about them",
        panels=panels,
        variables=FILTERS,
        annotations=ANNOTATIONS,
    )


def cost() -> Dashboard:
    variables = (*FILTERS, Variable(name="budget_usd", label="Monthly budget, USD", default="100"))
    make = Maker(variables)
    note = "Calendar month (UTC) in which the time range ends; the whole tenant"
    panels = [
        make.number("Spent this month", "month_spend", "spent_usd", USD, description=note),
        make.number(
            "Last 24 hours",
            "month_spend",
            "last_day_usd",
            USD,
            description="Before the end of the time range; the whole tenant",
        ),
        make.number(
            "Projected for the month",
            "month_spend",
            "projected_usd",
            USD,
            description="The rest of the month at the pace of the last 24 hours",
        ),
        make.number(
            "Budget used",
            "month_spend",
            "spent_share",
            SHARE,
            kind="gauge",
            thresholds=_BUDGET,
            maximum=1.2,
            decimals=1,
        ),
        make.number(
            "Projected share of budget",
            "month_spend",
            "projected_share",
            SHARE,
            kind="gauge",
            thresholds=_BUDGET,
            maximum=2,
            decimals=1,
        ),
        make.number("Cost per call", "usage_total", "cost_per_call_usd", USD, decimals=5),
        make.series(
            "Cost by provider",
            "usage_over_time",
            "cost_usd",
            USD,
            where="series != '(none)'",
            given={"by": "provider"},
            stacked=True,
            bars=True,
        ),
        make.series(
            "Cost by service", "usage_over_time", "cost_usd", USD, given={"by": "service"}, stacked=True, bars=True
        ),
        make.series(
            "Calls by how their cost is known",
            "usage_over_time",
            "llm_calls",
            where="series != '(none)'",
            given={"by": "cost_state"},
            stacked=True,
            bars=True,
            description="billed: stated by the provider; computed: usage × price; estimated: usage was counted",
        ),
        make.lines(
            "Cost: ours and what the senders claim",
            "usage_over_time",
            {"cost_usd": "ours, all calls", "claimed_usd": "claimed, calls with a claim"},
            USD,
            given={"by": "''"},
        ),
        make.table(
            "By model", "usage_by", [*_CALLS, "cost_per_call_usd", "unpriced_share"], given={"by": "model", "limit": 50}
        ),
        make.table(
            "Dearest users",
            "users",
            ["user_id", "llm_calls", "input_tokens", "output_tokens", "cost_usd", "cost_per_call_usd"],
            given={"limit": 20},
        ),
    ]
    return Dashboard(
        uid="spanledger-cost",
        title="Cost & budgets",
        description="What was spent, where it is heading, and how sure the figures are",
        panels=panels,
        variables=variables,
        annotations=ANNOTATIONS,
        span="now-7d",
    )


def models() -> Dashboard:
    make = Maker(FILTERS)
    served = "series != '(none)'"
    every = [*_CALLS, "cost_per_call_usd", "cache_share", "error_share", "unpriced_share", "mean_call_s"]
    panels = [
        make.series(
            "Calls by model",
            "usage_over_time",
            "llm_calls",
            where=served,
            given={"by": "model"},
            stacked=True,
            bars=True,
        ),
        make.series(
            "Cost by model",
            "usage_over_time",
            "cost_usd",
            USD,
            where=served,
            given={"by": "model"},
            stacked=True,
            bars=True,
        ),
        make.series("Output tokens by model", "usage_over_time", "output_tokens", where=served, given={"by": "model"}),
        make.series(
            "Share of input from cache",
            "usage_over_time",
            "cache_share",
            SHARE,
            where=f"{served} AND cache_share IS NOT NULL",
            given={"by": "model"},
        ),
        make.series("Time to first chunk, p95", "first_chunk_over_time", "p95_s", SECONDS),
        make.series(
            "Failed share by provider",
            "usage_over_time",
            "error_share",
            SHARE,
            where=f"{served} AND error_share IS NOT NULL",
            given={"by": "provider"},
        ),
        make.table("Models", "usage_by", every, where=served, width=24, given={"by": "model", "limit": 100}),
        make.table(
            "Providers", "usage_by", every, where=served, width=24, height=6, given={"by": "provider", "limit": 50}
        ),
        make.table(
            "Duration of calls by model", "latency_by", width=24, height=6, given={"by": "model", "kind": "call"}
        ),
    ]
    return Dashboard(
        uid="spanledger-models",
        title="Models & providers",
        description="Which models served, how fast, how often they failed, and what they cost",
        panels=panels,
        variables=FILTERS,
        annotations=ANNOTATIONS,
    )


def workflows() -> Dashboard:
    make = Maker(FILTERS)
    named = "series != '(none)'"
    tools = (
        Column(name="tool_calls", title="Runs", unit="short"),
        Column(name="failed_tool_calls", title="Failed runs", unit="short"),
        Column(name="mean_tool_s", title="Mean duration", unit=SECONDS),
        Column(name="messages", title="Messages", unit="short"),
    )
    panels = [
        make.series(
            "Cost by workflow",
            "usage_over_time",
            "cost_usd",
            USD,
            where=named,
            given={"by": "workflow"},
            stacked=True,
            bars=True,
        ),
        make.series(
            "Calls by agent",
            "usage_over_time",
            "llm_calls",
            where=named,
            given={"by": "agent"},
            stacked=True,
            bars=True,
        ),
        make.series(
            "Tool runs",
            "usage_over_time",
            "tool_calls",
            where=f"{named} AND tool_calls + failed_tool_calls != 0",
            given={"by": "tool", **OF_ANY_MODEL},
            stacked=True,
            bars=True,
        ),
        make.series(
            "Cost by version of the prompt",
            "usage_over_time",
            "cost_usd",
            USD,
            where=named,
            given={"by": "prompt_version"},
            stacked=True,
            bars=True,
        ),
        make.table(
            "Workflows",
            "usage_by",
            ["series", "messages", *_CALLS[1:], "tool_calls"],
            where=named,
            look=tools,
            given={"by": "workflow", "limit": 50},
        ),
        make.table(
            "Agents",
            "usage_by",
            ["series", "messages", *_CALLS[1:], "tool_calls"],
            where=named,
            look=tools,
            given={"by": "agent", "limit": 50},
        ),
        make.table(
            "Tools",
            "usage_by",
            ["series", "tool_calls", "failed_tool_calls", "mean_tool_s"],
            where=named,
            look=tools,
            given={"by": "tool", "limit": 50, **OF_ANY_MODEL},
        ),
        make.table("Prompts", "usage_by", _CALLS, where=named, given={"by": "prompt", "limit": 50}),
        make.table(
            "Duration of messages by workflow",
            "message_latency_by",
            given={"by": "workflow"},
            height=6,
        ),
        make.table("Duration of tools", "latency_by", given={"by": "tool", "kind": "tool", **OF_ANY_MODEL}, height=6),
    ]
    return Dashboard(
        uid="spanledger-workflows",
        title="Workflows, agents, tools",
        description="What the parts of an application use and cost",
        panels=panels,
        variables=FILTERS,
        annotations=ANNOTATIONS,
    )
