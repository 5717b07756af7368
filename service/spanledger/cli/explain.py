"""`spanledger explain`: where a figure comes from, as a tree."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, cast, get_args

import typer

from spanledger.cli.common import TENANT, existing, opened, running_api
from spanledger.cli.options import Json, Place, Since, Until, application, examples, with_place
from spanledger.cli.output import Branch, Column, print_json, print_table, print_tree, spent
from spanledger.errors import BadRequest, NotFound

EXAMPLES = """\
  spanledger explain my-message
  spanledger explain ada --as user --from 2026-11-01 --json
  spanledger explain --compare my-message
"""
Kind = Literal["message", "conversation", "trace", "span", "user"]
COMPARED = ("message", "conversation", "user")


@dataclass(frozen=True)
class _Question:
    """What the command line asks for."""

    id: str
    start: str | None
    end: str | None


app = application()


@app.command(epilog=examples(EXAMPLES))
@with_place
def explain(
    place: Place,
    id: Annotated[str, typer.Argument(metavar="ID", help="A message, conversation, trace, span or user.")],
    kind: Annotated[
        Kind | None, typer.Option("--as", help="What the id names (default: the first that exists).")
    ] = None,
    start: Since = None,
    end: Until = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Against the median of its peers, factor by factor.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Shows where a figure comes from.

    The calls behind it, the spans and attributes that report them, tokens x rate = amount, and every entry of the
    ledger. --as chooses if several things have that id. --compare shows why a message, conversation or user costs more
    than the median of its peers.
    """
    question = _Question(id, start, end)
    known = [one for one in get_args(Kind) if not compare or one in COMPARED]
    kinds = [kind] if kind else known
    for one in kinds:
        if one not in known:
            raise BadRequest(f"a {one} cannot be compared; these can: {', '.join(known)}")
        try:
            found = _compare(place, question, one) if compare else _ask(place, question, one)
        except NotFound:
            continue
        if as_json:
            print_json(found)
        elif compare:
            _show_comparison(found)
        else:
            _show(one, id, found)
        return 0
    raise NotFound(
        f"there is no {', '.join(kinds)} {id!r} in the books; `spanledger trace {id}` shows spans that are in no book, "
        "`spanledger status` whether spans wait"
    )


def _ask(place: Place, question: _Question, kind: str) -> dict[str, Any]:
    chosen = place.settings()
    api = running_api(chosen)
    if api is not None:
        answer: dict[str, Any] = api.get(
            "/v1/explain", **{kind: question.id}, from_=question.start, to=question.end, limit=1000
        )
        return answer
    from spanledger.ledger import activations
    from spanledger.stats import explain, times

    existing(chosen)
    window = times.window(question.start, question.end)
    own = {kind: question.id} if kind in ("message", "trace", "span") else {"only": {kind: [question.id]}}
    with opened(chosen) as store:
        prices = activations.stored_prices(store)
        subject = explain.Subject(**own, window=window)
        return asdict(explain.explain(store, TENANT, prices, subject, limit=1000))


def _compare(place: Place, question: _Question, kind: str) -> dict[str, Any]:
    chosen = place.settings()
    api = running_api(chosen)
    if api is not None:
        answer: dict[str, Any] = api.get(
            "/v1/explain/compare", **{kind: question.id}, from_=question.start, to=question.end
        )
        return answer
    from spanledger.ledger import activations
    from spanledger.stats import compare as comparison
    from spanledger.stats import times

    existing(chosen)
    window = times.window(question.start, question.end)
    with opened(chosen) as store:
        prices = activations.stored_prices(store)
        return asdict(comparison.compare(store, TENANT, prices, cast("comparison.Kind", kind), question.id, window))


def _show_comparison(found: dict[str, Any]) -> None:
    """The difference, then a line per factor."""
    peers = found["peers"]
    least = "" if found["priced_share"] == 1 else "at least "
    print(f"{found['kind']} {found['id']}: {least}${found['cost_usd']}")
    if found["median_usd"] is None:
        print(f"there are no {peers['what']} to compare it with")
        return
    print(f"median of {peers['count']} {peers['what']}: ${found['median_usd']}; {peers['cheaper']} cost less")
    print(f"difference: ${found['difference_usd']}, of which")
    columns = [Column("factor"), Column("USD", right=True), Column("this against typical")]
    print_table(columns, [(one["factor"], one["amount_usd"], _values(one)) for one in found["factors"]])


def _values(factor: dict[str, Any]) -> str:
    if factor["own"] is None:
        return ""
    return f"{_number(factor['own'])} against {_number(factor['typical'])} {factor['unit']}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.6g}"


def _show(kind: str, name: str, found: dict[str, Any]) -> None:
    """The figure, then a branch per call, then the entries."""
    books = found["books"]
    state = "balanced" if books["balanced"] else "NOT BALANCED"
    waiting = f", spans wait for {books['lag_ms']} ms" if books["lag_ms"] else ""
    print(f"books: {state}, settled {books['settled_at'] or 'never'}{waiting}")
    branches = [_branch(_call(call)) for call in found["calls"]]
    branches.append(Branch(f"entries ({len(found['entries'])})", "", [Branch(_entry(one)) for one in found["entries"]]))
    if found["rest"]:
        branches.append(Branch(f"not shown: {found['rest']['entries']} entries, {_usage(found['rest']['usage'])}"))
    print_tree(Branch(f"{kind} {name}: {_usage(found['usage'])}", "bold", branches))


def _branch(lines: list[str]) -> Branch:
    return Branch(lines[0], "", [Branch(line.strip()) for line in lines[1:]])


def _call(call: dict[str, Any]) -> list[str]:
    agrees = "" if call["agrees"] else "  DIFFERS FROM ITS SPANS"
    lines = [
        f"{call['operation'] or 'call'} {call['provider']} {call['model']}  {call['started_at']}  "
        f"{spent(call['amount'], call['cost_state'] or 'failed')}{agrees}",
        f"span {call['span_id']} of trace {call['trace_id']} ({call['service']})",
    ]
    lines += [f"  joined {one['span_id']} ({one['scope']}): {one['reason']}" for one in call["joined"]]
    lines += [
        f"  read {one['field']} = {_short(one['value'])}  from {one['key']} ({one['dialect']})" for one in call["read"]
    ]
    if price := call["price"]:
        tier = f", tier {price['tier']}" if price["tier"] else ""
        above = f", above {price['above']} input tokens" if price["above"] else ""
        lines.append(f"  price {price['id']} of {price['source']}, book {price['price_book']}{tier}{above}")
    lines += [f"  {_part(part)}" for part in call["parts"]]
    if call["claim"] is not None:
        apart = f", difference ${call['difference']}" if call["difference"] is not None else ""
        lines.append(f"  the sender says ${call['claim']} ({call['claim_source']}){apart}")
    return lines + [f"  note: {note}" for note in call["notes"]]


def _part(part: dict[str, Any]) -> str:
    if part["tokens"] is None:
        return f"{part['kind']:16} {part['amount']:>40}"
    rate = part["rate"] if part["rate"] is not None else "no rate"
    amount = part["amount"] if part["amount"] is not None else "unknown"
    return f"{part['kind']:16} {part['tokens']:>10} × {rate:>14} = {amount}"


def _entry(entry: dict[str, Any]) -> str:
    usage = entry["usage"]
    paid = "unpriced" if usage["cost_state"] == "unpriced" else f"${usage['cost_usd']}"
    tokens = f"{usage['input_tokens']} in {usage['output_tokens']} out  {paid}" if entry["kind"] == "call" else ""
    what = entry["tool"] if entry["kind"] == "tool" else entry["model"]
    return (
        f"{entry['posted_at']} {'+' if entry['sign'] > 0 else '-'} {entry['kind']:7} {entry['reason']:7} {what} "
        f"{tokens}  run {entry['run']}{' book ' + entry['price_book'] if entry['price_book'] else ''}"
    )


def _usage(usage: dict[str, Any]) -> str:
    return (
        f"{usage['llm_calls']} calls, {usage['input_tokens']} in + {usage['output_tokens']} out, "
        f"{spent(usage['cost_usd'], usage['cost_state'])}"
    )


def _short(value: str) -> str:
    return value if len(value) <= 60 else value[:57] + "…"
