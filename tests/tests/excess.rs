//! What somebody who is let in may ask of the daemon, and what becomes of it when it is too much.

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use mupdate_tests::{
    client::Client,
    daemon::{Daemon, Kind, Signal, add_user},
    deflate::Deflate,
    on_both_daemons,
};

on_both_daemons!(a_bomb_is_told_so_and_closed, commands_over_the_rate_wait);

fn a_bomb_is_told_so_and_closed(kind: Kind) {
    let daemon = Daemon::start(kind, "limits.deflate_ratio = 100");
    let mut client = daemon.login();
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
    let mut other = daemon.login();
    other.noop().expect("it serves others");
    drop(client.logout());
}

/// 30 a second, after a burst of 10: one who has sent 40 waits a second for the last, and nobody else does.
fn commands_over_the_rate_wait(kind: Kind) {
    let daemon = Daemon::start(kind, "limits.commands_per_second = 30\nlimits.commands_burst = 10\n");
    add_user(kind, &daemon.data_dir(), "other", "other secret");
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("reloaded");
    let mut eager = [Client::login(daemon.connect()), Client::login(daemon.connect())]
        .map(|client| client.expect("it serves"));
    let started = Instant::now();
    for client in &mut eager {
        client.stream().write_all("N NOOP\r\n".repeat(19).as_bytes()).expect("it reads");
        client.stream().write_all(b"F FIND \"user.a\"\r\n").expect("it reads");
    }
    let (mut other, _) = Client::greet(daemon.connect()).expect("it serves");
    other.authenticate("other", "other secret").expect("it serves");
    for _ in 0..10 {
        other.noop().expect("it serves");
    }
    let honest = started.elapsed();
    for client in &mut eager {
        let mut said = String::new();
        while !said.contains("F OK") {
            let mut octets = [0; 1024];
            let length = client.stream().read(&mut octets).expect("it answers in the end");
            assert!(length > 0, "closed after {said}");
            said.push_str(&String::from_utf8_lossy(&octets[..length]));
        }
        assert_eq!(said.matches("N OK").count(), 19, "{said}");
    }
    let all = started.elapsed();
    println!("{}: 40 commands after {all:?}, another user's 10 after {honest:?}", kind.program());
    assert!(all >= Duration::from_millis(990), "{all:?}");
    assert!(honest < all, "the other waited {honest:?}");
}
