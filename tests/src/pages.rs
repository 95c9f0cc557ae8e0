//! Pages over plain HTTP/1.1, status and all.

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A page as it came.
#[derive(Debug)]
pub struct Page {
    /// Its status.
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    /// What follows.
    pub body: Vec<u8>,
}

impl Page {
    /// The body of a page that is text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Checks status and text.
    ///
    /// # Errors
    /// If they are others.
    pub fn is(&self, status: u16, text: &str) -> Result<()> {
        ensure!(
            self.status == status && self.text() == text,
            "{} {:?} instead of {status} {text:?}",
            self.status,
            self.text()
        );
        Ok(())
    }
}

/// Reads `path` at `url`, such as `http://127.0.0.1:2379`.
///
/// # Errors
/// When nobody answers.
pub async fn get(url: &str, path: &str) -> Result<Page> {
    ask(url, "GET", path, b"").await
}

/// Sends a body.
///
/// # Errors
/// When nobody answers.
pub async fn post(url: &str, path: &str, body: &[u8]) -> Result<Page> {
    ask(url, "POST", path, body).await
}

/// Asks with any method.
///
/// # Errors
/// When nobody answers.
pub async fn ask(url: &str, method: &str, path: &str, body: &[u8]) -> Result<Page> {
    let address = url.strip_prefix("http://").context("an http URL")?;
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    // A server that has refused need not read everything.
    let _refused = stream.write_all(body).await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.context("an answer has a head")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    Ok(Page {
        status: status.context("a status line has a number")?,
        body: answer[end + 4..].to_vec(),
        head,
    })
}
