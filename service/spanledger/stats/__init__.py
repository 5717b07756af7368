"""What the API answers: plain functions over the store that return dataclasses shaped like the JSON of the contract."""
