//! A network that does what the test says at the moment the test says: kills the client, or loses an answer.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// What happens to a request.
pub(super) enum Fate {
    /// It goes through.
    Passes,
    /// The server never sees it.
    IsLost,
    /// The server carries it out, and the answer is lost.
    AnswerIsLost,
}

/// Passes requests on to `server`, each by the fate that its first line meets; its port.
pub(super) fn start(server: u16, fate: impl Fn(&str) -> Fate + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let fate = Arc::new(fate);
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let fate = Arc::clone(&fate);
            thread::spawn(move || pass_on(client, server, &*fate));
        }
    });
    port
}

fn pass_on(mut client: TcpStream, server: u16, fate: &dyn Fn(&str) -> Fate) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)) else {
        return;
    };
    let lost = Arc::new(AtomicBool::new(false));
    let (mut back, mut answers) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let answer_lost = Arc::clone(&lost);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = answers.read(&mut buffer) {
            if answer_lost.load(Ordering::SeqCst) || back.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        drop(back.shutdown(Shutdown::Both));
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        let line = String::from_utf8_lossy(&buffer[..read]);
        let line = line.lines().next().unwrap_or_default();
        // A request begins with its line; what does not is the rest of one.
        if line.ends_with(" HTTP/1.1") {
            match fate(line) {
                Fate::Passes => {}
                Fate::IsLost => break,
                Fate::AnswerIsLost => lost.store(true, Ordering::SeqCst),
            }
        }
        if server.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    drop(client.shutdown(Shutdown::Both));
    drop(server.shutdown(Shutdown::Write));
}
