#!/bin/bash
# Runs the server, on a database that is made where there is none.
# ADMIN_PASSWORD is what `admin` shows from elsewhere; inside the container nobody is asked.
set -euo pipefail
bin=$(echo /usr/lib/postgresql/*/bin)
data=/var/lib/database/data

if [ ! -f "$data/PG_VERSION" ]; then
  # In a folder beside it until it is whole: a container that ends meanwhile leaves no half of it.
  rm -rf "$data.new"
  "$bin/initdb" --pgdata="$data.new" --username=admin --pwfile=<(echo "$ADMIN_PASSWORD") \
    --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8
  echo "host all all all scram-sha-256" >>"$data.new/pg_hba.conf"
  mv "$data.new" "$data"
fi
exec "$bin/postgres" -D "$data" --listen_addresses='*' --unix_socket_directories=/tmp
