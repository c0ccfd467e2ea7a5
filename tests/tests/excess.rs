//! What somebody who is let in may ask of the daemon, and what becomes of it when it is too much.

use std::io::{Read, Write};

use mupdate_tests::{
    client::Client,
    daemon::{Daemon, Kind},
    deflate::Deflate,
    on_both_daemons,
};

on_both_daemons!(a_bomb_is_told_so_and_closed);

fn a_bomb_is_told_so_and_closed(kind: Kind) {
    let daemon = Daemon::start(kind, "limits.deflate_ratio = 100");
    let mut client = Client::login(daemon.connect()).expect("it serves");
    let mut stream = client.stream().try_clone().expect("a socket");
    stream.write_all(b"C COMPRESS \"DEFLATE\"\r\n").expect("it reads");
    let mut answer = [0; "C OK \"DEFLATE active\"\r\n".len()];
    stream.read_exact(&mut answer).expect("it answers");
    let mut deflate = Deflate::default();
    let bomb = deflate.pack("N NOOP\r\n".repeat(1 << 21).as_bytes());
    assert!(bomb.len() < (16 << 20) / 150, "16 MiB are {} octets", bomb.len());
    stream.write_all(&bomb).expect("it fits into the socket");
    let mut said = Vec::new();
    stream.read_to_end(&mut said).expect("it closes in good order");
    let said = String::from_utf8(deflate.unpack(&said).expect("deflate to the last")).expect("text");
    assert!(
        said.ends_with("\r\n* BYE \"compressed input grows too much\"\r\n"),
        "{:?}",
        &said[said.len() - 99..]
    );
    let answered = said.matches("N OK").count();
    assert!((100_000..200_000).contains(&answered), "{answered} of 2,097,152 commands");
    daemon.wait_for_log("what the peer compressed grows too much");
    let mut other = Client::login(daemon.connect()).expect("it serves others");
    other.noop().expect("it serves others");
    drop(client.logout());
}
