#!/bin/bash
# One database for MLflow and one for Optuna, each owned by a user of its own: both keep a table alembic_version,
# so they cannot share one. PostgreSQL's image runs this once, on an empty volume.
set -euo pipefail

secrets=${SECRETS:-/run/secrets}
for name in mlflow optuna; do
  export password_file=$secrets/${name}_db_password
  if [ ! -s "$password_file" ]; then
    echo "init.sh: $password_file is missing or empty. deploy/make-secrets writes it." >&2
    exit 1
  fi
  # psql reads the file itself, so that the password is in no command line; a failing statement is not logged.
  psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=name="$name" --username="$POSTGRES_USER" --dbname=postgres <<'SQL'
\set password `cat "$password_file"`
SET log_min_error_statement = panic;
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
