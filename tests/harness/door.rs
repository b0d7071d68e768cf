//! A door between an engine and its database: open, shut, or held.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const READ_BYTES: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Open,
    /// Connections end, and new ones end at once.
    Shut,
    /// Connections stay, and nothing passes: it arrives once the door is open again.
    Held,
}

/// See [`Door::before`]. Open at first.
#[derive(Clone)]
pub struct Door {
    stands: Arc<watch::Sender<Stands>>,
}

impl Default for Door {
    fn default() -> Self {
        Self { stands: Arc::new(watch::Sender::new(Stands::Open)) }
    }
}

impl Door {
    /// Returns the database's URL as it is through this door.
    pub async fn before(&self, url: &str) -> String {
        let (user, rest) = url.strip_prefix("postgres://").and_then(|rest| rest.split_once('@')).expect("a user");
        let (server, database) = rest.split_once('/').expect("a database");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let through = format!("postgres://{user}@{}/{database}", listener.local_addr().expect("an address"));
        let (server, stands) = (server.to_owned(), self.stands.clone());
        tokio::spawn(async move {
            while let Ok((inside, _)) = listener.accept().await {
                let (server, mut seen, passing) = (server.clone(), stands.subscribe(), stands.subscribe());
                tokio::spawn(async move {
                    tokio::select! {
                        // Dropped: the connection ends.
                        _ = seen.wait_for(|stands| *stands == Stands::Shut) => {}
                        () = carry(inside, &server, passing) => {}
                    }
                });
            }
        });
        through
    }

    pub fn open(&self) {
        self.stands.send_replace(Stands::Open);
    }

    pub fn shut(&self) {
        self.stands.send_replace(Stands::Shut);
    }

    pub fn hold(&self) {
        self.stands.send_replace(Stands::Held);
    }
}

async fn carry(mut inside: TcpStream, server: &str, stands: watch::Receiver<Stands>) {
    let Ok(mut outside) = TcpStream::connect(server).await else { return };
    let (from_inside, to_inside) = inside.split();
    let (from_outside, to_outside) = outside.split();
    tokio::join!(pass(from_inside, to_outside, stands.clone()), pass(from_outside, to_inside, stands));
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut stands: watch::Receiver<Stands>) {
    let mut bytes = vec![0; READ_BYTES];
    loop {
        let read = from.read(&mut bytes).await.unwrap_or(0);
        // What was said while it is held, an end too, waits here.
        if stands.wait_for(|stands| *stands == Stands::Open).await.is_err() {
            return;
        }
        let passed = if read == 0 { to.shutdown().await } else { to.write_all(&bytes[..read]).await };
        if read == 0 || passed.is_err() {
            return;
        }
    }
}
