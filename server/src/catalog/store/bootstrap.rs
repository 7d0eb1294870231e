//! What a fresh catalog holds, and what every snapshot holds beside its rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};

use super::super::model::{
    AclItem, BOOTSTRAP_SUPERUSER_OID, Catalog, Change, DATABASE_OID, Database, ForeignDataWrapper, Header,
    INFORMATION_SCHEMA_OID, Object, Oid, PG_CATALOG_OID, PUBLIC_ROLE, PUBLIC_SCHEMA_OID, Privilege, Role, Schema,
    ScramVerifier, SealedSecret, SettingList,
};
use super::super::secret::{SecretError, SecretKey, write_private_file};
use super::rows::{Row, Write};
use super::{StoreConfig, StoreError};

/// The superuser of a fresh catalog.
pub const BOOTSTRAP_ROLE: &str = "atoll";
/// Wrappers of a fresh catalog, by the name of their connector, with OIDs below those of users' objects.
const WRAPPERS: [(Oid, &str); 6] = [
    (16_001, "postgres"),
    (16_002, "mysql"),
    (16_003, "sqlite"),
    (16_004, "parquet"),
    (16_005, "csv"),
    (16_006, "json"),
];
/// A generated password is kept here, for whoever missed the line that printed it.
pub const PASSWORD_FILE: &str = "atoll.password";
/// 144 bits: 24 characters.
const PASSWORD_BYTES: usize = 18;
const KEY_CHECK_OPTION: &str = "key_check";
const KEY_CHECK_TEXT: &str = "atoll";

/// The password that a fresh catalog's superuser got. `Debug` does not show it.
#[derive(Clone)]
pub struct InitialPassword {
    /// In the clear, for the one line that prints it.
    pub password: String,
    /// The file that keeps it, where it was generated.
    pub file: Option<PathBuf>,
}

impl std::fmt::Debug for InitialPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InitialPassword").field("file", &self.file).finish_non_exhaustive()
    }
}

fn header(oid: Oid, name: &str) -> Header {
    Header { oid, name: name.to_owned(), owner: BOOTSTRAP_SUPERUSER_OID, acl: None, comment: None }
}

fn item(grantee: Oid, privileges: &[Privilege]) -> AclItem {
    AclItem {
        grantee,
        grantor: BOOTSTRAP_SUPERUSER_OID,
        privileges: privileges.iter().map(|privilege| (*privilege, false)).collect(),
    }
}

fn schema(oid: Oid, name: &str, comment: Option<&str>) -> Object {
    let acl = vec![
        item(BOOTSTRAP_SUPERUSER_OID, &[Privilege::Usage, Privilege::Create]),
        item(PUBLIC_ROLE, &[Privilege::Usage]),
    ];
    let comment = comment.map(str::to_owned);
    Object::Schema(Schema { header: Header { acl: Some(acl), comment, ..header(oid, name) } })
}

/// Whether an object is in every snapshot and in no row.
pub(super) fn is_synthetic(oid: Oid) -> bool {
    matches!(oid, PG_CATALOG_OID | INFORMATION_SCHEMA_OID)
}

/// What every snapshot holds beside the rows: the system schemas, which no DDL can change.
pub(super) fn system_objects() -> Catalog {
    let schemas = [
        schema(PG_CATALOG_OID, "pg_catalog", Some("system catalog schema")),
        schema(INFORMATION_SCHEMA_OID, "information_schema", None),
    ];
    Catalog::new(0, 0, schemas.into_iter().map(Arc::new))
}

/// The rows of a fresh catalog, and its superuser's password.
pub(super) fn fresh(
    config: &StoreConfig,
    directory: &Path,
    key: &SecretKey,
) -> Result<(Write, InitialPassword), StoreError> {
    let password = initial_password(config, directory)?;
    let verifier = ScramVerifier::from_password(&password.password)
        .map_err(|_| StoreError::Damaged { problem: "the superuser's password cannot be an MD5 hash" })?;
    let mut objects = vec![
        Object::Role(superuser(verifier)),
        Object::Database(Database {
            header: header(DATABASE_OID, &config.database),
            settings: SettingList::default(),
            global_settings: SettingList::default(),
        }),
        schema(PUBLIC_SCHEMA_OID, "public", Some("standard public schema")),
    ];
    objects.extend(WRAPPERS.iter().map(|(oid, name)| {
        Object::Wrapper(ForeignDataWrapper {
            header: header(*oid, name),
            connector: Some((*name).to_owned()),
            options: Vec::new(),
        })
    }));
    let rows = objects.iter().map(Row::of).collect::<Result<_, _>>()?;
    let check = key.seal(0, KEY_CHECK_OPTION, KEY_CHECK_TEXT)?;
    Ok((Write { version: 1, deleted: Vec::new(), rows, key_check: Some(check.0) }, password))
}

fn superuser(password: ScramVerifier) -> Role {
    Role {
        header: header(BOOTSTRAP_SUPERUSER_OID, BOOTSTRAP_ROLE),
        superuser: true,
        create_db: true,
        create_role: true,
        inherit: true,
        login: true,
        replication: true,
        bypass_rls: true,
        connection_limit: -1,
        password: Some(password),
        valid_until: None,
        member_of: Vec::new(),
        settings: SettingList::default(),
        database_settings: SettingList::default(),
        default_acls: Vec::new(),
    }
}

fn initial_password(config: &StoreConfig, directory: &Path) -> Result<InitialPassword, StoreError> {
    if let Some(password) = &config.superuser_password {
        return Ok(InitialPassword { password: password.clone(), file: None });
    }
    let path = directory.join(PASSWORD_FILE);
    let failed = |source| StoreError::Directory { action: "write", path: path.clone(), source };
    // A server that was killed between this file and the catalog's first commit left it behind: it still counts.
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => {
            return Ok(InitialPassword { password: text.trim().to_owned(), file: Some(path) });
        }
        Ok(_) => std::fs::remove_file(&path).map_err(failed)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut bytes = [0; PASSWORD_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SecretError::Random)?;
    let password = URL_SAFE_NO_PAD.encode(bytes);
    write_private_file(&path, format!("{password}\n").as_bytes()).map_err(failed)?;
    Ok(InitialPassword { password, file: Some(path) })
}

/// Refuses a master key other than the one that the catalog was created with.
pub(super) fn verify_key(key: &SecretKey, check: &str) -> Result<(), StoreError> {
    match key.open(0, KEY_CHECK_OPTION, &SealedSecret(check.to_owned())) {
        Ok(text) if text == KEY_CHECK_TEXT => Ok(()),
        _ => Err(StoreError::WrongKey),
    }
}

/// The change that renames the database; a server may not have its name.
pub(super) fn renamed_database(catalog: &Catalog, name: &str) -> Result<Change, StoreError> {
    let found = catalog.get(DATABASE_OID).filter(|_| catalog.server(name).is_none());
    let mut object = Object::clone(found.ok_or_else(|| StoreError::DatabaseName { name: name.to_owned() })?);
    name.clone_into(&mut object.header_mut().name);
    Ok(Change::Put(Arc::new(object)))
}
