"""The process that tries foreign patterns, schemas and files: one JSON job a line in, one JSON answer a line out."""

import json
import logging
import os
import resource
import select
import sys

from spanledger.foreign import checks

_MEMORY_BYTES = 512 * 1024**2
_CPU_S = 600  # of its whole life; its parent ends a single job much earlier
_IDLE_S = 60.0  # without a job it is not worth its memory


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    sys.setrecursionlimit(500)
    os.nice(5)
    logging.disable(logging.CRITICAL)  # what libraries say of a file or a schema would quote it
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while select.select([source], [], [], _IDLE_S)[0]:
        line = source.readline()
        if not line:
            return
        sink.write(json.dumps(checks.answer(json.loads(line))).encode() + b"\n")
        sink.flush()


if __name__ == "__main__":
    main()
