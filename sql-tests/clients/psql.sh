#!/bin/sh
# psql's own commands against Atoll: each must print without an error, and say what it should. PGHOST, PGPORT, PGUSER,
# PGPASSWORD and PGDATABASE name the server. Exits with 77 where there is no psql.
set -eu
command -v psql >/dev/null || exit 77
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# says TEXT COMMAND…: runs psql with the commands; its output must contain the text, and no error.
says() {
  wanted=$1
  shift
  for command; do printf '%s\n' "$command"; done > "$scratch/in"
  psql -X -v ON_ERROR_STOP=1 -f "$scratch/in" > "$scratch/out" 2>&1 || status=$?
  if [ "${status:-0}" -ne 0 ] || ! grep -qF -- "$wanted" "$scratch/out"; then
    echo "FAILED: $* should say \"$wanted\" and exited with ${status:-0}:"
    cat "$scratch/out"
    failed=1
  fi
  status=0
}

says 'slt_psql' 'DROP SCHEMA IF EXISTS slt_psql CASCADE;' 'CREATE SCHEMA slt_psql;' '\dn'
says 'You are connected to database' '\conninfo'
says 'CREATE VIEW' "CREATE VIEW slt_psql.v AS SELECT 1::int4 AS id, 'x'::text AS name, 1.5::numeric(6,2) AS amount;"
says 'CREATE SERVER' "CREATE SERVER slt_psql FOREIGN DATA WRAPPER csv;"
says 'CREATE FOREIGN TABLE' \
  "CREATE FOREIGN TABLE slt_psql.t (id int4 NOT NULL, name text) SERVER slt_psql OPTIONS (filename 'nosuch.csv');"
says 'numeric(6,2)' '\d slt_psql.v'
says 'Foreign table "slt_psql.t"' '\d slt_psql.t'
says "(filename 'nosuch.csv')" '\det+ slt_psql.*'
says 'slt_psql' '\des+'
says 'csv' '\dew+'
says 'List of user mappings' '\deu+'
says '| view ' '\dv slt_psql.*'
says 'Foreign table' '\d slt_psql.*'
says 'List of roles' '\du'
says 'List of databases' '\l'
says 'Access privileges' '\dp slt_psql.*'
says 'integer' 'SELECT 1::int4 AS n \gdesc'
says 'x|1.50' '\pset format unaligned' 'SELECT name, amount FROM slt_psql.v;'
says 'COPY 1' "\\copy (SELECT * FROM slt_psql.v) TO '$scratch/rows.csv' CSV HEADER"
[ "$(cat "$scratch/rows.csv" 2>/dev/null)" = "id,name,amount
1,x,1.50" ] || { echo "FAILED: \\copy wrote:"; cat "$scratch/rows.csv"; failed=1; }
says '1 row' 'SELECT 1;'
says 'seven' "\\set n 7" "SELECT CASE :n WHEN 7 THEN 'seven' END;"
says 'ROLLBACK' 'BEGIN;' 'CREATE SCHEMA slt_psql_tx;' 'ROLLBACK;'
says '42P01' '\set ON_ERROR_STOP 0' '\set VERBOSITY verbose' 'SELECT * FROM slt_psql.nosuch;'
says 'DROP SCHEMA' 'DROP SCHEMA slt_psql CASCADE;' 'DROP SERVER slt_psql;'
exit "$failed"
