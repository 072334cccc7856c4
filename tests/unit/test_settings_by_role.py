"""A role reads the variables that it works with: a mistake in another role's does not end it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sinal_cli.mistakes import guarded
from sinal_cli.roles.adapter import AdapterSettings
from sinal_cli.roles.api import ApiSettings
from sinal_cli.roles.dispatch import DispatchSettings
from sinal_cli.roles.housekeeping import HousekeepingSettings
from sinal_cli.roles.ingest import IngestSettings
from sinal_cli.roles.match import MatchSettings
from sinal_cli.roles.operator import OperatorSettings
from sinal_cli.roles.process import run_role
from sinal_cli.settings import BackupSettings, MigrateSettings
from sinal_cli.stack import StackSettings
from sinal_core.settings import Group

WITHOUT_DATABASE: list[type[Group]] = [IngestSettings, OperatorSettings, AdapterSettings]
WITHOUT_KEYRING = [AdapterSettings, BackupSettings, MigrateSettings]
ALL_ROLES: list[type[Group]] = [
    *WITHOUT_DATABASE,
    MatchSettings,
    DispatchSettings,
    HousekeepingSettings,
    ApiSettings,
]


@pytest.mark.parametrize("settings", WITHOUT_DATABASE, ids=lambda one: one.__name__)
def test_who_never_asks_the_database_reads_no_password_of_it(settings: type[Group]) -> None:
    assert not [name for name in settings.model_fields if "database" in name]


@pytest.mark.parametrize("settings", WITHOUT_KEYRING, ids=lambda one: one.__name__)
def test_who_reads_no_plans_reads_no_keyring(settings: type[Group]) -> None:
    assert "keyring_file" not in settings.model_fields


def test_the_admins_key_is_read_by_the_api_alone() -> None:
    assert [one for one in ALL_ROLES if "admin_key" in one.model_fields] == [ApiSettings]


def test_a_mistake_ends_the_role_that_reads_it_and_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("SINAL_MATCH_BATCH", "many")
    monkeypatch.setenv("SINAL_KEYRING_FILE", str(tmp_path / "missing.json"))
    assert guarded(lambda: run_role("match", files=[])) == 2
    assert capsys.readouterr().err.startswith("SINAL_MATCH_BATCH: input should be a valid integer")
    assert guarded(lambda: run_role("dispatch", files=[])) == 2
    assert "set SINAL_KEYRING_FILE" in capsys.readouterr().err  # it came that far


def test_what_contradicts_itself_is_told_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SINAL_MANIFEST_APPLY", "true")
    monkeypatch.setenv("SINAL_MANIFEST_FOLDER", "/manifests")
    assert guarded(lambda: run_role("api", files=[])) == 2
    assert "manifest_apply and manifest_folder exclude each other" in capsys.readouterr().err


def test_a_list_is_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINAL_WATCH_NAMESPACES", "shops, more-shops,")
    monkeypatch.setenv("SINAL_RESERVED_HOSTS", "console.example.com")
    settings = OperatorSettings()
    assert settings.watch_namespaces == ("shops", "more-shops")
    assert "console.example.com" in settings.reserved


def test_variables_that_nobody_knows_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINAL_OF_A_LATER_RELEASE", "1")
    assert IngestSettings().port == 8080


def test_the_local_stack_reads_what_its_roles_read() -> None:
    roles: list[type[Group]] = [
        IngestSettings,
        MatchSettings,
        DispatchSettings,
        HousekeepingSettings,
        ApiSettings,
    ]
    read = {name for role in roles for name in role.model_fields}
    assert set(StackSettings.model_fields) == read


def test_an_unknown_role_is_told_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_role("sell", files=[]) == 2
    assert "known: ingest, match, dispatch, api, housekeeping" in capsys.readouterr().err
