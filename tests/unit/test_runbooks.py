"""Each alert leads to a page that a tired person can use: five headings, commands that there are,
no dead end.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sinal_cli.app import app
from sinal_cli.kubectl.commands import app as plugin
from sinal_cli.roles.operator import OperatorSettings
from sinal_cli.stack import StackSettings

from dashboards import alerts
from dashboards.alerts.rule import Alert
from tests.support import runbooks
from tests.support.runbooks import PAGES, pages

VERBS = {
    "annotate",
    "apply",
    "auth",
    "create",
    "describe",
    "exec",
    "get",
    "logs",
    "rollout",
    "scale",
    "top",
}
HEADINGS = ["Is data at risk?", "First three commands", "On a laptop", "Mend", "Silence"]
OF_THE_CLIENT = {"api_key", "api_url"}
OF_A_SHELL = {"curl", "df", "du", "ls", "sinal", "tail"}
# no commands of `kubectl sinal`
NOT_BESIDE_A_CLUSTER = {"backup", "keyring", "manifests", "restore", "up"}
ALERTS = {alert.name: alert for alert in alerts.ALERTS}
_COMMAND = re.compile(r"^(sinal .*?)(?:\s+#.*)?$|`(sinal [^`]+)`", re.MULTILINE)


@pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS)
def test_an_alert_has_a_page(alert: Alert) -> None:
    assert (PAGES / f"{alert.runbook}.md").exists()
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in index.splitlines() if line.startswith(f"| [{alert.name}](")]
    assert alert.severity in row


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_a_page_has_what_is_needed_at_night(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    commands = (
        text.partition("## First three commands")[2].partition("```sh\n")[2].partition("\n```")[0]
    )
    assert len(commands.splitlines()) == 3


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_a_page_is_for_a_laptop_too_and_says_what_good_looks_like(page: Path) -> None:
    steps = runbooks.laptop_steps(page)
    assert 1 <= len(steps) <= 3
    assert {step.command.split()[0] for step in steps} <= OF_A_SHELL
    assert re.search(r"^Good: .{10}", page.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_its_commands_and_settings_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for in_block, in_line in _COMMAND.findall(text):
        words = shlex.split((in_block or in_line).removeprefix("sinal "))
        app.parse_args(words, print_error=False, exit_on_error=False)
        if words[0] not in NOT_BESIDE_A_CLUSTER:
            # as the list of pages promises
            plugin.parse_args(words, print_error=False, exit_on_error=False)
    variables = {name.lower() for name in re.findall(r"SINAL_([A-Z_]+[A-Z])", text)}
    assert variables - OF_THE_CLIENT <= set(StackSettings.model_fields) | set(
        OperatorSettings.model_fields
    )


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_kubectl_knows_its_words_and_flags(page: Path) -> None:
    """`--help` at a command's end shows its help only where all before it is right.

    No cluster is asked.
    """
    program = str(Path(sys.executable).parent / "kubectl")
    for step in [*runbooks.first_steps(page), *runbooks.further_steps(page)]:
        for command in re.split(r" \| |; ", step.command):
            first, *words = shlex.split(command.replace("=N", "=3"))
            if first != "kubectl" or words[0] == "sinal":
                continue
            asked = [program, *words[: words.index("--") if "--" in words else None], "--help"]
            done = subprocess.run(asked, text=True, capture_output=True, check=False, timeout=60)
            assert (done.returncode, done.stderr) == (0, ""), step
            assert f"kubectl {next(word for word in words if word in VERBS)}" in done.stdout, step


def test_no_page_is_left_over() -> None:
    known = {alert.runbook for alert in ALERTS.values()}
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    others = {page.stem for page in pages()} - known
    assert known <= {page.stem for page in pages()}
    assert others == set(re.findall(r"\(([a-z][a-z-]+)\.md\)", index))
