"""The mint key rotates with a cut-over: old tokens are taken until they are retired, and nobody
guesses new ones.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sinal_cli.install import retire, rotate, server_key
from sinal_core.plans.snapshot import Snapshot, sha256
from sinal_crds.compile import Compilation, compile
from sinal_crds.keyring import MOST_EARLIER, Keyring, TooManyMintKeys
from sinal_crds.loading import load_text
from sinal_crds.plan import IntegrationPlan
from sinal_crds.sealing import seal, unseal

WORDS = ("webhook-token", "GatewayIntegration", "default", "vendas", "")
BEFORE = Keyring.generate()
ROTATED = BEFORE.rotate_mint(now=1_796_000_000)
SHOP = """
apiVersion: sinal.dev/v1alpha1
kind: Tenant
metadata: {name: loja}
spec: {}
---
apiVersion: sinal.dev/v1alpha1
kind: Funnel
metadata: {name: curso}
spec: {tenantRef: loja}
---
apiVersion: sinal.dev/v1alpha1
kind: GatewayIntegration
metadata:
  name: vendas
  annotations: {sinal.dev/rotate: "WORD"}
spec: {tenantRef: loja, funnelRef: curso, gateway: kirvano}
"""


def compiled(keyring: Keyring, *, word: str = "") -> Compilation:
    loaded = load_text(SHOP.replace("WORD", word))
    loaded.raise_for_errors()
    return compile(loaded.objects, loaded.secrets, keyring)


def minted(compilation: Compilation) -> dict[str, str]:
    """Token, server key and public key in clear."""
    found = compilation.minted["loja"]
    return {"token": found["webhooks"]["vendas"]["token"], **found["funnels"]["curso"]}


def taken(compilation: Compilation, keys: dict[str, str]) -> list[bool]:
    """Which of them lead somewhere."""
    snapshot = Snapshot(compilation.plans)
    return [
        snapshot.by_token(keys["token"]) is not None,
        snapshot.by_server_key(keys["server_key"]) is not None,
        snapshot.by_public_key(keys["public_key"]) is not None,
    ]


def test_old_and_new_are_taken_together_until_the_old_are_retired() -> None:
    old, new = minted(compiled(BEFORE)), minted(compiled(ROTATED))
    assert not set(old.values()) & set(new.values())
    assert taken(compiled(ROTATED), old) == taken(compiled(ROTATED), new) == [True] * 3
    retired = compiled(ROTATED.retire_mint())
    assert minted(retired) == new
    assert (taken(retired, old), taken(retired, new)) == ([False] * 3, [True] * 3)


def test_who_has_only_the_old_key_can_not_compute_the_new() -> None:
    new = ROTATED.mint(*WORDS)
    assert BEFORE.mint(*WORDS) != new
    assert ROTATED.minted_before(*WORDS) == (BEFORE.mint(*WORDS),)
    # with the very same file and the very same moment
    known = BEFORE.rotate_mint(now=1_796_000_000)
    assert new not in (known.mint(*WORDS), *known.minted_before(*WORDS))


def test_the_annotation_goes_on_working_with_both_keys() -> None:
    before, after = compiled(ROTATED), compiled(ROTATED, word="2")
    assert minted(before)["token"] != minted(after)["token"]
    assert taken(after, minted(before))[0] is False
    assert taken(after, minted(compiled(BEFORE)))[0] is False


def test_a_plan_says_nothing_of_the_keys_in_clear() -> None:
    raw = seal(compiled(ROTATED).plans[0], ROTATED)
    old = minted(compiled(BEFORE))
    assert unseal(raw, ROTATED) == compiled(ROTATED).plans[0]
    assert old["token"].encode() not in raw
    assert old["server_key"].encode() not in raw
    assert sha256(old["token"]).encode() in raw


def test_plans_of_the_release_before_have_no_earlier_keys() -> None:
    raw = json.loads(seal(compiled(BEFORE).plans[0], BEFORE))
    assert raw["plan"]["integrations"][0].pop("earlier_tokens_sha256") == []
    assert (
        IntegrationPlan(name="v", gateway="g", funnel="f", token_sha256="1").earlier_tokens_sha256
        == ()
    )


def test_the_file_is_one_that_the_release_before_reads() -> None:
    file = json.loads(ROTATED.to_json())
    assert (file["version"], file["primary"]) == (1, BEFORE.primary)
    assert file["mint"] != json.loads(BEFORE.to_json())["mint"]
    assert Keyring.from_json(ROTATED.to_json()) == ROTATED
    assert Keyring.from_json(BEFORE.to_json()).minted_at is None


def test_sealing_keys_and_mint_keys_rotate_apart() -> None:
    assert ROTATED.keys == BEFORE.keys
    both = ROTATED.rotate()
    assert (both.mint_key, both.earlier, both.minted_at) == (
        ROTATED.mint_key,
        ROTATED.earlier,
        1_796_000_000,
    )


def test_no_more_than_some_are_taken_at_once() -> None:
    known = BEFORE
    for _ in range(MOST_EARLIER):
        known = known.rotate_mint(now=1)
    with pytest.raises(TooManyMintKeys, match="retire them first"):
        known.rotate_mint(now=1)
    assert known.retire_mint().rotate_mint(now=2).minted_at == 2


def test_no_representation_holds_a_key() -> None:
    assert repr(BEFORE.mint_key) not in repr(ROTATED)


def test_the_commands_change_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "keyring.json"
    file.write_bytes(BEFORE.to_json())
    assert rotate(file, mint=True) == 0
    rotated = Keyring.from_json(file.read_bytes())
    assert rotated.minted_before(*WORDS) == (BEFORE.mint(*WORDS),)
    assert file.stat().st_mode & 0o777 == 0o600
    assert retire(file) == 2
    assert Keyring.from_json(file.read_bytes()) == rotated
    assert retire(file, mint=True) == 0
    assert Keyring.from_json(file.read_bytes()) == rotated.retire_mint()
    told = capsys.readouterr()
    assert "sinal keyring retire --mint" in told.out
    assert "say --mint" in told.err
    assert json.loads(file.read_bytes())["mint"] not in told.out


def test_the_commands_say_what_they_need(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rotate(mint=True) == retire(mint=True) == 2
    assert rotate(tmp_path / "none.json", mint=True) == 1
    file = tmp_path / "keyring.json"
    file.write_bytes(BEFORE.to_json())
    assert [rotate(file, mint=True) for _ in range(MOST_EARLIER + 1)][-2:] == [0, 1]
    assert "retire them first" in capsys.readouterr().err


def test_a_server_key_is_shown_to_who_has_the_keyring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "keyring.json"
    file.write_bytes(ROTATED.to_json())
    assert server_key("default/curso", file) == 0
    assert capsys.readouterr().out.strip() == minted(compiled(ROTATED))["server_key"]
    assert server_key("default/curso", file, rotation="2") == 0
    assert capsys.readouterr().out.strip() not in ("", minted(compiled(ROTATED))["server_key"])
    file.write_bytes(ROTATED.part_for("runtime").to_json())
    assert [
        server_key("default/curso", file),
        server_key("curso", file),
        server_key("default/curso"),
    ] == [1, 2, 2]
    assert "has no mint key" in capsys.readouterr().err
