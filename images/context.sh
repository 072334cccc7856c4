#!/usr/bin/env bash
# A folder that builds an image without a network: `images/context.sh sinal FOLDER`, then `docker build FOLDER`.
# It holds what is committed or about to be, the wheels that the image's locks name, and the container file.
# Images: sinal; services; over the image sinal, sandbox, and previous, the version before as tests/e2e/previous keeps it.
set -euo pipefail
image=$1 folder=$2
cd "$(dirname "$0")/.."
case $image in
sinal) locks="requirements/image requirements/image-tools" sources="pyproject.toml README.md crds operator runtime examples" ;;
services) locks="requirements/services" sources="" ;;
sandbox) locks="" sources="runtime/sinal_sandbox" ;;
previous) locks="tests/e2e/previous/image" sources="" ;;
*) echo "no image $image; there are: sinal, services, sandbox, previous" >&2 && exit 2 ;;
esac
python=${PYTHON:-python3}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sinal/wheels
mkdir -p "$folder"/{requirements,images,wheels}
for lock in $locks; do
	name=${lock##*/}
	kept=$cache/$name-$(sha256sum <"$lock.lock" | cut -c1-16)
	if [ ! -d "$kept" ]; then
		rm -rf "$kept.part"
		"$python" -m pip download --quiet --disable-pip-version-check --only-binary :all: --no-deps --require-hashes \
			-r "$lock.lock" -d "$kept.part"
		mv "$kept.part" "$kept"
	fi
	cp "$kept"/*.whl "$folder/wheels/"
	cp "$lock.lock" "$folder/requirements/"
done
# Names that git knows: no cache, no leftover of another branch.
# shellcheck disable=SC2086
[ -z "$sources" ] || git ls-files -z --cached --others --exclude-standard -- $sources |
	while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
	tar -c --null -T - | tar -x -C "$folder"
if [ "$image" = previous ]; then
	cp tests/e2e/previous/{Dockerfile,image.lock,*.whl} "$folder/"
else
	cp images/services-entrypoint.sh images/prune.py "$folder/images/"
	cp "images/$image.Dockerfile" "$folder/Dockerfile"
fi
