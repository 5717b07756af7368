"""One running service above its node: what emits, what runs workflows, what watches; built and taken down in order."""

import asyncio
import threading
from dataclasses import dataclass
from pathlib import Path

from spanledger import telemetry
from spanledger.access import operator
from spanledger.erasure.erasures import Erasures
from spanledger.erasure.retention import Retention
from spanledger.ingest import meters
from spanledger.live.lost import instance_of, node_of
from spanledger.pricing import load_book
from spanledger.runtime import memory, platform
from spanledger.runtime.node import Node, Say
from spanledger.runtime.platform import Platform
from spanledger.runtime.services import Books, Services
from spanledger.runtime.watch import Watch
from spanledger.settings import Settings
from spanledger.stats.sandbox.pool import Sandboxes
from spanledger.store.client import Store
from spanledger.telemetry import GenAI, Telemetry
from spanledger.workflows import Runner
from spanledger.workflows.embedding import Embedder
from spanledger.workflows.litellm_model import LiteLLM
from spanledger.workflows.providers import Providers

_SETTLED_S = 15.0


@dataclass(frozen=True)
class Runtime:
    """Made by `build`. Belongs to the event loop on which `start` is called."""

    node: Node
    reading: Store
    telemetry: Telemetry
    platform: Platform
    runner: Runner
    watch: Watch
    sandboxes: Sandboxes
    erasures: Erasures
    retention: Retention

    @property
    def services(self) -> Services:
        """What the API gets."""
        node, canaries = self.node, self.watch.canaries
        books = Books(
            *(node.store, self.reading, node.ledger, node.ingest),
            *(self.platform, canaries, self.sandboxes, self.erasures),
        )
        return Services(node.settings, self.telemetry, self.runner, books, self.watch.live, self.watch.stalls)

    async def start(self) -> None:
        """Begins what works in the background: jobs and sealing where chat runs, and what watches."""
        if self.node.settings.plays("chat"):
            await self.platform.start(self.runner)
        if self.node.settings.plays("settle"):
            self.erasures.start()
            self.retention.start()
        self.watch.start()
        give_memory_back_soon()

    def end_long_answers(self) -> None:
        """For responses that would go on for ever."""
        self.sandboxes.cancel_all()
        self.watch.live.close()

    async def stop(self) -> None:
        """Ends it all; what was emitted goes out."""
        await self.watch.stop()
        await asyncio.to_thread(self.erasures.stop)
        await asyncio.to_thread(self.retention.stop)
        await self.platform.stop()
        await self.runner.close()
        self.sandboxes.close()
        self.reading.close()
        self.platform.close()
        await asyncio.to_thread(self.telemetry.shutdown)


def build(node: Node, say: Say) -> Runtime:
    """Starts nothing but emission."""
    settings = node.settings
    instance = instance_of(node_of(settings.data_dir))
    emission = emission_of(node, instance)
    meters.report(emission.meter("spanledger.ingest"), node.ingest.health)
    book = load_book([Path(settings.price_book)] if settings.price_book else [])
    genai, model = GenAI(emission), LiteLLM(book, settings.model_timeout_s, Providers(settings.model_providers))
    embedder = Embedder(model, genai, book)
    on_top = platform.build(settings, node.store, emission, node.ingest, genai, embedder, model.has_provider)
    runner = Runner(
        settings,
        emission,
        book,
        model,
        genai=genai,
        steps=on_top.steps,
        gates=on_top.gates,
        toolbox=on_top.toolbox,
        retriever=on_top.library,
        say=say,
        loaded=give_memory_back_soon,
    )
    watch = Watch(settings, node.store, node.ledger, node.ingest, emission, runner, instance)
    erasures = Erasures(
        settings, node.store, node.ledger, node.ingest, on_top.registry, on_top.jobs.records, emission.flush
    )
    retention = Retention(settings, node.store, node.ledger, on_top.registry)
    reading = node.store.limited({"max_execution_time": settings.read_seconds})
    return Runtime(node, reading, emission, on_top, runner, watch, Sandboxes(node.store), erasures, retention)


def give_memory_back_soon() -> None:
    """When what follows a start, or a first message, by itself is over. Call it on the event loop."""
    # A thread of its own: at a stop the timer may fire when the loop's own threads have ended.
    give_back = threading.Thread(target=memory.return_what_start_took, name="memory", daemon=True)
    asyncio.get_running_loop().call_later(_SETTLED_S, give_back.start)


def emission_of(node: Node, instance: str) -> Telemetry:
    """Our own telemetry, to the endpoint of the settings or the node's own door; none where there is neither."""
    settings = node.settings
    endpoint = settings.otlp_endpoint or node.ingest.endpoint
    if not endpoint:
        return telemetry.off()
    return telemetry.start(
        endpoint,
        capture_content=settings.capture_content,
        token="" if settings.otlp_endpoint else operator.read(settings.data_dir),  # only our own door needs it
        instance=instance,
        seal_secret=operator.seal_secret(settings.data_dir),
        outbox=outbox_of(settings),
    )


def outbox_of(settings: Settings) -> telemetry.Outbox | None:
    """None: what the endpoint does not take is dropped."""
    size = settings.telemetry_outbox_bytes
    return telemetry.Outbox(settings.data_dir / "outbox", size) if size else None
