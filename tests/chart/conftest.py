"""Helm for all: built once, before the first test's own time runs."""

from __future__ import annotations

import pytest

from tests.cluster.support.assets import HELM, NoAssets, locate


@pytest.fixture(scope="session", autouse=True)
def _helm() -> None:
    try:
        locate(HELM)
    except NoAssets as error:
        pytest.fail(str(error), pytrace=False)
