//! A link between a test and a real directory, with the test in the socket's place.

use std::{
    io::{Cursor, ErrorKind},
    sync::mpsc,
};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::*;
use crate::service::fixture::{Host, LOGIN};

const REMOTE: &str = "192.0.2.1:4000";

impl Host {
    fn connect(&self, peer: &str) -> Connection {
        let peer = Peer::Internet(peer.parse().expect("an address"));
        let place = self.service.admit(&peer, Entrance::Plain, Vec::new()).expect("a place");
        let (wake, woken) = mpsc::channel();
        // Nobody listens any more when a test is over.
        let inbox = Inbox::new(Box::new(move || wake.send(()).unwrap_or_default()));
        let link = Link::new(&self.service, place, peer, Entrance::Plain, inbox, Instant::now());
        Connection { link, woken }
    }

    /// What a connection is told that is turned away.
    fn turned_away(&self, peer: &str) -> Option<String> {
        let peer = Peer::Internet(peer.parse().expect("an address"));
        let mut told = Vec::new();
        let place = self.service.admit(&peer, Entrance::Plain, &mut told);
        place.is_none().then(|| String::from_utf8(told).expect("text"))
    }

    /// All that are free.
    fn take_all_turns(&self) -> Vec<Turn> {
        let nobody = Inbox::new(Box::new(|| {}));
        std::iter::repeat_with(|| Turn::new(&self.service.turns, &nobody))
            .map_while(|mut turn| turn.enter().then_some(turn))
            .collect()
    }

    /// A connection that is logged in.
    fn login(&self, peer: &str) -> Connection {
        let mut connection = self.connect(peer);
        connection.ask(LOGIN, "A OK \"Authenticated\"");
        connection
    }
}

struct Connection {
    link: Link,
    woken: mpsc::Receiver<()>,
}

impl Connection {
    fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.link.received(octets.as_ref());
    }

    /// Run, then read what has come through a socket, as much as is read at a time.
    fn arrives(&mut self, octets: Vec<u8>) {
        let wait = self.link.run(Instant::now());
        assert!(self.link.pump(Cursor::new(octets), &wait, &mut Readiness::default(), Instant::now()));
    }

    /// Run until there is something for the peer, or the connection is over; take it all.
    fn read(&mut self) -> (Vec<u8>, Wait) {
        loop {
            let wait = self.link.run(Instant::now());
            let out = self.link.output().to_vec();
            self.link.wrote(out.len(), Instant::now());
            if !out.is_empty() || wait.closed.is_some() {
                return (out, wait);
            }
            if !wait.again {
                self.woken.recv_timeout(Duration::from_secs(60)).expect("nothing happens any more");
            }
        }
    }

    /// Everything until this text comes.
    fn until(&mut self, end: &str) -> String {
        let mut all = String::new();
        while !all.contains(end) {
            let (out, wait) = self.read();
            all.push_str(&String::from_utf8_lossy(&out));
            assert!(wait.closed.is_none() || all.contains(end), "closed after {all:?}");
        }
        all
    }

    fn ask(&mut self, command: &str, end: &str) -> String {
        self.send(command);
        self.until(end)
    }

    /// From here on DEFLATE, both ways.
    fn compress(&mut self) {
        self.ask("Z COMPRESS \"DEFLATE\"\r\n", "Z OK \"DEFLATE active\"\r\n");
        assert!(self.link.run(Instant::now()).read, "the layer is in place, and the socket is read again");
    }

    /// Everything until the end, and how to close.
    fn rest(&mut self) -> (String, Closing) {
        let mut all = String::new();
        loop {
            let (out, _) = self.read();
            all.push_str(&String::from_utf8_lossy(&out));
            if let Some(closing) = self.link.run(Instant::now()).closed {
                return (all, closing);
            }
        }
    }
}

#[test]
fn a_directory_is_read_and_written() {
    let host = Host::new("");
    let mut backend = host.login("127.0.0.1:1");
    backend.ask("X ACTIVATE \"user.jane\" \"be1!p\" \"jane\tlrs\"\r\n", "X OK \"done\"");
    let found = backend.ask("F FIND \"user.jane\"\r\n", "F OK");
    assert!(found.starts_with("F MAILBOX \"user.jane\" \"be1!p\" \"jane\tlrs\"\r\n"), "{found}");
    backend.send("Q LOGOUT\r\n");
    assert_eq!(backend.rest(), ("Q OK \"bye-bye\"\r\n".into(), Closing::Lingering));
}

#[test]
fn passwords_are_not_offered_to_strangers() {
    let host = Host::new("");
    assert!(!host.connect(REMOTE).until("* OK").contains("PLAIN"));
    assert!(host.connect("[::1]:7").until("* OK").contains("\"PLAIN\""));
    let open = Host::new("allow_plaintext = true");
    assert!(open.connect(REMOTE).until("* OK").contains("\"PLAIN\""));
}

#[test]
fn a_peer_that_does_not_read_is_not_read_from_and_dropped_in_the_end() {
    let host = Host::new("[limits]\nstall_seconds = 5\noutput_buffer = \"4KiB\"");
    let mut deaf = host.login("127.0.0.1:1");
    let start = Instant::now();
    let mut wait = deaf.link.run(start);
    let mut sent = 0;
    while wait.read {
        deaf.link.received(&b"F FIND \"user.nobody\"\r\n".repeat(50));
        wait = deaf.link.run(start);
        while wait.again {
            wait = deaf.link.run(start);
        }
        sent += 50;
        assert!(sent < 100_000, "it is read for ever");
    }
    assert!((4096..8192).contains(&deaf.link.output().len()), "{}", deaf.link.output().len());
    assert_eq!(wait.deadline, Some(start + Duration::from_secs(5)));
    let later = start + Duration::from_secs(4);
    deaf.link.wrote(1, later);
    assert_eq!(deaf.link.run(start + Duration::from_secs(6)).closed, None, "it took something");
    assert_eq!(deaf.link.run(later + Duration::from_secs(5)).closed, Some(Closing::Now));
}

/// Long work has its limits, whoever wants it: with no turn left a pipeline stops after a while, and a list does not begin.
#[test]
fn long_work_waits_for_its_turn_and_short_work_does_not() {
    let host = Host::new("");
    let nobody = Inbox::new(Box::new(|| {}));
    let mut taken = Vec::new();
    loop {
        let mut turn = Turn::new(&host.service.turns, &nobody);
        if !turn.enter() {
            break;
        }
        taken.push(turn);
    }
    let (mut eager, mut curious) = (host.login("127.0.0.1:1"), host.login("127.0.0.1:2"));
    eager.send("F FIND \"user.nobody\"\r\n".repeat(STEPS * 3) + "Z NOOP\r\n");
    curious.send("L LIST\r\n");
    assert!(!eager.link.run(Instant::now()).again && !curious.link.run(Instant::now()).again);
    let answers = eager.link.output().iter().filter(|&&octet| octet == b'\n').count();
    assert!((1..=STEPS).contains(&answers), "{answers}");
    assert!(curious.link.output().is_empty());
    // They can be woken as often as one likes.
    assert!(!eager.link.run(Instant::now()).again);
    assert_eq!(eager.link.output().iter().filter(|&&octet| octet == b'\n').count(), answers);

    let mut backend = host.login("127.0.0.1:3");
    backend.ask("X RESERVE \"user.a\" \"be1!p\"\r\n", "X OK");
    backend.ask("F FIND \"user.a\"\r\n", "F OK");

    // They have one turn between them, and may have to hand it to each other more than once.
    taken.pop();
    std::thread::scope(|scope| {
        scope.spawn(|| eager.until("Z OK"));
        assert!(curious.until("L OK").contains("user.a"));
    });
}

/// Time is what the link is told.
#[test]
fn commands_over_the_rate_wait_for_their_moments_over_all_connections_of_the_user() {
    let host = Host::new("[limits]\ncommands_per_second = 10\ncommands_burst = 3");
    let (mut first, mut second) = (host.login("127.0.0.1:1"), host.login("127.0.0.1:2"));
    let start = Instant::now();
    let after = |tenths: u64| start + Duration::from_millis(100 * tenths);
    let answers = |peer: &mut Connection, at: Instant| {
        let wait = peer.link.run(at);
        let said = peer.link.output().iter().filter(|&&octet| octet == b'\n').count();
        peer.link.wrote(usize::MAX, at);
        (said, wait.deadline)
    };
    first.send("N NOOP\r\n".repeat(5));
    assert_eq!(answers(&mut first, start), (3, Some(after(1))));
    second.send("N NOOP\r\n".repeat(2) + "F FIND \"user.a\"\r\n");
    assert_eq!(answers(&mut second, start), (0, Some(after(2))), "the next moment is taken");
    assert_eq!(answers(&mut first, start), (0, Some(after(1))), "to ask again takes none");
    // They come on in turns.
    assert_eq!(answers(&mut first, after(1)), (1, Some(after(3))));
    assert_eq!(answers(&mut second, after(2)), (1, Some(after(4))));
    assert_eq!(answers(&mut first, after(30)).0, 1);
    assert_eq!(answers(&mut second, after(30)).0, 2);
    // Nobody is told of a limit, and a new connection does not get round it.
    let mut third = host.login("127.0.0.1:3");
    third.send("N NOOP\r\n".repeat(20));
    let (said, next) = answers(&mut third, after(30));
    assert!(said <= 3 && next.is_some_and(|next| next > after(30)), "{said} {next:?}");
    third.send("Q LOGOUT\r\n");
    host.service.connections.shutdown();
    let rest = third.rest().0;
    assert!(rest.ends_with("* BYE \"server is shutting down\"\r\n") && !rest.contains("Q OK"), "{rest}");
}

#[test]
fn whoever_waits_for_a_turn_and_vanishes_leaves_it_to_others() {
    let host = Host::new("");
    let turns = host.take_all_turns();
    let mut gone = host.login("127.0.0.1:1");
    gone.send("L LIST\r\n");
    let _ = gone.link.run(Instant::now());
    assert!(gone.link.turn.is_waiting());
    gone.link.broken(&ErrorKind::BrokenPipe.into());
    drop(turns);
    assert_eq!(gone.rest(), (String::new(), Closing::Now));
    drop(gone);
    assert_eq!(host.take_all_turns().len(), std::thread::available_parallelism().map_or(1, usize::from));
}

#[test]
fn whoever_pours_waits_for_a_turn_and_whoever_asks_does_not() {
    let host = Host::new("");
    let turns = host.take_all_turns();
    let mut asks = host.login("127.0.0.1:1");
    asks.arrives(b"F FIND \"user.a\"\r\n".repeat(2));
    let _ = asks.link.run(Instant::now());
    assert!(!asks.link.output().is_empty() && !asks.link.turn.is_waiting());
    let mut pours = host.login("127.0.0.1:2");
    pours.arrives(vec![b'x'; 1 << 20]);
    let _ = pours.link.run(Instant::now());
    assert!(pours.link.turn.is_waiting() && pours.link.layers.holds_input());
    drop(turns);
    while pours.link.run(Instant::now()).again {}
    assert!(!pours.link.turn.is_waiting() && !pours.link.layers.holds_input());
}

#[test]
fn whoever_waits_for_a_turn_waits_for_no_time_that_has_passed() {
    let host = Host::new("");
    let mut pours = host.connect("127.0.0.1:1");
    let _ = pours.read();
    // The password is wrong, and the answer is held back for a second.
    pours.send("A AUTHENTICATE \"PLAIN\" \"AG11cmRlcgBndWVzcw==\"\r\n");
    let _ = pours.link.run(Instant::now());
    pours.woken.recv_timeout(Duration::from_secs(60)).expect("it is looked at");
    let turns = host.take_all_turns();
    pours.arrives(vec![b'x'; 1 << 20]);
    let later = Instant::now() + Duration::from_secs(2);
    let wait = pours.link.run(later);
    assert!(pours.link.turn.is_waiting());
    assert_eq!(wait.deadline.filter(|&at| at <= later), None);
    drop(turns);
    let _ = pours.link.run(later);
    assert!(pours.link.output().starts_with(b"A NO"));
}

#[test]
fn what_a_stream_has_missed_is_sorted_in_when_it_is_its_turn() {
    let host = Host::new("streams = { hold_ms = 0 }");
    let mut stream = host.login("127.0.0.1:1");
    stream.ask("U UPDATE\r\n", "U OK");
    let mut backend = host.login("127.0.0.1:2");
    let changes = (0..2000).map(|name| format!("X{name} RESERVE \"user.{name}\" \"be1!p\"\r\n"));
    backend.ask(&changes.collect::<String>(), "X1999 OK");
    let turns = host.take_all_turns();
    let _ = stream.link.run(Instant::now());
    assert!(stream.link.turn.is_waiting() && stream.link.requests.is_unsorted());
    drop(turns);
    let _ = stream.link.run(Instant::now());
    assert!(!stream.link.requests.is_unsorted());
}

#[test]
fn what_was_sent_before_the_peer_vanished_is_done() {
    let host = Host::new("");
    let mut hasty = host.login("127.0.0.1:1");
    hasty.send("X RESERVE \"user.a\" \"be1!p\"\r\nY RESERVE \"user.b\" \"be1!p\"\r\nQ LOGOUT\r\n");
    hasty.link.broken(&ErrorKind::BrokenPipe.into());
    assert_eq!(hasty.rest(), (String::new(), Closing::Now));
    let found = host.login("127.0.0.1:1").ask("L LIST\r\n", "L OK");
    assert!(found.contains("user.a") && found.contains("user.b"), "{found}");
}

#[test]
fn farewell_comes_after_what_is_in_flight() {
    let host = Host::new("");
    let mut backend = host.login("127.0.0.1:1");
    backend.send("X RESERVE \"user.a\" \"be1!p\"\r\n");
    let _ = backend.link.run(Instant::now());
    host.service.connections.shutdown();
    let (said, closing) = backend.rest();
    assert_eq!(said, "X OK \"done\"\r\n* BYE \"server is shutting down\"\r\n");
    assert_eq!(closing, Closing::Lingering);
}

#[test]
fn deflate_both_ways() {
    let host = Host::new("");
    let mut client = host.login("127.0.0.1:1");
    client.compress();
    let (mut pack, mut unpack) = (Compress::new(Compression::best(), false), Decompress::new(false));
    for round in 0..3 {
        let mut packed = Vec::with_capacity(1024);
        let command = format!("X{round} NOOP\r\n");
        pack.compress_vec(command.as_bytes(), &mut packed, FlushCompress::Sync).expect("deflate");
        client.send(packed);
        let (out, wait) = client.read();
        assert!(wait.closed.is_none());
        let mut plain = Vec::with_capacity(1024);
        unpack.decompress_vec(&out, &mut plain, FlushDecompress::Sync).expect("inflate");
        assert_eq!(String::from_utf8_lossy(&plain), format!("X{round} OK \"Noop done\"\r\n"));
    }
    client.send(b"plain text\r\n");
    assert_eq!(client.rest().1, Closing::Lingering, "what is no deflate ends the connection");
}

#[test]
fn a_bomb_stays_small_and_is_refused() {
    let host = Host::new("");
    let mut client = host.login("127.0.0.1:1");
    client.compress();
    let mut packed = Vec::with_capacity(1 << 20);
    let line = vec![b'a'; 50 << 20];
    Compress::new(Compression::best(), false)
        .compress_vec(&line, &mut packed, FlushCompress::Sync)
        .expect("deflate");
    client.send(&packed);
    let mut turns = 0;
    loop {
        let wait = client.link.run(Instant::now());
        client.link.wrote(usize::MAX, Instant::now());
        if wait.closed.is_some() {
            break;
        }
        assert!(wait.again || wait.write, "a line that long ends the connection");
        turns += 1;
    }
    assert!(turns < 100, "only as much was decoded as it took to see that");
}

#[test]
fn an_update_client_is_remembered_unless_others_use_its_name() {
    let host = Host::new("allow_plaintext = true\nstreams = { hold_ms = 0 }");
    let synced = || host.service.store.client_synced(b"murder@192.0.2.1").expect("readable");
    let mut backend = host.login("127.0.0.1:1");
    backend.ask("X RESERVE \"user.a\" \"be1!p\"\r\n", "X OK");

    let mut frontend = host.login(REMOTE);
    frontend.ask("U UPDATE\r\n", "U OK");
    frontend.ask("N1 NOOP\r\n", "N1 OK");
    frontend.ask("N2 NOOP\r\n", "N2 OK");
    // A change takes what is to be remembered along into its transaction.
    backend.ask("Y RESERVE \"user.b\" \"be1!p\"\r\n", "Y OK");
    assert_eq!(synced(), Some(1));

    let mut partial = host.login("192.0.2.2:1");
    partial.ask("U UPDATE \"be1\"\r\n", "U OK");
    assert!(partial.link.requests.client.is_none(), "a part proves nothing of the whole");

    let mut second = host.login("192.0.2.1:4001");
    second.ask("U UPDATE\r\n", "U OK");
    frontend.ask("N3 NOOP\r\n", "N3 OK");
    backend.ask("Z RESERVE \"user.c\" \"be1!p\"\r\n", "Z OK");
    assert_eq!(synced(), Some(0), "two frontends behind one address");

    let mut local = host.login("127.0.0.1:9");
    local.ask("U UPDATE\r\n", "U OK");
    assert!(local.link.requests.client.is_none(), "there can be many frontends on one machine");
}

#[test]
fn an_address_has_its_share_of_the_connections_and_this_host_all() {
    let host = Host::new("limits.connections_per_address = 1\nlimits.connections = 5");
    let full = Some("* BYE \"too many connections from your address\"\r\n".to_owned());
    let _first = host.connect("[2001:db8::1]:1");
    assert_eq!(host.turned_away("[2001:db8::2]:2"), full, "the same network");
    assert_eq!(host.turned_away("[2001:db8:0:1::1]:2"), None);
    let _local = [host.connect("127.0.0.1:1"), host.connect("127.0.0.1:2"), host.connect("[::1]:1")];
    let _last = host.connect(REMOTE);
    let full = Some("* BYE \"too many connections\"\r\n".to_owned());
    assert_eq!(host.turned_away("127.0.0.1:3"), full, "which counts in all");
}
