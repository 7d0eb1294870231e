#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use super::super::model::{
    Column, DATABASE_OID, Database, ForeignServer, ForeignTable, Header, Membership, Object, Oid, Schema, SettingList,
};

use super::*;
use atoll_connector_api::types::{PgType, oids};

const SUPER: Oid = 10;
const OWNER: Oid = 101;
const ALICE: Oid = 102;
const BOB: Oid = 103;
const GROUP: Oid = 104;
const TABLE: Oid = 200;

fn header(oid: Oid, name: &str, owner: Oid) -> Header {
    Header { oid, name: name.to_owned(), owner, acl: None, comment: None }
}

fn role(oid: Oid, name: &str) -> Role {
    Role {
        header: header(oid, name, oid),
        superuser: oid == SUPER,
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

fn member(mut member: Role, of: Oid, admin_option: bool) -> Role {
    member.member_of.push(Membership { role: of, grantor: SUPER, admin_option });
    member
}

fn column(name: &str, number: i16) -> Column {
    let data_type = PgType::new(oids::INT4);
    Column { name: name.to_owned(), data_type, number, not_null: false, options: vec![], comment: None, acl: None }
}

fn table() -> ForeignTable {
    ForeignTable {
        header: header(TABLE, "t", OWNER),
        schema: 2200,
        server: 300,
        columns: vec![column("a", 1), column("b", 2)],
        next_number: 3,
        options: vec![],
        primary_key: vec![],
    }
}

fn catalog(roles: Vec<Role>) -> Catalog {
    let objects = roles.into_iter().map(Object::Role).chain([Object::ForeignTable(table())]);
    Catalog::new(1, 0, objects.map(Arc::new))
}

fn roles() -> Vec<Role> {
    vec![role(SUPER, "atoll"), role(OWNER, "owner"), role(ALICE, "alice"), role(BOB, "bob"), role(GROUP, "group")]
}

fn set(privileges: &[Privilege]) -> BTreeSet<Privilege> {
    privileges.iter().copied().collect()
}

fn change(grant: bool, privileges: &BTreeSet<Privilege>, grantee: Oid, grantor: Oid) -> AclChange<'_> {
    AclChange { grant, privileges, grantee, grantor, grant_option: false, cascade: false }
}

#[test]
fn membership_follows_inherit() {
    let mut all = roles();
    all[2] = member(role(ALICE, "alice"), GROUP, false);
    let mut bob = member(role(BOB, "bob"), ALICE, false);
    all[3] = bob.clone();
    let catalog_ = catalog(all.clone());
    assert!(has_role(&catalog_, BOB, GROUP) && is_member(&catalog_, BOB, GROUP));
    assert!(!has_role(&catalog_, GROUP, BOB) && has_role(&catalog_, SUPER, GROUP));
    // A role without INHERIT is still a member, and has nothing of it.
    bob.inherit = false;
    all[3] = bob;
    let catalog_ = catalog(all);
    assert!(!has_role(&catalog_, BOB, GROUP) && is_member(&catalog_, BOB, GROUP));
}

#[test]
fn membership_ends_in_spite_of_a_cycle() {
    // No DDL makes one, but a store may be damaged.
    let catalog = catalog(vec![member(role(ALICE, "a"), BOB, false), member(role(BOB, "b"), ALICE, false)]);
    assert_eq!(membership(&catalog, ALICE, false), BTreeSet::from([ALICE, BOB]));
}

#[test]
fn defaults_are_postgresqls() {
    let catalog = catalog(roles());
    let text = |object: &Object| acl_text(&catalog, &default_acl(object));
    assert_eq!(text(&Object::ForeignTable(table())), "{owner=arwdDxt/owner}");
    assert_eq!(text(&Object::Schema(Schema { header: header(1, "s", OWNER) })), "{owner=UC/owner}");
    let database = Object::Database(Database {
        header: header(DATABASE_OID, "atoll", OWNER),
        settings: SettingList::default(),
        global_settings: SettingList::default(),
    });
    assert_eq!(text(&database), "{=Tc/owner,owner=CTc/owner}");
    let server = Object::Server(ForeignServer {
        header: header(1, "s", OWNER),
        wrapper: 2,
        server_type: None,
        version: None,
        options: vec![],
    });
    assert_eq!(text(&server), "{owner=U/owner}");
    assert!(has_privilege(&catalog, BOB, &database, Privilege::Connect));
    assert!(!has_privilege(&catalog, BOB, &database, Privilege::Create));
    assert!(has_privilege(&catalog, OWNER, &server, Privilege::Usage));
    assert!(!has_privilege(&catalog, BOB, &server, Privilege::Usage));
    assert!(has_privilege(&catalog, SUPER, &server, Privilege::Usage));
    assert_eq!(
        check_privilege(&catalog, BOB, &server, Privilege::Usage).unwrap_err(),
        SqlError::denied("permission denied for foreign server s")
    );
    assert_eq!(check_owner(&catalog, BOB, &server).unwrap_err(), SqlError::denied("must be owner of foreign server s"));
}

#[test]
fn an_owner_can_revoke_from_itself() {
    let catalog = catalog(roles());
    let mut object = Object::ForeignTable(table());
    object.header_mut().acl = Some(vec![]);
    assert!(!has_privilege(&catalog, OWNER, &object, Privilege::Select));
    assert_eq!(
        best_grantor(&catalog, OWNER, OWNER, &[], &set(&[Privilege::Select])),
        (OWNER, set(&[Privilege::Select]))
    );
}

#[test]
fn columns_have_privileges_of_their_own() {
    let catalog = catalog(roles());
    let mut object = table();
    let select = set(&[Privilege::Select]);
    object.columns[0].acl = Some(change_acl(&catalog, &[], OWNER, &change(true, &select, ALICE, OWNER)).unwrap());
    let object = Object::ForeignTable(object);
    assert!(has_column_privilege(&catalog, ALICE, &object, "a", Privilege::Select));
    assert!(!has_column_privilege(&catalog, ALICE, &object, "b", Privilege::Select));
    assert!(!has_column_privilege(&catalog, ALICE, &object, "nope", Privilege::Select));
    assert!(!has_privilege(&catalog, ALICE, &object, Privilege::Select));
    assert!(has_any_column_privilege(&catalog, ALICE, &object, Privilege::Select));
    assert!(check_select(&catalog, ALICE, &object, ["a"]).is_ok());
    assert!(check_select(&catalog, ALICE, &object, []).is_ok(), "count(*) needs one column");
    assert_eq!(
        check_select(&catalog, ALICE, &object, ["a", "b"]).unwrap_err(),
        SqlError::denied("permission denied for foreign table t")
    );
    assert!(check_select(&catalog, BOB, &object, []).is_err());
    assert!(check_select(&catalog, OWNER, &object, ["a", "b"]).is_ok());
}

#[test]
fn grants_pass_on_and_are_revoked_with_what_depends_on_them() {
    let catalog = catalog(roles());
    let select = set(&[Privilege::Select]);
    let object = Object::ForeignTable(table());
    let option = |grantee, grantor| AclChange { grant_option: true, ..change(true, &select, grantee, grantor) };
    let acl = default_acl(&object);
    let acl = change_acl(&catalog, &acl, OWNER, &option(ALICE, OWNER)).unwrap();
    assert_eq!(best_grantor(&catalog, ALICE, OWNER, &acl, &select), (ALICE, select.clone()));
    assert_eq!(best_grantor(&catalog, BOB, OWNER, &acl, &select), (BOB, BTreeSet::new()));
    let acl = change_acl(&catalog, &acl, OWNER, &option(BOB, ALICE)).unwrap();
    let acl = change_acl(&catalog, &acl, OWNER, &change(true, &select, GROUP, BOB)).unwrap();
    assert_eq!(acl_text(&catalog, &acl), "{owner=arwdDxt/owner,alice=r*/owner,bob=r*/alice,group=r/bob}");
    // Not back to where it came from, and never to PUBLIC.
    let circle = change_acl(&catalog, &acl, OWNER, &option(ALICE, BOB)).unwrap_err();
    assert_eq!(circle.message, "grant options cannot be granted back to your own grantor");
    let public = change_acl(&catalog, &acl, OWNER, &option(PUBLIC_ROLE, OWNER)).unwrap_err();
    assert_eq!(public.message, "grant options can only be granted to roles");
    // The option alone, and the privilege with it, are held by what depends on them.
    for grant_option in [true, false] {
        let restrict = AclChange { grant_option, ..change(false, &select, ALICE, OWNER) };
        let error = change_acl(&catalog, &acl, OWNER, &restrict).unwrap_err();
        assert_eq!((error.sqlstate.as_str(), error.message.as_str()), ("2BP01", "dependent privileges exist"));
    }
    let cascade = AclChange { cascade: true, ..change(false, &select, ALICE, OWNER) };
    let after = change_acl(&catalog, &acl, OWNER, &cascade).unwrap();
    assert_eq!(acl_text(&catalog, &after), "{owner=arwdDxt/owner}");
    let only = AclChange { cascade: true, grant_option: true, ..change(false, &select, ALICE, OWNER) };
    let after = change_acl(&catalog, &acl, OWNER, &only).unwrap();
    assert_eq!(acl_text(&catalog, &after), "{owner=arwdDxt/owner,alice=r/owner}");
    // What comes from two grantors is lost with the second only.
    let twice = change_acl(&catalog, &acl, OWNER, &option(BOB, OWNER)).unwrap();
    let after = change_acl(&catalog, &twice, OWNER, &cascade).unwrap();
    assert_eq!(acl_text(&catalog, &after), "{owner=arwdDxt/owner,group=r/bob,bob=r*/owner}");
}

#[test]
fn a_new_owner_stands_where_the_old_one_stood() {
    let catalog = catalog(roles());
    let usage = set(&[Privilege::Usage]);
    let mut acl = vec![];
    for (grantee, grantor) in [(OWNER, OWNER), (ALICE, OWNER), (BOB, ALICE)] {
        acl = change_acl(&catalog, &acl, OWNER, &change(true, &usage, grantee, grantor)).unwrap();
    }
    let after = with_new_owner(&acl, OWNER, BOB);
    assert_eq!(acl_text(&catalog, &after), "{bob=U/bob,alice=U/bob,bob=U/alice}");
}

#[test]
fn odd_names_are_quoted() {
    let catalog = catalog(vec![role(OWNER, "o"), role(ALICE, "Odd \"one\"")]);
    let usage = set(&[Privilege::Usage]);
    let acl = change_acl(&catalog, &[], OWNER, &change(true, &usage, ALICE, OWNER)).unwrap();
    assert_eq!(item_text(&catalog, &acl[0]), r#""Odd ""one"""=U/o"#);
    assert_eq!(acl_text(&catalog, &acl), r#"{"\"Odd \"\"one\"\"\"=U/o"}"#);
    assert_eq!(Privilege::from_word("temp"), Some(Privilege::Temporary));
    assert_eq!(Privilege::from_word("nope"), None);
}
