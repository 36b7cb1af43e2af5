//! Very many exchanges at little cost: blocking sockets on threads of their own, one answer for everything, nothing kept.
//!
//! What the other helpers do for a test that looks at every byte costs more than the proxy does; here the proxy is to be the
//! one that works. Messages have a `content-length`; anything else is an error.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Starts an upstream that gives every request this answer; its threads end with their connections.
///
/// # Errors
/// When no port can be bound.
pub fn upstream(answer: Vec<u8>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let answer: Arc<[u8]> = answer.into();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || serve(stream, &answer));
        }
    });
    Ok(address)
}

/// Sends the requests of these numbers over this many connections; every answer must have status 200. Blocks.
///
/// # Errors
/// The first exchange that failed.
pub fn exchange(
    address: SocketAddr,
    connections: usize,
    numbers: std::ops::Range<usize>,
    request_of: impl Fn(usize) -> Vec<u8> + Sync,
) -> io::Result<()> {
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for first in 0..connections {
            let (numbers, request_of) = (numbers.clone(), &request_of);
            threads.push(scope.spawn(move || {
                let mut stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(TIMEOUT))?;
                let mut buffer = Vec::with_capacity(1 << 16);
                for number in numbers.skip(first).step_by(connections.max(1)) {
                    stream.write_all(&request_of(number))?;
                    read_message(&mut stream, &mut buffer)?;
                    if !buffer.starts_with(b"HTTP/1.1 200") {
                        return Err(io::Error::other(format!("exchange {number} is not answered with 200")));
                    }
                }
                Ok(())
            }));
        }
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => Err(io::Error::other("a thread of the client panicked")),
        })
    })
}

fn serve(mut stream: TcpStream, answer: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(1 << 16);
    loop {
        read_message(&mut stream, &mut buffer)?;
        stream.write_all(answer)?;
    }
}

/// Reads one message into the buffer. Nothing is pipelined here, so nothing is read ahead.
fn read_message(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    let mut chunk = [0_u8; 16 * 1024];
    loop {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if let Some(end) = buffer.windows(HEAD_END.len()).position(|window| window == HEAD_END) {
            let (head, body) = buffer.split_at(end + HEAD_END.len());
            if body.len() >= content_length(head)? {
                return Ok(());
            }
        }
    }
}

fn content_length(head: &[u8]) -> io::Result<usize> {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = text.split("\r\n").find_map(|line| line.strip_prefix("content-length:"));
    let number = length.and_then(|length| length.trim().parse().ok());
    number.ok_or_else(|| io::Error::other(format!("a message without content-length: {text}")))
}
