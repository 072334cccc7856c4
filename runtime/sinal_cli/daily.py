"""The daily backup of `sinal up`: `sinal backup` as a process of its own, beside the platform.

A start that finds no backup of the last day makes one soon; after that one a day follows the last.
What goes wrong is logged with the last words of the command, and tried again an hour later.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import structlog

from sinal_cli.backup import FILES

log = structlog.get_logger(__name__)

DAY_S = 86_400.0
SETTLE_S = 60.0  # after a start, which has enough to do
AGAIN_S = 3_600.0  # after a failure


class DailyBackup:
    """A timer; `environment` holds the settings under which the command runs."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        *,
        every_s: float = DAY_S,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._folder, self._environment = folder, {**os.environ, **environment}
        self._every_s, self._settle_s = every_s, settle_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Go on in the background."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; a backup under way is given up and leaves nothing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        # By the files' age, not by our start: a stack that is restarted each morning has a backup
        # too.
        wait_s = max(self._settle_s, self._every_s - self._age_s())
        while True:
            await asyncio.sleep(wait_s)
            try:
                done = await self._backup()
            except OSError as error:
                log.error("backup.not_started", error=type(error).__name__)
                done = False
            wait_s = self._every_s if done else min(self._every_s, AGAIN_S)

    def _age_s(self) -> float:
        """Since the newest backup; for ever where there is none."""
        made = (
            [path.stat().st_mtime for path in self._folder.glob(FILES)]
            if self._folder.is_dir()
            else []
        )
        return time.time() - max(made) if made else float("inf")

    async def _backup(self) -> bool:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sinal_cli", "backup", str(self._folder)),
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            said, complained = await process.communicate()
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)  # it clears away what it has begun
                await process.wait()
        if process.returncode:
            log.error(
                "backup.failed",
                code=process.returncode,
                said=" ".join(_lines(complained)[-3:])[:500],
            )
        else:
            log.info("backup.done", said="".join(_lines(said)[:1]))
        return process.returncode == 0


def _lines(said: bytes) -> list[str]:
    return said.decode(errors="replace").strip().splitlines()
