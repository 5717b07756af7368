"""`python read_books.py DATA_DIR < queries`: SQL over all tenants on a data folder that nobody has open, and an audit.

The system itself never answers across tenants, so a test that compares many tenants asks the store, in a process of
its own. Input: {name: query}; output: {"rows": {name: rows}, "audit": report}.
"""

import json
import sys
from pathlib import Path

from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.store.client import open_embedded


def main() -> None:
    data_dir = Path(sys.argv[1])
    store = open_embedded(data_dir)
    rows = {name: store.query(query) for name, query in json.load(sys.stdin).items()}
    report = Ledger(store, Settings(data_dir=data_dir)).audit().as_dict()
    json.dump({"rows": rows, "audit": report}, sys.stdout, default=str)
    sys.stdout.flush()
    store.close()


if __name__ == "__main__":
    main()
