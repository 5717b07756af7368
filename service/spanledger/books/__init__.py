"""Computes the expected books of whole traces from their canonical spans. Pure: no database."""
