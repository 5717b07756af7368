"""The OTLP door: HTTP and gRPC → spool → ClickHouse. A request is acknowledged only after it is in the spool."""
