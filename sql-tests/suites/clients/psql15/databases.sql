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
--> atoll	atoll	UTF8	C.UTF-8	C.UTF-8	\N	libc	\N
--> postgres	atoll	UTF8	C.UTF-8	C.UTF-8	\N	libc	\N
--> template0	atoll	UTF8	C.UTF-8	C.UTF-8	\N	libc	=c/atoll\natoll=CTc/atoll
--> template1	atoll	UTF8	C.UTF-8	C.UTF-8	\N	libc	=c/atoll\natoll=CTc/atoll

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
--> atoll	atoll	UTF8	C.UTF-8	C.UTF-8	\N	libc	\N	7591 kB	pg_default	the one database
--> postgres	atoll	UTF8	C.UTF-8	C.UTF-8	\N	libc	\N	7455 kB	pg_default	default administrative connection database
--> template0	atoll	UTF8	C.UTF-8	C.UTF-8	\N	libc	=c/atoll\natoll=CTc/atoll	7297 kB	pg_default	unmodifiable empty database
--> template1	atoll	UTF8	C.UTF-8	C.UTF-8	\N	libc	=c/atoll\natoll=CTc/atoll	7527 kB	pg_default	default template for new databases

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
