"""A provider's usage export compared with the books."""
