"""Prices behind the paths, variants and past names under which clouds, gateways and instrumentations tell of models."""

from decimal import Decimal

import pytest
from test_pricing_book import NOW, input_rate

from spanledger.pricing import PriceBook, load_book


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return load_book()


PATHS = [
    ("aws.bedrock", "nova-pro-v1:0", "0.80"),  # the maker is stripped
    ("aws.bedrock", "bedrock/converse/us.amazon.nova-lite-v1:0", "0.06"),
    ("aws.bedrock", "bedrock/us-east-1/anthropic.claude-3-5-sonnet-20240620-v1:0", "3"),
    ("aws.bedrock", "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-5-sonnet-20240620-v1:0", "3"),
    ("azure.ai.openai", "azure/responses/gpt-5-mini", "0.25"),
    ("openai", "openai/responses/gpt-4o-mini", "0.15"),
    ("gcp.vertex_ai", "projects/p/locations/us-central1/publishers/google/models/gemini-2.5-flash", "0.30"),
]


@pytest.mark.parametrize(("provider", "model", "rate"), PATHS, ids=[path for _, path, _ in PATHS])
def test_a_path_leads_to_its_model(book: PriceBook, provider: str, model: str, rate: str) -> None:
    assert input_rate(book, provider, model) == Decimal(rate)


@pytest.mark.parametrize(
    "model", ["arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", "us.acme.model-v1:0"]
)
def test_a_path_to_an_unknown_model_has_no_price(book: PriceBook, model: str) -> None:
    assert book.lookup("aws.bedrock", model, NOW) is None


RETIRED = [
    ("anthropic", "claude-3-opus-20240229", "15"),
    ("anthropic", "claude-3-haiku-20240307", "0.25"),
    ("anthropic", "claude-2.1", "8"),
    ("openai", "gpt-4-32k", "60"),
    ("openai", "text-davinci-003", "20"),
    ("gcp.gemini", "gemini-1.5-flash-002", "0.075"),
    ("gcp.vertex_ai", "gemini-1.5-pro-002", "1.25"),
]


@pytest.mark.parametrize(("provider", "model", "rate"), RETIRED, ids=[model for _, model, _ in RETIRED])
def test_history_of_retired_models_can_be_priced(book: PriceBook, provider: str, model: str, rate: str) -> None:
    assert input_rate(book, provider, model) == Decimal(rate)


def test_groq_is_a_provider_of_its_own(book: PriceBook) -> None:
    assert input_rate(book, "groq", "llama-3.3-70b-versatile") == Decimal("0.59")
    assert input_rate(book, "groq", "llama-3.1-8b-instant") == Decimal("0.05")


@pytest.mark.parametrize("variant", ["", ":nitro", ":beta"])
def test_openrouter_has_prices_of_its_own(book: PriceBook, variant: str) -> None:
    assert input_rate(book, "openrouter", "anthropic/claude-sonnet-4.5" + variant) == Decimal(3)


@pytest.mark.parametrize(
    "model", ["anthropic/claude-sonnet-4.5:online", "qwen/qwen3-coder:floor", "openrouter/auto", "auto"]
)
def test_a_route_that_decides_the_price_has_none(book: PriceBook, model: str) -> None:
    assert book.lookup("openrouter", model, NOW) is None


def test_a_free_endpoint_never_costs_what_the_paid_one_does(book: PriceBook) -> None:
    for model in ("deepseek/deepseek-r1:free", "qwen/qwen3-coder:free", "allenai/molmo-7b-d:free"):
        assert input_rate(book, "openrouter", model) in (None, Decimal(0))
