//! One connection to the server: bytes out and in, with TLS for `https`.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::time::Timespec;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::socket::Socket;

/// TLS settings for the server.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

/// A connection, possibly not established yet.
#[derive(Debug)]
pub(super) struct Connection {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
    connected: bool,
    /// Data to send; with TLS, data that is not encrypted yet.
    outgoing: Vec<u8>,
    sent: usize,
}

/// Read buffers shared by all connections, so that a read allocates no memory.
#[derive(Debug)]
pub(super) struct ReadBuffers {
    /// Received bytes.
    received: Vec<u8>,
    /// Decrypted bytes, with TLS.
    plain: Vec<u8>,
}

impl ReadBuffers {
    /// For reads of at most that many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self {
            received: vec![0; most],
            plain: Vec::new(),
        }
    }
}

/// State of a connection after an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// More data may arrive.
    Yes,
    /// The peer has closed it.
    No,
}

impl Connection {
    /// Starts to connect.
    pub(super) fn open(address: SocketAddr, tls: Option<&Tls>) -> io::Result<Self> {
        let tls = tls.map(|tls| {
            let connection = ClientConnection::new(Arc::clone(&tls.config), tls.name.clone());
            let mut connection = connection.map_err(io::Error::other)?;
            // A request is passed on whole, so the size of the encrypted buffer does not matter.
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

    /// Sends as much as possible now, the rest with [`Self::flush`].
    pub(super) fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.outgoing = bytes;
        self.sent = 0;
        if self.connected { self.flush() } else { Ok(()) }
    }

    /// Sends the remaining data. Call it when the socket is writable.
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

    /// Whether it must wait until the socket is writable.
    pub(super) fn wants_write(&self) -> bool {
        !self.connected
            || self.sent < self.outgoing.len()
            || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Whether the TCP handshake is complete.
    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether a request can be sent at once.
    pub(super) fn is_ready(&self) -> bool {
        self.connected && self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking())
    }

    /// Reads the available data; `on_bytes` gets it with the time stamp of its last byte. Reads at most once, so that one
    /// stream cannot delay the others.
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

/// The socket that TLS writes to.
struct Plain<'a>(&'a Socket);

impl io::Write for Plain<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
