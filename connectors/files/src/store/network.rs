//! The HTTP client of remote stores: it reaches only addresses that the user may reach, whatever a name resolves to and
//! wherever a redirect leads.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use atoll_connector_api::network::{is_allowed, resolve};
use atoll_connector_api::{ConnectorContext, ConnectorError};
use object_store::ClientOptions;
use object_store::client::{
    ClientConfigKey, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use url::{Host, Url};

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
        let reachable = match destination(attempt.url()) {
            Some(Destination::Name) => true,
            Some(Destination::Address(address)) => is_allowed(&address.to_string(), address, &user.context),
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

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Destination {
    /// A host name, which the resolver is asked for.
    Name,
    /// An address that is written out, which the resolver never sees.
    Address(IpAddr),
}

/// Where the client will connect to. It goes by `url`'s reading of a host, in which `127.1`, `2130706433` and
/// `0x7f000001` are addresses too: any other reading could let one of them pass as a name.
fn destination(url: &Url) -> Option<Destination> {
    Some(match url.host()? {
        Host::Ipv4(address) => Destination::Address(address.into()),
        Host::Ipv6(address) => Destination::Address(address.into()),
        Host::Domain(name) => name.parse().map_or(Destination::Name, Destination::Address),
    })
}

/// Whether a request lists a bucket, as S3 spells it.
fn is_listing(url: &Url) -> bool {
    url.query_pairs().any(|(key, _)| key == "list-type")
}

fn is_web_page(response: &HttpResponse) -> bool {
    let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

impl PolicyService {
    async fn checked(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let refused = |error: ConnectorError| HttpError::new(HttpErrorKind::Unknown, error);
        let unreadable = |reason: &str| {
            refused(ConnectorError::Connect {
                server: self.user.server.clone(),
                source: Arc::new(std::io::Error::other(reason.to_owned())),
            })
        };
        // The same text that the client below takes apart.
        let url = Url::parse(&request.uri().to_string()).map_err(|_| unreadable("the endpoint is no URL"))?;
        match destination(&url) {
            Some(Destination::Name) => {}
            Some(Destination::Address(address)) => {
                let port = url.port_or_known_default().unwrap_or(0);
                resolve(&self.user.server, &address.to_string(), port, &self.user.context).await.map_err(refused)?;
            }
            None => return Err(unreadable("the endpoint names no host")),
        }
        let response = HttpService::call(&self.client, request).await?;
        // A page without a single object in it would pass for an empty bucket.
        if is_listing(&url) && is_web_page(&response) {
            return Err(unreadable("the endpoint is no object store: it answers with a web page"));
        }
        Ok(response)
    }
}

#[async_trait]
impl HttpService for PolicyService {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.checked(request).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_an_address_in_every_form_that_the_client_takes_for_one() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.0.0.1.",
            "0x7f.1",
            "%31%32%37.1",
            "127。0。0。1",
        ] {
            let url = Url::parse(&format!("http://{host}:9000/x")).ok();
            let found = url.as_ref().and_then(destination);
            assert_eq!(found, Some(Destination::Address(IpAddr::from([127, 0, 0, 1]))), "{host}");
        }
        let found = Url::parse("http://[::ffff:127.0.0.1]/").ok().as_ref().and_then(destination);
        assert!(matches!(found, Some(Destination::Address(IpAddr::V6(_)))), "{found:?}");
        assert_eq!(Url::parse("http://a.test/").ok().as_ref().and_then(destination), Some(Destination::Name));
        assert_eq!(Url::parse("mailto:a@b").ok().as_ref().and_then(destination), None);
    }
}
