"""Finding a price: names, times, layers, and files that people write."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from spanledger.errors import SettingsError
from spanledger.pricing import PriceBook, load_book, usd

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HEAD = "format: 1\nprices:\n"


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return load_book()


def with_prices(tmp_path: Path, text: str, name: str = "prices.yaml") -> PriceBook:
    path = tmp_path / name
    path.write_text(text)
    return load_book([path])


def input_rate(book: PriceBook, provider: str, model: str, at: datetime = NOW) -> Decimal | None:
    """USD per million input tokens, or None if there is no price."""
    price = book.lookup(provider, model, at)
    if price is None:
        return None
    rate = price.rates().input
    return None if rate is None else usd(rate * 10**6)


class TestNames:
    @pytest.mark.parametrize(
        ("provider", "model", "expected"),
        [
            ("openai", "gpt-4o", "gpt-4o"),
            ("openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini-2024-07-18"),
            ("openai", "GPT-4o-Mini", "gpt-4o-mini"),
            ("openai", "openai/gpt-4o-mini", "gpt-4o-mini"),
            ("openai", "gpt-4o-mini-2031-01-02", "gpt-4o-mini"),
            ("openai", "ft:gpt-4o-mini-2024-07-18:acme:support:abc123", "ft:gpt-4o-mini-2024-07-18"),
            ("litellm", "openai/gpt-4o", "gpt-4o"),
            ("anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5-20250929"),
            ("anthropic", "claude-sonnet-4-5-latest", "claude-sonnet-4-5"),
            ("azure", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
            ("gcp.gemini", "models/gemini-2.5-pro", "gemini-2.5-pro"),
            ("gcp.gen_ai", "gemini-2.5-pro", "gemini-2.5-pro"),
            (
                "aws.bedrock",
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            ),
            ("offline", "small", "small"),
            ("offline", "offline/large", "large"),
        ],
    )
    def test_a_spelling_of_a_known_model_finds_it(
        self, book: PriceBook, provider: str, model: str, expected: str
    ) -> None:
        price = book.lookup(provider, model, NOW)
        assert price is not None
        assert price.model == expected

    @pytest.mark.parametrize(
        ("provider", "model"),
        [
            ("openai", ""),
            ("openai", "gpt-4o-mini-turbo"),
            ("openai", "gpt-4"[:-1]),
            ("openai", "gpt-4o-2024-99-99"),
            ("openai", "gpt-4o-1106x"),
            ("anthropic", "gpt-4o"),
            ("", "gpt-4o"),
            ("nobody", "gpt-4o"),
            ("openai", "\x00'; DROP TABLE ledger"),
        ],
    )
    def test_anything_else_is_unpriced(self, book: PriceBook, provider: str, model: str) -> None:
        assert book.lookup(provider, model, NOW) is None

    def test_the_maker_and_the_seller_of_a_model_have_their_own_prices(self, book: PriceBook) -> None:
        regional = book.lookup("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", NOW)
        own = book.lookup("anthropic", "claude-sonnet-4-5-20250929", NOW)
        assert regional is not None
        assert own is not None
        assert (regional.provider, own.provider) == ("aws.bedrock", "anthropic")
        assert regional.rates() != own.rates()

    def test_a_name_without_date_may_use_its_snapshots_only_if_they_all_cost_the_same(self, tmp_path: Path) -> None:
        book = with_prices(
            tmp_path,
            """
format: 1
prices:
  - {provider: acme, model: alike-2026-01-01, usd_per_million_tokens: {input: 1, output: 2}}
  - {provider: acme, model: alike-20260601, usd_per_million_tokens: {input: 1, output: 2}}
  - {provider: acme, model: cheaper-2026-01-01, usd_per_million_tokens: {input: 2, output: 2}}
  - {provider: acme, model: cheaper-2026-06-01, usd_per_million_tokens: {input: 1, output: 2}}
""",
        )
        assert input_rate(book, "acme", "alike") == 1
        assert input_rate(book, "acme", "cheaper") is None


class TestBundledList:
    def test_every_bundled_price_can_be_used(self, book: PriceBook) -> None:
        prices = list(book.prices())
        assert len(prices) > 3000
        assert all(price.tiers[""][0].above == 0 for price in prices)

    def test_it_has_list_prices_of_well_known_models(self, book: PriceBook) -> None:
        assert input_rate(book, "openai", "gpt-4o-mini-2024-07-18") == Decimal("0.15")
        assert input_rate(book, "anthropic", "claude-sonnet-4-5-20250929") == 3
        assert input_rate(book, "openai", "text-embedding-3-small") == Decimal("0.02")

    def test_binary_noise_of_the_source_is_gone(self, book: PriceBook) -> None:
        assert input_rate(book, "novita", "moonshotai/kimi-k2.7-code") == Decimal("0.95")

    @pytest.mark.parametrize("model", ["small", "large", "reasoner", "embed"])
    def test_the_offline_provider_has_prices(self, book: PriceBook, model: str) -> None:
        assert input_rate(book, "offline", model)

    def test_cheaper_hours_of_the_day_have_their_own_price(self, book: PriceBook) -> None:
        saturday_noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
        monday_at_two = datetime(2026, 11, 23, 2, tzinfo=UTC)
        assert input_rate(book, "deepseek", "deepseek-v4-flash", saturday_noon) == Decimal("0.15")
        assert input_rate(book, "deepseek", "deepseek-v4-flash", monday_at_two) == Decimal("0.3")


class TestTime:
    HISTORY = """
format: 1
prices:
  - provider: acme
    model: m
    valid_to: 2026-03-01
    usd_per_million_tokens: {input: 4, output: 8}
  - provider: acme
    model: m
    valid_from: 2026-03-01
    valid_to: 2026-06-01T12:00:00+02:00
    usd_per_million_tokens: {input: 2, output: 8}
"""

    def test_the_price_is_the_one_of_the_time_of_the_call(self, tmp_path: Path) -> None:
        book = with_prices(tmp_path, self.HISTORY)
        change = datetime(2026, 3, 1, tzinfo=UTC)
        assert input_rate(book, "acme", "m", change - timedelta(microseconds=1)) == 4
        assert input_rate(book, "acme", "m", change) == 2

    def test_the_end_of_a_price_is_excluded_and_read_in_its_own_zone(self, tmp_path: Path) -> None:
        book = with_prices(tmp_path, self.HISTORY)
        end = datetime(2026, 6, 1, 10, tzinfo=UTC)
        assert input_rate(book, "acme", "m", end - timedelta(microseconds=1)) == 2
        assert input_rate(book, "acme", "m", end) is None

    def test_a_naive_time_is_utc(self, tmp_path: Path) -> None:
        book = with_prices(tmp_path, self.HISTORY)
        assert input_rate(book, "acme", "m", datetime(2026, 6, 1, 9, 59)) == 2


class TestLayers:
    def test_a_users_price_replaces_the_bundled_one_and_leaves_the_others(self, tmp_path: Path) -> None:
        book = with_prices(
            tmp_path,
            HEAD + "  - {provider: openai, model: gpt-4o, usd_per_million_tokens: {input: 1, output: 2}}\n",
        )
        assert input_rate(book, "openai", "gpt-4o") == 1
        assert input_rate(book, "openai", "gpt-4o-mini") == Decimal("0.15")

    def test_outside_its_validity_a_users_price_leaves_the_bundled_one(self, tmp_path: Path) -> None:
        book = with_prices(
            tmp_path,
            """
format: 1
prices:
  - provider: openai
    model: gpt-4o
    valid_from: 2026-12-01
    usd_per_million_tokens: {input: 1, output: 2}
""",
        )
        assert input_rate(book, "openai", "gpt-4o", datetime(2026, 11, 30, tzinfo=UTC)) == Decimal("2.5")
        assert input_rate(book, "openai", "gpt-4o", datetime(2026, 12, 1, tzinfo=UTC)) == 1

    def test_the_last_file_given_wins(self, tmp_path: Path) -> None:
        paths = []
        for number in (1, 2):
            paths.append(tmp_path / f"{number}.yaml")
            paths[-1].write_text(
                HEAD + f"  - {{provider: a, model: m, usd_per_million_tokens: {{input: {number}, output: 0}}}}"
            )
        assert input_rate(load_book(paths), "a", "m") == 2

    def test_a_pattern_applies_where_no_exact_name_does(self, tmp_path: Path) -> None:
        book = with_prices(
            tmp_path,
            """
format: 1
prices:
  - {provider: azure.ai.openai, model: "prod-*", usd_per_million_tokens: {input: 5, output: 1}}
  - {provider: azure.ai.openai, model: "prod-mini-*", usd_per_million_tokens: {input: 3, output: 1}}
  - {provider: azure.ai.openai, model: "*", usd_per_million_tokens: {input: 9, output: 1}}
""",
        )
        assert input_rate(book, "azure", "prod-chat") == 5
        assert input_rate(book, "azure", "prod-mini-chat") == 3
        assert input_rate(book, "azure", "gpt-4o") == Decimal("2.5")
        assert input_rate(book, "azure", "somebody-elses") == 9
        assert input_rate(book, "openai", "prod-chat") is None

    def test_the_version_changes_with_any_price(self, tmp_path: Path) -> None:
        one = with_prices(tmp_path, "format: 1\nprices: []\n")
        other = with_prices(tmp_path, "format: 1\nabout: changed\nprices: []\n")
        assert len({load_book().version, one.version, other.version}) == 3
        assert load_book().version == load_book().version
        assert re.fullmatch(r"\d{4}-\d\d-\d\d\.[0-9a-f]{8}", one.version)


class TestBadFiles:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "must be a mapping with `format: 1`"),
            ("format: 2\nprices: []\n", "format: must be 1, not 2"),
            ("format: 1\n", "prices: must be a list"),
            ("format: 1\nprices: []\nprizes: []\n", "prizes: unknown name"),
            ("format: 1\nprices: [\n", "line 3: not YAML"),
            (HEAD + "  - just text\n", "prices[0]: must be a mapping"),
            (HEAD + "  - {model: m}\n", "line 3: prices[0]: `provider` must be a name"),
            (HEAD + "  - {provider: a, model: 4}\n", "prices[0]: `model` must be a name"),
            (HEAD + "  - {provider: a, model: m}\n", "states neither `usd_per_million_tokens` nor `usd_per_call`"),
            (HEAD + "  - {provider: a, model: m, usd_per_million_tokens: {inptu: 1}}\n", "inptu: unknown name"),
            (
                HEAD + "  - provider: a\n    model: m\n    usd_per_million_tokens:\n      input: cheap\n",
                "line 6: prices[0].usd_per_million_tokens.input: 'cheap' is not a number",
            ),
            (HEAD + "  - {provider: a, model: m, usd_per_million_tokens: {input: -1}}\n", "must be between 0 and"),
            (HEAD + "  - {provider: a, model: m, usd_per_million_tokens: {input: .nan}}\n", "is not a number"),
            (HEAD + "  - {provider: a, model: m, usd_per_million_tokens: {input: .inf}}\n", "is not a number"),
            (HEAD + "  - {provider: a, model: m, usd_per_million_tokens: {input: true}}\n", "True is not a number"),
            (
                HEAD + "  - {provider: a, model: m, usd_per_million_tokens: {input: 0.0000000001}}\n",
                "has more than 9 decimals",
            ),
            (
                HEAD + "  - {provider: a, model: m, usd_per_call: 1, usd_per_call: 2}\n",
                "line 3: not YAML: `usd_per_call` stands here twice",
            ),
            (HEAD + "  - {provider: a, model: m, usd_per_call: 1, valid_from: soon}\n", "'soon' is not a date"),
            (
                HEAD + "  - {provider: a, model: m, usd_per_call: 1, valid_from: 2026-02-01, valid_to: 2026-01-01}\n",
                "`valid_to` 2026-01-01 is not after `valid_from` 2026-02-01",
            ),
            (
                HEAD + "  - {provider: a, model: m, usd_per_call: 1}\n  - {provider: a, model: M, usd_per_call: 2}\n",
                "a m has two prices for the same time",
            ),
            (
                HEAD + "  - {provider: a, model: m, usd_per_call: 1, above: [{input_tokens: many}]}\n",
                "above[0]: `input_tokens` must be a whole number",
            ),
            (
                HEAD + "  - {provider: a, model: m, usd_per_call: 1, hours_utc: [{from: 25:00, to: 08:00}]}\n",
                "is not a time of day",
            ),
            (
                HEAD + "  - {provider: a, model: m, usd_per_call: 1, service_tiers: {batch: {input: 1}}}\n",
                "service_tiers.batch.input: unknown name",
            ),
        ],
    )
    def test_the_error_names_the_place_and_the_fault(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(SettingsError, match=re.escape(message)) as caught:
            with_prices(tmp_path, text)
        assert "prices.yaml" in str(caught.value)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"cannot read the price file .*missing\.yaml"):
            load_book([tmp_path / "missing.yaml"])

    def test_a_file_that_is_not_text_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "prices.yaml"
        path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(SettingsError, match="not UTF-8"):
            load_book([path])

    def test_yaml_cannot_make_objects(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="not YAML"):
            with_prices(tmp_path, "!!python/object/apply:os.system ['true']\n")

    def test_json_works_too(self, tmp_path: Path) -> None:
        text = '{"format": 1, "prices": [{"provider": "a", "model": "m", "usd_per_million_tokens": {"input": 0.1}}]}'
        assert input_rate(with_prices(tmp_path, text, "prices.json"), "a", "m") == Decimal("0.1")
