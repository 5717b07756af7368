"""Provider names: one canonical spelling each, as `gen_ai.provider.name` defines them.

Well-known values: https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/
A provider outside that list keeps the name LiteLLM gives it, in lower case (`together_ai`, `fireworks_ai`, …).
"""

_ALIASES = {
    "ai21_labs": "ai21",
    "amazon": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "anthropic_messages": "anthropic",
    "aws": "aws.bedrock",
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure_openai": "azure.ai.openai",
    "azure_text": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "bedrock_mantle": "aws.bedrock",
    "codestral": "mistral_ai",
    "cohere_chat": "cohere",
    "gemini": "gcp.gemini",
    "google": "gcp.gen_ai",
    "google_ai_studio": "gcp.gemini",
    "google_genai": "gcp.gen_ai",
    "google_vertexai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshotai": "moonshot",
    "open_ai": "openai",
    "text_completion_codestral": "mistral_ai",
    "text_completion_openai": "openai",
    "together": "together_ai",
    "fireworks": "fireworks_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}

# Two names for catalogues of the same seller: what one does not list may stand in the other.
_SAME_SELLER = {
    "azure.ai.openai": ("azure.ai.inference",),
    "azure.ai.inference": ("azure.ai.openai",),
    "gcp.gen_ai": ("gcp.gemini", "gcp.vertex_ai"),
}


def canonical(provider: str) -> str:
    """`provider` in its canonical spelling; an unknown one in lower case, otherwise untouched."""
    name = provider.strip().lower()
    key = name.replace("-", "_").replace(" ", "_")
    if key.startswith("vertex_ai_"):  # LiteLLM splits Vertex by maker: vertex_ai-anthropic_models …
        return "gcp.vertex_ai"
    return _ALIASES.get(key, name)


def catalogues(provider: str) -> tuple[str, ...]:
    """The providers whose price lists apply to calls of `provider`, in the order to look."""
    name = canonical(provider)
    return (name, *_SAME_SELLER.get(name, ()))
