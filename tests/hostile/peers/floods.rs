//! Peers that send as much as is taken.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use bytes::Bytes;
use mupdate_proto::encode_base64;
use mupdate_tests::deflate::Deflate;

use super::crowd::{Crowd, Reads, connected, logged_in};

/// Repetitions of a text, for a peer to send over and over.
fn repeated(text: &str, octets: usize) -> Bytes {
    text.repeat(octets.div_ceil(text.len())).into()
}

/// 200 that ask for everything again and again, and read it.
pub fn lists_read(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    let lists = repeated("L LIST\r\n", 4096);
    let crowd = Crowd::new(address, 200, logged_in);
    present();
    crowd.flood(Reads::Everything, |_, _| lists.clone())
}

/// 20 that ask for what one server has, which comes in that server's own order.
pub fn lists_sorted(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    let lists = repeated("L LIST \"be1!\"\r\n", 4096);
    let crowd = Crowd::new(address, 20, logged_in);
    present();
    crowd.flood(Reads::Everything, |_, _| lists.clone())
}

/// Pipelines of NOOPs, FINDs, LISTs and changes, a million commands and more; the answers are read.
pub fn pipelines_read(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    pipelines(address, Reads::Everything, present)
}

/// The same, and nobody reads an answer.
pub fn pipelines_unread(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    pipelines(address, Reads::Nothing, present)
}

fn pipelines(address: SocketAddr, reads: Reads, present: &mut dyn FnMut()) -> ! {
    const EACH: usize = 1 << 20;
    let kinds = [
        repeated("N NOOP\r\n", EACH),
        repeated("F FIND \"user.00000001\"\r\n", EACH),
        repeated("L LIST\r\n", EACH),
        repeated("B NONSENSE\r\n", EACH),
    ];
    let crowd = Crowd::new(address, 200, logged_in);
    present();
    crowd.flood(reads, |number, _| kinds[number % kinds.len()].clone())
}

/// 200 that change mailboxes as fast as that goes.
pub fn changes(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    let crowd = Crowd::new(address, 200, logged_in);
    present();
    crowd.flood(Reads::Everything, |number, round| activations(number, round, 500))
}

/// So many ACTIVATEs of a peer's own mailboxes, each a change.
pub fn activations(number: usize, round: u64, names: usize) -> Bytes {
    let mut text = String::new();
    for name in 0..names {
        let _ = write!(
            text,
            "A ACTIVATE \"flood.{number}.{name}\" \"flood!default\" \"anyone\tlrs\tround\t{round}\"\r\n"
        );
    }
    text.into()
}

/// Lines and literals over every limit, and garbage, for as long as the daemon listens.
pub fn over_limits(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    let kinds = [
        // Dropped, and answered BAD.
        repeated(&format!("A FIND \"{}\"\r\n", "x".repeat(100_000)), 1 << 20),
        repeated(&format!("A FIND {{2000000+}}\r\n{}\r\n", "y".repeat(2_000_000)), 1 << 21),
        // Beyond all patience.
        repeated("x", 1 << 21),
        repeated("A FIND {99999999999+}\r\n", 1 << 16),
        // Taken whole, and then too long for a name.
        repeated(&format!("A FIND {{1000000+}}\r\n{}\r\n", "z".repeat(1_000_000)), 1 << 21),
        repeated("\x7f\x1b\u{80}\u{ff}\t{ \"\\", 1 << 20),
    ];
    let crowd = Crowd::new(address, 200, connected);
    present();
    crowd.flood(Reads::Everything, |number, _| kinds[number % kinds.len()].clone())
}

/// 50 whose few compressed octets become gigabytes of commands; the compressed answers are read.
pub fn bombs_of_commands(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    bombs(address, "N NOOP\r\n", present)
}

/// 50 whose few compressed octets become one endless line.
pub fn bombs_of_one_line(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    bombs(address, "x", present)
}

/// 50 that ask for everything, compressed both ways.
pub fn bombs_of_lists(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    bombs(address, "L LIST\r\n", present)
}

fn bombs(address: SocketAddr, text: &str, present: &mut dyn FnMut()) -> ! {
    // What ends in a flush can be repeated: it begins with octets that stand for themselves.
    let bomb: Bytes = Deflate::default().pack(&repeated(text, 16 << 20)).into();
    let crowd = Crowd::new(address, 50, compressed);
    present();
    crowd.flood(Reads::Everything, |_, _| bomb.clone())
}

/// Logged in, with DEFLATE in place.
fn compressed(address: SocketAddr) -> TcpStream {
    let mut stream = logged_in(address);
    stream.write_all(b"C COMPRESS \"DEFLATE\"\r\n").expect("the daemon serves");
    let answer = b"C OK \"DEFLATE active\"\r\n";
    let mut octets = [0; 24];
    stream.read_exact(&mut octets[..answer.len()]).expect("the daemon serves");
    assert_eq!(&octets[..answer.len()], answer);
    stream
}

/// 500 that try passwords.
pub fn wrong_passwords(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    let crowd = Crowd::new(address, 500, connected);
    present();
    crowd.flood(Reads::Everything, |number, round| {
        let initial = encode_base64(format!("\0murder\0guess {number} {round}").as_bytes());
        format!("P AUTHENTICATE \"PLAIN\" \"{initial}\"\r\n").into()
    })
}
