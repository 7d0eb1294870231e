-- What psql 15 sends for its commands, captured with ECHO_HIDDEN, and what PostgreSQL 15 answers.
-- `--=` columns, `-->` rows in COPY text, `--?` rows that are not compared.

-- psql: \dn
SELECT n.nspname AS "Name",
  pg_catalog.pg_get_userbyid(n.nspowner) AS "Owner"
FROM pg_catalog.pg_namespace n
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1;
--= Name	Owner
--> mart	ada
--> public	atoll

-- psql: \dn+
SELECT n.nspname AS "Name",
  pg_catalog.pg_get_userbyid(n.nspowner) AS "Owner",
  pg_catalog.array_to_string(n.nspacl, E'\n') AS "Access privileges",
  pg_catalog.obj_description(n.oid, 'pg_namespace') AS "Description"
FROM pg_catalog.pg_namespace n
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1;
--= Name	Owner	Access privileges	Description
--> mart	ada	ada=UC/ada\nreaders=U/ada	data mart
--> public	atoll	atoll=UC/atoll\n=U/atoll	standard public schema

-- psql: \dn mart
SELECT n.nspname AS "Name",
  pg_catalog.pg_get_userbyid(n.nspowner) AS "Owner"
FROM pg_catalog.pg_namespace n
WHERE n.nspname OPERATOR(pg_catalog.~) '^(mart)$' COLLATE pg_catalog.default
ORDER BY 1;
--= Name	Owner
--> mart	ada

-- psql: \dn mart
SELECT pubname 
FROM pg_catalog.pg_publication p
     JOIN pg_catalog.pg_publication_namespace pn ON p.oid = pn.pnpubid
     JOIN pg_catalog.pg_namespace n ON n.oid = pn.pnnspid 
WHERE n.nspname = 'mart'
ORDER BY 1;
--= pubname

-- psql: \dnS
SELECT n.nspname AS "Name",
  pg_catalog.pg_get_userbyid(n.nspowner) AS "Owner"
FROM pg_catalog.pg_namespace n
ORDER BY 1;
--= Name	Owner
--? PostgreSQL's own objects: only that it runs

-- psql: \dnS+
SELECT n.nspname AS "Name",
  pg_catalog.pg_get_userbyid(n.nspowner) AS "Owner",
  pg_catalog.array_to_string(n.nspacl, E'\n') AS "Access privileges",
  pg_catalog.obj_description(n.oid, 'pg_namespace') AS "Description"
FROM pg_catalog.pg_namespace n
ORDER BY 1;
--= Name	Owner	Access privileges	Description
--? PostgreSQL's own objects: only that it runs
