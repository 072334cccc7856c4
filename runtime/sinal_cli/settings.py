"""Settings of commands that work on a platform without being a role of it."""

from __future__ import annotations

from sinal_core.nats.settings import NatsSettings, StreamSettings
from sinal_core.postgres.settings import OwnerSettings
from sinal_core.telemetry.settings import FaultSettings, LogSettings
from sinal_hub.services.settings import ManifestFolderSettings
from sinal_hub.store.settings import ApiLoginSettings


class BackupSettings(
    NatsSettings, StreamSettings, OwnerSettings, ManifestFolderSettings, LogSettings, FaultSettings
):
    """What `sinal backup` and `sinal restore` read."""


class MigrateSettings(OwnerSettings, ApiLoginSettings, FaultSettings):
    """What `sinal migrate` reads."""
