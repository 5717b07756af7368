"""Prices: what a call costs, exactly.

    book = load_book()
    price = book.lookup("openai", "gpt-4o-mini-2024-07-18", started_at)
    priced = settle(price, Usage(input_tokens=1200, cache_read_input_tokens=1024, output_tokens=57))
    priced.state, priced.cost_usd        # ("computed", Decimal("0.000137400000000"))

Nothing here touches the database.
"""

from spanledger.pricing.book import PriceBook, book_of_files, load_book
from spanledger.pricing.cost import Cost, CostState, Priced, Usage, cost, settle, tier_of
from spanledger.pricing.price import Price, Rates, Step, femto, only_price, usd
from spanledger.pricing.providers import canonical

__all__ = [
    "Cost",
    "CostState",
    "Price",
    "PriceBook",
    "Priced",
    "Rates",
    "Step",
    "Usage",
    "book_of_files",
    "canonical",
    "cost",
    "femto",
    "load_book",
    "only_price",
    "settle",
    "tier_of",
    "usd",
]
