"""The process that reads heavy bodies for the door (reader.py).

Arguments: maximum bytes of a body, data folder, actions of the built-in masks as JSON, file of own masks, file
descriptor of the connection. Over the connection come the arguments of `Bodies.read`, with the name of the signal; back
go the CPU seconds and its result.
"""

import json
import logging
import os
import resource
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

from spanledger.ingest.answers import Answer
from spanledger.ingest.bodies import Bodies, Ready
from spanledger.ingest.masking import Masking, rules_of
from spanledger.ingest.signals import SIGNALS
from spanledger.private import scrub_logs

_MEMORY_BYTES = 4 * 1024**3
_IDLE_S = 60.0  # without a body; then it ends and frees its memory


def main() -> None:
    max_body_bytes, data_dir, masks, mask_rules, fd = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    os.nice(5)  # below the door worker, which reads all other bodies
    scrub_logs()
    logging.basicConfig(level=logging.WARNING, format="door: %(levelname)s %(message)s")
    bodies = Bodies(int(max_body_bytes), Masking(rules_of(json.loads(masks), mask_rules), Path(data_dir)))
    connection = Connection(int(fd))
    try:
        while connection.poll(_IDLE_S):
            signal, *given = connection.recv()
            started = time.process_time()
            finding: Ready | Answer = bodies.read(SIGNALS[signal], *given)
            connection.send((time.process_time() - started, finding))
    except (EOFError, OSError):  # the door is gone
        pass


if __name__ == "__main__":
    main()
