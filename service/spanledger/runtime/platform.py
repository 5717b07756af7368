"""The parts on top of the path from a message to its figures: registry, access, tools, prompts, jobs …

Built once per service and handed to the API. A part reads the books through stats/ and reports through telemetry/;
none writes the database.
"""

from collections.abc import Callable
from dataclasses import dataclass

from spanledger.access import DEFAULT_TENANT, access
from spanledger.access.access import Access
from spanledger.access.kept_answers import KeptAnswers
from spanledger.analysis import LivePass, Sealer
from spanledger.configuration import Agents, Experiments, ModelRegistry, Profiles, Prompts
from spanledger.configuration.references import References
from spanledger.evaluations import Automatic, Evaluators, Recent
from spanledger.ingest.service import Ingest
from spanledger.jobs import JobBook, Jobs
from spanledger.retrieval import Library
from spanledger.settings import Settings
from spanledger.store.client import Store
from spanledger.store.quota import Quota
from spanledger.store.registry import Change, Registry
from spanledger.telemetry import GenAI, Telemetry, audit, ids
from spanledger.workflows import Gate, Runner, Step
from spanledger.workflows.embedding import Embedder
from spanledger.workflows.tools import Grants, McpServers, Toolbox


@dataclass(frozen=True)
class Platform:
    """What routers reach as `services.platform`."""

    registry: Registry
    references: References
    access: Access
    kept_answers: KeptAnswers
    jobs: Jobs
    sealer: Sealer
    live_pass: LivePass
    agents: Agents
    servers: McpServers
    toolbox: Toolbox
    embedder: Embedder
    library: Library
    prompts: Prompts
    profiles: Profiles
    models: ModelRegistry
    experiments: Experiments
    evaluators: Evaluators
    automatic: Automatic
    recent: Recent
    steps: tuple[Step, ...] = ()  # in this order: agent, experiment, profile, preferences, prompt, models
    gates: tuple[Gate, ...] = ()  # permissions, then limits

    async def start(self, runner: Runner) -> None:
        """Begins what works in the background, on the runner's event loop."""
        self.live_pass.start()
        await self.sealer.start(runner)
        await self.jobs.start(runner)
        await self.automatic.start(runner)

    async def stop(self) -> None:
        """Ends it, before the runner closes."""
        await self.jobs.stop()
        await self.automatic.stop()
        await self.sealer.stop()
        await self.servers.close()

    def close(self) -> None:
        self.live_pass.close()
        self.jobs.close()
        self.access.close()
        self.kept_answers.close()
        self.registry.close()


def build(
    settings: Settings,
    store: Store,
    telemetry: Telemetry,
    ingest: Ingest,
    genai: GenAI,
    embedder: Embedder,
    has_provider: Callable[[str], bool],
) -> Platform:
    """The platform of one data folder."""
    quota = Quota(settings.tenant_objects, settings.object_versions)
    registry = Registry(settings.data_dir, quota)
    registry.on_change(lambda change: _tell(telemetry, change))
    admitted = access.build(settings, registry, store, telemetry, ingest.senders)
    jobs = Jobs(JobBook(settings.data_dir), telemetry, settings.job_workers, quota)
    sealer, live_pass = Sealer(settings, store, telemetry), LivePass(telemetry)
    servers = McpServers(registry, telemetry, settings.mcp_private_addresses)
    toolbox = Toolbox(telemetry, genai, Grants(registry), servers)
    references = References(registry, has_provider, toolbox)
    prompts, profiles, experiments = (
        Prompts(registry),
        Profiles(registry, references),
        Experiments(registry, references),
    )
    models = ModelRegistry(registry, settings.default_model)
    evaluators, recent = Evaluators(registry, references, telemetry, genai), Recent()
    automatic = Automatic(evaluators)
    agents = Agents(registry, references)
    library = Library(store, telemetry, embedder, settings.embedding_model, quota)
    return Platform(
        registry,
        references,
        admitted,
        KeptAnswers(settings.data_dir),
        jobs,
        sealer,
        live_pass,
        agents,
        servers,
        toolbox,
        embedder,
        library,
        prompts,
        profiles,
        models,
        experiments,
        evaluators,
        automatic,
        recent,
        steps=(
            agents.apply,
            experiments.decide,
            profiles.decide_by_profile,
            profiles.decide_by_preferences,
            prompts.decide,
            models.decide,
        ),
        gates=(jobs.watch, live_pass, admitted.gate, recent, automatic),
    )


def _tell(telemetry: Telemetry, change: Change) -> None:
    after = change.after
    with ids.carry(tenant="" if after.tenant == DEFAULT_TENANT else after.tenant):  # its tenant can read about it
        audit.record(
            telemetry,
            audit.AUDIT,
            f"{after.kind}.{'remove' if after.removed else 'put'}",
            "allowed",
            target=f"{after.kind}/{after.name}",
            version=after.version,
            tenant=after.tenant,
            by=after.created_by,
        )
