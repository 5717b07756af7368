"""Prints the OpenAPI document of the API. `make openapi` writes it to the snapshot that the tests hold it to."""

import json

from spanledger.api.app import app_with_routes
from spanledger.settings import Settings

if __name__ == "__main__":
    print(json.dumps(app_with_routes(Settings()).openapi(), indent=1, sort_keys=True))
