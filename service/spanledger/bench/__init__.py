"""Benchmarks: `spanledger bench …`. Each prints JSON; docs/benchmarks.md holds figures with machine and data."""
