"""The images' container files and locks: what goes in, and that nothing else does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from images.prune import KEPT, prune, remove

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "images").glob("*.Dockerfile"))
PIN = re.compile(r"^([a-z0-9-]+)==([^ ;\\]+)", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    """Names and versions of a lock."""
    return dict(PIN.findall((ROOT / "requirements" / f"{lock}.lock").read_text()))


def extras(*names: str) -> set[str]:
    """Distributions that our own requirements and those of the extras name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(line for name in names for line in project["optional-dependencies"][name]),
    ]
    return {re.match(r"[A-Za-z0-9-]+", line)[0].lower() for line in wanted}  # type: ignore[index]


def test_the_image_has_what_roles_need_at_the_versions_that_were_tested() -> None:
    image, tested = pins("image"), pins("dev")
    assert extras("runtime", "operator", "adapter", "tracing", "reports") <= image.keys()
    assert {name: tested.get(name) for name in image} == image


def test_the_image_has_no_services_and_no_tools() -> None:
    unwanted = extras("embedded", "dev", "build") - extras(
        "runtime", "operator", "tracing", "reports"
    )
    assert unwanted & pins("image").keys() == set()


def test_the_services_are_those_that_the_rest_is_tested_with() -> None:
    services, tested = pins("services"), pins("dev")
    assert extras("embedded") - extras() <= services.keys()
    assert {name: tested.get(name) for name in services} == services


@pytest.mark.parametrize("lock", ["image", "image-tools", "services", "e2e"])
def test_every_pin_of_an_image_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    entries = text.replace("\\\n", " ").strip().splitlines()
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_a_base_can_be_pinned_by_digest_and_nobody_runs_as_root(file: Path) -> None:
    text = file.read_text()
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) <= {
        "${BASE}",
        "${PRESENT}",
        "scratch",
    }
    last_stage = text[text.rindex("\nFROM ") :]
    assert re.findall(r"^USER (.+)$", last_stage, re.MULTILINE) == ["65532:65532"]
    assert re.findall(r"^ENTRYPOINT (.+)$", last_stage, re.MULTILINE) != []


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_the_context_lets_through_all_that_is_copied(file: Path) -> None:
    admitted = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", file.read_text(), re.MULTILINE)
    for source in " ".join(copies).replace("wheel[s]", "").split():
        assert (ROOT / source).exists()
        assert source.split("/")[0] in admitted


LIMIT = 250_000_000  # bytes, unpacked


def test_a_build_that_is_larger_than_promised_fails() -> None:
    """Where it is built, whoever builds it: no other place sees every image."""
    text = (ROOT / "images" / "sinal.Dockerfile").read_text()
    assert f'[ "$size" -le {LIMIT} ]' in text
    assert (
        f"at most {LIMIT // 1_000_000} MB"
        in (ROOT / "docs" / "operators" / "images.md").read_text()
    )


def test_what_no_role_imports_is_taken_out_and_its_record_says_so(tmp_path: Path) -> None:
    client = tmp_path / "kubernetes"
    files = {
        "kubernetes/__init__.py": True,
        "kubernetes/client/api/__init__.py": True,
        "kubernetes/client/api/core_v1_api.py": False,
        "kubernetes/client/models/v1_object_meta.py": True,
        "kubernetes/client/models/v1_pod.py": False,
        "kubernetes/client/api_client.py": True,
        "kubernetes/aio/client/models/v1_pod.py": False,
    }
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    record = tmp_path / "kubernetes-37.0.2.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("".join(f"{name},sha256=x,6\n" for name in files))
    assert prune(tmp_path) == 6 * list(files.values()).count(False)
    assert {path.relative_to(tmp_path).as_posix() for path in client.rglob("*.py")} == {
        n for n, kept in files.items() if kept
    }
    assert [line.split(",")[0] for line in record.read_text().splitlines()] == [
        n for n, kept in files.items() if kept
    ]


def test_a_package_is_taken_out_and_the_record_of_its_distribution_says_so(tmp_path: Path) -> None:
    files = (
        "sinal_hub/__init__.py",
        "sinal_sandbox/__init__.py",
        "sinal_sandbox/sub/rules.py",
        "sinal_sandbox_kit.py",
    )
    kept = [files[0], files[3]]
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    ours, another = (
        tmp_path / f"{name}.dist-info" / "RECORD" for name in ("sinal-0.2.0", "msgspec-0.21")
    )
    for record, names in ((ours, files), (another, ("msgspec/__init__.py",))):
        record.parent.mkdir()
        record.write_text("".join(f"{name},sha256=x,6\n" for name in names))
    assert remove(tmp_path, "sinal_sandbox") == 12
    assert not (tmp_path / "sinal_sandbox").exists()
    assert [name for name in files if (tmp_path / name).exists()] == kept
    assert [line.split(",")[0] for line in ours.read_text().splitlines()] == kept
    assert another.read_text() == "msgspec/__init__.py,sha256=x,6\n"


def test_a_package_that_is_not_there_stops_the_build(tmp_path: Path) -> None:
    """Under another name it would go into production unseen."""
    record = tmp_path / "sinal-0.2.0.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("sinal_hub/__init__.py,sha256=x,6\n")
    with pytest.raises(LookupError, match="0 distributions"):
        remove(tmp_path, "sinal_sandbox")


def test_the_sandbox_is_taken_out_before_the_bill_is_written_and_looked_for_after() -> None:
    text = (ROOT / "images" / "sinal.Dockerfile").read_text()
    steps = [
        'uv" pip install',
        "prune.py /opt/sinal/lib/python3.*/site-packages sinal_sandbox",
        'cyclonedx-py" env',
    ]
    places = [
        text.rindex(step) for step in [*steps, 'find_spec("sinal_sandbox") is None', "FROM scratch"]
    ]
    assert places == sorted(places)


def test_what_kopf_takes_of_the_client_is_kept() -> None:
    """As tests/cluster/test_roles_that_ask_the_cluster_start_small.py has it."""
    assert {
        "__init__.py",
        "v1_managed_fields_entry.py",
        "v1_object_meta.py",
        "v1_owner_reference.py",
    } == KEPT
