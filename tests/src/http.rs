//! HTTP/1.1 messages on a raw socket, read to the byte.
//!
//! Just enough for a test's client and server: content-length, chunked, and "until the connection closes". Nothing is
//! normalised, so that two recordings can be compared byte by byte. Heads are limited to 64 KiB, bodies are not.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

const HEAD_BYTES_MAX: usize = 64 * 1024;
const READ_BYTES: usize = 64 * 1024;

/// The first line and the headers of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Request line or status line.
    pub first_line: String,
    /// Names and values in the order and the spelling of the message.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first value of a header; the name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The second word of the first line: a request's path or a response's status.
    #[must_use]
    pub fn second_word(&self) -> &str {
        self.first_line.split(' ').nth(1).unwrap_or_default()
    }

    /// Headers whose name does not start with one of these prefixes.
    #[must_use]
    pub fn headers_without(&self, prefixes: &[&str]) -> Vec<(String, String)> {
        let kept = |(name, _): &&(String, String)| !prefixes.iter().any(|prefix| name.starts_with(prefix));
        self.headers.iter().filter(kept).cloned().collect()
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }

    fn content_length(&self) -> Option<usize> {
        self.header("content-length")?.parse().ok()
    }
}

/// A head and its decoded body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// First line and headers.
    pub head: Head,
    /// The body without its chunk framing.
    pub body: Vec<u8>,
    /// The end of the message came, and not just the end of the connection.
    pub complete: bool,
}

/// Which side reads, because a response without a length reaches to the end of the connection and a request has no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Reads requests.
    Server,
    /// Reads responses; `bodyless` after a HEAD request.
    Client {
        /// The response has no body whatever its headers say.
        bodyless: bool,
    },
}

/// A socket's reading half with what was read ahead.
#[derive(Debug)]
pub struct Reader<S> {
    stream: S,
    ahead: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    /// Reads from this stream.
    pub fn new(stream: S) -> Self {
        Self { stream, ahead: Vec::new() }
    }

    /// The next message; `None` when the connection ended before its first byte.
    ///
    /// # Errors
    /// What the socket says, or that the head is not HTTP. A body that is cut off is no error: `complete` is false.
    pub async fn message(&mut self, side: Side) -> io::Result<Option<Message>> {
        let Some(head) = self.head().await? else {
            return Ok(None);
        };
        let status = head.second_word();
        let bodyless = side == Side::Client { bodyless: true } || status == "204" || status == "304";
        let (body, complete) = if bodyless && side != Side::Server {
            (Vec::new(), true)
        } else if head.is_chunked() {
            self.chunked().await
        } else if let Some(length) = head.content_length() {
            self.exactly(length).await
        } else if side == Side::Server {
            (Vec::new(), true)
        } else {
            self.until_the_end().await
        };
        Ok(Some(Message { head, body, complete }))
    }

    async fn head(&mut self) -> io::Result<Option<Head>> {
        let end = loop {
            if let Some(end) = find(&self.ahead, b"\r\n\r\n") {
                break end;
            }
            if self.ahead.len() > HEAD_BYTES_MAX {
                return Err(io::Error::other("the head is too long"));
            }
            if self.more().await? == 0 {
                return if self.ahead.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        };
        let bytes = self.take(end + 4);
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.split("\r\n").filter(|line| !line.is_empty());
        let first_line = lines.next().unwrap_or_default().to_owned();
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim().to_owned()))
        };
        Ok(Some(Head { first_line, headers: lines.filter_map(header).collect() }))
    }

    async fn chunked(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            let Some(line) = self.line().await else { return (body, false) };
            let Ok(size) = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
            else {
                return (body, false);
            };
            if size == 0 {
                // Trailers, if any, up to the empty line.
                while let Some(line) = self.line().await {
                    if line.is_empty() {
                        return (body, true);
                    }
                }
                return (body, false);
            }
            let (chunk, complete) = self.exactly(size).await;
            body.extend(chunk);
            if !complete || self.line().await.is_none() {
                return (body, false);
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n") {
                let mut line = self.take(end + 2);
                line.truncate(end);
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
            if self.more().await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> (Vec<u8>, bool) {
        while self.ahead.len() < length {
            if self.more().await.unwrap_or(0) == 0 {
                return (std::mem::take(&mut self.ahead), false);
            }
        }
        (self.take(length), true)
    }

    async fn until_the_end(&mut self) -> (Vec<u8>, bool) {
        loop {
            match self.more().await {
                Ok(0) => return (std::mem::take(&mut self.ahead), true),
                Ok(_) => {}
                Err(_) => return (std::mem::take(&mut self.ahead), false),
            }
        }
    }

    async fn more(&mut self) -> io::Result<usize> {
        self.ahead.reserve(READ_BYTES);
        self.stream.read_buf(&mut self.ahead).await
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.ahead.split_off(length);
        std::mem::replace(&mut self.ahead, rest)
    }
}

/// A response with a content length.
#[must_use]
pub fn response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let headers = headers.iter().copied().chain([("content-length", length.as_str())]);
    let mut bytes = head(&format!("HTTP/1.1 {status} Status"), headers);
    bytes.extend(body);
    bytes
}

/// The head of a response whose chunks follow, see [`chunk`].
#[must_use]
pub fn chunked_head(status: u16, content_type: &str) -> Vec<u8> {
    let headers = [("content-type", content_type), ("transfer-encoding", "chunked")];
    head(&format!("HTTP/1.1 {status} Status"), headers.into_iter())
}

/// One chunk; the empty one ends the message.
#[must_use]
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// A request with a content length.
#[must_use]
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let host = [("host", "weir.test")].into_iter();
    let headers = host.chain(headers.iter().copied()).chain([("content-length", length.as_str())]);
    let mut bytes = head(&format!("{method} {path} HTTP/1.1"), headers);
    bytes.extend(body);
    bytes
}

fn head<'a>(first_line: &str, headers: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let lines = headers.map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
    format!("{first_line}\r\n{lines}\r\n").into_bytes()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
