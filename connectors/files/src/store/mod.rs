//! The stores that files are read from: one for each root of the local file system, each bucket and each HTTP host.

mod beneath;
mod network;

pub(crate) use beneath::STORE as LOCAL_STORE;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atoll_connector_api::{ConnectorContext, ConnectorError, Options, Result, ServerSpec};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use url::Url;

use crate::location::{Location, Root, StoreKind};
use beneath::BeneathStore;
use network::PolicyConnector;

/// Stores that one source keeps.
const STORES_MAX: usize = 64;
/// Times that a request is repeated.
const RETRIES_MAX: usize = 2;
/// Time after which a request is not repeated any more.
const RETRY_TIME_MAX: Duration = Duration::from_secs(15);
/// The pause before the first repetition, and the longest one.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// A store and the address that paths in it are shown under.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Without a slash at its end: `/srv/data`, `s3://bucket`.
    base: String,
    /// Local files need no reading ahead.
    pub(crate) local: bool,
    /// Directories can be listed.
    pub(crate) lists: bool,
}

impl Store {
    /// A path as a user would write it.
    pub(crate) fn display(&self, path: &Path) -> String {
        format!("{}/{path}", self.base)
    }
}

/// Opens stores for one server and user, and keeps them.
pub(crate) struct Stores {
    server: String,
    options: Options,
    user_options: Options,
    context: ConnectorContext,
    opened: Mutex<HashMap<String, Arc<Store>>>,
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stores").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Stores {
    pub(crate) fn new(spec: &ServerSpec) -> Self {
        Self {
            server: spec.name.clone(),
            options: spec.options.clone(),
            user_options: spec.user_options.clone(),
            context: spec.context.clone(),
            opened: Mutex::default(),
        }
    }

    /// The store that holds a location, and the location's parts within that store.
    ///
    /// # Errors
    /// A local path that no `--files-root` holds; options that make no client.
    pub(crate) fn open(&self, location: &Location) -> Result<(Arc<Store>, Vec<String>)> {
        match &location.root {
            Root::Local { .. } => self.local(location),
            Root::Remote { kind, bucket } => {
                let store = self.cached(&format!("{kind:?} {bucket}"), || self.remote(*kind, bucket))?;
                Ok((store, location.segments.clone()))
            }
        }
    }

    fn local(&self, location: &Location) -> Result<(Arc<Store>, Vec<String>)> {
        let path = self.context.files.resolve(&location.display())?;
        let root = path.root();
        let base = root.display().to_string_lossy().trim_end_matches('/').to_owned();
        let segments =
            path.relative().components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        let store = self.cached(&format!("local {base}"), || {
            Ok(Store { store: Arc::new(BeneathStore::new(root)), base: base.clone(), local: true, lists: true })
        })?;
        Ok((store, segments))
    }

    fn cached(&self, key: &str, open: impl FnOnce() -> Result<Store>) -> Result<Arc<Store>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = opened.get(key) {
            return Ok(Arc::clone(store));
        }
        let store = Arc::new(open()?);
        if opened.len() < STORES_MAX {
            opened.insert(key.to_owned(), Arc::clone(&store));
        }
        Ok(store)
    }

    fn remote(&self, kind: StoreKind, bucket: &str) -> Result<Store> {
        let built: object_store::Result<Arc<dyn ObjectStore>> = match kind {
            StoreKind::S3 => self.s3(bucket)?.build().map(|store| Arc::new(store) as _),
            StoreKind::Gcs => self.gcs(bucket)?.build().map(|store| Arc::new(store) as _),
            StoreKind::Azure => self.azure(bucket)?.build().map(|store| Arc::new(store) as _),
            StoreKind::Http => HttpBuilder::new()
                .with_url(bucket)
                .with_retry(retry())
                .with_client_options(client_options(bucket.starts_with("http://")))
                .with_http_connector(PolicyConnector::new(&self.server, &self.context, true))
                .build()
                .map(|store| Arc::new(store) as _),
        };
        // The builder's message may repeat what it was given, the key of a service account included.
        let store = built.map_err(|_| ConnectorError::OptionValue {
            option: "location".into(),
            reason: format!("the options of server \"{}\" and its user mapping make no {kind:?} client", self.server),
        })?;
        let base = match kind {
            StoreKind::Http => bucket.to_owned(),
            _ => format!("{}://{bucket}", kind.scheme()),
        };
        Ok(Store { store, base, local: false, lists: kind != StoreKind::Http })
    }

    /// Whether credentials may come from the server's environment: only where an option asks for it, and never for
    /// users who are not superusers.
    fn ambient(&self) -> Result<bool> {
        let wanted = self.options.get("credentials") == Some("ambient");
        if wanted && !self.context.superuser {
            return Err(ConnectorError::Denied {
                message: format!("server \"{}\" uses the credentials of Atoll's own environment", self.server),
                hint: Some("Only superusers may do so: create a user mapping with an access key.".into()),
            });
        }
        Ok(wanted)
    }

    fn s3(&self, bucket: &str) -> Result<AmazonS3Builder> {
        let ambient = self.ambient()?;
        let mut builder = if ambient { AmazonS3Builder::from_env() } else { AmazonS3Builder::new() };
        let mut plain = false;
        let path_style = self.options.boolean("path_style", self.options.get("endpoint").is_some())?;
        if let Some(endpoint) = self.options.get("endpoint") {
            let mut url = endpoint_url(endpoint)?;
            plain = url.scheme() == "http";
            if !path_style {
                url = bucket_endpoint(url, bucket)?;
            }
            builder = builder.with_endpoint(url.as_str().trim_end_matches('/'));
        }
        builder = builder
            .with_bucket_name(bucket)
            .with_virtual_hosted_style_request(!path_style)
            .with_retry(retry())
            .with_client_options(client_options(plain))
            .with_http_connector(PolicyConnector::new(&self.server, &self.context, false));
        if let Some(region) = self.options.get("region") {
            builder = builder.with_region(region);
        } else if !ambient {
            builder = builder.with_region("us-east-1");
        }
        if let Some(key) = self.user_options.get("access_key_id") {
            let secret = self.mapped("secret_access_key")?;
            builder = builder.with_access_key_id(key).with_secret_access_key(secret);
            if let Some(token) = self.user_options.get("session_token") {
                builder = builder.with_token(token);
            }
        } else if !ambient {
            builder = builder.with_skip_signature(true);
        }
        Ok(builder)
    }

    fn gcs(&self, bucket: &str) -> Result<GoogleCloudStorageBuilder> {
        let ambient = self.ambient()?;
        let builder = if ambient { GoogleCloudStorageBuilder::from_env() } else { GoogleCloudStorageBuilder::new() };
        let mut builder = builder
            .with_bucket_name(bucket)
            .with_retry(retry())
            .with_client_options(client_options(false))
            .with_http_connector(PolicyConnector::new(&self.server, &self.context, false));
        if let Some(key) = self.user_options.get("service_account_key") {
            builder = builder.with_service_account_key(key);
        } else if !ambient {
            builder = builder.with_skip_signature(true);
        }
        Ok(builder)
    }

    fn azure(&self, container: &str) -> Result<MicrosoftAzureBuilder> {
        let ambient = self.ambient()?;
        let mut plain = false;
        let mut builder = if ambient { MicrosoftAzureBuilder::from_env() } else { MicrosoftAzureBuilder::new() };
        if let Some(endpoint) = self.options.get("endpoint") {
            let url = endpoint_url(endpoint)?;
            plain = url.scheme() == "http";
            builder = builder.with_endpoint(url.as_str().trim_end_matches('/').to_owned());
        }
        builder = builder
            .with_container_name(container)
            .with_retry(retry())
            .with_client_options(client_options(plain))
            .with_http_connector(PolicyConnector::new(&self.server, &self.context, false));
        if let Some(account) = self.user_options.get("account").or_else(|| self.options.get("account")) {
            builder = builder.with_account(account);
        }
        if let Some(key) = self.user_options.get("access_key") {
            builder = builder.with_access_key(key);
        } else if !ambient {
            builder = builder.with_skip_signature(true);
        }
        Ok(builder)
    }

    fn mapped(&self, option: &'static str) -> Result<&str> {
        self.user_options.get(option).ok_or_else(|| ConnectorError::OptionMissing {
            option,
            object: format!("the user mapping for server \"{}\"", self.server),
        })
    }
}

fn bad_endpoint() -> ConnectorError {
    ConnectorError::OptionValue { option: "endpoint".into(), reason: "requires a URL with a host name".into() }
}

/// The endpoint in the one form that both the client and the check of addresses read alike: `http://127.1` becomes
/// `http://127.0.0.1`.
fn endpoint_url(endpoint: &str) -> Result<Url> {
    Url::parse(endpoint).ok().filter(Url::has_host).ok_or_else(bad_endpoint)
}

/// The endpoint with the bucket before its host, as virtual-hosted requests need it.
fn bucket_endpoint(mut url: Url, bucket: &str) -> Result<Url> {
    let host = url.domain().map(|host| format!("{bucket}.{host}")).ok_or_else(bad_endpoint)?;
    url.set_host(Some(&host)).map_err(|_| bad_endpoint())?;
    Ok(url)
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { init_backoff: BACKOFF.0, max_backoff: BACKOFF.1, base: 2.0 },
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_TIME_MAX,
    }
}

fn client_options(plain: bool) -> ClientOptions {
    ClientOptions::new().with_allow_http(plain)
}
