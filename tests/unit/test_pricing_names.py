"""Prices behind the paths, variants and past names under which clouds, gateways and instrumentations tell of models."""

import json
import re
from decimal import Decimal

import pytest
from test_pricing_book import NOW, input_rate

from spanledger.pricing import PriceBook, load_book
from spanledger.pricing.book import bundled_file


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
    ("azure.ai.openai", "azure/o_series/o3-mini", "1.1"),
    ("aws.bedrock", "pixtral-large-2502-v1:0", "2"),
    ("gcp.vertex_ai", "projects/p/locations/us-central1/publishers/google/models/gemini-2.5-flash", "0.30"),
    ("gcp.vertex_ai", "publishers/meta/models/llama-3.1-405b-instruct-maas", "5"),
    (
        "aws.bedrock",
        "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-3-haiku-20240307-v1:0",
        "0.25",
    ),
    ("aws.bedrock", "us-gov.anthropic.claude-3-haiku-20240307-v1:0", "0.25"),
    ("aws.bedrock", "anthropic.claude-3-haiku-20240307-v1:0:48k", "0.25"),
    ("aws.bedrock", "claude-sonnet-4-5", "3"),
    ("aws.bedrock", "converse/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "3.3"),
    ("aws.bedrock", "invoke/anthropic.claude-3-haiku-20240307-v1:0", "0.25"),
    ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0[1m]", "3.3"),
    ("anthropic", "claude-sonnet-4-5-20250929[1m]", "3"),
    ("anthropic", "claude-opus-4-6[1m]", "5"),
    ("gcp.vertex_ai", "claude-opus-4-6@default[1m]", "5"),
    ("gcp.vertex_ai", "anthropic/claude-sonnet-4-5@20250929", "3"),
    ("gcp.vertex_ai", "google/gemini-2.5-flash", "0.30"),
]


@pytest.mark.parametrize(("provider", "model", "rate"), PATHS, ids=[path for _, path, _ in PATHS])
def test_a_path_leads_to_its_model(book: PriceBook, provider: str, model: str, rate: str) -> None:
    assert input_rate(book, provider, model) == Decimal(rate)


@pytest.mark.parametrize(
    "model", ["arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", "us.acme.model-v1:0"]
)
def test_a_path_to_an_unknown_model_has_no_price(book: PriceBook, model: str) -> None:
    assert book.lookup("aws.bedrock", model, NOW) is None


def test_every_model_of_bedrock_has_its_price_without_its_maker(book: PriceBook) -> None:
    listed = json.loads(bundled_file().read_text())["prices"]
    named = {
        e["model"] for e in listed if e["provider"] == "aws.bedrock" and re.match(r"[a-z0-9]{3,}\.[a-z]", e["model"])
    }
    named = {model for model in named if not re.match(r"(apac|global)\.", model) and "/" not in model}
    assert len(named) > 100
    without = {model: book.lookup("aws.bedrock", model.split(".", 1)[1], NOW) for model in named}
    assert [model for model, price in without.items() if price is None] == []


RETIRED = [
    ("gcp.gemini", "gemini-1.0-pro", "0.5"),
    ("gcp.vertex_ai", "gemini-pro", "0.5"),
    ("anthropic", "claude-3-opus-20240229", "15"),
    ("anthropic", "claude-3-haiku-20240307", "0.25"),
    ("anthropic", "claude-2.1", "8"),
    ("anthropic", "claude-instant-1.2", "0.80"),
    ("mistral_ai", "mistral-large-2402", "4"),
    ("x_ai", "grok-beta", "5"),
    ("cohere", "command-r-plus-04-2024", "3"),
    ("azure.ai.openai", "gpt-35-turbo-0613", "1.5"),
    ("perplexity", "llama-3.1-sonar-large-128k-online", "1"),
    ("aws.bedrock", "anthropic.claude-v2", "8"),
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


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openrouter", "deepseek/deepseek-r1:free"),
        ("openrouter", "somebody/new-model:free"),
        ("openrouter", "openrouter/free"),
        ("litellm", "openrouter/qwen/qwen3-coder:free"),
    ],
)
def test_a_free_endpoint_costs_nothing(book: PriceBook, provider: str, model: str) -> None:
    assert input_rate(book, provider, model) == Decimal(0)


def test_only_openrouter_has_free_endpoints(book: PriceBook) -> None:
    assert book.lookup("together_ai", "somebody/new-model:free", NOW) is None


def test_models_that_were_charged_by_the_character_have_no_price_by_token(book: PriceBook) -> None:
    assert book.lookup("gcp.vertex_ai", "text-bison@001", NOW) is None
