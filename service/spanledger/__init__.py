"""Spanledger: OpenTelemetry-native observability for LLM applications whose books balance."""

__version__ = "0.1.0"
