//! How a connection to a server is kept from others' eyes: what the URL's `sslmode` asks for.
//!
//! | `sslmode` | |
//! |---|---|
//! | none, `disable` | in clear |
//! | `require` | encrypted; who the server is, is not asked |
//! | `verify-full` | encrypted; the server shows a certificate for the host's name, from one of the public roots or from those in `sslrootcert` |
//!
//! Everything else is refused with a word about what to write: a mode that quietly goes on in clear is
//! worse than none.
//!
//! Not here: passwords and names (`postgres`).

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{self, CryptoProvider};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme};

/// What a URL says of encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    Clear,
    Encrypted,
    /// The file with the roots, if they are not the public ones.
    Verified(Option<PathBuf>),
}

/// Takes `sslmode` and `sslrootcert` out of a URL. An error says what to write.
pub(super) fn mode(url: &str) -> Result<(String, Mode), String> {
    let Some((base, query)) = url.split_once('?') else { return Ok((url.to_owned(), Mode::Clear)) };
    let (mut mode, mut roots, mut rest) = (None, None, Vec::new());
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value),
            Some(("sslrootcert", value)) => roots = Some(unescaped(value)?),
            _ => rest.push(pair),
        }
    }
    let mode = match (mode, roots) {
        (None | Some("disable"), None) => Mode::Clear,
        (Some("require"), None) => Mode::Encrypted,
        (Some("verify-full"), None) => Mode::Verified(None),
        (Some("verify-full"), Some(roots)) if roots == "system" => Mode::Verified(None),
        (Some("verify-full"), Some(roots)) => Mode::Verified(Some(roots.into())),
        (None | Some("disable" | "require"), Some(_)) => {
            return Err("sslrootcert is looked at with sslmode=verify-full".to_owned());
        }
        (Some(other @ ("allow" | "prefer")), _) => {
            return Err(format!("sslmode={other} would go on in clear: write disable, require or verify-full"));
        }
        (Some("verify-ca"), _) => {
            return Err("sslmode=verify-ca takes any server of the authority: write verify-full".to_owned());
        }
        (Some(other), _) => return Err(format!("sslmode={other}: write disable, require or verify-full")),
    };
    let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    Ok((url, mode))
}

/// A file's name as a URL writes it.
fn unescaped(value: &str) -> Result<String, String> {
    let wrong = || format!("sslrootcert={value} is not escaped as URLs are");
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().ok_or_else(wrong)?, rest.next().ok_or_else(wrong)?];
            let text = std::str::from_utf8(&digits).map_err(|_| wrong())?;
            bytes.push(u8::from_str_radix(text, 16).map_err(|_| wrong())?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// Makes encrypted connections.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

impl Tls {
    /// `None`: in clear. An error says why there can be none.
    pub(super) fn new(mode: &Mode) -> Result<Option<Self>, String> {
        let provider = Arc::new(crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("no TLS: {error}"))?;
        let config = match mode {
            Mode::Clear => return Ok(None),
            Mode::Encrypted => {
                let verifier = Arc::new(Anyone(provider));
                builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
            }
            Mode::Verified(None) => {
                let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
                builder.with_root_certificates(roots).with_no_client_auth()
            }
            Mode::Verified(Some(file)) => {
                let unusable = |reason: &dyn std::fmt::Display| format!("sslrootcert {}: {reason}", file.display());
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
                    let certificate = certificate.map_err(|error| unusable(&error))?;
                    roots.add(certificate).map_err(|error| unusable(&error))?;
                }
                if roots.is_empty() {
                    return Err(unusable(&"no certificate in it"));
                }
                builder.with_root_certificates(roots).with_no_client_auth()
            }
        };
        Ok(Some(Self(TlsConnector::from(Arc::new(config)))))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Tls {
    type Stream = Encrypted<S>;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Handshake> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Handshake { connector: self.0.clone(), name })
    }
}

pub(super) struct Handshake {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Handshake {
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { Ok(Encrypted(self.connector.connect(self.name, stream).await?)) })
    }
}

/// An encrypted connection.
pub(super) struct Encrypted<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Takes any certificate: `require` asks for encryption alone. What is said under it must still be
/// signed with its key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_how() {
        let roots = |file: &str| Mode::Verified(Some(file.into()));
        for (url, expected) in [
            ("postgres://h/d", Ok(("postgres://h/d", Mode::Clear))),
            ("postgres://h/d?sslmode=disable", Ok(("postgres://h/d", Mode::Clear))),
            ("postgres://h/d?a=1&sslmode=require&b=2", Ok(("postgres://h/d?a=1&b=2", Mode::Encrypted))),
            ("postgres://h/d?sslmode=verify-full", Ok(("postgres://h/d", Mode::Verified(None)))),
            ("postgres://h/d?sslmode=verify-full&sslrootcert=system", Ok(("postgres://h/d", Mode::Verified(None)))),
            ("postgres://h/d?sslrootcert=/a%20b.pem&sslmode=verify-full", Ok(("postgres://h/d", roots("/a b.pem")))),
            ("postgres://h/d?sslmode=prefer", Err("would go on in clear")),
            ("postgres://h/d?sslmode=verify-ca&sslrootcert=/a", Err("write verify-full")),
            ("postgres://h/d?sslmode=on", Err("write disable, require or verify-full")),
            ("postgres://h/d?sslrootcert=/a", Err("with sslmode=verify-full")),
            ("postgres://h/d?sslmode=verify-full&sslrootcert=%2", Err("not escaped")),
        ] {
            match (mode(url), expected) {
                (Ok((rest, mode)), Ok((wanted, wanted_mode))) => assert_eq!((&*rest, mode), (wanted, wanted_mode)),
                (Err(said), Err(wanted)) => assert!(said.contains(wanted), "{url}: {said}"),
                (found, _) => panic!("{url}: {found:?}"),
            }
        }
    }
}
