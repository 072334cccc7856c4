#!/bin/sh
# install.sh run|dev [PYTHON]: which Python installs Sinal into .venv. The one that is asked for, else that of the .venv
# that is there, else the first on the PATH that fits. What it says is one line that names what is wrong and the way out.
set -eu
cd "$(dirname "$0")/.."
lock=$1 asked=${2-}

range=$(sed -n 's/^requires-python = ">=3\.\([0-9]*\),<3\.\([0-9]*\)"$/\1 \2/p' pyproject.toml)
first=${range% *} beyond=${range#* }
promised="3.$first to 3.$((beyond - 1))"

die() {
	echo "$*" >&2
	exit 1
}

minor() { # of Python 3; 0 for anything else
	"$1" -c 'import sys; print(sys.version_info[1] if sys.version_info[0] == 3 else 0)' 2>/dev/null || echo 0
}

fits() {
	found=$(minor "$1")
	[ "$found" -ge "$first" ] && [ "$found" -lt "$beyond" ]
}

python=
if [ -n "$asked" ]; then
	command -v "$asked" >/dev/null || die "$asked is not there: name a Python $promised that is, as in make demo PYTHON=python3.13"
	fits "$asked" || die "$asked is $("$asked" --version 2>&1 | head -n 1), and Sinal runs on Python $promised: name one, as in make demo PYTHON=python3.13"
	python=$asked
elif [ -x .venv/bin/python ] && fits .venv/bin/python; then
	python=$(.venv/bin/python -c 'import sys; print(sys._base_executable)')
else
	for name in python3 python3.14 python3.13 python3.12 python3.11; do
		if command -v "$name" >/dev/null && fits "$name"; then
			python=$name
			break
		fi
	done
	[ -n "$python" ] || die "Sinal runs on Python $promised, and here is $(python3 --version 2>&1 | head -n 1 | grep -o 'Python [0-9.]*' || echo none): install one (Debian, Ubuntu: python3 and python3-venv) and name it, as in make demo PYTHON=python3.13"
fi
exec "$python" requirements/install.py "$lock" ${asked:+--exactly}
