//! Peers that come and go.

use std::{
    collections::VecDeque,
    io::Write,
    net::{Shutdown, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use mupdate_proto::encode_base64;
use mupdate_tests::player::LOGIN;
use rustix::net::sockopt::set_socket_linger;

use super::crowd::connected;

/// Silent connections that are kept at a time.
const KEPT: usize = 2000;

/// Connects and closes at once, three thousand times a second.
pub fn connect_and_close(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    let mut pace = Pace::new(3000);
    present();
    loop {
        pace.keep();
        drop(connected(address));
    }
}

/// Connects three thousand times a second, and says nothing; the oldest of two thousand makes room for the next.
pub fn connect_and_wait(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    let mut kept = VecDeque::new();
    let mut pace = Pace::new(3000);
    present();
    loop {
        pace.keep();
        kept.push_back(connected(address));
        if kept.len() > KEPT {
            drop(kept.pop_front());
        }
    }
}

/// Five hundred times a second: connects, logs in, sends commands with answers under way, and is gone: with a reset, with its sending side closed and
/// nothing read, or with nothing said at all.
pub fn resets(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    present();
    let initial = encode_base64(format!("\0{}\0{}", LOGIN.0, LOGIN.1).as_bytes());
    let talk = format!(
        "A AUTHENTICATE \"PLAIN\" \"{initial}\"\r\n{}{}",
        "L LIST\r\n".repeat(20),
        "R RESERVE \"user.reset\" \"be1!x\"\r\nD DELETE \"user.reset\"\r\n".repeat(20)
    );
    let mut half_open: VecDeque<TcpStream> = VecDeque::new();
    let mut pace = Pace::new(500);
    for number in 0_u64.. {
        pace.keep();
        let mut stream = connected(address);
        if number % 3 != 2 {
            let _ = stream.write_all(talk.as_bytes());
        }
        if number % 2 == 0 {
            set_socket_linger(&stream, Some(Duration::ZERO)).expect("a socket");
            continue;
        }
        let _ = stream.shutdown(if number % 4 == 1 { Shutdown::Write } else { Shutdown::Read });
        half_open.push_back(stream);
        if half_open.len() > 200 {
            drop(half_open.pop_front());
        }
    }
    unreachable!("numbers do not end")
}

/// So often a second, on average.
struct Pace {
    each: Duration,
    next: Instant,
}

impl Pace {
    fn new(a_second: u32) -> Self {
        Self { each: Duration::from_secs(1) / a_second, next: Instant::now() }
    }

    /// Waits until it is time. What was missed is not made up for.
    fn keep(&mut self) {
        let now = Instant::now();
        self.next = (self.next + self.each).max(now - Duration::from_millis(20));
        thread::sleep(self.next.saturating_duration_since(now));
    }
}
