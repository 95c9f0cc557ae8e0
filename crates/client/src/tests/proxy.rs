//! A wire that can be cut.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Carries bytes between clients and one server.
pub(super) struct Proxy {
    endpoint: String,
    connections: Arc<Mutex<JoinSet<()>>>,
}

impl Proxy {
    pub(super) async fn start(target: String) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        let connections = Arc::new(Mutex::new(JoinSet::new()));
        let accepted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let target = target.clone();
                accepted.lock().spawn(async move {
                    let mut server = TcpStream::connect(target).await.unwrap();
                    // How a connection ends does not matter here.
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Proxy {
            endpoint,
            connections,
        }
    }

    pub(super) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// Breaks all connections; new ones are carried again.
    pub(super) fn cut(&self) {
        self.connections.lock().abort_all();
    }
}
