//! Encrypted connections, against a server that speaks just enough to refuse whoever connects.
//!
//! The key beside this file is for `localhost` in this test and worth nothing anywhere else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

use crate::{OpenError, Options, Store};

/// What a client asks first that wants TLS: 8 bytes in all, and this number.
const TLS_PLEASE: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const SAID: &str = "spoken to";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/tls").join(name)
}

fn acceptor() -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(file("server.pem")).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Reads who wants in, and says no in the words of the protocol.
async fn refuse(mut stream: impl AsyncRead + AsyncWrite + Unpin, how: &str) -> std::io::Result<()> {
    let length = stream.read_u32().await?;
    let mut startup = vec![0; length as usize - 4];
    stream.read_exact(&mut startup).await?;
    let fields = format!("SFATAL\0VFATAL\0C28000\0M{SAID} {how}\0\0");
    stream.write_all(b"E").await?;
    stream.write_u32(u32::try_from(fields.len() + 4).unwrap()).await?;
    stream.write_all(fields.as_bytes()).await?;
    stream.shutdown().await
}

async fn serve(listener: TcpListener, encrypts: bool) {
    let acceptor = acceptor();
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut first = [0; 8];
        let _ = stream.peek(&mut first).await;
        if first != TLS_PLEASE {
            let _ = refuse(stream, "in clear").await;
            continue;
        }
        let _ = stream.read_exact(&mut first).await;
        let _ = stream.write_all(if encrypts { b"S" } else { b"N" }).await;
        if encrypts && let Ok(stream) = acceptor.accept(stream).await {
            let _ = refuse(stream, "under TLS").await;
        }
    }
}

/// Why a store at this URL is not opened.
fn said(url: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    match Store::connect(url, folder.path().join("engine"), Options::default()) {
        Err(OpenError::Unusable { reason, .. }) => reason,
        other => panic!("{url}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_encrypted_as_the_url_asks() {
    let (tls, plain) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (port, plain_port) = (tls.local_addr().unwrap().port(), plain.local_addr().unwrap().port());
    tokio::spawn(serve(tls, true));
    tokio::spawn(serve(plain, false));
    let roots = file("ca.pem");
    let known = format!("sslmode=verify-full&sslrootcert={}", roots.display());
    let rows = [
        (format!("postgres://a@localhost:{port}/d"), "spoken to in clear"),
        (format!("postgres://a@localhost:{port}/d?sslmode=require"), "spoken to under TLS"),
        (format!("postgres://a@127.0.0.1:{port}/d?sslmode=require"), "spoken to under TLS"),
        (format!("postgres://a@localhost:{port}/d?{known}"), "spoken to under TLS"),
        // Not the name that the certificate is for, and not an authority that we know.
        (format!("postgres://a@127.0.0.1:{port}/d?{known}"), "invalid peer certificate"),
        (format!("postgres://a@localhost:{port}/d?sslmode=verify-full"), "invalid peer certificate"),
        // Never in clear where that was not asked for.
        (format!("postgres://a@localhost:{plain_port}/d?sslmode=require"), "server does not support TLS"),
        (format!("postgres://a@localhost:{plain_port}/d?sslmode=prefer"), "write disable, require or verify-full"),
        (format!("postgres://a@localhost:{port}/d?sslmode=verify-full&sslrootcert=/none"), "sslrootcert /none: "),
    ];
    let asking = tokio::task::spawn_blocking(move || {
        for (url, expected) in rows {
            let said = said(&url);
            assert!(said.contains(expected), "{url}: {said}");
        }
    });
    asking.await.unwrap();
}
