//! Reads with the kernel's stamp, for the raw reader and for the server's record.

use std::io::{self, IoSliceMut};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use rustix::time::{ClockId, clock_gettime};

/// Monotonic nanoseconds.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Wall clock − monotonic clock, nanoseconds.
pub(crate) fn wall_ahead() -> i128 {
    let wall = clock_gettime(ClockId::Realtime);
    i128::from(wall.tv_sec) * 1_000_000_000 + i128::from(wall.tv_nsec) - i128::from(now())
}

/// Has the kernel stamp what this socket receives.
pub(crate) fn stamp(socket: &TcpStream) {
    setsockopt(socket, sockopt::ReceiveTimestampns, &true).expect("the kernel stamps");
}

/// How many bytes were read, and when the last of them arrived (monotonic nanoseconds).
pub(crate) fn receive(
    socket: &TcpStream,
    buffer: &mut [u8],
    wall_ahead: i128,
) -> io::Result<(usize, u64)> {
    let mut control = [0; 64];
    let mut into = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut into,
        Some(&mut control),
        MsgFlags::empty(),
    )?;
    let stamp = message.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(at) => {
            Some(i128::from(at.tv_sec()) * 1_000_000_000 + i128::from(at.tv_nsec()) - wall_ahead)
        }
        _ => None,
    });
    Ok((message.bytes, stamp.map_or_else(now, |stamp| stamp as u64)))
}
