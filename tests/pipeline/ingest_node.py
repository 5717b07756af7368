"""A process that is killed in tests: the store and the OTLP door on one data folder, nothing else.

`python ingest_node.py DATA_DIR [settings as JSON]` prints one JSON line when it accepts, then answers JSON lines:
`{"sql": …}` with rows, `{"flush": seconds}`, `{"health": true}`, `{"stop": true}`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from spanledger.ingest.service import Ingest
from spanledger.settings import Settings
from spanledger.store import migrate
from spanledger.store.client import open_embedded, open_server


def main() -> None:
    given = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    options = Settings(data_dir=Path(sys.argv[1]), **{"otlp_http_port": 0, "otlp_grpc_port": 0} | given)
    store = open_server(options.clickhouse_url) if options.clickhouse_url else open_embedded(options.data_dir)
    migrate.migrate(store)
    ingest = Ingest(options, store)
    ingest.start()
    say({"endpoint": ingest.endpoint, "workers": ingest.worker_pids()})
    for line in sys.stdin:
        request = json.loads(line)
        if "sql" in request:
            say([list(row) for row in store.query(request["sql"])])
        elif "flush" in request:
            say(ingest.flush(request["flush"]))
        elif "health" in request:
            say(ingest.health())
        elif "stop" in request:
            break
    ingest.stop(timeout=60)
    store.close()
    say("stopped")


def say(answer: Any) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
