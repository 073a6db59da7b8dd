"""The configured notifiers, made; by their names."""

from __future__ import annotations

from typing import cast

from collector.config import NOTIFIERS, CollectorConfig, component_config
from collector.notifier import Channel, Notifier, NotifierContext
from collector.outbox import Way
from telemetry import component
from telemetry.config import Document


def make_ways(config: CollectorConfig, context: NotifierContext) -> list[Way]:
    """Raises ConfigError, MissingExtra: a secret that can not be read, a dependency that is not there."""
    made = []
    for index, table in enumerate(config.notifiers):
        document = Document("tengwang.toml", {}, {})
        options = cast(Channel, component_config(document, NOTIFIERS, table, ("notifiers", index)))
        module = component.load(NOTIFIERS, str(table["type"]))
        notifier = cast(Notifier, module.build(options, context))
        made.append(Way(options.name or str(table["type"]), options.per_minute, notifier))
    return made
