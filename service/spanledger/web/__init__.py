"""The console: pages over the API, served by the API's own process."""
