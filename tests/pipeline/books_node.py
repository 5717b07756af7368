"""`spanledger up` below its API: door, loader, engine, settlement, put together as there; quick to start and to kill.

`python books_node.py --data-dir=DIR --otlp-http-port=PORT` says how it starts, prints `ready` and serves until
SIGTERM.
"""

import argparse
import signal
import sys
import threading
from pathlib import Path

from spanledger.access import operator
from spanledger.ingest.service import Ingest
from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.store import migrate, running
from spanledger.store.client import open_embedded


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--otlp-http-port", type=int)
    options, _ = parser.parse_known_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = Settings(data_dir=options.data_dir, otlp_http_port=options.otlp_http_port, otlp_grpc_port=0)
    store = open_embedded(settings.data_dir)
    clean = running.begin(settings.data_dir)
    migrate.migrate(store, say)
    ledger, ingest = Ledger(store, settings), Ingest(settings, store)
    operator.renew(settings.data_dir)
    if not clean:
        ledger.recover(say)
    ingest.on_loaded(lambda _: ledger.settler.wake())
    ingest.start()
    ledger.settler.start()
    say("ready")
    stop.wait()
    ingest.stop()
    ledger.settler.stop()
    ledger.settler.settle_now()
    store.close()
    running.finish(settings.data_dir)


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
