//! The engine's own HTTP client: pooled connections to checked addresses.
//!
//! Invariants:
//! - The address that was checked is the one that is connected to; there is no second resolution.
//! - Connections made under a grant of private addresses are never reused without one.
//! - Redirects are handed to the guest, not followed.
//!
//! Not here: who may send what where (`grants`), headers and body limits (`mod`).

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::rt::ReadBufCursor;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{self, Error};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::address;

/// How long a connection may stay unused; shorter than the usual keep-alive of servers.
const IDLE_MAX: Duration = Duration::from_secs(15);
const IDLE_PER_HOST_MAX: usize = 64;

/// How long one address may take to accept a connection, where the guest's deadline is later.
const CONNECT_MAX: Duration = Duration::from_secs(10);

pub(crate) struct Client {
    guarded: legacy::Client<Connector, Full<Bytes>>,
    private: legacy::Client<Connector, Full<Bytes>>,
}

impl Client {
    pub(crate) fn new() -> Result<Self, tokio_rustls::rustls::Error> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
        let tls = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = TlsConnector::from(Arc::new(tls));
        let build = |allow_private| {
            legacy::Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_MAX)
                .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
                .build(Connector { allow_private, tls: tls.clone() })
        };
        Ok(Self { guarded: build(false), private: build(true) })
    }

    /// Sends a request whose URI names scheme, host and path.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        allow_private: bool,
    ) -> Result<Response<Incoming>, Error> {
        let client = if allow_private { &self.private } else { &self.guarded };
        client.request(request).await
    }
}

/// The host resolves to nothing that a guest may reach.
#[derive(Debug, thiserror::Error)]
#[error("{host} resolves to {address}, which is {kind}: the connection does not allow private addresses")]
pub(crate) struct Prohibited {
    pub(crate) host: String,
    address: IpAddr,
    kind: &'static str,
}

#[derive(Clone)]
struct Connector {
    allow_private: bool,
    tls: TlsConnector,
}

impl tower_service::Service<Uri> for Connector {
    type Response = Link;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Link, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { allow_private, tls } = self.clone();
        Box::pin(async move {
            let secure = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
            let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
            let stream = tokio::time::timeout(CONNECT_MAX, connect(&host, port, allow_private)).await;
            let stream = stream.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            if !secure {
                return Ok(Link::Plain(TokioIo::new(stream)));
            }
            let stream = tls.connect(ServerName::try_from(host)?, stream).await?;
            Ok(Link::Tls(Box::new(TokioIo::new(stream))))
        })
    }
}

async fn connect(
    host: &str,
    port: u16,
    allow_private: bool,
) -> Result<TcpStream, Box<dyn std::error::Error + Send + Sync>> {
    let mut last: Box<dyn std::error::Error + Send + Sync> = format!("{host} has no address").into();
    for resolved in tokio::net::lookup_host((host, port)).await? {
        let address: SocketAddr = resolved;
        if let Some(kind) = address::refused(address.ip(), allow_private) {
            last = Box::new(Prohibited { host: host.to_owned(), address: address.ip(), kind });
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = Box::new(error),
        }
    }
    Err(last)
}

/// A connection, in the clear or not.
enum Link {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Link {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl hyper::rt::Write for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
