-- What psql 15 sends for its commands, captured with ECHO_HIDDEN, and what PostgreSQL 15 answers.
-- `--=` columns, `-->` rows in COPY text, `--?` rows that are not compared.

-- psql: \l
SELECT d.datname as "Name",
       pg_catalog.pg_get_userbyid(d.datdba) as "Owner",
       pg_catalog.pg_encoding_to_char(d.encoding) as "Encoding",
       d.datcollate as "Collate",
       d.datctype as "Ctype",
       d.daticulocale as "ICU Locale",
       CASE d.datlocprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' END AS "Locale Provider",
       pg_catalog.array_to_string(d.datacl, E'\n') AS "Access privileges"
FROM pg_catalog.pg_database d
ORDER BY 1;
--= Name	Owner	Encoding	Collate	Ctype	ICU Locale	Locale Provider	Access privileges
--! Atoll differs from PostgreSQL: each server that the user may use is a database to connect to
--> atoll	atoll	UTF8	C.UTF-8	C.UTF-8	\N	libc	\N
--> files	atoll	UTF8	C.UTF-8	C.UTF-8	\N	libc	\N
--> sales	atoll	UTF8	C.UTF-8	C.UTF-8	\N	libc	atoll=c/atoll\nada=c/atoll\n=c/atoll

-- psql: \l+
SELECT d.datname as "Name",
       pg_catalog.pg_get_userbyid(d.datdba) as "Owner",
       pg_catalog.pg_encoding_to_char(d.encoding) as "Encoding",
       d.datcollate as "Collate",
       d.datctype as "Ctype",
       d.daticulocale as "ICU Locale",
       CASE d.datlocprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' END AS "Locale Provider",
       pg_catalog.array_to_string(d.datacl, E'\n') AS "Access privileges",
       CASE WHEN pg_catalog.has_database_privilege(d.datname, 'CONNECT')
          OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
            THEN pg_catalog.pg_size_pretty(pg_catalog.pg_database_size(d.datname))
            ELSE 'No Access'
       END as "Size",
       t.spcname as "Tablespace",
       pg_catalog.shobj_description(d.oid, 'pg_database') as "Description"
FROM pg_catalog.pg_database d
  JOIN pg_catalog.pg_tablespace t on d.dattablespace = t.oid
ORDER BY 1;
--= Name	Owner	Encoding	Collate	Ctype	ICU Locale	Locale Provider	Access privileges	Size	Tablespace	Description
--! Atoll differs from PostgreSQL: each server that the user may use is a database to connect to
--> atoll	atoll	UTF8	C.UTF-8	C.UTF-8	\N	libc	\N	0 bytes	pg_default	the one database
--> files	atoll	UTF8	C.UTF-8	C.UTF-8	\N	libc	\N	0 bytes	pg_default	\N
--> sales	atoll	UTF8	C.UTF-8	C.UTF-8	\N	libc	atoll=c/atoll\nada=c/atoll\n=c/atoll	0 bytes	pg_default	\N

-- psql: \l at*
SELECT d.datname as "Name",
       pg_catalog.pg_get_userbyid(d.datdba) as "Owner",
       pg_catalog.pg_encoding_to_char(d.encoding) as "Encoding",
       d.datcollate as "Collate",
       d.datctype as "Ctype",
       d.daticulocale as "ICU Locale",
       CASE d.datlocprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' END AS "Locale Provider",
       pg_catalog.array_to_string(d.datacl, E'\n') AS "Access privileges"
FROM pg_catalog.pg_database d
WHERE d.datname OPERATOR(pg_catalog.~) '^(at.*)$' COLLATE pg_catalog.default
ORDER BY 1;
--= Name	Owner	Encoding	Collate	Ctype	ICU Locale	Locale Provider	Access privileges
--> atoll	atoll	UTF8	C.UTF-8	C.UTF-8	\N	libc	\N
