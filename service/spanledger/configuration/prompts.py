"""Prompts by name: every text is a version, and a label such as `production` pins one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from spanledger.configuration.template import Template
from spanledger.errors import BadRequest, NotFound, UnknownReference
from spanledger.store.registry import Entry, Registry
from spanledger.workflows.run import Order

KIND, LABELS = "prompt", "prompt-labels"
PRODUCTION = "production"  # what a bare name means, where it is set; else the newest version


class UnknownPrompt(BadRequest):
    """A run asks for a prompt, version or label that is not there."""

    title = "Unknown prompt"
    status = 422
    error_type = "unknown_prompt"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version. `defaults` fill the variables that a run does not bring."""

    name: str
    version: int
    text: str
    description: str
    defaults: Mapping[str, str]
    labels: tuple[str, ...]
    created_at: datetime
    created_by: str

    @property
    def variables(self) -> list[str]:
        return sorted(Template(self.text).variables)


class Prompts:
    """The prompts of all tenants."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def put(self, tenant: str, name: str, text: str, description: str, defaults: Mapping[str, str], by: str) -> Prompt:
        """A new version, or the present one if nothing changed. Raises BadTemplate."""
        template = Template(text)
        template.render(dict.fromkeys(template.variables, "") | dict(defaults))
        body = {"text": text, "description": description, "defaults": dict(defaults)}
        return self._prompt(self._registry.put(tenant, KIND, name, body, by))

    def get(self, tenant: str, reference: str) -> Prompt:
        """By `name`, `name@3` or `name@label`. Raises NotFound."""
        name, _, which = reference.partition("@")
        newest = self._registry.get(tenant, KIND, name)
        if newest is None:
            raise NotFound(f"there is no prompt {name[:100]!r}")
        version = self._version(tenant, name, which)
        if version is None:
            if which and which != "latest":
                raise NotFound(f"prompt {name!r} has no version or label {which[:100]!r}")
            return self._prompt(newest)
        found = self._registry.get(tenant, KIND, name, version)
        if found is None or found.removed:
            raise NotFound(f"prompt {name!r} has no version {version}")
        return self._prompt(found)

    def page(self, tenant: str, after: str, limit: int) -> tuple[list[Prompt], bool]:
        """The newest version of each, by name, from behind `after` on; whether there are more."""
        found, more = self._registry.page(tenant, KIND, after, limit)
        return [self._prompt(entry) for entry in found], more

    def versions(self, tenant: str, name: str, before: int = 0, limit: int = 1) -> tuple[list[Prompt], bool]:
        """Newest first, those before the version `before` (0: from the newest on), also those from before it was
        removed; whether there are more. Raises NotFound where there never was any."""
        found, more = self._registry.versions(tenant, KIND, name, before, limit)
        if not found and not self._registry.versions(tenant, KIND, name, 0, 1)[0]:
            raise NotFound(f"there is no prompt {name[:100]!r}")
        return [self._prompt(entry) for entry in found], more

    def remove(self, tenant: str, name: str, by: str) -> None:
        """Its versions stay readable, and no run can use it. Raises NotFound."""
        if not self._registry.remove(tenant, KIND, name, by):
            raise NotFound(f"there is no prompt {name[:100]!r}")
        self._registry.remove(tenant, LABELS, name, by)

    def label(self, tenant: str, name: str, label: str, version: int | None, by: str) -> Prompt:
        """Pins `label` to a version, None: to nothing. Raises NotFound, BadRequest, UnknownReference."""
        if version is not None and (label.isdigit() or label == "latest"):
            raise BadRequest(f"label {label[:100]!r} would hide a version; give it another name")
        prompt = self.get(tenant, f"{name}@latest")
        if version is not None:
            try:
                prompt = self.get(tenant, f"{name}@{version}")
            except NotFound as exc:
                raise UnknownReference(f"{exc}; the newest is {prompt.version}") from exc
        labels = self._labels(tenant, name)
        if version is None and label not in labels:
            raise NotFound(f"prompt {name!r} has no label {label[:100]!r}")
        labels = {key: value for key, value in labels.items() if key != label}
        self._registry.put(tenant, LABELS, name, labels | ({label: version} if version is not None else {}), by)
        return self.get(tenant, f"{name}@{prompt.version}")

    def decide(self, order: Order) -> Order:
        """The step: the order's prompt, filled, becomes its instructions. Raises UnknownPrompt, BadTemplate."""
        if not order.prompt:
            if order.variables:
                raise BadRequest("variables belong to a prompt, and none was named")
            return order
        try:
            prompt = self.get(order.principal.tenant, order.prompt)
        except NotFound as exc:
            raise UnknownPrompt(str(exc)) from exc
        text = Template(prompt.text).render({**prompt.defaults, **order.variables})
        return replace(order, prompt=prompt.name, prompt_version=str(prompt.version), instructions=text)

    def _version(self, tenant: str, name: str, which: str) -> int | None:
        """The version that `which` means; None: the newest, or none."""
        if which.isascii() and which.isdigit():
            return int(which[:18])
        return self._labels(tenant, name).get(which or PRODUCTION)

    def _labels(self, tenant: str, name: str) -> dict[str, int]:
        entry = self._registry.get(tenant, LABELS, name)
        return {} if entry is None else dict(entry.body)

    def _prompt(self, entry: Entry) -> Prompt:
        body: Mapping[str, Any] = entry.body
        labels = self._labels(entry.tenant, entry.name)
        pinned = tuple(sorted(label for label, version in labels.items() if version == entry.version))
        return Prompt(
            entry.name,
            entry.version,
            body["text"],
            body["description"],
            body["defaults"],
            pinned,
            entry.created_at,
            entry.created_by,
        )
