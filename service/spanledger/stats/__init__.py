"""Queries of the API: functions over the store that return dataclasses shaped like the JSON answers."""
