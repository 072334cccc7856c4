"""The control plane's programs and Helm: given ones, or built from the Go modules in
`tests/cluster/assets`.

The variables of envtest are honoured: `TEST_ASSET_ETCD`, `TEST_ASSET_KUBE_APISERVER` and
`TEST_ASSET_KUBE_CONTROLLER_MANAGER` name one program each, `KUBEBUILDER_ASSETS` a folder; `HELM`
names Helm, else PATH may have one. What they don't give is built once into a cache outside the
checkout, keyed by what decides the result. Invariant: a program in the cache is whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent.parent / "assets"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sinal" / "assets"
FLAGS = "-mod=readonly -trimpath -buildvcs=false"


class NoAssets(Exception):
    """A program is neither given nor can it be built."""


@dataclass(frozen=True)
class Program:
    """One program: the module that requires it and the package it is made of."""

    name: str
    module: str
    package: str
    on_path: bool = False  # whether one that the machine has will do, whatever its version

    @property
    def variable(self) -> str:
        """Environment variable that names a ready one."""
        name = self.name.upper().replace("-", "_")
        return name if self.on_path else f"TEST_ASSET_{name}"


# In this order: the first two suffice for most work while the third is still being built.
PROGRAMS = (
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
    Program("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    Program(
        "kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager"
    ),
)
HELM = Program("helm", "helm", "helm.sh/helm/v3/cmd/helm", on_path=True)


def locate(program: Program) -> Path:
    """Where the program is, built now if need be (minutes, from cold); raises NoAssets."""
    return _given(program) or _built(program)


def at_hand() -> bool:
    """Whether every program of the control plane is there without building."""
    return all(_given(program) or _target(program).exists() for program in PROGRAMS)


def gateway_api() -> Path:
    """The folder with the standard definitions of the Gateway API; raises NoAssets."""
    return _module("gateway-api", "sigs.k8s.io/gateway-api") / "config" / "crd" / "standard"


def argo_cd() -> tuple[Path, ...]:
    """Argo CD's own definitions; raises NoAssets."""
    folder = _module("argo-cd", "github.com/argoproj/argo-cd/v3") / "manifests" / "crds"
    return tuple(sorted(folder.glob("*-crd.yaml")))


def _module(name: str, module: str) -> Path:
    """The text of a Go module, at the version of the folder of that name."""
    go = shutil.which("go")
    if go is None:
        raise NoAssets(
            f"the definitions of {name} come from a Go module and there is no Go: "
            "install Go >= 1.25"
        )
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    command = [go, "mod", "download", "-json", module]
    done = subprocess.run(
        command, cwd=MODULES / name, env=environment, capture_output=True, check=False
    )
    answer = json.loads(done.stdout or b"{}")
    if done.returncode != 0 or "Dir" not in answer:
        raise NoAssets(f"{module} can't be had: {answer.get('Error') or done.stderr.decode()}")
    return Path(answer["Dir"])


def _given(program: Program) -> Path | None:
    if named := os.environ.get(program.variable):
        if not os.access(named, os.X_OK):
            raise NoAssets(
                f"{program.variable}={named} is not a program; correct it, or unset it to build one"
            )
        return Path(named)
    folder = os.environ.get("PATH" if program.on_path else "KUBEBUILDER_ASSETS")
    found = shutil.which(program.name, path=folder) if folder else None
    return Path(found) if found else None


def _built(program: Program) -> Path:
    target = _target(program)
    if not target.exists():
        with _alone(target.parent / f"{program.name}.lock"):
            if not target.exists():
                _build(program, target)
    return target


def _target(program: Program) -> Path:
    return CACHE / _key(program) / program.name


def _build(program: Program, target: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise NoAssets(
            f"{program.name} has to be built and there is no Go: install Go >= 1.24, or set "
            f"{program.variable}"
            + (
                ""
                if program.on_path
                else ", or KUBEBUILDER_ASSETS to what `setup-envtest use -p path` prints"
            )
        )
    print(
        f"building {program.name} from Go modules; minutes from cold, seconds from Go's cache",
        flush=True,
    )
    partial = target.with_suffix(".partial")
    command = [go, "build", "-ldflags", _linking(program), "-o", str(partial), program.package]
    done = subprocess.run(command, cwd=MODULES / program.module, env=_environment(), check=False)
    if done.returncode != 0:
        raise NoAssets(
            f"`go build {program.package}` failed in {MODULES / program.module}; it said why above"
        )
    partial.replace(target)


def _environment() -> dict[str, str]:
    """A static build with the toolchain at hand.

    Flags that the caller set, such as -p=1, come on top.
    """
    flags = f"{FLAGS} {os.environ.get('GOFLAGS', '')}".strip()
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": flags}


def _linking(program: Program) -> str:
    """Linker flags: no debugging data, and the versions that the program reports of itself."""
    return " ".join(("-s -w", *(f"-X {name}={value}" for name, value in _stamps(program).items())))


def _stamps(program: Program) -> dict[str, str]:
    if program.module == "kubernetes":
        place = "k8s.io/component-base/version"
        major, minor, patch = _required(program, "k8s.io/kubernetes")
        return {
            f"{place}.gitVersion": f"v{major}.{minor}.{patch}",
            f"{place}.gitMajor": major,
            f"{place}.gitMinor": minor,
        }
    # which Kubernetes it takes a chart to be rendered for: the one whose client it has
    if program is HELM:
        _, kubernetes, _ = _required(program, "k8s.io/client-go")
        places = ("pkg/chartutil", "pkg/lint/rules")
        kubernetes_stamps = {
            f"helm.sh/helm/v3/{place}.k8sVersionMinor": kubernetes for place in places
        }
        version = "v" + ".".join(_required(program, "helm.sh/helm/v3"))
        return {"helm.sh/helm/v3/internal/version.version": version, **kubernetes_stamps}
    return {}


def _required(program: Program, module: str) -> tuple[str, str, str]:
    found = re.search(rf"{re.escape(module)} v(\d+)\.(\d+)\.(\d+)", _text(program, "go.mod"))
    if found is None:
        raise NoAssets(
            f"tests/cluster/assets/{program.module}/go.mod requires no version of {module}"
        )
    return found[1], found[2], found[3]


def _key(program: Program) -> str:
    decides = _text(program, "go.mod") + _text(program, "go.sum") + FLAGS
    return f"{program.module}-{hashlib.sha256(decides.encode()).hexdigest()[:16]}"


def _text(program: Program, name: str) -> str:
    return (MODULES / program.module / name).read_text()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One build of a program at a time: others wait and find the result."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    for wanted in (*PROGRAMS, HELM):
        print(locate(wanted), flush=True)
    print(gateway_api(), *argo_cd(), flush=True)
