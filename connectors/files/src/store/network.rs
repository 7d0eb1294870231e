//! The HTTP client of remote stores: it reaches only addresses that the user may reach, whatever a name resolves to and
//! wherever a redirect leads.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use atoll_connector_api::ConnectorContext;
use atoll_connector_api::network::{is_allowed, resolve};
use object_store::ClientOptions;
use object_store::client::{
    ClientConfigKey, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;

/// Time to connect, TLS included.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Silence after which a connection counts as lost.
const READ_SILENCE_MAX: Duration = Duration::from_secs(30);
/// Redirects that are followed, for plain HTTP sources only.
const REDIRECTS_MAX: usize = 5;
/// Idle connections kept for one host.
const IDLE_CONNECTIONS_MAX: usize = 8;

/// Makes clients that keep to the network policy.
#[derive(Debug)]
pub(crate) struct PolicyConnector {
    user: Arc<PolicyUser>,
    redirects: bool,
}

/// For whom connections are made.
#[derive(Debug)]
struct PolicyUser {
    server: String,
    context: ConnectorContext,
}

impl PolicyConnector {
    /// A connector for one user. S3 and its like sign what they send: only plain HTTP follows `redirects`.
    pub(crate) fn new(server: &str, context: &ConnectorContext, redirects: bool) -> Self {
        Self { user: Arc::new(PolicyUser { server: server.to_owned(), context: context.clone() }), redirects }
    }
}

impl HttpConnector for PolicyConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let plain = options.get_config_value(&ClientConfigKey::AllowHttp).as_deref() == Some("true");
        let client = reqwest::Client::builder()
            .user_agent(concat!("atoll/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIME_MAX)
            .read_timeout(READ_SILENCE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            // A proxy in the environment would carry requests past the check of addresses.
            .no_proxy()
            .https_only(!plain)
            .redirect(if self.redirects { redirect_policy(Arc::clone(&self.user)) } else { Policy::none() })
            .dns_resolver(Arc::new(PolicyResolver { user: Arc::clone(&self.user) }))
            .build()
            .map_err(|source| object_store::Error::Generic { store: "http", source: Box::new(source) })?;
        Ok(HttpClient::new(PolicyService { client, user: Arc::clone(&self.user) }))
    }
}

/// Follows a redirect to a host name, which the resolver checks; an address written out is checked here.
fn redirect_policy(user: Arc<PolicyUser>) -> Policy {
    Policy::custom(move |attempt| {
        let reachable = match attempt.url().host() {
            Some(url::Host::Domain(_)) => true,
            Some(url::Host::Ipv4(address)) => is_allowed(&address.to_string(), address.into(), &user.context),
            Some(url::Host::Ipv6(address)) => is_allowed(&address.to_string(), address.into(), &user.context),
            None => false,
        };
        let downgrade = attempt.url().scheme() != "https"
            && attempt.previous().last().is_some_and(|previous| previous.scheme() == "https");
        if attempt.previous().len() > REDIRECTS_MAX || !reachable || downgrade {
            attempt.error("the redirect is not followed")
        } else {
            attempt.follow()
        }
    })
}

#[derive(Debug)]
struct PolicyService {
    client: reqwest::Client,
    user: Arc<PolicyUser>,
}

#[async_trait]
impl HttpService for PolicyService {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // The resolver never sees an address that is written out.
        let host = request.uri().host().unwrap_or_default().to_owned();
        if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            let port = request.uri().port_u16().unwrap_or(0);
            resolve(&self.user.server, &host, port, &self.user.context)
                .await
                .map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        }
        HttpService::call(&self.client, request).await
    }
}

#[derive(Debug)]
struct PolicyResolver {
    user: Arc<PolicyUser>,
}

impl Resolve for PolicyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let user = Arc::clone(&self.user);
        Box::pin(async move {
            // The client replaces port 0 by the one of the URL.
            let addresses = resolve(&user.server, name.as_str(), 0, &user.context).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
