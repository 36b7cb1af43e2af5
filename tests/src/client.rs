//! A client that sends the bytes that it is given and returns what came back, unchanged.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::http::{Message, Reader, Side, request};

const TIMEOUT: Duration = Duration::from_secs(30);

/// One keep-alive connection.
#[derive(Debug)]
pub struct Client {
    reader: Reader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// What the socket says.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (read, writer) = stream.into_split();
        Ok(Self { reader: Reader::new(read), writer })
    }

    /// Sends a request's bytes and reads the response. The body of a response to HEAD is known to be empty.
    ///
    /// # Errors
    /// What the socket says, no response at all, or none within 30 s.
    pub async fn exchange(&mut self, bytes: &[u8]) -> io::Result<Message> {
        self.writer.write_all(bytes).await?;
        let side = Side::Client { bodyless: bytes.starts_with(b"HEAD ") };
        let message = tokio::time::timeout(TIMEOUT, self.reader.message(side)).await??;
        message.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Sends bytes without reading anything.
    ///
    /// # Errors
    /// What the socket says.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }
}

/// One POST on a connection of its own.
///
/// # Errors
/// See [`Client::exchange`].
pub async fn post(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Message> {
    Client::connect(address).await?.exchange(&request("POST", path, headers, body)).await
}
