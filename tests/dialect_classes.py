"""Classes and tiers of tokens that came out wrong once, and more of the kind."""

from dialect_shared import GEMINI, LANGFUSE, LLM, OPENAI, Example, counts, langfuse

CLASSES: dict[str, Example] = {
    "flat counts of a coding agent": (
        OPENAI
        | {
            "input_token_count": "1000",
            "cached_token_count": "600",
            "output_token_count": "50",
            "reasoning_token_count": "30",
        },
        {
            "input_tokens": 1000,
            "cache_read_input_tokens": 600,
            "output_tokens": 50,
            "reasoning_output_tokens": 30,
        },
    ),
    "Cohere's bill in an answer": (
        OPENAI
        | {
            "output.value": {
                "usage": {
                    "billed_units": {"input_tokens": 14, "output_tokens": 9},
                    "tokens": {"input_tokens": 80, "output_tokens": 9},
                }
            }
        },
        {"input_tokens": 14, "output_tokens": 9},
    ),
    "cache writes of Responses": (
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-5.6",
            "output.value": {
                "usage": {"input_tokens": 90, "output_tokens": 2, "input_tokens_details": {"cache_write_tokens": 80}}
            },
        },
        {"input_tokens": 90, "cache_write_input_tokens": 80},
    ),
    "pictures by kind of content": (
        LANGFUSE
        | {
            "langfuse.observation.usage_details": {
                "promptTokenCount": 300,
                "candidatesTokenCount": 20,
                "totalTokenCount": 320,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 42},
                    {"modality": "IMAGE", "tokenCount": 258},
                ],
            }
        },
        {"input_tokens": 300, "image_input_tokens": 258, "image_output_tokens": None},
    ),
    "sound both ways": (
        LANGFUSE
        | {
            "langfuse.observation.model.name": "gpt-audio",
            "langfuse.observation.usage_details": {
                "prompt_tokens": 30,
                "completion_tokens": 40,
                "total_tokens": 70,
                "prompt_tokens_details": {"audio_tokens": 11},
                "completion_tokens_details": {"audio_tokens": 22},
            },
        },
        {"audio_input_tokens": 11, "audio_output_tokens": 22},
    ),
    "Google's sound by kind of content": (
        LANGFUSE
        | {
            "langfuse.observation.usage_details": {
                "prompt_token_count": 30,
                "candidates_token_count": 40,
                "prompt_tokens_details": [{"modality": "MediaModality.AUDIO", "token_count": 11}],
            }
        },
        {"input_tokens": 30, "audio_input_tokens": 11},
    ),
    "an image model puts out images": (
        OPENAI | counts(20, 1000) | {"gen_ai.request.model": "gpt-image-1-mini"},
        {"image_output_tokens": 1000},
    ),
    "a model of texts does not": (OPENAI | counts(20, 1000), {"image_output_tokens": None}),
    "the tier asked for, when none was served": (
        OPENAI | {"openai.request.service_tier": "flex"},
        {"service_tier": "flex"},
    ),
    "the tier served goes before the one asked for": (
        OPENAI | {"openai.request.service_tier": "flex", "openai.response.service_tier": "default"},
        {"service_tier": "default"},
    ),
    "writes beside the input, reads within, by the total": (
        OPENAI
        | counts(3500, 100)
        | {
            "gen_ai.system": "aws.bedrock",
            "gen_ai.usage.total_tokens": "5600",
            "gen_ai.usage.cache_read.input_tokens": "3000",
            "gen_ai.usage.cache_write.input_tokens": "2000",
        },
        {"input_tokens": 5500, "cache_read_input_tokens": 3000, "cache_write_input_tokens": 2000},
    ),
    "the output that only the total tells": (
        OPENAI | {"gen_ai.usage.input_tokens": "10", "gen_ai.usage.total_tokens": "15"},
        {"input_tokens": 10, "output_tokens": 5, "anomalies": ["inferred:output_tokens"]},
    ),
}

MORE_CLASSES: dict[str, Example] = {
    "cache writes in Langfuse's words": (
        langfuse("gpt-5.6", input=1200, output=5, total=1205, input_cached_tokens=200, input_cache_write_tokens=900),
        {"input_tokens": 1200, "cache_read_input_tokens": 200, "cache_write_input_tokens": 900},
    ),
    "cache writes as attributes": (
        OPENAI | counts(1200, 5, input_tokens_details__cache_write_tokens=900),
        {"cache_write_input_tokens": 900},
    ),
    "pictures in Langfuse's words": (
        langfuse("gpt-image-1", input=12, output=0, total=1328, input_image_tokens=260, output_image_tokens=1056),
        {"input_tokens": 272, "output_tokens": 1056, "image_input_tokens": 260, "image_output_tokens": 1056},
    ),
    "pictures in OpenInference's words": (
        LLM
        | {
            "llm.token_count.prompt": "272",
            "llm.token_count.completion": "1056",
            "llm.token_count.prompt_details.image": "260",
        },
        {"image_input_tokens": 260},
    ),
    "a part that Langfuse took off and no table names": (
        langfuse("gpt-5", input=0, output=40, total=1240, input_priority=200, input_priority_cache_read=1000),
        {"input_tokens": 1200, "cache_read_input_tokens": 1000},
    ),
    "sound of a realtime session": (
        OPENAI
        | {
            "shape:x": {
                "usage": {
                    "input_tokens": 132,
                    "output_tokens": 121,
                    "input_token_details": {"text_tokens": 19, "audio_tokens": 113, "cached_tokens": 64},
                    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
                }
            }
        },
        {"audio_input_tokens": 113, "audio_output_tokens": 91, "cache_read_input_tokens": 64},
    ),
    "how long Bedrock's writes last": (
        OPENAI
        | {
            "gen_ai.system": "aws.bedrock",
            "shape:x": {
                "usage": {
                    "inputTokens": 10,
                    "outputTokens": 5,
                    "cacheWriteInputTokens": 120,
                    "totalTokens": 135,
                    "cacheDetails": [{"ttl": "1h", "inputTokens": 100}, {"ttl": "5m", "inputTokens": 20}],
                }
            },
        },
        {"input_tokens": 130, "cache_write_input_tokens": 120, "cache_write_1h_input_tokens": 100},
    ),
    "an embedding's total": (
        OPENAI | {"gen_ai.operation.name": "embeddings", "gen_ai.usage.total_tokens": "12"},
        {"role": "embedding", "input_tokens": 12, "output_tokens": None},
    ),
    "a total of the wholes that leaves out a cache larger than the input": (
        OPENAI | {"gen_ai.system": "anthropic"} | counts(10, 5, cache_read_input_tokens=100, total_tokens=15),
        {"input_tokens": 110, "cache_read_input_tokens": 100, "usage_estimated": 0},
    ),
    "a total of the wholes that leaves out thoughts larger than the output": (
        GEMINI | counts(100, 20, reasoning_tokens=600, total_tokens=120),
        {"output_tokens": 620, "reasoning_output_tokens": 600, "usage_estimated": 0},
    ),
    **{
        f"a tier in {key}": (OPENAI | {key: value}, {"service_tier": "flex"})
        for key, value in (
            ("request_data", {"model": "gpt-5", "service_tier": "flex"}),
            ("mlflow.spanInputs", {"service_tier": "flex"}),
            ("input.value", {"input": "hi", "service_tier": "flex"}),
            ("llm.invocation_parameters", {"model_kwargs": {"service_tier": "flex"}}),
            ("anthropic.request.service_tier", "flex"),
        )
    },
}
