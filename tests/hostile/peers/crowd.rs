//! Many connections on one thread, as fast as they are served.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
};

use bytes::{Buf, Bytes};
use mupdate_tests::client::Client;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How a connection is made.
pub type Join = fn(SocketAddr) -> TcpStream;

/// What a peer does with what it is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Throws it away.
    Everything,
    /// Leaves it in the socket.
    Nothing,
}

/// Many peers that do the same.
pub struct Crowd {
    address: SocketAddr,
    join: Join,
    members: Vec<Member>,
}

struct Member {
    stream: TcpStream,
    /// How often it has been asked what to say.
    round: u64,
    saying: Bytes,
    gone: bool,
}

impl Member {
    fn new(stream: TcpStream) -> Self {
        stream.set_nonblocking(true).expect("a socket");
        Self { stream, round: 0, saying: Bytes::new(), gone: false }
    }
}

/// Just connected: the banner is not read.
pub fn connected(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).expect("the daemon listens")
}

/// Logged in.
pub fn logged_in(address: SocketAddr) -> TcpStream {
    let client = Client::login(connected(address)).expect("the daemon serves");
    client.stream().try_clone().expect("a socket")
}

impl Crowd {
    pub fn new(address: SocketAddr, size: usize, join: Join) -> Self {
        let members = (0..size).map(|_| Member::new(join(address))).collect();
        Self { address, join, members }
    }

    /// Says for ever, on each connection, what `say` has for it: its number and how often it has spoken go in. Whoever
    /// says nothing is not asked again. A connection that the daemon closes is made anew.
    pub fn flood(mut self, reads: Reads, mut say: impl FnMut(usize, u64) -> Bytes) -> ! {
        let mut octets = vec![0; 64 * 1024];
        loop {
            for (number, member) in self.members.iter_mut().enumerate() {
                if member.gone {
                    *member = Member::new((self.join)(self.address));
                }
                if member.saying.is_empty() {
                    member.saying = say(number, member.round);
                    member.round += u64::from(!member.saying.is_empty());
                }
            }
            self.wait(reads);
            for member in &mut self.members {
                member.speak();
                if reads == Reads::Everything {
                    member.listen(&mut octets);
                }
            }
        }
    }

    /// Until there is something to do for anybody.
    fn wait(&self, reads: Reads) {
        let mut watched: Vec<_> = self
            .members
            .iter()
            .map(|member| {
                let mut interest = PollFlags::empty();
                interest.set(PollFlags::IN, reads == Reads::Everything);
                interest.set(PollFlags::OUT, !member.saying.is_empty());
                PollFd::new(&member.stream, interest)
            })
            .collect();
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        poll(&mut watched, Some(&second)).expect("sockets can be watched");
    }
}

impl Member {
    fn speak(&mut self) {
        while !self.saying.is_empty() {
            match self.stream.write(&self.saying) {
                Ok(length) => self.saying.advance(length),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.gone = true;
                    return;
                }
            }
        }
    }

    fn listen(&mut self, octets: &mut [u8]) {
        match self.stream.read(octets) {
            Ok(0) => self.gone = true,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.gone = true,
        }
    }
}
