#!/bin/bash
# backup.sh         dumps both databases now and every BACKUP_EVERY seconds (86400: daily), for ever
# backup.sh once    dumps them now; its exit status says whether both are there
# backup.sh check   whether both were dumped in the last two periods
#
# A dump is BACKUPS/NAME-TIME.dump in pg_restore's format, and is complete if it has that name. The latest
# BACKUP_KEEP (14) of each are kept. The server is told by PGHOST and PGPORT.
set -euo pipefail

secrets=${SECRETS:-/run/secrets}
backups=${BACKUPS:-/backups}
every=${BACKUP_EVERY:-86400}
keep=${BACKUP_KEEP:-14}

dump() {
  local name=$1 file old
  file=$backups/$name-$(date --utc +%Y%m%dT%H%M%SZ).dump
  rm -f "$backups/$name"-*.partial # of one that was killed
  if ! PGPASSWORD=$(<"$secrets/${name}_db_password") pg_dump --no-password --format=custom --username="$name" \
    --dbname="$name" --file="$file.partial" || ! sync "$file.partial"; then
    rm -f "$file.partial"
    return 1
  fi
  mv "$file.partial" "$file" || return 1
  sync "$backups" || return 1
  echo "$file"
  find "$backups" -maxdepth 1 -name "$name-*.dump" | sort --reverse | tail --lines="+$((keep + 1))" |
    while read -r old; do rm "$old"; done
}

both() {
  local name failed=0
  for name in mlflow optuna; do
    if ! dump "$name"; then
      echo "backup.sh: $name was not dumped; the dumps before it are untouched." >&2
      failed=1
    fi
  done
  return "$failed"
}

case ${1:-} in
  once)
    both
    ;;
  check)
    for name in mlflow optuna; do
      latest=$(find "$backups" -maxdepth 1 -name "$name-*.dump" -newermt "-$((2 * every)) seconds")
      [ -n "$latest" ] || exit 1
    done
    ;;
  "")
    while true; do
      both || true # said on standard error, and by `check` once it lasts
      sleep "$every"
    done
    ;;
  *)
    echo "backup.sh: \"$1\" is nothing that it does. Say once, check, or nothing." >&2
    exit 2
    ;;
esac
