//! A web server on this machine that answers as it is told, once each.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// One answer, after which the connection ends.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) is_silent: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        Self { head, body: body.to_vec(), is_silent: false }
    }

    /// No answer at all; the connection stays until the other side leaves it.
    pub(crate) fn silence() -> Self {
        Self { is_silent: true, ..Self::new(200, b"") }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.head = format!("{}{name}: {value}\r\n", self.head);
        self
    }

    /// Breaks off after so many bytes of the announced body.
    pub(crate) fn cut(mut self, bytes: usize) -> Self {
        self.body.truncate(bytes);
        self
    }

    /// Announces no length.
    pub(crate) fn chunked(mut self) -> Self {
        let announced = format!("content-length: {}\r\n", self.body.len());
        self.head = self.head.replace(&announced, "transfer-encoding: chunked\r\n");
        let chunk = [format!("{:x}\r\n", self.body.len()).as_bytes(), &self.body, b"\r\n0\r\n\r\n"].concat();
        self.body = chunk;
        self
    }
}

pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers the first requests with these; refuses connections after that.
    pub(crate) fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (replies, seen) = (replies.into_iter().collect::<Vec<_>>(), Arc::clone(&requests));
        thread::spawn(move || {
            for reply in replies {
                let Ok((stream, _)) = listener.accept() else { return };
                answer(stream, &reply, &seen);
            }
        });
        Self { address, requests }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, reply: &Reply, seen: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
        request.push(byte[0]);
    }
    seen.lock().unwrap().push(String::from_utf8(request).unwrap());
    if reply.is_silent {
        let _ = stream.read(&mut byte);
        return;
    }
    // The other side may have left.
    let _ = stream.write_all(format!("{}\r\n", reply.head).as_bytes()).and_then(|()| stream.write_all(&reply.body));
}
