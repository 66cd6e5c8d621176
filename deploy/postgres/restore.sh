#!/bin/bash
# restore.sh NAME FILE: makes the database NAME (mlflow or optuna) what it was when backup.sh wrote FILE.
#
# Everything in the database is replaced, in one transaction: if anything fails, it stays as it is. Stop all that
# writes to it first. The server is told by PGHOST and PGPORT.
set -euo pipefail

if [ $# -ne 2 ] || { [ "$1" != mlflow ] && [ "$1" != optuna ]; }; then
  echo "usage: restore.sh mlflow|optuna FILE" >&2
  exit 2
fi
name=$1 file=$2
PGPASSWORD=$(<"${SECRETS:-/run/secrets}/${name}_db_password")
export PGPASSWORD

if ! pg_restore --list "$file" >/dev/null; then
  echo "restore.sh: $file is no whole dump of backup.sh; $name is as it was." >&2
  exit 1
fi

# COMMIT comes only if pg_restore has written all; without it the end of the input rolls back.
script() {
  echo "BEGIN; SET LOCAL lock_timeout = '10s'; DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
  pg_restore --no-owner --no-privileges --file=- "$file" && echo "COMMIT;"
}
if ! script | psql --no-psqlrc --no-password --quiet --output=/dev/null --set=ON_ERROR_STOP=1 --username="$name" \
  --dbname="$name"; then
  echo "restore.sh: nothing was restored, $name is as it was. Is everything that uses it stopped?" >&2
  exit 1
fi
echo "$name is what $file holds" >&2
