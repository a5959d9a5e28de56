//! A non-blocking TCP connection with the kernel's time stamps of arrivals.

use std::io::{self, IoSliceMut, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use nix::sys::socket::{self as messages, ControlMessageOwned, MsgFlags, sockopt};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};
use rustix::time::Timespec;

/// A control message with one time stamp and its header: enough for every architecture.
const CONTROL_SPACE: usize = 64;

/// A connection, possibly not established yet.
#[derive(Debug)]
pub(super) struct Socket(TcpStream);

/// Result of one read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    /// Bytes; none if the peer has closed.
    pub(super) length: usize,
    /// Arrival of the last byte, by the wall clock; `None` if the kernel reports none.
    pub(super) stamp: Option<Timespec>,
}

impl Socket {
    /// Starts to connect. The socket becomes writable when it is connected, or has failed.
    pub(super) fn connect(address: SocketAddr) -> io::Result<Self> {
        let family = if address.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket =
            rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        // Without kernel stamps the time of reading is used, and counted.
        let _unstamped = messages::setsockopt(&socket, sockopt::ReceiveTimestampns, &true);
        let stream = TcpStream::from(socket);
        // A request is one write: waiting for more data would only delay its end.
        stream.set_nodelay(true)?;
        match rustix::net::connect(&stream, &address) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(Self(stream)),
            Err(error) => Err(error.into()),
        }
    }

    /// Why connecting failed, if it did. Call it once the socket is writable.
    pub(super) fn connected(&self) -> io::Result<()> {
        match self.0.take_error()? {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Sends as much as the kernel accepts now.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }

    /// Reads the available bytes, and their arrival time.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut control = [0; CONTROL_SPACE];
        let mut into = [IoSliceMut::new(buffer)];
        let message = messages::recvmsg::<()>(
            self.0.as_raw_fd(),
            &mut into,
            Some(&mut control),
            MsgFlags::empty(),
        )?;
        let stamp = message.cmsgs()?.find_map(|control| {
            if let ControlMessageOwned::ScmTimestampns(at) = control {
                Some(Timespec {
                    tv_sec: at.tv_sec(),
                    tv_nsec: at.tv_nsec(),
                })
            } else {
                None
            }
        });
        Ok(Received {
            length: message.bytes,
            stamp,
        })
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use rustix::time::{ClockId, clock_gettime};

    use super::*;

    fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = Socket::connect(listener.local_addr().unwrap()).unwrap();
        let (peer, _) = listener.accept().unwrap();
        socket.connected().unwrap();
        (socket, peer)
    }

    fn receive(socket: &Socket, buffer: &mut [u8]) -> Received {
        let began = Instant::now();
        loop {
            match socket.receive(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    assert!(began.elapsed() < Duration::from_secs(5), "nothing came");
                }
                other => return other.unwrap(),
            }
        }
    }

    #[test]
    fn a_late_reader_gets_the_arrival_time() {
        let (socket, mut peer) = pair();
        let mut buffer = [0; 64];
        // If no socket of the machine used stamps before, the kernel starts to make them a moment after the first request.
        for _ in 0..200 {
            peer.write_all(b"warm-up").unwrap();
            if receive(&socket, &mut buffer).stamp.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        peer.write_all(b"token").unwrap();
        let sent = clock_gettime(ClockId::Realtime);
        std::thread::sleep(Duration::from_millis(60));
        let received = receive(&socket, &mut buffer);
        assert_eq!(&buffer[..received.length], b"token");
        let stamp = received.stamp.expect("the kernel stamps");
        let late = Duration::try_from(stamp)
            .unwrap()
            .abs_diff(Duration::try_from(sent).unwrap());
        assert!(late < Duration::from_millis(30), "{late:?} after sending");
    }

    #[test]
    fn a_closed_peer_is_an_empty_read_and_an_idle_one_would_block() {
        let (socket, peer) = pair();
        let mut buffer = [0; 8];
        assert_eq!(
            socket.receive(&mut buffer).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        drop(peer);
        assert_eq!(receive(&socket, &mut buffer).length, 0);
    }

    #[test]
    fn a_refused_connection_is_reported() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let refused = Socket::connect(address)
            .and_then(|socket| {
                std::thread::sleep(Duration::from_millis(20));
                socket.connected()
            })
            .unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
