"""Making the bundled list from LiteLLM's map, and checking it against another list."""

import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from spanledger.cli.price_sheets import prices_check, prices_show
from spanledger.pricing import importer, load_book
from spanledger.pricing.book import PriceBook, bundled_file

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def imported(**models: dict[str, Any]) -> list[dict[str, Any]]:
    """Entries made from a map of these models; rates as text, which is read as in the JSON file."""
    text = json.dumps({name.replace("__", "/"): info for name, info in models.items()})
    return importer.entries_of(json.loads(text, parse_float=Decimal))[0]


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return load_book()


class TestImport:
    def test_rates_become_exact_dollars_per_million_tokens(self) -> None:
        (entry,) = imported(
            m={
                "litellm_provider": "openai",
                "input_cost_per_token": 9.149999999999999e-07,
                "output_cost_per_token": 1e-6,
            }
        )
        assert entry == {
            "provider": "openai",
            "model": "m",
            "usd_per_million_tokens": {"input": Decimal("0.915"), "output": 1},
        }

    def test_a_prefix_that_repeats_the_provider_goes(self) -> None:
        entries = imported(
            azure__us__m={"litellm_provider": "azure", "input_cost_per_token": 1e-6},
            gemini__m={"litellm_provider": "gemini", "input_cost_per_token": 1e-6},
            openai__m={"litellm_provider": "deepinfra", "input_cost_per_token": 1e-6},
        )
        names = [(entry["provider"], entry["model"]) for entry in entries]
        assert names == [("azure.ai.openai", "us/m"), ("deepinfra", "openai/m"), ("gcp.gemini", "m")]

    def test_a_fast_mode_multiplies_all_rates(self) -> None:
        (entry,) = imported(
            m={
                "litellm_provider": "anthropic",
                "input_cost_per_token": 5e-6,
                "cache_read_input_token_cost": 5e-7,
                "output_cost_per_token": 2.5e-5,
                "provider_specific_entry": {"us": 1.1, "fast": 2.0},
            }
        )
        rates = {"input": 10, "cache_read": 1, "output": 50}
        assert entry["service_tiers"] == {"fast": {"usd_per_million_tokens": rates}}

    def test_long_requests_and_service_tiers(self) -> None:
        (entry,) = imported(
            m={
                "litellm_provider": "openai",
                "input_cost_per_token": 2e-6,
                "output_cost_per_token": 4e-6,
                "input_cost_per_token_above_272k_tokens": 4e-6,
                "input_cost_per_token_priority": 6e-6,
            }
        )
        assert entry["above"] == [{"input_tokens": 272_000, "usd_per_million_tokens": {"input": 4}}]
        assert entry["service_tiers"] == {"priority": {"usd_per_million_tokens": {"input": 6}}}

    def test_a_batch_discount_covers_what_the_map_leaves_out(self) -> None:
        (entry,) = imported(
            m={
                "litellm_provider": "anthropic",
                "input_cost_per_token": 3e-6,
                "cache_creation_input_token_cost": 3.75e-6,
                "cache_creation_input_token_cost_above_1hr": 6e-6,
                "input_cost_per_token_above_200k_tokens": 6e-6,
                "input_cost_per_token_batches": 1.5e-6,
                "cache_creation_input_token_cost_batches": 1.875e-6,
            }
        )
        batch = entry["service_tiers"]["batch"]
        assert batch["usd_per_million_tokens"]["cache_write_1h"] == 3
        assert batch["above"] == [{"input_tokens": 200_000, "usd_per_million_tokens": {"input": 3}}]

    def test_reasoning_that_costs_what_output_costs_follows_the_output_of_its_tier(self, tmp_path: Path) -> None:
        made = imported(
            m={
                "litellm_provider": "gemini",
                "input_cost_per_token": 1e-6,
                "output_cost_per_token": 2e-6,
                "output_cost_per_reasoning_token": 2e-6,
                "output_cost_per_token_priority": 4e-6,
            }
        )
        path = tmp_path / "prices.json"
        importer.write(path, "test", made)
        price = load_book([path]).lookup("gcp.gemini", "m", NOW)
        assert price is not None
        assert (price.rates().reasoning, price.rates(tier="priority").reasoning) == (2 * 10**9, 4 * 10**9)

    def test_of_two_keys_with_one_name_the_shorter_path_wins(self) -> None:
        (entry,) = imported(
            bedrock_mantle__m={"litellm_provider": "bedrock_mantle", "input_cost_per_token": 2e-6},
            m={"litellm_provider": "bedrock_converse", "input_cost_per_token": 1e-6},
        )
        assert entry["usd_per_million_tokens"]["input"] == 1

    def test_ranges_of_input_length(self) -> None:
        (entry,) = imported(
            m={
                "litellm_provider": "dashscope",
                "tiered_pricing": [
                    {"range": [0, 256e3], "input_cost_per_token": 5e-8, "output_cost_per_token": 4e-7},
                    {"range": [256e3, 1e6], "input_cost_per_token": 2.5e-7, "output_cost_per_token": 2e-6},
                ],
            }
        )
        assert entry["usd_per_million_tokens"] == {"input": Decimal("0.05"), "output": Decimal("0.4")}
        assert entry["above"][0]["input_tokens"] == 256_000

    def test_a_zero_that_may_mean_unknown_is_no_price(self) -> None:
        zero = {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0}
        entries, left_out = importer.entries_of(
            {
                "paid": {"litellm_provider": "openai", "mode": "chat", **zero},
                "omni-moderation": {"litellm_provider": "openai", "mode": "moderation", **zero},
                "ollama/llama": {"litellm_provider": "ollama", "mode": "chat", **zero},
            }
        )
        assert [entry["model"] for entry in entries] == ["llama", "omni-moderation"]
        assert left_out == {"zero that may mean unknown": 1}

    def test_a_changed_price_keeps_its_history(self, tmp_path: Path) -> None:
        old = imported(
            a={"litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6},
            b={"litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6},
            gone={"litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6},
        )
        new = imported(
            a={"litellm_provider": "openai", "input_cost_per_token": 2e-6, "output_cost_per_token": 1e-6},
            b={"litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6},
            born={"litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6},
        )
        path = tmp_path / "prices.json"
        importer.write(path, "test", importer.carried_on(list(old), new, "2026-12-01"))
        book = load_book([path])
        for model, before, after in (("a", 1, 2), ("b", 1, 1), ("gone", 1, 1), ("born", 1, 1)):
            rates = [book.lookup("openai", model, datetime(2026, month, 1, tzinfo=UTC)) for month in (11, 12)]
            assert [price and price.rates().input for price in rates] == [before * 10**9, after * 10**9]
        assert importer.carried_on(list(old), list(old), "2026-12-01") == old

    def test_the_committed_list_is_what_the_command_makes(self, tmp_path: Path) -> None:
        made = importer.entries_of(json.loads(importer.map_path().read_bytes(), parse_float=Decimal))[0]
        committed = json.loads(bundled_file().read_bytes(), parse_float=Decimal)
        if version("litellm") not in committed["about"]:
            pytest.skip(f"the installed litellm {version('litellm')} is not the one of the committed list")
        assert committed["prices"] == made


class TestCommands:
    def test_check_lists_rates_that_another_list_has_differently(self, tmp_path: Path) -> None:
        pytest.importorskip("genai_prices", reason="genai-prices is not installed")
        path = tmp_path / "prices.yaml"
        path.write_text(
            "format: 1\nprices:\n"
            "  - {provider: openai, model: gpt-4o, usd_per_million_tokens: {input: 25, output: 10}}\n"
            "  - provider: openai\n    model: gpt-4o-mini\n"
            "    usd_per_million_tokens: {input: 0.15, cache_read: 0.075, output: 0.6}\n"
        )
        out = io.StringIO()
        assert prices_check(load_book([path]), NOW, out) == 1
        lines = [line.split() for line in out.getvalue().splitlines()]
        assert ["openai", "gpt-4o", "standard", "input", "25", "2.5", "90.0%"] in lines
        assert not [line for line in lines if line[:2] == ["openai", "gpt-4o-mini"]]

    def test_the_bundled_list_agrees_on_the_models_most_used(self, book: PriceBook) -> None:
        pytest.importorskip("genai_prices", reason="genai-prices is not installed")
        out = io.StringIO()
        prices_check(book, NOW, out)
        differing = {line.split()[1] for line in out.getvalue().splitlines()[:-1]}
        assert not differing & {
            "gpt-4o",
            "gpt-4o-mini",
            "gpt-5",
            "gpt-5.5",
            "o3",
            "claude-sonnet-4-6",
            "gemini-2.5-pro",
        }

    def test_show_prints_rates_or_says_that_there_are_none(self, book: PriceBook) -> None:
        out = io.StringIO()
        assert prices_show(book, "gpt-4o-mini", NOW, out, provider="openai") == 0
        assert "openai gpt-4o-mini" in out.getvalue()
        assert "input 0.15, cache_read 0.075" in out.getvalue()
        assert prices_show(book, "nope", NOW, out) == 1
        assert "its calls are unpriced" in out.getvalue()

    def test_show_names_what_may_have_been_meant(self, book: PriceBook) -> None:
        out = io.StringIO()
        assert prices_show(book, "gpt4o-mini", NOW, out, provider="openai") == 1
        assert "gpt-4o-mini" in out.getvalue()
