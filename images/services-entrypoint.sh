#!/bin/sh
# `postgres` as its project's own image does it: a cluster is made in PGDATA at the first start, with POSTGRES_USER,
# POSTGRES_PASSWORD (or POSTGRES_PASSWORD_FILE) and POSTGRES_DB. Anything else is run as it stands.
set -eu

make_cluster() {
	: "${POSTGRES_USER:=postgres}"
	password=${POSTGRES_PASSWORD:-}
	[ -z "${POSTGRES_PASSWORD_FILE:-}" ] || password=$(cat "$POSTGRES_PASSWORD_FILE")
	[ -n "$password" ] || { echo "POSTGRES_PASSWORD is empty: set it, or POSTGRES_PASSWORD_FILE" >&2; exit 1; }
	# A start that was cut short leaves a cluster that is none: it is made aside, and moved into place whole.
	rm -rf "$PGDATA.new"
	printf '%s' "$password" >/tmp/initial-password
	initdb -D "$PGDATA.new" -U "$POSTGRES_USER" --pwfile=/tmp/initial-password \
		--auth=scram-sha-256 --encoding=UTF8 --locale=C --no-instructions >&2
	rm /tmp/initial-password
	printf '\nhost all all all scram-sha-256\n' >>"$PGDATA.new/pg_hba.conf"
	database=${POSTGRES_DB:-$POSTGRES_USER}
	[ "$database" = postgres ] || echo "CREATE DATABASE \"$database\"" |
		postgres --single -D "$PGDATA.new" -j -c unix_socket_directories=/tmp postgres >/dev/null
	mv "$PGDATA.new" "$PGDATA"
}

if [ "${1:-}" = postgres ]; then
	umask 077
	if [ ! -s "$PGDATA/PG_VERSION" ]; then
		rmdir "$PGDATA" 2>/dev/null || true
		[ ! -e "$PGDATA" ] || { echo "PGDATA=$PGDATA is no cluster: name a folder within the volume that isn't there yet" >&2; exit 1; }
		make_cluster
	fi
	shift
	set -- postgres -c listen_addresses='*' -c unix_socket_directories=/tmp "$@"
fi
exec "$@"
