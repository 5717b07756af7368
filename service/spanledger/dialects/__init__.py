"""A span or event in the words of its instrumentation, read as canonical facts. Pure: no database."""
