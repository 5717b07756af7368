"""The OTLP door: HTTP and gRPC → spool → ClickHouse. Everything acknowledged is in the spool first."""
