#!/usr/bin/env bash
# The end-to-end tier on a single-node Kubernetes out of plain processes, where there is no container engine.
#
#   on-node.sh [all ARGS]  all of it: build what is missing, start the node, test, stop; ARGS go to pytest
#   on-node.sh up          build what is missing and start the node; prints the kubeconfig's path
#   on-node.sh test ARGS   the tests, on a node that is up
#   on-node.sh down        stop the node
#   on-node.sh build       build what is missing: the node's programs, and the images of which a part has changed
#   on-node.sh load IMAGE  put an image into the node, as SINAL_E2E_LOAD does
#   on-node.sh node ...    pass a command to the node's own tool
#   on-node.sh able        try what no package brings: the tool, namespaces, mounts, cgroups; exits 3 with the reason
#                          when this machine can never run a node
#
# MINICLUSTER is the folder of that tool. It needs root, version 1 of cgroups, and Debian's containerd,
# containernetworking-plugins, docker.io and debootstrap.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/e2e/on-node.sh
tool=${MINICLUSTER:-../shared/tools/minicluster}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sinal
python=$PWD/.venv/bin/python

say() { echo "on-node: $*" >&2; }
die() { say "$*" && exit 1; }

refused() { say "$*" && exit 3; }

# What a machine allows or does not, by doing it: nothing of it is left.
able() {
	[ -x "$tool/minicluster" ] || refused "no minicluster in $tool: set MINICLUSTER to its folder, or run 'make e2e' on kind"
	[ "$(id -u)" = 0 ] || refused "it needs root, for namespaces and cgroups: run it as root, or 'make e2e' on kind"
	local hierarchy trial said
	for hierarchy in memory cpu cpuset; do
		trial=/sys/fs/cgroup/$hierarchy
		[ -d "$trial" ] || refused "it needs version 1 of cgroups: there is no $trial here; run 'make e2e' on kind"
		trial+=/sinal-able-$$
		said=$(mkdir "$trial" 2>&1) || refused "no cgroup may be made here: $said"
		rmdir "$trial"
	done
	mkdir -p "$cache"
	trial=$(mktemp -d "$cache/able.XXXXXX")  # where the node's own folders will be, for its overlay
	# shellcheck disable=SC2016  # the inner shell expands it
	said=$(unshare --fork --kill-child --pid --mount-proc --mount --net --uts --ipc \
		bash -c "$(declare -f node_rights)"$'\n''node_rights "$1"' - "$trial" 2>&1) ||
		{ rm -rf "$trial" && refused "no node can be made here: $said"; }
	rm -rf "$trial"
}

node_rights() { # FOLDER: in new namespaces, what makes them a node
	set -e
	mount --make-rshared /
	hostname able
	mount -t sysfs sysfs /sys
	mount -t tmpfs tmpfs /run
	mkdir "$1/upper" "$1/work"
	mount -t overlay -o "lowerdir=/var,upperdir=$1/upper,workdir=$1/work" overlay /var
	mount --bind /proc/version /proc/sys/vm/overcommit_memory
	! command -v ip >/dev/null || ip link add node0 type veth peer name node1
}

check() {
	able
	[ -x "$python" ] || die ".venv is missing: make unit installs it"
	local program
	for program in containerd dockerd debootstrap ip iptables openssl curl; do
		command -v "$program" >/dev/null || die "$program is missing: install containerd, containernetworking-plugins, docker.io, debootstrap, iproute2, iptables, openssl, curl"
	done
	[ -x "${CNI_BIN:-/usr/lib/cni}/bridge" ] || die "no CNI plugins in ${CNI_BIN:-/usr/lib/cni}: install containernetworking-plugins"
}

key() { cat "$@" | sha256sum | cut -c1-16; }

# What it builds is kept, keyed by what decides it.
node_dir() {
	MINI_DIR=$cache/minicluster-$(key "$tool"/{build.sh,minicluster,pyimage.sh,image.py,dockerbuild.sh,coredns.yaml} "$tool"/*/go.sum)
	export MINI_DIR
}

binaries() {
	mkdir -p "$MINI_DIR/bin"
	# The test control plane of tests/cluster has three of them, from the same modules; what else it has are folders.
	local program
	if [ ! -x "$MINI_DIR/bin/kube-controller-manager" ]; then
		"$python" -m tests.cluster.support.assets | while read -r program; do
			[ ! -f "$program" ] || ln -f "$program" "$MINI_DIR/bin/"
		done
	fi
	"$tool/build.sh" >&2
}

built() { # NAME KEY COMMAND...: runs the command unless the image of that key is there
	local name=$1 wanted=$2 began=$SECONDS log=$MINI_DIR/$1.log
	shift 2
	[ ! -e "$MINI_DIR/images/$name.tar" ] || [ "$(cat "$MINI_DIR/images/$name.key" 2>/dev/null)" != "$wanted" ] || return 0
	rm -f "$MINI_DIR/images/$name.key"  # what a build leaves half made is of no key
	"$@" >"$log" 2>&1 || { tail -30 "$log" >&2 && die "image $name failed; all that was said is in $log"; }
	echo "$wanted" >"$MINI_DIR/images/$name.key"
	say "image $name built in $((SECONDS - began)) s"
}

from_file() { # FILE NAME BASE...: an image that images/context.sh knows, by a real builder without a network
	local context
	context=$(mktemp -d)
	PYTHON=$python images/context.sh "$1" "$context"
	"$tool/dockerbuild.sh" "$context" "${@:2}"
	rm -rf "$context"
}

sources() { # what an image is made of, by content
	git ls-files -z --cached --others --exclude-standard -- "$@" |
		while IFS= read -r -d '' file; do [ ! -e "$file" ] || sha256sum "$file"; done | sha256sum
}

images() {
	local base slim=python:3.11-slim=$MINI_DIR/images/base.tar
	mkdir -p "$MINI_DIR/images"
	base=$("$python" -c 'import sys; print(sys.version)')
	built base "$base" env IMAGE_USER= BASE=debian PYTHON="$python" "$tool/pyimage.sh" base pip
	built sinal-services "$base $(sources images requirements/services.lock)" from_file services sinal-services "$slim"
	built traefik "$base $(sources requirements/e2e.lock)" env 'ENTRYPOINT=["/usr/local/bin/traefik"]' PYTHON="$python" \
		"$tool/pyimage.sh" traefik --no-deps --require-hashes -r requirements/e2e.lock
	built sinal "$base $(sources images requirements/image*.lock pyproject.toml README.md crds operator runtime examples)" \
		from_file sinal sinal "$slim"
	built sinal-sandbox "$(cat "$MINI_DIR/images/sinal.key") $(sources images/sandbox.Dockerfile runtime/sinal_sandbox)" \
		from_file sandbox sinal-sandbox "localhost/sinal:1=$MINI_DIR/images/sinal.tar"
	built sinal-previous "$(cat "$MINI_DIR/images/sinal.key") $(sources tests/e2e/previous/{Dockerfile,image.lock,*.whl})" \
		from_file previous sinal-previous "localhost/sinal:1=$MINI_DIR/images/sinal.tar" "$slim"
}

load() {
	local image
	for image; do
		image=${image#localhost/}
		"$tool/minicluster" load "$MINI_DIR/images/${image%:1}.tar"
	done
}

build() { # one at a time: others wait and find all of it
	mkdir -p "$MINI_DIR"
	exec {lock}>"$MINI_DIR/lock"
	flock "$lock"
	binaries
	images
	exec {lock}>&-
}

up() {
	build
	"$tool/minicluster" down
	"$tool/minicluster" up
}

tests() {
	SINAL_E2E_KUBECONFIG=$MINI_DIR/state/admin.kubeconfig SINAL_E2E_LOAD="$here load" SINAL_E2E_NODE="$here node" \
		"$tool/minicluster" node "$python" -m pytest tests/e2e "$@"
}

command=${1:-all}
[ $# -eq 0 ] || shift
if [ "$command" = able ]; then
	able
	exit
fi
check
node_dir
case $command in
up) up ;;
down) "$tool/minicluster" down ;;
build) build ;;
load) load "$@" ;;
node) "$tool/minicluster" "$@" ;;
test) tests "$@" ;;
all)
	trap '"$tool/minicluster" down' EXIT
	up
	tests "$@"
	;;
*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$here" && exit 2 ;;
esac
