"""Every attribute, metric and operation name that we emit, spelled once.

GenAI: https://github.com/open-telemetry/semantic-conventions-genai (schema gen-ai-dev/1.42.0-dev)
General: https://opentelemetry.io/docs/specs/semconv/registry/attributes/
What the conventions lack is `spanledger.*`. Cost follows their proposal #443.
"""

from typing import Final

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"

# operations
CHAT: Final = "chat"
EMBEDDINGS: Final = "embeddings"
EXECUTE_TOOL: Final = "execute_tool"
INVOKE_WORKFLOW: Final = "invoke_workflow"
INVOKE_AGENT: Final = "invoke_agent"
RETRIEVAL: Final = "retrieval"

WORKFLOW_STARTED: Final = "spanledger.workflow_started"  # log records: the names of their events
WORKFLOW_COMPLETED: Final = "spanledger.workflow_completed"

# who and what
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
WORKFLOW_NAME: Final = "gen_ai.workflow.name"
AGENT_NAME: Final = "gen_ai.agent.name"
AGENT_ID: Final = "gen_ai.agent.id"
AGENT_VERSION: Final = "gen_ai.agent.version"
PROMPT_NAME: Final = "gen_ai.prompt.name"
PROMPT_VERSION: Final = "gen_ai.prompt.version"
EXPERIMENT: Final = "spanledger.experiment"
VARIANT: Final = "spanledger.variant"
TENANT: Final = "spanledger.tenant"
KEY_ID: Final = "spanledger.key.id"
AUDIT_ID: Final = "spanledger.entry.id"  # of an entry of the audit trail
SEAL: Final = "spanledger.entry.seal"
SOURCE: Final = "spanledger.source"  # job | evaluation | analysis | import; absent: chat
USER_ID: Final = "user.id"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
MESSAGE_ID: Final = "spanledger.message.id"
JOB_ID: Final = "spanledger.job.id"
CORRELATION_ID: Final = "spanledger.correlation.id"
NODE_NAME: Final = "spanledger.node.name"

# the request
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_SERVICE_TIER: Final = "openai.request.service_tier"
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
ATTEMPT: Final = "spanledger.attempt"  # 1 = first; counts over retries and fallbacks of one operation

# the response
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"  # seconds
ERROR_TYPE: Final = "error.type"
SERVICE_TIER: Final = "openai.response.service_tier"

# usage
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_INPUT_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
CACHE_WRITE_1H_INPUT_TOKENS: Final = "gen_ai.usage.cache_write_1h.input_tokens"  # part of the writes, dearer
REASONING_OUTPUT_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
AUDIO_INPUT_TOKENS: Final = "gen_ai.usage.audio.input_tokens"
AUDIO_OUTPUT_TOKENS: Final = "gen_ai.usage.audio.output_tokens"
IMAGE_INPUT_TOKENS: Final = "gen_ai.usage.image.input_tokens"
IMAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.image.output_tokens"
USAGE_ESTIMATED: Final = "spanledger.usage.estimated"  # true: counted by us, the provider did not say
COST_AMOUNT: Final = "gen_ai.usage.cost.amount"
COST_CURRENCY: Final = "gen_ai.usage.cost.currency"
COST_SOURCE: Final = "gen_ai.usage.cost.source"  # provider | local

# an answer from a response cache: no provider was called, so no usage; what it would have been
CACHE_HIT: Final = "spanledger.cache.hit"  # false: a cache miss
CACHE_SAVED_INPUT_TOKENS: Final = "spanledger.cache.saved.input_tokens"
CACHE_SAVED_OUTPUT_TOKENS: Final = "spanledger.cache.saved.output_tokens"
CACHE_SAVED_USD: Final = "spanledger.cache.saved.usd"  # a decimal text

# tools
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_DESCRIPTION: Final = "gen_ai.tool.description"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"

# MCP: https://github.com/open-telemetry/semantic-conventions-genai (mcp)
MCP_METHOD_NAME: Final = "mcp.method.name"
MCP_PROTOCOL_VERSION: Final = "mcp.protocol.version"
MCP_SERVER: Final = "spanledger.mcp.server"  # the name under which it was registered
NETWORK_TRANSPORT: Final = "network.transport"  # pipe | tcp
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

# decisions: events of the span in which they were made
DECISION: Final = "spanledger.decision"
DECISION_KIND: Final = "spanledger.decision.kind"  # tool | branch | retrieval
DECISION_CHOICE: Final = "spanledger.decision.choice"
DECISION_OPTIONS: Final = "spanledger.decision.options"
DECISION_REASON: Final = "spanledger.decision.reason"

# retrieval and documents
DATA_SOURCE_ID: Final = "gen_ai.data_source.id"
RETRIEVAL_QUERY_TEXT: Final = "gen_ai.retrieval.query.text"  # only with the switch on
RETRIEVAL_TOP_K: Final = "gen_ai.retrieval.top_k"
RETRIEVAL_DOCUMENTS: Final = "gen_ai.retrieval.documents"  # ids and scores, as JSON
EMBEDDINGS_DIMENSIONS: Final = "gen_ai.embeddings.dimension.count"
DOCUMENT: Final = "spanledger.document"

# an evaluation of an answer by a person or an evaluator: an event in the trace of the answer
EVALUATION_RESULT: Final = "gen_ai.evaluation.result"
EVALUATION_NAME: Final = "gen_ai.evaluation.name"
EVALUATION_SCORE: Final = "gen_ai.evaluation.score.value"
EVALUATION_LABEL: Final = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION: Final = "gen_ai.evaluation.explanation"
EVALUATION_EVALUATOR: Final = "spanledger.evaluation.evaluator"  # human | rule | judge
EVALUATION_USER_ID: Final = "spanledger.evaluation.user.id"  # who gave it
EVALUATION_TAGS: Final = "spanledger.evaluation.tags"  # a JSON list
EVALUATION_SEALED_SCORE: Final = "spanledger.evaluation.score"  # the score as the text that its seal covers
EVALUATION_TRACE_ID: Final = "spanledger.evaluation.trace_id"  # the evaluator's own run

# content, only with the switch on
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"

# metrics, in the names that the official Python instrumentations emit
METRIC_OPERATION_DURATION: Final = "gen_ai.client.operation.duration"  # s
METRIC_TIME_TO_FIRST_CHUNK: Final = "gen_ai.client.operation.time_to_first_chunk"  # s
METRIC_TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # {token}
TOKEN_TYPE: Final = "gen_ai.token.type"  # input | output
