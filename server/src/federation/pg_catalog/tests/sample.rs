//! The catalog that the replayed clients look at: the same objects, with the same OIDs, that a PostgreSQL 15 had when the
//! expected rows were taken from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_connector_api::types::{PgType, oids};

use super::super::context::{PgCatalogContext, Setting};
use crate::catalog::Oid;
use crate::catalog::model::{
    AclItem, Catalog, Column, DATABASE_OID, Database, ForeignDataWrapper, ForeignServer, ForeignTable, Header,
    Membership, Object, PUBLIC_ROLE, PUBLIC_SCHEMA_OID, Privilege, Role, Schema, ScramVerifier, SealedSecret,
    SettingList, StoredOption, StoredValue, UserMapping, View,
};

pub(super) const ATOLL: Oid = 10;
pub(super) const ADA: Oid = 16_385;
pub(super) const BEN: Oid = 16_386;
const READERS: Oid = 16_387;
const POSTGRES: Oid = 16_388;
const CSV: Oid = 16_389;
const SALES: Oid = 16_390;
const FILES: Oid = 16_391;
const MART: Oid = 16_394;
pub(super) const ORDERS: Oid = 16_403;
const PEOPLE: Oid = 16_406;
const BIG_ORDERS: Oid = 16_409;
const SECURE: Oid = 16_413;

fn header(oid: Oid, name: &str, owner: Oid) -> Header {
    Header { oid, name: name.to_owned(), owner, acl: None, comment: None }
}

fn acl(grants: &[(Oid, Oid, &[Privilege])]) -> Option<Vec<AclItem>> {
    let item = |(grantee, grantor, privileges): &(Oid, Oid, &[Privilege])| AclItem {
        grantee: *grantee,
        grantor: *grantor,
        privileges: privileges.iter().map(|privilege| (*privilege, false)).collect::<BTreeMap<_, _>>(),
    };
    Some(grants.iter().map(item).collect())
}

fn options(pairs: &[(&str, &str)]) -> Vec<StoredOption> {
    let option = |(name, value): &(&str, &str)| StoredOption {
        implicit: false,
        name: (*name).to_owned(),
        value: StoredValue::Plain((*value).to_owned()),
    };
    pairs.iter().map(option).collect()
}

fn column(number: i16, name: &str, data_type: PgType) -> Column {
    Column { name: name.to_owned(), data_type, number, not_null: false, options: Vec::new(), comment: None, acl: None }
}

fn role(oid: Oid, name: &str) -> Role {
    Role {
        header: header(oid, name, oid),
        superuser: false,
        create_db: false,
        create_role: false,
        inherit: true,
        login: true,
        replication: false,
        bypass_rls: false,
        connection_limit: -1,
        password: None,
        valid_until: None,
        member_of: Vec::new(),
        settings: SettingList::default(),
        database_settings: SettingList::default(),
        default_acls: Vec::new(),
    }
}

fn roles() -> Vec<Object> {
    let mut atoll = role(ATOLL, "atoll");
    (atoll.superuser, atoll.create_db, atoll.create_role) = (true, true, true);
    (atoll.replication, atoll.bypass_rls) = (true, true);
    let mut ada = role(ADA, "ada");
    ada.header.comment = Some("first programmer".to_owned());
    ada.password = Some(ScramVerifier("SCRAM-SHA-256$4096:secret".to_owned()));
    ada.settings.set("search_path", "mart, public");
    let mut ben = role(BEN, "ben");
    ben.connection_limit = 5;
    ben.member_of = vec![Membership { role: READERS, grantor: ATOLL, admin_option: false }];
    let mut readers = role(READERS, "readers");
    readers.login = false;
    [atoll, ada, ben, readers].into_iter().map(Object::Role).collect()
}

fn wrappers_and_servers() -> Vec<Object> {
    use Privilege::Usage;
    let mut postgres = header(POSTGRES, "postgres", ATOLL);
    postgres.comment = Some("PostgreSQL servers".to_owned());
    postgres.acl = acl(&[(ATOLL, ATOLL, &[Usage]), (ADA, ATOLL, &[Usage])]);
    let mut sales = header(SALES, "sales", ATOLL);
    sales.comment = Some("the sales database".to_owned());
    sales.acl = acl(&[(ATOLL, ATOLL, &[Usage]), (ADA, ATOLL, &[Usage]), (PUBLIC_ROLE, ATOLL, &[Usage])]);
    let mut password = options(&[("user", "remote_ada")]);
    password.push(StoredOption {
        implicit: false,
        name: "password".to_owned(),
        value: StoredValue::Secret(SealedSecret("v1:c2VjcmV0".to_owned())),
    });
    vec![
        Object::Wrapper(ForeignDataWrapper {
            header: postgres,
            connector: Some("postgres".to_owned()),
            options: options(&[("purpose", "demo")]),
        }),
        Object::Wrapper(ForeignDataWrapper {
            header: header(CSV, "csv", ATOLL),
            connector: Some("csv".to_owned()),
            options: Vec::new(),
        }),
        Object::Server(ForeignServer {
            header: sales,
            wrapper: POSTGRES,
            server_type: Some("postgresql".to_owned()),
            version: Some("15".to_owned()),
            options: options(&[("host", "db.example"), ("port", "5432"), ("dbname", "it's")]),
        }),
        Object::Server(ForeignServer {
            header: header(FILES, "files", ATOLL),
            wrapper: CSV,
            server_type: None,
            version: None,
            options: options(&[("location", "/srv/files")]),
        }),
        Object::UserMapping(UserMapping {
            header: header(16_392, "", ATOLL),
            user: ADA,
            server: SALES,
            options: password,
        }),
        Object::UserMapping(UserMapping {
            header: header(16_393, "", ATOLL),
            user: PUBLIC_ROLE,
            server: FILES,
            options: Vec::new(),
        }),
    ]
}

fn schemas() -> Vec<Object> {
    use Privilege::{Create, Usage};
    let mut public = header(PUBLIC_SCHEMA_OID, "public", ATOLL);
    public.acl = acl(&[(ATOLL, ATOLL, &[Usage, Create]), (PUBLIC_ROLE, ATOLL, &[Usage])]);
    public.comment = Some("standard public schema".to_owned());
    let mut mart = header(MART, "mart", ADA);
    mart.comment = Some("data mart".to_owned());
    mart.acl = acl(&[(ADA, ADA, &[Usage, Create]), (READERS, ADA, &[Usage])]);
    let mut database = header(DATABASE_OID, "atoll", ATOLL);
    database.comment = Some("the one database".to_owned());
    vec![
        Object::Schema(Schema { header: public }),
        Object::Schema(Schema { header: mart }),
        Object::Database(Database {
            header: database,
            settings: SettingList::default(),
            global_settings: SettingList::default(),
        }),
    ]
}

fn relations() -> Vec<Object> {
    use super::super::access::TABLE_PRIVILEGES;
    let mut orders = header(ORDERS, "orders", ATOLL);
    orders.comment = Some("all orders".to_owned());
    let select: &[Privilege] = &[Privilege::Select];
    orders.acl = acl(&[(ATOLL, ATOLL, &TABLE_PRIVILEGES), (ADA, ATOLL, select), (PUBLIC_ROLE, ATOLL, select)]);
    let mut columns = vec![
        column(1, "id", PgType::new(oids::INT8)),
        column(2, "customer", PgType::new(oids::TEXT)),
        column(3, "amount", PgType::numeric(10, 2)),
        column(4, "placed", PgType::new(oids::TIMESTAMPTZ)),
        column(5, "tags", PgType::new(oids::TEXT_ARRAY)),
        column(6, "state", PgType::varchar(20)),
    ];
    columns[0].options = options(&[("column_name", "Id")]);
    columns[2].comment = Some("in euro".to_owned());
    for key in &mut columns[..2] {
        key.not_null = true;
        key.acl = acl(&[(BEN, ATOLL, select)]);
    }
    let moods = ["sad", "ok", "happy"].map(str::to_owned).to_vec();
    let mut big_orders = header(BIG_ORDERS, "big_orders", ATOLL);
    big_orders.comment = Some("orders over 100".to_owned());
    vec![
        Object::ForeignTable(ForeignTable {
            header: orders,
            schema: PUBLIC_SCHEMA_OID,
            server: SALES,
            columns: columns.clone(),
            next_number: 7,
            options: options(&[("schema_name", "public"), ("table_name", "orders")]),
            primary_key: vec!["id".to_owned()],
        }),
        Object::ForeignTable(ForeignTable {
            header: header(PEOPLE, "people", ADA),
            schema: MART,
            server: FILES,
            columns: vec![
                column(1, "name", PgType::new(oids::TEXT)),
                column(2, "born", PgType::new(oids::DATE)),
                column(3, "feels", PgType::user("mood", moods, false)),
            ],
            next_number: 4,
            options: options(&[("filename", "people.csv"), ("header", "true")]),
            primary_key: Vec::new(),
        }),
        Object::View(View {
            header: big_orders,
            schema: PUBLIC_SCHEMA_OID,
            query: "SELECT orders.id,\n    orders.customer,\n    orders.amount\n   FROM orders\n  \
                    WHERE orders.amount > 100::numeric"
                .to_owned(),
            columns: columns[..3]
                .iter()
                .map(|original| column(original.number, &original.name, original.data_type.clone()))
                .collect(),
            depends_on: vec![ORDERS],
            depends_on_columns: vec![(ORDERS, 1), (ORDERS, 2), (ORDERS, 3)],
            security_invoker: false,
            options: Vec::new(),
            reads: None,
        }),
        Object::View(View {
            header: header(SECURE, "secure", ATOLL),
            schema: MART,
            query: "SELECT people.name\n   FROM mart.people".to_owned(),
            columns: vec![column(1, "name", PgType::new(oids::TEXT))],
            depends_on: vec![PEOPLE],
            depends_on_columns: vec![(PEOPLE, 1)],
            security_invoker: true,
            options: Vec::new(),
            reads: None,
        }),
    ]
}

/// The snapshot.
pub(super) fn catalog() -> Catalog {
    let objects = [roles(), wrappers_and_servers(), schemas(), relations()];
    Catalog::new(1, 17_000, objects.into_iter().flatten().map(Arc::new))
}

/// What a role sees of it.
pub(super) fn context(role: Oid) -> PgCatalogContext {
    let mut context = PgCatalogContext::new(Arc::new(catalog()), "atoll", role);
    let setting = |name: &str, value: &str| Setting {
        name: name.to_owned(),
        value: value.to_owned(),
        context: "user".to_owned(),
        value_type: "string".to_owned(),
        ..Setting::default()
    };
    context.settings = vec![setting("search_path", "\"$user\", public"), setting("work_mem", "4MB")];
    context
}

/// The same with many more foreign tables, of ten columns each, in `public`.
pub(super) fn large(tables: u32) -> PgCatalogContext {
    let table = |index: u32| {
        let columns = (1..=10).map(|number| column(number, &format!("column_{number}"), PgType::new(oids::TEXT)));
        Arc::new(Object::ForeignTable(ForeignTable {
            header: header(100_000 + index, &format!("table_{index}"), ATOLL),
            schema: PUBLIC_SCHEMA_OID,
            server: SALES,
            columns: columns.collect(),
            next_number: 11,
            options: options(&[("table_name", "t")]),
            primary_key: vec!["column_1".to_owned()],
        }))
    };
    let objects = [roles(), wrappers_and_servers(), schemas(), relations()];
    let objects = objects.into_iter().flatten().map(Arc::new).chain((0..tables).map(table));
    PgCatalogContext::new(Arc::new(Catalog::new(1, 17_000, objects)), "atoll", ATOLL)
}
