-- Queries over the system catalogs by several roles, and what PostgreSQL 15 answers.
-- `--=` columns, `-->` rows in COPY text, `--?` rows that are not compared. The first word of a title is the role.

-- catalog: atoll 1
SELECT * FROM information_schema.tables WHERE table_schema IN ('public', 'mart') ORDER BY 2, 3;
--= table_catalog	table_schema	table_name	table_type	self_referencing_column_name	reference_generation	user_defined_type_catalog	user_defined_type_schema	user_defined_type_name	is_insertable_into	is_typed	commit_action
--> atoll	mart	people	FOREIGN	\N	\N	\N	\N	\N	NO	NO	\N
--> atoll	mart	secure	VIEW	\N	\N	\N	\N	\N	NO	NO	\N
--> atoll	public	big_orders	VIEW	\N	\N	\N	\N	\N	NO	NO	\N
--> atoll	public	orders	FOREIGN	\N	\N	\N	\N	\N	NO	NO	\N

-- catalog: atoll 2
SELECT * FROM information_schema.views WHERE table_schema IN ('public', 'mart') ORDER BY 2, 3;
--= table_catalog	table_schema	table_name	view_definition	check_option	is_updatable	is_insertable_into	is_trigger_updatable	is_trigger_deletable	is_trigger_insertable_into
--! Atoll differs from PostgreSQL: a view prints as it was stored
--> atoll	mart	secure	 SELECT people.name\n   FROM mart.people;	NONE	NO	NO	NO	NO	NO
--> atoll	public	big_orders	 SELECT orders.id,\n    orders.customer,\n    orders.amount\n   FROM orders\n  WHERE orders.amount > 100::numeric;	NONE	NO	NO	NO	NO	NO

-- catalog: atoll 3
SELECT * FROM information_schema.columns WHERE table_schema IN ('public', 'mart') ORDER BY 2, 3, ordinal_position;
--= table_catalog	table_schema	table_name	column_name	ordinal_position	column_default	is_nullable	data_type	character_maximum_length	character_octet_length	numeric_precision	numeric_precision_radix	numeric_scale	datetime_precision	interval_type	interval_precision	character_set_catalog	character_set_schema	character_set_name	collation_catalog	collation_schema	collation_name	domain_catalog	domain_schema	domain_name	udt_catalog	udt_schema	udt_name	scope_catalog	scope_schema	scope_name	maximum_cardinality	dtd_identifier	is_self_referencing	is_identity	identity_generation	identity_start	identity_increment	identity_maximum	identity_minimum	identity_cycle	is_generated	generation_expression	is_updatable
--> atoll	mart	people	name	1	\N	YES	text	\N	1073741824	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	text	\N	\N	\N	\N	1	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	mart	people	born	2	\N	YES	date	\N	\N	\N	\N	\N	0	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	date	\N	\N	\N	\N	2	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	mart	people	feels	3	\N	YES	USER-DEFINED	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	public	mood	\N	\N	\N	\N	3	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	mart	secure	name	1	\N	YES	text	\N	1073741824	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	text	\N	\N	\N	\N	1	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	big_orders	id	1	\N	YES	bigint	\N	\N	64	2	0	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	int8	\N	\N	\N	\N	1	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	big_orders	customer	2	\N	YES	text	\N	1073741824	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	text	\N	\N	\N	\N	2	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	big_orders	amount	3	\N	YES	numeric	\N	\N	10	10	2	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	numeric	\N	\N	\N	\N	3	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	orders	id	1	\N	NO	bigint	\N	\N	64	2	0	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	int8	\N	\N	\N	\N	1	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	orders	customer	2	\N	NO	text	\N	1073741824	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	text	\N	\N	\N	\N	2	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	orders	amount	3	\N	YES	numeric	\N	\N	10	10	2	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	numeric	\N	\N	\N	\N	3	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	orders	placed	4	\N	YES	timestamp with time zone	\N	\N	\N	\N	\N	6	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	timestamptz	\N	\N	\N	\N	4	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	orders	tags	5	\N	YES	ARRAY	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	_text	\N	\N	\N	\N	5	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	orders	state	6	\N	YES	character varying	20	80	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	varchar	\N	\N	\N	\N	6	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO

-- catalog: atoll 4
SELECT * FROM information_schema.schemata WHERE schema_name IN ('public', 'mart') ORDER BY 2;
--= catalog_name	schema_name	schema_owner	default_character_set_catalog	default_character_set_schema	default_character_set_name	sql_path
--> atoll	mart	ada	\N	\N	\N	\N
--> atoll	public	atoll	\N	\N	\N	\N

-- catalog: atoll 5
SELECT * FROM information_schema.foreign_tables WHERE foreign_table_schema IN ('public', 'mart') ORDER BY 2, 3;
--= foreign_table_catalog	foreign_table_schema	foreign_table_name	foreign_server_catalog	foreign_server_name
--> atoll	mart	people	atoll	files
--> atoll	public	orders	atoll	sales

-- catalog: atoll 6
SELECT * FROM information_schema.foreign_table_options WHERE foreign_table_schema IN ('public', 'mart') ORDER BY 2, 3, 4;
--= foreign_table_catalog	foreign_table_schema	foreign_table_name	option_name	option_value
--> atoll	mart	people	filename	people.csv
--> atoll	mart	people	header	true
--> atoll	public	orders	schema_name	public
--> atoll	public	orders	table_name	orders

-- catalog: atoll 7
SELECT * FROM information_schema.column_options WHERE table_schema IN ('public', 'mart') ORDER BY 2, 3, 4, 5;
--= table_catalog	table_schema	table_name	column_name	option_name	option_value
--> atoll	public	orders	id	column_name	Id

-- catalog: atoll 8
SELECT * FROM information_schema.table_privileges WHERE table_schema IN ('public', 'mart') ORDER BY 4, 5, 1, 2, 6;
--= grantor	grantee	table_catalog	table_schema	table_name	privilege_type	is_grantable	with_hierarchy
--> ada	ada	atoll	mart	people	DELETE	YES	NO
--> ada	ada	atoll	mart	people	INSERT	YES	NO
--> ada	ada	atoll	mart	people	REFERENCES	YES	NO
--> ada	ada	atoll	mart	people	SELECT	YES	YES
--> ada	ada	atoll	mart	people	TRIGGER	YES	NO
--> ada	ada	atoll	mart	people	TRUNCATE	YES	NO
--> ada	ada	atoll	mart	people	UPDATE	YES	NO
--> atoll	atoll	atoll	mart	secure	DELETE	YES	NO
--> atoll	atoll	atoll	mart	secure	INSERT	YES	NO
--> atoll	atoll	atoll	mart	secure	REFERENCES	YES	NO
--> atoll	atoll	atoll	mart	secure	SELECT	YES	YES
--> atoll	atoll	atoll	mart	secure	TRIGGER	YES	NO
--> atoll	atoll	atoll	mart	secure	TRUNCATE	YES	NO
--> atoll	atoll	atoll	mart	secure	UPDATE	YES	NO
--> atoll	atoll	atoll	public	big_orders	DELETE	YES	NO
--> atoll	atoll	atoll	public	big_orders	INSERT	YES	NO
--> atoll	atoll	atoll	public	big_orders	REFERENCES	YES	NO
--> atoll	atoll	atoll	public	big_orders	SELECT	YES	YES
--> atoll	atoll	atoll	public	big_orders	TRIGGER	YES	NO
--> atoll	atoll	atoll	public	big_orders	TRUNCATE	YES	NO
--> atoll	atoll	atoll	public	big_orders	UPDATE	YES	NO
--> atoll	PUBLIC	atoll	public	orders	SELECT	NO	YES
--> atoll	ada	atoll	public	orders	SELECT	NO	YES
--> atoll	atoll	atoll	public	orders	DELETE	YES	NO
--> atoll	atoll	atoll	public	orders	INSERT	YES	NO
--> atoll	atoll	atoll	public	orders	REFERENCES	YES	NO
--> atoll	atoll	atoll	public	orders	SELECT	YES	YES
--> atoll	atoll	atoll	public	orders	TRIGGER	YES	NO
--> atoll	atoll	atoll	public	orders	TRUNCATE	YES	NO
--> atoll	atoll	atoll	public	orders	UPDATE	YES	NO

-- catalog: atoll 9
SELECT * FROM information_schema.role_table_grants WHERE table_schema IN ('public', 'mart') ORDER BY 4, 5, 1, 2, 6;
--= grantor	grantee	table_catalog	table_schema	table_name	privilege_type	is_grantable	with_hierarchy
--> ada	ada	atoll	mart	people	DELETE	YES	NO
--> ada	ada	atoll	mart	people	INSERT	YES	NO
--> ada	ada	atoll	mart	people	REFERENCES	YES	NO
--> ada	ada	atoll	mart	people	SELECT	YES	YES
--> ada	ada	atoll	mart	people	TRIGGER	YES	NO
--> ada	ada	atoll	mart	people	TRUNCATE	YES	NO
--> ada	ada	atoll	mart	people	UPDATE	YES	NO
--> atoll	atoll	atoll	mart	secure	DELETE	YES	NO
--> atoll	atoll	atoll	mart	secure	INSERT	YES	NO
--> atoll	atoll	atoll	mart	secure	REFERENCES	YES	NO
--> atoll	atoll	atoll	mart	secure	SELECT	YES	YES
--> atoll	atoll	atoll	mart	secure	TRIGGER	YES	NO
--> atoll	atoll	atoll	mart	secure	TRUNCATE	YES	NO
--> atoll	atoll	atoll	mart	secure	UPDATE	YES	NO
--> atoll	atoll	atoll	public	big_orders	DELETE	YES	NO
--> atoll	atoll	atoll	public	big_orders	INSERT	YES	NO
--> atoll	atoll	atoll	public	big_orders	REFERENCES	YES	NO
--> atoll	atoll	atoll	public	big_orders	SELECT	YES	YES
--> atoll	atoll	atoll	public	big_orders	TRIGGER	YES	NO
--> atoll	atoll	atoll	public	big_orders	TRUNCATE	YES	NO
--> atoll	atoll	atoll	public	big_orders	UPDATE	YES	NO
--> atoll	PUBLIC	atoll	public	orders	SELECT	NO	YES
--> atoll	ada	atoll	public	orders	SELECT	NO	YES
--> atoll	atoll	atoll	public	orders	DELETE	YES	NO
--> atoll	atoll	atoll	public	orders	INSERT	YES	NO
--> atoll	atoll	atoll	public	orders	REFERENCES	YES	NO
--> atoll	atoll	atoll	public	orders	SELECT	YES	YES
--> atoll	atoll	atoll	public	orders	TRIGGER	YES	NO
--> atoll	atoll	atoll	public	orders	TRUNCATE	YES	NO
--> atoll	atoll	atoll	public	orders	UPDATE	YES	NO

-- catalog: atoll 10
SELECT * FROM information_schema.column_privileges WHERE table_schema IN ('public', 'mart') ORDER BY 4, 5, 6, 1, 2, 7;
--= grantor	grantee	table_catalog	table_schema	table_name	column_name	privilege_type	is_grantable
--> ada	ada	atoll	mart	people	born	INSERT	YES
--> ada	ada	atoll	mart	people	born	REFERENCES	YES
--> ada	ada	atoll	mart	people	born	SELECT	YES
--> ada	ada	atoll	mart	people	born	UPDATE	YES
--> ada	ada	atoll	mart	people	feels	INSERT	YES
--> ada	ada	atoll	mart	people	feels	REFERENCES	YES
--> ada	ada	atoll	mart	people	feels	SELECT	YES
--> ada	ada	atoll	mart	people	feels	UPDATE	YES
--> ada	ada	atoll	mart	people	name	INSERT	YES
--> ada	ada	atoll	mart	people	name	REFERENCES	YES
--> ada	ada	atoll	mart	people	name	SELECT	YES
--> ada	ada	atoll	mart	people	name	UPDATE	YES
--> atoll	atoll	atoll	mart	secure	name	INSERT	YES
--> atoll	atoll	atoll	mart	secure	name	REFERENCES	YES
--> atoll	atoll	atoll	mart	secure	name	SELECT	YES
--> atoll	atoll	atoll	mart	secure	name	UPDATE	YES
--> atoll	atoll	atoll	public	big_orders	amount	INSERT	YES
--> atoll	atoll	atoll	public	big_orders	amount	REFERENCES	YES
--> atoll	atoll	atoll	public	big_orders	amount	SELECT	YES
--> atoll	atoll	atoll	public	big_orders	amount	UPDATE	YES
--> atoll	atoll	atoll	public	big_orders	customer	INSERT	YES
--> atoll	atoll	atoll	public	big_orders	customer	REFERENCES	YES
--> atoll	atoll	atoll	public	big_orders	customer	SELECT	YES
--> atoll	atoll	atoll	public	big_orders	customer	UPDATE	YES
--> atoll	atoll	atoll	public	big_orders	id	INSERT	YES
--> atoll	atoll	atoll	public	big_orders	id	REFERENCES	YES
--> atoll	atoll	atoll	public	big_orders	id	SELECT	YES
--> atoll	atoll	atoll	public	big_orders	id	UPDATE	YES
--> atoll	PUBLIC	atoll	public	orders	amount	SELECT	NO
--> atoll	ada	atoll	public	orders	amount	SELECT	NO
--> atoll	atoll	atoll	public	orders	amount	INSERT	YES
--> atoll	atoll	atoll	public	orders	amount	REFERENCES	YES
--> atoll	atoll	atoll	public	orders	amount	SELECT	YES
--> atoll	atoll	atoll	public	orders	amount	UPDATE	YES
--> atoll	PUBLIC	atoll	public	orders	customer	SELECT	NO
--> atoll	ada	atoll	public	orders	customer	SELECT	NO
--> atoll	atoll	atoll	public	orders	customer	INSERT	YES
--> atoll	atoll	atoll	public	orders	customer	REFERENCES	YES
--> atoll	atoll	atoll	public	orders	customer	SELECT	YES
--> atoll	atoll	atoll	public	orders	customer	UPDATE	YES
--> atoll	ben	atoll	public	orders	customer	SELECT	NO
--> atoll	PUBLIC	atoll	public	orders	id	SELECT	NO
--> atoll	ada	atoll	public	orders	id	SELECT	NO
--> atoll	atoll	atoll	public	orders	id	INSERT	YES
--> atoll	atoll	atoll	public	orders	id	REFERENCES	YES
--> atoll	atoll	atoll	public	orders	id	SELECT	YES
--> atoll	atoll	atoll	public	orders	id	UPDATE	YES
--> atoll	ben	atoll	public	orders	id	SELECT	NO
--> atoll	PUBLIC	atoll	public	orders	placed	SELECT	NO
--> atoll	ada	atoll	public	orders	placed	SELECT	NO
--> atoll	atoll	atoll	public	orders	placed	INSERT	YES
--> atoll	atoll	atoll	public	orders	placed	REFERENCES	YES
--> atoll	atoll	atoll	public	orders	placed	SELECT	YES
--> atoll	atoll	atoll	public	orders	placed	UPDATE	YES
--> atoll	PUBLIC	atoll	public	orders	state	SELECT	NO
--> atoll	ada	atoll	public	orders	state	SELECT	NO
--> atoll	atoll	atoll	public	orders	state	INSERT	YES
--> atoll	atoll	atoll	public	orders	state	REFERENCES	YES
--> atoll	atoll	atoll	public	orders	state	SELECT	YES
--> atoll	atoll	atoll	public	orders	state	UPDATE	YES
--> atoll	PUBLIC	atoll	public	orders	tags	SELECT	NO
--> atoll	ada	atoll	public	orders	tags	SELECT	NO
--> atoll	atoll	atoll	public	orders	tags	INSERT	YES
--> atoll	atoll	atoll	public	orders	tags	REFERENCES	YES
--> atoll	atoll	atoll	public	orders	tags	SELECT	YES
--> atoll	atoll	atoll	public	orders	tags	UPDATE	YES

-- catalog: atoll 11
SELECT * FROM information_schema.view_table_usage WHERE view_schema IN ('public', 'mart') ORDER BY 2, 3, 5, 6;
--= view_catalog	view_schema	view_name	table_catalog	table_schema	table_name
--> atoll	mart	secure	atoll	mart	people
--> atoll	public	big_orders	atoll	public	orders

-- catalog: atoll 12
SELECT * FROM information_schema.foreign_data_wrappers ORDER BY 2;
--= foreign_data_wrapper_catalog	foreign_data_wrapper_name	authorization_identifier	library_name	foreign_data_wrapper_language
--> atoll	csv	atoll	\N	c
--> atoll	postgres	atoll	\N	c

-- catalog: atoll 13
SELECT * FROM information_schema.foreign_data_wrapper_options ORDER BY 2, 3;
--= foreign_data_wrapper_catalog	foreign_data_wrapper_name	option_name	option_value
--> atoll	postgres	purpose	demo

-- catalog: atoll 14
SELECT * FROM information_schema.foreign_servers ORDER BY 2;
--= foreign_server_catalog	foreign_server_name	foreign_data_wrapper_catalog	foreign_data_wrapper_name	foreign_server_type	foreign_server_version	authorization_identifier
--> atoll	files	atoll	csv	\N	\N	atoll
--> atoll	sales	atoll	postgres	postgresql	15	atoll

-- catalog: atoll 15
SELECT * FROM information_schema.foreign_server_options ORDER BY 2, 3;
--= foreign_server_catalog	foreign_server_name	option_name	option_value
--> atoll	files	location	/srv/files
--> atoll	sales	dbname	it's
--> atoll	sales	host	db.example
--> atoll	sales	port	5432

-- catalog: atoll 16
SELECT * FROM information_schema.user_mappings ORDER BY 3, 1;
--= authorization_identifier	foreign_server_catalog	foreign_server_name
--> PUBLIC	atoll	files
--> ada	atoll	sales

-- catalog: atoll 17
SELECT * FROM information_schema.user_mapping_options ORDER BY 3, 1, 4;
--= authorization_identifier	foreign_server_catalog	foreign_server_name	option_name	option_value
--> ada	atoll	sales	password	********
--> ada	atoll	sales	user	remote_ada

-- catalog: atoll 18
SELECT * FROM information_schema.enabled_roles WHERE role_name !~ '^pg_' ORDER BY 1;
--= role_name
--> ada
--> atoll
--> ben
--> readers

-- catalog: atoll 19
SELECT * FROM information_schema.applicable_roles WHERE grantee !~ '^pg_' ORDER BY 1, 2;
--= grantee	role_name	is_grantable
--! Atoll differs from PostgreSQL: no predefined roles
--> ben	readers	NO

-- catalog: atoll 20
SELECT * FROM information_schema.information_schema_catalog_name ORDER BY 1;
--= catalog_name
--> atoll

-- catalog: atoll 21
SELECT * FROM information_schema.usage_privileges WHERE object_type LIKE 'FOREIGN%' ORDER BY object_name, grantee;
--= grantor	grantee	object_catalog	object_schema	object_name	object_type	privilege_type	is_grantable
--> atoll	atoll	atoll		csv	FOREIGN DATA WRAPPER	USAGE	YES
--> atoll	atoll	atoll		files	FOREIGN SERVER	USAGE	YES
--> atoll	ada	atoll		postgres	FOREIGN DATA WRAPPER	USAGE	NO
--> atoll	atoll	atoll		postgres	FOREIGN DATA WRAPPER	USAGE	YES
--> atoll	PUBLIC	atoll		sales	FOREIGN SERVER	USAGE	NO
--> atoll	ada	atoll		sales	FOREIGN SERVER	USAGE	NO
--> atoll	atoll	atoll		sales	FOREIGN SERVER	USAGE	YES

-- catalog: atoll 22
SELECT c.oid, relname, relnamespace::regnamespace, relowner::regrole, relkind, relnatts, relhasrules, relpersistence, relreplident, relispopulated, reltuples, relam, reloptions, relacl FROM pg_class c WHERE relnamespace IN ('public'::regnamespace, 'mart'::regnamespace) AND relkind IN ('f', 'v') ORDER BY 1;
--= oid	relname	relnamespace	relowner	relkind	relnatts	relhasrules	relpersistence	relreplident	relispopulated	reltuples	relam	reloptions	relacl
--> 16403	orders	public	atoll	f	6	f	p	n	t	-1	0	\N	{atoll=arwdDxt/atoll,ada=r/atoll,=r/atoll}
--> 16406	people	mart	ada	f	3	f	p	n	t	-1	0	\N	\N
--> 16409	big_orders	public	atoll	v	3	t	p	n	t	-1	0	\N	\N
--> 16413	secure	mart	atoll	v	1	t	p	n	t	-1	0	{security_invoker=true}	\N

-- catalog: atoll 23
SELECT attrelid::regclass, attname, format_type(atttypid, atttypmod), attnum, attlen, attndims, attbyval, attalign, attstorage, attnotnull, attcollation, attislocal, attacl, attfdwoptions FROM pg_attribute WHERE attrelid IN ('orders'::regclass, 'mart.people'::regclass, 'big_orders'::regclass) AND attnum > 0 ORDER BY attrelid::oid, attnum;
--= attrelid	attname	format_type	attnum	attlen	attndims	attbyval	attalign	attstorage	attnotnull	attcollation	attislocal	attacl	attfdwoptions
--> orders	id	bigint	1	8	0	t	d	p	t	0	t	{ben=r/atoll}	{column_name=Id}
--> orders	customer	text	2	-1	0	f	i	x	t	100	t	{ben=r/atoll}	\N
--> orders	amount	numeric(10,2)	3	-1	0	f	i	m	f	0	t	\N	\N
--> orders	placed	timestamp with time zone	4	8	0	t	d	p	f	0	t	\N	\N
--> orders	tags	text[]	5	-1	1	f	i	x	f	100	t	\N	\N
--> orders	state	character varying(20)	6	-1	0	f	i	x	f	100	t	\N	\N
--> mart.people	name	text	1	-1	0	f	i	x	f	100	t	\N	\N
--> mart.people	born	date	2	4	0	t	i	p	f	0	t	\N	\N
--> mart.people	feels	mood	3	4	0	t	i	p	f	0	t	\N	\N
--> big_orders	id	bigint	1	8	0	t	d	p	f	0	t	\N	\N
--> big_orders	customer	text	2	-1	0	f	i	x	f	100	t	\N	\N
--> big_orders	amount	numeric(10,2)	3	-1	0	f	i	m	f	0	t	\N	\N

-- catalog: atoll 24
SELECT oid::regclass, oid::regclass::text || '!' FROM pg_class WHERE oid = 'mart.people'::regclass;
--= oid	?column?
--> mart.people	mart.people!

-- catalog: atoll 25
SELECT typname, typlen, typbyval, typtype, typcategory, typdelim, typelem, typarray, typinput, typoutput, typreceive, typsend FROM pg_type WHERE oid < 1300 AND typtype = 'b' AND typname IN ('int4', '_int4', 'text', 'varchar', 'bool', 'oid', 'name', 'json') ORDER BY oid;
--= typname	typlen	typbyval	typtype	typcategory	typdelim	typelem	typarray	typinput	typoutput	typreceive	typsend
--> bool	1	t	b	B	,	0	1000	boolin	boolout	boolrecv	boolsend
--> name	64	f	b	S	,	18	1003	namein	nameout	namerecv	namesend
--> int4	4	t	b	N	,	0	1007	int4in	int4out	int4recv	int4send
--> text	-1	f	b	S	,	0	1009	textin	textout	textrecv	textsend
--> oid	4	t	b	N	,	0	1028	oidin	oidout	oidrecv	oidsend
--> json	-1	f	b	U	,	0	199	json_in	json_out	json_recv	json_send
--> _int4	-1	f	b	A	,	23	0	array_in	array_out	array_recv	array_send
--> varchar	-1	f	b	S	,	0	1015	varcharin	varcharout	varcharrecv	varcharsend

-- catalog: atoll 26
SELECT t.typname, e.enumsortorder, e.enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid ORDER BY 1, 2;
--= typname	enumsortorder	enumlabel
--> mood	1	sad
--> mood	2	ok
--> mood	3	happy

-- catalog: atoll 27
SELECT umuser, srvname, usename, umoptions FROM pg_user_mappings ORDER BY 2;
--= umuser	srvname	usename	umoptions
--> 0	files	public	\N
--> 16385	sales	ada	{user=remote_ada,password=********}

-- catalog: atoll 28
SELECT fdwname, fdwacl, fdwoptions FROM pg_foreign_data_wrapper ORDER BY 1;
--= fdwname	fdwacl	fdwoptions
--> csv	\N	\N
--> postgres	{atoll=U/atoll,ada=U/atoll}	{purpose=demo}

-- catalog: atoll 29
SELECT srvname, srvtype, srvversion, srvacl, srvoptions FROM pg_foreign_server ORDER BY 1;
--= srvname	srvtype	srvversion	srvacl	srvoptions
--> files	\N	\N	\N	{location=/srv/files}
--> sales	postgresql	15	{atoll=U/atoll,ada=U/atoll,=U/atoll}	{host=db.example,port=5432,dbname=it's}

-- catalog: atoll 30
SELECT viewname, viewowner FROM pg_views WHERE schemaname = 'public';
--= viewname	viewowner
--> big_orders	atoll

-- catalog: atoll 31
SELECT has_table_privilege('ben', 'orders', 'SELECT'), has_table_privilege('ben', 'mart.people', 'SELECT'), has_table_privilege('orders', 'INSERT, SELECT'), has_schema_privilege('ben', 'mart', 'USAGE'), has_schema_privilege('ada', 'mart', 'CREATE WITH GRANT OPTION'), has_schema_privilege('ben', 'mart', 'CREATE'), has_server_privilege('ben', 'sales', 'USAGE'), has_server_privilege('ben', 'files', 'USAGE'), has_foreign_data_wrapper_privilege('ada', 'postgres', 'USAGE'), has_database_privilege('ben', 'atoll', 'CONNECT'), has_database_privilege('ben', 'atoll', 'CREATE'), pg_has_role('ben', 'readers', 'USAGE'), pg_has_role('ada', 'readers', 'MEMBER'), has_column_privilege('ben', 'orders', 'id', 'SELECT'), has_any_column_privilege('ben', 'mart.people', 'SELECT');
--= has_table_privilege	has_table_privilege	has_table_privilege	has_schema_privilege	has_schema_privilege	has_schema_privilege	has_server_privilege	has_server_privilege	has_foreign_data_wrapper_privilege	has_database_privilege	has_database_privilege	pg_has_role	pg_has_role	has_column_privilege	has_any_column_privilege
--> t	f	t	t	t	f	t	f	t	t	f	t	f	t	f

-- catalog: atoll 32
SELECT format_type(1043, 24), format_type(1042, NULL), format_type(1042, -1), format_type(1700, 655366), format_type(1009, -1), format_type(18, NULL), format_type(1184, 3), format_type(0, NULL), format_type(999999, NULL), format_type(NULL, 1);
--= format_type	format_type	format_type	format_type	format_type	format_type	format_type	format_type	format_type	format_type
--> character varying(20)	character	bpchar	numeric(10,2)	text[]	"char"	timestamp(3) with time zone	-	???	\N

-- catalog: atoll 33
SELECT pg_size_pretty(0::bigint), pg_size_pretty(10239::bigint), pg_size_pretty(10240::bigint), pg_size_pretty(20000000::bigint), pg_size_pretty(-123456789::bigint), pg_size_pretty(9999999999999::bigint);
--= pg_size_pretty	pg_size_pretty	pg_size_pretty	pg_size_pretty	pg_size_pretty	pg_size_pretty
--> 0 bytes	10239 bytes	10 kB	19 MB	-118 MB	9313 GB

-- catalog: atoll 34
SELECT quote_ident('Foo'), quote_literal('it''s'), quote_nullable(NULL), format('%s %I %L %1$s %%', 'a', 'B c', 'd''e');
--= quote_ident	quote_literal	quote_nullable	format
--> "Foo"	'it''s'	NULL	a "B c" 'd''e' a %

-- catalog: atoll 35
SELECT current_schemas(true), current_schemas(false), current_schema, current_database(), current_user, session_user, pg_get_userbyid(10), pg_encoding_to_char(6);
--= current_schemas	current_schemas	current_schema	current_database	current_user	session_user	pg_get_userbyid	pg_encoding_to_char
--> {pg_catalog,public}	{public}	public	atoll	atoll	atoll	atoll	UTF8

-- catalog: atoll 36
SELECT to_regclass('orders')::oid, to_regclass('nope'), to_regtype('integer')::oid, 'int4'::regtype, 'integer[]'::regtype::oid, 1009::regtype, 'public'::regnamespace, 'ada'::regrole::oid;
--= to_regclass	to_regclass	to_regtype	regtype	oid	regtype	regnamespace	oid
--> 16403	\N	23	integer	1007	text[]	public	16385

-- catalog: atoll 37
SELECT obj_description(16403, 'pg_class'), obj_description('mart'::regnamespace, 'pg_namespace'), col_description(16403, 3), shobj_description(16385, 'pg_authid'), obj_description(16403);
--= obj_description	obj_description	col_description	shobj_description	obj_description
--> all orders	data mart	in euro	first programmer	all orders

-- catalog: atoll 38
SELECT array_to_string(ARRAY[1, NULL, 3], ',', '*'), array_upper(ARRAY['a', 'b'], 1), array_lower(ARRAY['a'], 1), array_length(ARRAY['a', 'b'], 1), 3 = ANY (ARRAY[1, 2, 3]), 4 <> ALL (ARRAY[1, 2]);
--= array_to_string	array_upper	array_lower	array_length	?column?	?column?
--> 1,*,3	2	1	2	t	t

-- catalog: atoll 39
SELECT ARRAY(SELECT relname FROM pg_class WHERE relnamespace = 2200 AND relkind = 'v' ORDER BY 1);
--= array
--> {big_orders}

-- catalog: atoll 40
SELECT n.nspname, (SELECT count(*) FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind = 'f'), ARRAY(SELECT c.relname FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('f', 'v') ORDER BY c.relname DESC), EXISTS (SELECT 1 FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind = 'f') FROM pg_namespace n WHERE n.nspname IN ('public', 'mart', 'pg_toast') ORDER BY 1;
--= nspname	count	array	exists
--> mart	1	{secure,people}	t
--> pg_toast	0	{}	f
--> public	1	{orders,big_orders}	t

-- catalog: atoll 41
SELECT relname, o.option_name, o.option_value FROM pg_foreign_table f JOIN pg_class c ON c.oid = f.ftrelid, pg_options_to_table(f.ftoptions) o ORDER BY 1, 2;
--= relname	option_name	option_value
--> orders	schema_name	public
--> orders	table_name	orders
--> people	filename	people.csv
--> people	header	true

-- catalog: atoll 42
SELECT option_name, option_value FROM pg_options_to_table(ARRAY['a=1', 'b=x=y']);
--= option_name	option_value
--> a	1
--> b	x=y

-- catalog: atoll 43
SELECT a.attname, k.n FROM pg_foreign_table f, pg_attribute a, generate_series(1, 2) AS k(n) WHERE a.attrelid = f.ftrelid AND a.attnum = k.n ORDER BY a.attrelid, 2;
--= attname	n
--> id	1
--> customer	2
--> name	1
--> born	2

-- catalog: atoll 44
SELECT s.i, x FROM pg_namespace n, generate_series(1, 3) WITH ORDINALITY AS s(i, o), unnest(ARRAY['p', 'q']) AS x WHERE n.nspname = 'pg_catalog' AND s.o = s.i ORDER BY 1, 2;
--= i	x
--> 1	p
--> 1	q
--> 2	p
--> 2	q
--> 3	p
--> 3	q

-- catalog: atoll 45
SELECT c.tableoid::regclass, c.relname FROM pg_class c WHERE c.relname = 'orders';
--= tableoid	relname
--> pg_class	orders

-- catalog: atoll 46
SELECT 'orders'::regclass::oid;
--= oid
--> 16403

-- catalog: atoll 47
SELECT count(*) FROM pg_get_keywords();
--= count
--> 460

-- catalog: ada 48
SELECT * FROM information_schema.tables WHERE table_schema IN ('public', 'mart') ORDER BY 2, 3;
--= table_catalog	table_schema	table_name	table_type	self_referencing_column_name	reference_generation	user_defined_type_catalog	user_defined_type_schema	user_defined_type_name	is_insertable_into	is_typed	commit_action
--> atoll	mart	people	FOREIGN	\N	\N	\N	\N	\N	NO	NO	\N
--> atoll	public	orders	FOREIGN	\N	\N	\N	\N	\N	NO	NO	\N

-- catalog: ada 49
SELECT * FROM information_schema.views WHERE table_schema IN ('public', 'mart') ORDER BY 2, 3;
--= table_catalog	table_schema	table_name	view_definition	check_option	is_updatable	is_insertable_into	is_trigger_updatable	is_trigger_deletable	is_trigger_insertable_into

-- catalog: ada 50
SELECT * FROM information_schema.columns WHERE table_schema IN ('public', 'mart') ORDER BY 2, 3, ordinal_position;
--= table_catalog	table_schema	table_name	column_name	ordinal_position	column_default	is_nullable	data_type	character_maximum_length	character_octet_length	numeric_precision	numeric_precision_radix	numeric_scale	datetime_precision	interval_type	interval_precision	character_set_catalog	character_set_schema	character_set_name	collation_catalog	collation_schema	collation_name	domain_catalog	domain_schema	domain_name	udt_catalog	udt_schema	udt_name	scope_catalog	scope_schema	scope_name	maximum_cardinality	dtd_identifier	is_self_referencing	is_identity	identity_generation	identity_start	identity_increment	identity_maximum	identity_minimum	identity_cycle	is_generated	generation_expression	is_updatable
--> atoll	mart	people	name	1	\N	YES	text	\N	1073741824	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	text	\N	\N	\N	\N	1	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	mart	people	born	2	\N	YES	date	\N	\N	\N	\N	\N	0	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	date	\N	\N	\N	\N	2	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	mart	people	feels	3	\N	YES	USER-DEFINED	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	public	mood	\N	\N	\N	\N	3	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	orders	id	1	\N	NO	bigint	\N	\N	64	2	0	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	int8	\N	\N	\N	\N	1	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	orders	customer	2	\N	NO	text	\N	1073741824	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	text	\N	\N	\N	\N	2	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	orders	amount	3	\N	YES	numeric	\N	\N	10	10	2	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	numeric	\N	\N	\N	\N	3	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	orders	placed	4	\N	YES	timestamp with time zone	\N	\N	\N	\N	\N	6	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	timestamptz	\N	\N	\N	\N	4	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	orders	tags	5	\N	YES	ARRAY	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	_text	\N	\N	\N	\N	5	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	orders	state	6	\N	YES	character varying	20	80	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	varchar	\N	\N	\N	\N	6	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO

-- catalog: ada 51
SELECT * FROM information_schema.schemata WHERE schema_name IN ('public', 'mart') ORDER BY 2;
--= catalog_name	schema_name	schema_owner	default_character_set_catalog	default_character_set_schema	default_character_set_name	sql_path
--> atoll	mart	ada	\N	\N	\N	\N
--> atoll	public	atoll	\N	\N	\N	\N

-- catalog: ada 52
SELECT * FROM information_schema.foreign_tables WHERE foreign_table_schema IN ('public', 'mart') ORDER BY 2, 3;
--= foreign_table_catalog	foreign_table_schema	foreign_table_name	foreign_server_catalog	foreign_server_name
--> atoll	mart	people	atoll	files
--> atoll	public	orders	atoll	sales

-- catalog: ada 53
SELECT * FROM information_schema.foreign_table_options WHERE foreign_table_schema IN ('public', 'mart') ORDER BY 2, 3, 4;
--= foreign_table_catalog	foreign_table_schema	foreign_table_name	option_name	option_value
--> atoll	mart	people	filename	people.csv
--> atoll	mart	people	header	true
--> atoll	public	orders	schema_name	public
--> atoll	public	orders	table_name	orders

-- catalog: ada 54
SELECT * FROM information_schema.column_options WHERE table_schema IN ('public', 'mart') ORDER BY 2, 3, 4, 5;
--= table_catalog	table_schema	table_name	column_name	option_name	option_value
--> atoll	public	orders	id	column_name	Id

-- catalog: ada 55
SELECT * FROM information_schema.table_privileges WHERE table_schema IN ('public', 'mart') ORDER BY 4, 5, 1, 2, 6;
--= grantor	grantee	table_catalog	table_schema	table_name	privilege_type	is_grantable	with_hierarchy
--> ada	ada	atoll	mart	people	DELETE	YES	NO
--> ada	ada	atoll	mart	people	INSERT	YES	NO
--> ada	ada	atoll	mart	people	REFERENCES	YES	NO
--> ada	ada	atoll	mart	people	SELECT	YES	YES
--> ada	ada	atoll	mart	people	TRIGGER	YES	NO
--> ada	ada	atoll	mart	people	TRUNCATE	YES	NO
--> ada	ada	atoll	mart	people	UPDATE	YES	NO
--> atoll	PUBLIC	atoll	public	orders	SELECT	NO	YES
--> atoll	ada	atoll	public	orders	SELECT	NO	YES

-- catalog: ada 56
SELECT * FROM information_schema.role_table_grants WHERE table_schema IN ('public', 'mart') ORDER BY 4, 5, 1, 2, 6;
--= grantor	grantee	table_catalog	table_schema	table_name	privilege_type	is_grantable	with_hierarchy
--> ada	ada	atoll	mart	people	DELETE	YES	NO
--> ada	ada	atoll	mart	people	INSERT	YES	NO
--> ada	ada	atoll	mart	people	REFERENCES	YES	NO
--> ada	ada	atoll	mart	people	SELECT	YES	YES
--> ada	ada	atoll	mart	people	TRIGGER	YES	NO
--> ada	ada	atoll	mart	people	TRUNCATE	YES	NO
--> ada	ada	atoll	mart	people	UPDATE	YES	NO
--> atoll	ada	atoll	public	orders	SELECT	NO	YES

-- catalog: ada 57
SELECT * FROM information_schema.column_privileges WHERE table_schema IN ('public', 'mart') ORDER BY 4, 5, 6, 1, 2, 7;
--= grantor	grantee	table_catalog	table_schema	table_name	column_name	privilege_type	is_grantable
--> ada	ada	atoll	mart	people	born	INSERT	YES
--> ada	ada	atoll	mart	people	born	REFERENCES	YES
--> ada	ada	atoll	mart	people	born	SELECT	YES
--> ada	ada	atoll	mart	people	born	UPDATE	YES
--> ada	ada	atoll	mart	people	feels	INSERT	YES
--> ada	ada	atoll	mart	people	feels	REFERENCES	YES
--> ada	ada	atoll	mart	people	feels	SELECT	YES
--> ada	ada	atoll	mart	people	feels	UPDATE	YES
--> ada	ada	atoll	mart	people	name	INSERT	YES
--> ada	ada	atoll	mart	people	name	REFERENCES	YES
--> ada	ada	atoll	mart	people	name	SELECT	YES
--> ada	ada	atoll	mart	people	name	UPDATE	YES
--> atoll	PUBLIC	atoll	public	orders	amount	SELECT	NO
--> atoll	ada	atoll	public	orders	amount	SELECT	NO
--> atoll	PUBLIC	atoll	public	orders	customer	SELECT	NO
--> atoll	ada	atoll	public	orders	customer	SELECT	NO
--> atoll	PUBLIC	atoll	public	orders	id	SELECT	NO
--> atoll	ada	atoll	public	orders	id	SELECT	NO
--> atoll	PUBLIC	atoll	public	orders	placed	SELECT	NO
--> atoll	ada	atoll	public	orders	placed	SELECT	NO
--> atoll	PUBLIC	atoll	public	orders	state	SELECT	NO
--> atoll	ada	atoll	public	orders	state	SELECT	NO
--> atoll	PUBLIC	atoll	public	orders	tags	SELECT	NO
--> atoll	ada	atoll	public	orders	tags	SELECT	NO

-- catalog: ada 58
SELECT * FROM information_schema.view_table_usage WHERE view_schema IN ('public', 'mart') ORDER BY 2, 3, 5, 6;
--= view_catalog	view_schema	view_name	table_catalog	table_schema	table_name
--> atoll	mart	secure	atoll	mart	people

-- catalog: ada 59
SELECT * FROM information_schema.foreign_data_wrappers ORDER BY 2;
--= foreign_data_wrapper_catalog	foreign_data_wrapper_name	authorization_identifier	library_name	foreign_data_wrapper_language
--> atoll	postgres	atoll	\N	c

-- catalog: ada 60
SELECT * FROM information_schema.foreign_data_wrapper_options ORDER BY 2, 3;
--= foreign_data_wrapper_catalog	foreign_data_wrapper_name	option_name	option_value
--> atoll	postgres	purpose	demo

-- catalog: ada 61
SELECT * FROM information_schema.foreign_servers ORDER BY 2;
--= foreign_server_catalog	foreign_server_name	foreign_data_wrapper_catalog	foreign_data_wrapper_name	foreign_server_type	foreign_server_version	authorization_identifier
--> atoll	sales	atoll	postgres	postgresql	15	atoll

-- catalog: ada 62
SELECT * FROM information_schema.foreign_server_options ORDER BY 2, 3;
--= foreign_server_catalog	foreign_server_name	option_name	option_value
--> atoll	sales	dbname	it's
--> atoll	sales	host	db.example
--> atoll	sales	port	5432

-- catalog: ada 63
SELECT * FROM information_schema.user_mappings ORDER BY 3, 1;
--= authorization_identifier	foreign_server_catalog	foreign_server_name
--> ada	atoll	sales

-- catalog: ada 64
SELECT * FROM information_schema.user_mapping_options ORDER BY 3, 1, 4;
--= authorization_identifier	foreign_server_catalog	foreign_server_name	option_name	option_value
--> ada	atoll	sales	password	********
--> ada	atoll	sales	user	remote_ada

-- catalog: ada 65
SELECT * FROM information_schema.enabled_roles WHERE role_name !~ '^pg_' ORDER BY 1;
--= role_name
--> ada

-- catalog: ada 66
SELECT * FROM information_schema.applicable_roles WHERE grantee !~ '^pg_' ORDER BY 1, 2;
--= grantee	role_name	is_grantable

-- catalog: ada 67
SELECT * FROM information_schema.information_schema_catalog_name ORDER BY 1;
--= catalog_name
--> atoll

-- catalog: ada 68
SELECT * FROM information_schema.usage_privileges WHERE object_type LIKE 'FOREIGN%' ORDER BY object_name, grantee;
--= grantor	grantee	object_catalog	object_schema	object_name	object_type	privilege_type	is_grantable
--> atoll	ada	atoll		postgres	FOREIGN DATA WRAPPER	USAGE	NO
--> atoll	PUBLIC	atoll		sales	FOREIGN SERVER	USAGE	NO
--> atoll	ada	atoll		sales	FOREIGN SERVER	USAGE	NO

-- catalog: ada 69
SELECT umuser, srvname, usename, umoptions FROM pg_user_mappings ORDER BY 2;
--= umuser	srvname	usename	umoptions
--> 0	files	public	\N
--> 16385	sales	ada	{user=remote_ada,password=********}

-- catalog: ben 70
SELECT * FROM information_schema.tables WHERE table_schema IN ('public', 'mart') ORDER BY 2, 3;
--= table_catalog	table_schema	table_name	table_type	self_referencing_column_name	reference_generation	user_defined_type_catalog	user_defined_type_schema	user_defined_type_name	is_insertable_into	is_typed	commit_action
--> atoll	public	orders	FOREIGN	\N	\N	\N	\N	\N	NO	NO	\N

-- catalog: ben 71
SELECT * FROM information_schema.views WHERE table_schema IN ('public', 'mart') ORDER BY 2, 3;
--= table_catalog	table_schema	table_name	view_definition	check_option	is_updatable	is_insertable_into	is_trigger_updatable	is_trigger_deletable	is_trigger_insertable_into

-- catalog: ben 72
SELECT * FROM information_schema.columns WHERE table_schema IN ('public', 'mart') ORDER BY 2, 3, ordinal_position;
--= table_catalog	table_schema	table_name	column_name	ordinal_position	column_default	is_nullable	data_type	character_maximum_length	character_octet_length	numeric_precision	numeric_precision_radix	numeric_scale	datetime_precision	interval_type	interval_precision	character_set_catalog	character_set_schema	character_set_name	collation_catalog	collation_schema	collation_name	domain_catalog	domain_schema	domain_name	udt_catalog	udt_schema	udt_name	scope_catalog	scope_schema	scope_name	maximum_cardinality	dtd_identifier	is_self_referencing	is_identity	identity_generation	identity_start	identity_increment	identity_maximum	identity_minimum	identity_cycle	is_generated	generation_expression	is_updatable
--> atoll	public	orders	id	1	\N	NO	bigint	\N	\N	64	2	0	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	int8	\N	\N	\N	\N	1	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	orders	customer	2	\N	NO	text	\N	1073741824	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	text	\N	\N	\N	\N	2	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	orders	amount	3	\N	YES	numeric	\N	\N	10	10	2	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	numeric	\N	\N	\N	\N	3	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	orders	placed	4	\N	YES	timestamp with time zone	\N	\N	\N	\N	\N	6	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	timestamptz	\N	\N	\N	\N	4	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	orders	tags	5	\N	YES	ARRAY	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	_text	\N	\N	\N	\N	5	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO
--> atoll	public	orders	state	6	\N	YES	character varying	20	80	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	atoll	pg_catalog	varchar	\N	\N	\N	\N	6	NO	NO	\N	\N	\N	\N	\N	NO	NEVER	\N	NO

-- catalog: ben 73
SELECT * FROM information_schema.schemata WHERE schema_name IN ('public', 'mart') ORDER BY 2;
--= catalog_name	schema_name	schema_owner	default_character_set_catalog	default_character_set_schema	default_character_set_name	sql_path
--> atoll	mart	ada	\N	\N	\N	\N
--> atoll	public	atoll	\N	\N	\N	\N

-- catalog: ben 74
SELECT * FROM information_schema.foreign_tables WHERE foreign_table_schema IN ('public', 'mart') ORDER BY 2, 3;
--= foreign_table_catalog	foreign_table_schema	foreign_table_name	foreign_server_catalog	foreign_server_name
--> atoll	public	orders	atoll	sales

-- catalog: ben 75
SELECT * FROM information_schema.foreign_table_options WHERE foreign_table_schema IN ('public', 'mart') ORDER BY 2, 3, 4;
--= foreign_table_catalog	foreign_table_schema	foreign_table_name	option_name	option_value
--> atoll	public	orders	schema_name	public
--> atoll	public	orders	table_name	orders

-- catalog: ben 76
SELECT * FROM information_schema.column_options WHERE table_schema IN ('public', 'mart') ORDER BY 2, 3, 4, 5;
--= table_catalog	table_schema	table_name	column_name	option_name	option_value
--> atoll	public	orders	id	column_name	Id

-- catalog: ben 77
SELECT * FROM information_schema.table_privileges WHERE table_schema IN ('public', 'mart') ORDER BY 4, 5, 1, 2, 6;
--= grantor	grantee	table_catalog	table_schema	table_name	privilege_type	is_grantable	with_hierarchy
--> atoll	PUBLIC	atoll	public	orders	SELECT	NO	YES

-- catalog: ben 78
SELECT * FROM information_schema.role_table_grants WHERE table_schema IN ('public', 'mart') ORDER BY 4, 5, 1, 2, 6;
--= grantor	grantee	table_catalog	table_schema	table_name	privilege_type	is_grantable	with_hierarchy

-- catalog: ben 79
SELECT * FROM information_schema.column_privileges WHERE table_schema IN ('public', 'mart') ORDER BY 4, 5, 6, 1, 2, 7;
--= grantor	grantee	table_catalog	table_schema	table_name	column_name	privilege_type	is_grantable
--> atoll	PUBLIC	atoll	public	orders	amount	SELECT	NO
--> atoll	PUBLIC	atoll	public	orders	customer	SELECT	NO
--> atoll	ben	atoll	public	orders	customer	SELECT	NO
--> atoll	PUBLIC	atoll	public	orders	id	SELECT	NO
--> atoll	ben	atoll	public	orders	id	SELECT	NO
--> atoll	PUBLIC	atoll	public	orders	placed	SELECT	NO
--> atoll	PUBLIC	atoll	public	orders	state	SELECT	NO
--> atoll	PUBLIC	atoll	public	orders	tags	SELECT	NO

-- catalog: ben 80
SELECT * FROM information_schema.view_table_usage WHERE view_schema IN ('public', 'mart') ORDER BY 2, 3, 5, 6;
--= view_catalog	view_schema	view_name	table_catalog	table_schema	table_name

-- catalog: ben 81
SELECT * FROM information_schema.foreign_data_wrappers ORDER BY 2;
--= foreign_data_wrapper_catalog	foreign_data_wrapper_name	authorization_identifier	library_name	foreign_data_wrapper_language

-- catalog: ben 82
SELECT * FROM information_schema.foreign_data_wrapper_options ORDER BY 2, 3;
--= foreign_data_wrapper_catalog	foreign_data_wrapper_name	option_name	option_value

-- catalog: ben 83
SELECT * FROM information_schema.foreign_servers ORDER BY 2;
--= foreign_server_catalog	foreign_server_name	foreign_data_wrapper_catalog	foreign_data_wrapper_name	foreign_server_type	foreign_server_version	authorization_identifier
--> atoll	sales	atoll	postgres	postgresql	15	atoll

-- catalog: ben 84
SELECT * FROM information_schema.foreign_server_options ORDER BY 2, 3;
--= foreign_server_catalog	foreign_server_name	option_name	option_value
--> atoll	sales	dbname	it's
--> atoll	sales	host	db.example
--> atoll	sales	port	5432

-- catalog: ben 85
SELECT * FROM information_schema.user_mappings ORDER BY 3, 1;
--= authorization_identifier	foreign_server_catalog	foreign_server_name
--> ada	atoll	sales

-- catalog: ben 86
SELECT * FROM information_schema.user_mapping_options ORDER BY 3, 1, 4;
--= authorization_identifier	foreign_server_catalog	foreign_server_name	option_name	option_value
--> ada	atoll	sales	password	\N
--> ada	atoll	sales	user	\N

-- catalog: ben 87
SELECT * FROM information_schema.enabled_roles WHERE role_name !~ '^pg_' ORDER BY 1;
--= role_name
--> ben
--> readers

-- catalog: ben 88
SELECT * FROM information_schema.applicable_roles WHERE grantee !~ '^pg_' ORDER BY 1, 2;
--= grantee	role_name	is_grantable
--> ben	readers	NO

-- catalog: ben 89
SELECT * FROM information_schema.information_schema_catalog_name ORDER BY 1;
--= catalog_name
--> atoll

-- catalog: ben 90
SELECT * FROM information_schema.usage_privileges WHERE object_type LIKE 'FOREIGN%' ORDER BY object_name, grantee;
--= grantor	grantee	object_catalog	object_schema	object_name	object_type	privilege_type	is_grantable
--> atoll	PUBLIC	atoll		sales	FOREIGN SERVER	USAGE	NO

-- catalog: ben 91
SELECT umuser, srvname, usename, umoptions FROM pg_user_mappings ORDER BY 2;
--= umuser	srvname	usename	umoptions
--> 0	files	public	\N
--> 16385	sales	ada	\N
