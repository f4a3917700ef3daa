#!/usr/bin/env bash
# psycopg 3.3.9 from a wheel (`psycopg[binary]`): `sslrootcert=system` trusts nobody, though the machine
# trusts the server's certificate.
#
# libpq's word `system` stands for what OpenSSL finds by itself, and the wheel brings its own OpenSSL,
# which was told when it was built to look into /usr/lib/psycopg-openssl. No machine has that folder.
# So where a managed database has a certificate of a public authority, `sslmode=verify-full` with
# `sslrootcert=system`, as libpq's documentation has it, ends in "certificate verify failed". It works
# with SSL_CERT_FILE in the environment, which developers' machines often have and images have not, or
# with the file's own name as sslrootcert.
#
# Seen: psycopg 3.3.9 (binary, libpq 18.6) on Debian 12, PostgreSQL 15.18, the authority in
# /etc/ssl/certs/ca-certificates.crt:
#   openssl s_client: Verification: OK
#   the wheel's OpenSSL looks at /usr/lib/psycopg-openssl/cert.pem
#   system: SSL error: certificate verify failed
#   system, with SSL_CERT_FILE: connected
#   the file's own name: connected
# Consequence for us: `act/connections/databases/postgres.py` names the file of the machine's authorities.
# It takes root, who alone can change what the machine trusts (here for this script only), and Debian's
# packages postgresql and openssl.
set -euo pipefail
trusted=/etc/ssl/certs/ca-certificates.crt
[ "${1:-}" = apart ] || exec unshare --mount "$0" apart
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -QUIT "$server"; wait; umount "$trusted" || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'psycopg[binary]==3.3.9'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority \
  -keyout "$folder/ca.key" -out "$folder/ca.crt" 2> /dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
  -keyout "$folder/server.key" -out "$folder/server.csr" 2> /dev/null
openssl x509 -req -in "$folder/server.csr" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -days 2 \
  -extfile <(echo subjectAltName=DNS:localhost) -out "$folder/server.crt" 2> /dev/null
cat "$trusted" "$folder/ca.crt" > "$folder/bundle"
mount --bind "$folder/bundle" "$trusted"
programs=$(dirname "$(ls /usr/lib/postgresql/*/bin/initdb | sort -V | tail -1)")
as_other=(setpriv --reuid=postgres --regid=postgres --clear-groups) # the server refuses to be root's
chown -R postgres "$folder"
cd "$folder"
"${as_other[@]}" "$programs/initdb" --no-sync --auth=trust --username=admin "$folder/data" > /dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as_other[@]}" "$programs/postgres" -D "$folder/data" -p "$port" -h 127.0.0.1 -k '' --ssl=on \
  --ssl_cert_file="$folder/server.crt" --ssl_key_file="$folder/server.key" 2> "$folder/log" &
server=$!
until grep -q 'ready to accept' "$folder/log"; do sleep 0.2; done
export -n SSL_CERT_FILE SSL_CERT_DIR
openssl s_client -starttls postgres -connect "127.0.0.1:$port" -verify_hostname localhost < /dev/null 2> /dev/null |
  grep -m1 '^Verification' | sed 's/^/openssl s_client: /' | tee "$folder/openssl"
grep -q 'Verification: OK' "$folder/openssl"
cat > "$folder/look.py" <<'PYTHON'
import ctypes
import glob
import os
import pathlib
import sys

import psycopg
import psycopg_binary

libraries = pathlib.Path(psycopg_binary.__file__).parents[1] / "psycopg_binary.libs"
crypto = ctypes.CDLL(glob.glob(str(libraries / "libcrypto-*"))[0])
crypto.X509_get_default_cert_file.restype = ctypes.c_char_p
place = crypto.X509_get_default_cert_file().decode()
print(f"the wheel's OpenSSL looks at {place}")
seen = [os.path.exists(os.path.dirname(place))]


def connect(label, authorities):
    url = f"postgresql://admin@localhost:{sys.argv[1]}/postgres?sslmode=verify-full&hostaddr=127.0.0.1"
    try:
        psycopg.connect(url, sslrootcert=authorities).close()
        said = "connected"
    except psycopg.OperationalError as error:
        said = str(error).rpartition("failed: ")[2]
    print(f"{label}: {said}")
    seen.append(said)


connect("system", "system")
os.environ["SSL_CERT_FILE"] = sys.argv[2]
connect("system, with SSL_CERT_FILE", "system")
del os.environ["SSL_CERT_FILE"]
connect("the file's own name", sys.argv[2])
assert seen == [False, "SSL error: certificate verify failed", "connected", "connected"], seen
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$port" "$trusted"
echo "as it was seen"
