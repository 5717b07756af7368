"""The answers of the API, by area. `common` holds what all areas share."""
