#!/bin/sh
set -eu
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
data=/var/lib/postgresql/data/pgdata
if [ ! -s "$data/PG_VERSION" ]; then
    password=$(mktemp)
    printf '%s' "$POSTGRES_PASSWORD" >"$password"
    initdb --pgdata "$data" --username "$POSTGRES_USER" --pwfile "$password" \
        --auth-host scram-sha-256 --auth-local trust --encoding UTF8 >/dev/null
    rm "$password"
    echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
    # Reachable by the socket alone until the databases are there.
    pg_ctl --pgdata "$data" --wait --options "-c listen_addresses='' -k /tmp" start >/dev/null
    createdb --host /tmp --username "$POSTGRES_USER" "$POSTGRES_DB"
    for file in /docker-entrypoint-initdb.d/*.sql; do
        psql --host /tmp --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
            --set ON_ERROR_STOP=1 --file "$file"
    done
    pg_ctl --pgdata "$data" --wait stop >/dev/null
fi
exec postgres -D "$data" -c listen_addresses='*' -k /tmp
