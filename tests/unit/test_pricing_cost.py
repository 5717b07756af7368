"""What a call costs, to the last digit, and how sure that is."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger.pricing import Price, Usage, cost, femto, load_book, settle, usd
from spanledger.pricing.parts import applied

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PRICES = """
format: 1
prices:
  - provider: acme
    model: full
    usd_per_million_tokens:
      input: 2
      cache_read: 0.2
      cache_write: 2.5
      cache_write_1h: 4
      output: 10
      reasoning: 12
      audio_input: 40
      audio_output: 80
      image_input: 5
      image_output: 30
    above:
      - input_tokens: 200000
        usd_per_million_tokens: {input: 4, output: 15}
    service_tiers:
      batch:
        usd_per_million_tokens: {input: 1, output: 5}
        above:
          - {input_tokens: 200000, usd_per_million_tokens: {input: 2}}
      priority:
        usd_per_million_tokens: {input: 6, output: 20}
  - {provider: acme, model: plain, usd_per_million_tokens: {input: 0.15, output: 0.6}}
  - {provider: acme, model: free, usd_per_million_tokens: {input: 0, output: 0}}
  - {provider: acme, model: embed, usd_per_million_tokens: {input: 0.02, output: 0}}
  - {provider: acme, model: input-only, usd_per_million_tokens: {input: 1}}
  - {provider: acme, model: image, usd_per_million_tokens: {input: 5, image_output: 40}}
  - {provider: acme, model: rerank, usd_per_call: 0.002}
  - {provider: acme, model: fee, usd_per_call: 0.005, usd_per_million_tokens: {input: 1, output: 1}}
"""


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Price]:
    path: Path = tmp_path_factory.mktemp("prices") / "prices.yaml"
    path.write_text(PRICES)
    return {price.model: price for price in load_book([path]).prices() if price.provider == "acme"}


def dollars(price: Price, usage: Usage, tier: str = "") -> Decimal | None:
    return cost(price, usage, tier).usd


class TestArithmetic:
    def test_a_plain_call(self, prices: dict[str, Price]) -> None:
        assert dollars(prices["plain"], Usage(input_tokens=1000, output_tokens=100)) == Decimal("0.00021")

    def test_every_kind_of_token_has_its_rate_and_is_counted_once(self, prices: dict[str, Price]) -> None:
        usage = Usage(
            input_tokens=1000,
            cache_read_input_tokens=500,
            cache_write_input_tokens=200,
            cache_write_1h_input_tokens=50,
            output_tokens=400,
            reasoning_output_tokens=300,
            audio_input_tokens=60,
            audio_output_tokens=20,
            image_input_tokens=40,
            image_output_tokens=10,
        )
        inputs = 200 * 2 + 500 * Decimal("0.2") + 150 * Decimal("2.5") + 50 * 4 + 60 * 40 + 40 * 5
        outputs = 70 * 10 + 300 * 12 + 20 * 80 + 10 * 30
        assert dollars(prices["full"], usage) == (inputs + outputs) / 10**6
        assert cost(prices["full"], usage).flags == ()

    def test_kinds_without_a_rate_cost_what_the_whole_costs(self, prices: dict[str, Price]) -> None:
        detailed = Usage(1000, 100, 100, 50, 500, 400, 10, 10, 10, 10)
        plain = Usage(input_tokens=1000, output_tokens=500)
        assert dollars(prices["plain"], detailed) == dollars(prices["plain"], plain)

    def test_whoever_names_only_one_hour_writes_had_no_others(self, prices: dict[str, Price]) -> None:
        usage = Usage(input_tokens=100, cache_write_1h_input_tokens=100, output_tokens=0)
        assert dollars(prices["full"], usage) == Decimal("0.0004")

    def test_a_fee_per_call_is_added(self, prices: dict[str, Price]) -> None:
        assert dollars(prices["fee"], Usage(input_tokens=10, output_tokens=0)) == Decimal("0.00501")

    def test_image_models_bill_what_they_put_out_as_image(self, prices: dict[str, Price]) -> None:
        assert dollars(prices["image"], Usage(input_tokens=0, output_tokens=10)) == Decimal("0.0004")

    @given(
        tokens=st.lists(st.integers(0, 2**63), min_size=10, max_size=10),
        tier=st.sampled_from(["", "batch", "priority", "nonsense"]),
    )
    def test_it_is_exact_and_never_negative_for_any_counts(
        self, prices: dict[str, Price], tokens: list[int], tier: str
    ) -> None:
        found = cost(prices["full"], Usage(*tokens), tier).usd
        assert found is not None
        assert 0 <= found <= (tokens[0] + tokens[4]) * Decimal(80) / 10**6
        assert femto(found) is not None

    @given(whole=st.integers(0, 10**12), parts=st.lists(st.integers(0, 10**12), max_size=4))
    def test_the_cost_of_a_sum_is_the_sum_of_costs(
        self, prices: dict[str, Price], whole: int, parts: list[int]
    ) -> None:
        each = [dollars(prices["plain"], Usage(input_tokens=n, output_tokens=0)) for n in (whole, *parts)]
        total = dollars(prices["plain"], Usage(input_tokens=whole + sum(parts), output_tokens=0))
        assert sum(one for one in each if one is not None) == total


class TestLength:
    @pytest.mark.parametrize(("input_tokens", "expected"), [(199_999, 2), (200_000, 2), (200_001, 4), (10_000_000, 4)])
    def test_the_upper_rate_applies_to_the_whole_request_above_the_threshold(
        self, prices: dict[str, Price], input_tokens: int, expected: int
    ) -> None:
        usage = Usage(input_tokens=input_tokens, output_tokens=0)
        assert dollars(prices["full"], usage) == Decimal(input_tokens) * expected / 10**6

    def test_cached_tokens_count_towards_the_threshold(self, prices: dict[str, Price]) -> None:
        usage = Usage(input_tokens=200_001, cache_read_input_tokens=200_000, output_tokens=1)
        assert dollars(prices["full"], usage) == (4 + 200_000 * Decimal("0.2") + 15) / 10**6


class TestServiceTier:
    def test_a_tier_has_its_rates_and_the_ordinary_ones_for_the_rest(self, prices: dict[str, Price]) -> None:
        usage = Usage(input_tokens=100, cache_read_input_tokens=40, output_tokens=10)
        assert dollars(prices["full"], usage, "batch") == (60 * 1 + 40 * Decimal("0.2") + 10 * 5) / 10**6

    def test_above_the_threshold_a_tier_prefers_its_own_rates(self, prices: dict[str, Price]) -> None:
        usage = Usage(input_tokens=300_000, output_tokens=10)
        assert dollars(prices["full"], usage, "batch") == (300_000 * Decimal(2) + 10 * 5) / 10**6
        assert dollars(prices["full"], usage, "priority") == (300_000 * Decimal(6) + 10 * 20) / 10**6

    @pytest.mark.parametrize("tier", ["", "auto", "default", "Standard", "on_demand", "scale"])
    def test_ordinary_tiers(self, prices: dict[str, Price], tier: str) -> None:
        usage = Usage(input_tokens=100, output_tokens=10)
        assert cost(prices["full"], usage, tier) == cost(prices["full"], usage)

    def test_providers_spellings_of_a_tier(self, prices: dict[str, Price]) -> None:
        usage = Usage(input_tokens=100, output_tokens=10)
        assert cost(prices["full"], usage, "fast") == cost(prices["full"], usage, "priority")

    def test_a_fast_mode_with_a_price_of_its_own_is_not_the_priority_tier(self, prices: dict[str, Price]) -> None:
        fast = replace(prices["full"], tiers={**prices["full"].tiers, "fast": prices["full"].tiers["batch"]})
        usage = Usage(input_tokens=100, output_tokens=10)
        assert cost(fast, usage, "fast") == cost(fast, usage, "batch") != cost(fast, usage, "priority")
        assert applied(fast, usage, "fast")[0] == "fast"

    def test_a_tier_without_price_costs_the_ordinary_price_and_says_so(self, prices: dict[str, Price]) -> None:
        found = cost(prices["plain"], Usage(input_tokens=100, output_tokens=10), "flex")
        assert found == (cost(prices["plain"], Usage(input_tokens=100, output_tokens=10)).femto_usd, ("no_tier:flex",))


class TestContradictions:
    def test_more_cached_than_input_is_cut_and_flagged(self, prices: dict[str, Price]) -> None:
        found = cost(prices["full"], Usage(input_tokens=100, cache_read_input_tokens=150, output_tokens=0))
        assert found.usd == 100 * Decimal("0.2") / 10**6
        assert found.flags == ("details_exceed:input_tokens",)

    def test_more_reasoning_than_output_is_cut_and_flagged(self, prices: dict[str, Price]) -> None:
        found = cost(prices["full"], Usage(input_tokens=0, output_tokens=10, reasoning_output_tokens=11))
        assert found.usd == 10 * Decimal(12) / 10**6
        assert found.flags == ("details_exceed:output_tokens",)

    def test_a_negative_count_says_nothing(self, prices: dict[str, Price]) -> None:
        found = cost(prices["full"], Usage(input_tokens=10, cache_read_input_tokens=-5, output_tokens=1))
        assert found.usd == dollars(prices["full"], Usage(input_tokens=10, output_tokens=1))
        assert found.flags == ("negative:cache_read_input_tokens",)


class TestUnknown:
    @pytest.mark.parametrize(
        ("model", "usage", "flag"),
        [
            ("plain", Usage(), "unknown:input_tokens"),
            ("plain", Usage(input_tokens=10), "unknown:output_tokens"),
            ("plain", Usage(output_tokens=10), "unknown:input_tokens"),
            ("plain", Usage(input_tokens=-1, output_tokens=1), "unknown:input_tokens"),
            ("full", Usage(cache_read_input_tokens=10, output_tokens=1), "unknown:input_tokens"),
            ("input-only", Usage(input_tokens=10, output_tokens=1), "no_rate:output"),
        ],
    )
    def test_what_matters_and_is_unknown_makes_the_cost_unknown(
        self, prices: dict[str, Price], model: str, usage: Usage, flag: str
    ) -> None:
        found = cost(prices[model], usage)
        assert found.femto_usd is None
        assert found.usd is None
        assert flag in found.flags

    def test_what_costs_nothing_may_be_unknown(self, prices: dict[str, Price]) -> None:
        assert dollars(prices["embed"], Usage(input_tokens=100)) == Decimal("0.000002")
        assert dollars(prices["free"], Usage()) == 0

    def test_a_fee_alone_needs_no_tokens(self, prices: dict[str, Price]) -> None:
        assert dollars(prices["rerank"], Usage(input_tokens=0, output_tokens=0)) == Decimal("0.002")
        assert dollars(prices["rerank"], Usage()) == Decimal("0.002")


class TestState:
    USAGE = Usage(input_tokens=1000, output_tokens=100)

    def test_computed(self, prices: dict[str, Price]) -> None:
        assert settle(prices["plain"], self.USAGE) == ("computed", Decimal("0.00021"), ())

    def test_estimated_when_somebody_counted_the_tokens(self, prices: dict[str, Price]) -> None:
        found = settle(prices["plain"], self.USAGE, usage_estimated=True)
        assert (found.state, found.cost_usd) == ("estimated", Decimal("0.00021"))

    def test_what_the_provider_says_wins(self, prices: dict[str, Price]) -> None:
        found = settle(
            prices["plain"], self.USAGE, usage_estimated=True, claim_usd=Decimal("0.5"), claim_source="provider"
        )
        assert (found.state, found.cost_usd) == ("billed", Decimal("0.5"))
        assert settle(None, Usage(), claim_usd=Decimal(0), claim_source="provider").state == "billed"

    def test_what_the_client_computed_never_decides(self, prices: dict[str, Price]) -> None:
        found = settle(prices["plain"], self.USAGE, claim_usd=Decimal("0.5"), claim_source="local")
        assert (found.state, found.cost_usd) == ("computed", Decimal("0.00021"))
        assert settle(None, self.USAGE, claim_usd=Decimal("0.5"), claim_source="local").state == "unpriced"

    @pytest.mark.parametrize("claim", [Decimal("NaN"), Decimal("Infinity"), Decimal("-1")])
    def test_a_claim_that_is_no_amount_counts_for_nothing(self, prices: dict[str, Price], claim: Decimal) -> None:
        assert settle(prices["plain"], self.USAGE, claim_usd=claim, claim_source="provider").state == "computed"

    def test_unpriced_without_price_or_usage_and_never_zero(self, prices: dict[str, Price]) -> None:
        assert settle(None, self.USAGE) == ("unpriced", None, ("no_price",))
        assert settle(prices["plain"], Usage()).state == "unpriced"
        assert settle(prices["plain"], Usage()).cost_usd is None

    def test_a_price_of_zero_is_a_price(self, prices: dict[str, Price]) -> None:
        assert settle(prices["free"], self.USAGE) == ("computed", Decimal(0), ())
        assert prices["free"].rates().free
        assert not prices["plain"].rates().free
        assert not prices["rerank"].rates().free


def test_dollars_and_femto_dollars_are_the_same_amount() -> None:
    assert usd(1) == Decimal("1e-15")
    assert femto(Decimal("1e-15")) == 1
    assert femto(Decimal("1e-16")) is None
    assert femto(Decimal("NaN")) is None
    assert femto(usd(10**60 + 1)) == 10**60 + 1
