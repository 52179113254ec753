//! A lean HTTP/1.1 client: one connection, one request at a time, the bytes as they were made.
//!
//! Owns: reading an answer, whole, however it arrives.
//! Promises: per request one write and as many reads as the answer takes; nothing is kept of an answer that
//! nobody looks at.
//! Refuses to know: TLS, redirects, proxies.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Most bytes of an answer.
const MOST: usize = 64 << 20;

/// See the module.
pub(super) struct Connection {
    stream: TcpStream,
    /// What was read of the answer.
    buffer: Vec<u8>,
}

/// An answer; its body stays in the connection until the next request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// The status.
    pub status: u16,
    /// The entry that it names.
    pub seq: Option<u64>,
    /// Whether the server closes the connection.
    pub last: bool,
    /// Where the body stands, chunk by chunk.
    body: Vec<Range<usize>>,
}

/// How long a body is.
enum Length {
    Known(usize),
    Chunked,
}

fn wrong(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4_096) })
    }

    /// Sends a request and reads its answer.
    pub(super) async fn ask(&mut self, request: &[u8]) -> io::Result<Reply> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        let (mut reply, begin, length) = loop {
            match head(&self.buffer)? {
                // A server may say first that it goes on reading.
                Some((reply, begin, _)) if reply.status == 100 => drop(self.buffer.drain(..begin)),
                Some(found) => break found,
                None => self.more().await?,
            }
        };
        match length {
            Length::Known(bytes) => {
                let end = begin.checked_add(bytes).ok_or_else(|| wrong("an endless body"))?;
                self.until(end).await?;
                reply.body.push(begin..end);
            }
            Length::Chunked => self.chunks(begin, &mut reply.body).await?,
        }
        Ok(reply)
    }

    /// The body of the last answer.
    pub(super) fn body(&self, reply: &Reply) -> Vec<u8> {
        let parts = reply.body.iter().filter_map(|part| self.buffer.get(part.clone()));
        parts.flatten().copied().collect()
    }

    async fn chunks(&mut self, begin: usize, body: &mut Vec<Range<usize>>) -> io::Result<()> {
        let mut at = begin;
        loop {
            let rest = self.buffer.get(at..).unwrap_or_default();
            let size = httparse::parse_chunk_size(rest).map_err(|_| wrong("a chunk without a size"))?;
            let httparse::Status::Complete((head, bytes)) = size else {
                self.more().await?;
                continue;
            };
            let bytes = usize::try_from(bytes).map_err(|_| wrong("an endless chunk"))?;
            let from = at + head;
            let end = from.checked_add(bytes).ok_or_else(|| wrong("an endless chunk"))?;
            // Behind each chunk stands an end of line; no trailers come behind the last.
            self.until(end.saturating_add(2)).await?;
            if bytes == 0 {
                return Ok(());
            }
            body.push(from..end);
            at = end + 2;
        }
    }

    async fn until(&mut self, end: usize) -> io::Result<()> {
        if end > MOST {
            return Err(wrong("a very long answer"));
        }
        while self.buffer.len() < end {
            self.more().await?;
        }
        Ok(())
    }

    async fn more(&mut self) -> io::Result<()> {
        if self.buffer.len() > MOST {
            return Err(wrong("a very long answer"));
        }
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before the answer's end")),
            _ => Ok(()),
        }
    }
}

/// The head of an answer, and where it ends; `None` if it is not all there yet.
fn head(buffer: &[u8]) -> io::Result<Option<(Reply, usize, Length)>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    let end = match response.parse(buffer).map_err(|e| wrong(e.to_string()))? {
        httparse::Status::Complete(end) => end,
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.unwrap_or_default();
    let mut reply = Reply { status, seq: None, last: false, body: vec![] };
    let mut length = Length::Known(0);
    for field in response.headers.iter() {
        let value = std::str::from_utf8(field.value).unwrap_or_default().trim();
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            length = Length::Known(value.parse().map_err(|_| wrong("content-length"))?);
        } else if is("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            length = Length::Chunked;
        } else if is("tallyhouse-seq") {
            reply.seq = value.parse().ok();
        } else if is("connection") {
            reply.last = value.eq_ignore_ascii_case("close");
        }
    }
    Ok(Some((reply, end, length)))
}

#[cfg(test)]
mod tests {
    use super::super::stub::{block_on, serve};
    use super::*;
    use std::time::Duration;

    /// What a server answers, a piece at a time, and how a client reads it.
    fn read(pieces: &'static [&'static str]) -> io::Result<(Reply, String)> {
        block_on(async {
            let address = serve(move |_, mut stream| async move {
                for piece in pieces {
                    stream.write_all(piece.as_bytes()).await?;
                    stream.flush().await?;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Ok(None)
            })
            .await;
            let mut connection = Connection::open(address).await?;
            let reply = connection.ask(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await?;
            let body = String::from_utf8_lossy(&connection.body(&reply)).into_owned();
            Ok((reply, body))
        })
    }

    #[test]
    fn an_answer_is_read_whole_however_it_arrives() {
        let rows: &[(&[&str], u16, Option<u64>, &str)] = &[
            (&["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"], 200, None, "ok"),
            (
                &[
                    "HTTP/1.1 20",
                    "1 Created\r\nTallyhouse-Seq: 7\r\ncontent-le",
                    "ngth: 4\r\n\r\na",
                    "bc",
                    "d",
                ],
                201,
                Some(7),
                "abcd",
            ),
            (&["HTTP/1.1 204 No Content\r\n\r\n"], 204, None, ""),
            (&["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx"], 200, None, "x"),
            (
                &[
                    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
                    "1",
                    "0\r\n0123456789abcd",
                    "ef\r\n0\r\n\r\n",
                ],
                200,
                None,
                "abc0123456789abcdef",
            ),
        ];
        for (pieces, status, seq, body) in rows {
            let (reply, read) = read(pieces).expect("an answer");
            assert_eq!((reply.status, reply.seq, read.as_str()), (*status, *seq, *body), "{pieces:?}");
        }
        let (reply, _) =
            read(&["HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"]).expect("one");
        assert!(reply.last);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let rows: &[&[&str]] = &[
            &["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc"],
            &["HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\nabc"],
            &["HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\nabc"],
            &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"],
            &["SSH-2.0-OpenSSH\r\n\r\n"],
            &[""],
        ];
        for pieces in rows {
            assert!(read(pieces).is_err(), "{pieces:?}");
        }
    }
}
