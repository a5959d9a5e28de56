//! One connection to the server: bytes out and in, through TLS where the address says `https`.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::time::Timespec;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::socket::Socket;

/// How to speak TLS to the server.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

/// A connection, perhaps not there yet.
#[derive(Debug)]
pub(super) struct Connection {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
    connected: bool,
    /// What is to be sent; behind TLS, what has not been encrypted yet.
    outgoing: Vec<u8>,
    sent: usize,
}

/// What reads go into: one for all connections, so that no read needs memory of its own.
#[derive(Debug)]
pub(super) struct ReadBuffers {
    /// As it came.
    received: Vec<u8>,
    /// As it was meant, behind TLS.
    plain: Vec<u8>,
}

impl ReadBuffers {
    /// For reads of at most so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self {
            received: vec![0; most],
            plain: Vec::new(),
        }
    }
}

/// Where a connection stands after something was done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// More may come.
    Yes,
    /// The peer has closed.
    No,
}

impl Connection {
    /// Begins to connect.
    pub(super) fn open(address: SocketAddr, tls: Option<&Tls>) -> io::Result<Self> {
        let tls = tls.map(|tls| {
            let connection = ClientConnection::new(Arc::clone(&tls.config), tls.name.clone());
            let mut connection = connection.map_err(io::Error::other)?;
            // A request is handed over whole; how much of it is encrypted ahead is of no interest.
            connection.set_buffer_limit(None);
            Ok::<_, io::Error>(Box::new(connection))
        });
        Ok(Self {
            tls: tls.transpose()?,
            socket: Socket::connect(address)?,
            connected: false,
            outgoing: Vec::new(),
            sent: 0,
        })
    }

    /// Takes a request; as much as possible goes out now, the rest with [`Self::flush`].
    pub(super) fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.outgoing = bytes;
        self.sent = 0;
        if self.connected { self.flush() } else { Ok(()) }
    }

    /// Sends what waits. To be called when the socket is writable.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if !self.connected {
            self.socket.connected()?;
            self.connected = true;
        }
        if let Some(tls) = &mut self.tls {
            if self.sent < self.outgoing.len() {
                tls.writer().write_all(&self.outgoing)?;
                self.sent = self.outgoing.len();
            }
            while tls.wants_write() {
                match tls.write_tls(&mut Plain(&self.socket)) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            return Ok(());
        }
        while self.sent < self.outgoing.len() {
            match self.socket.send(&self.outgoing[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the socket must become writable before anything goes on.
    pub(super) fn wants_write(&self) -> bool {
        !self.connected
            || self.sent < self.outgoing.len()
            || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Whether the handshake of TCP is over.
    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether a request can go out at once.
    pub(super) fn is_ready(&self) -> bool {
        self.connected && self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking())
    }

    /// Reads what is there; `on_bytes` gets it with the stamp of the read that completed it. Reads at most once, so that
    /// one stream cannot hold up the others.
    pub(super) fn receive(
        &mut self,
        buffers: &mut ReadBuffers,
        mut on_bytes: impl FnMut(&[u8], Option<Timespec>),
    ) -> io::Result<Open> {
        let ReadBuffers {
            received: buffer,
            plain,
        } = buffers;
        let received = match self.socket.receive(buffer) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Open::Yes),
            Err(error) => return Err(error),
        };
        let Some(tls) = &mut self.tls else {
            if received.length == 0 {
                return Ok(Open::No);
            }
            on_bytes(&buffer[..received.length], received.stamp);
            return Ok(Open::Yes);
        };
        let mut encrypted = &buffer[..received.length];
        plain.clear();
        loop {
            let taken = tls.read_tls(&mut encrypted)?;
            let state = tls.process_new_packets().map_err(io::Error::other)?;
            let before = plain.len();
            plain.resize(before + state.plaintext_bytes_to_read(), 0);
            tls.reader().read_exact(&mut plain[before..])?;
            if taken == 0 || encrypted.is_empty() {
                break;
            }
        }
        if !plain.is_empty() {
            on_bytes(plain, received.stamp);
        }
        if received.length == 0 {
            return Ok(Open::No);
        }
        self.flush()?;
        Ok(Open::Yes)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The socket as TLS writes to it.
struct Plain<'a>(&'a Socket);

impl io::Write for Plain<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
