//! What a peer may cost, where time and addresses decide: a transcript shows neither.

use std::{
    fs::File,
    net::{IpAddr, SocketAddr, TcpStream},
    os::fd::AsFd,
    thread,
};

use mupdate_tests::{
    client::{Client, ClientError},
    daemon::{DEADLINE, Daemon, Kind, Launch},
    on_both_daemons,
    player::LOGIN,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use socket2::{Domain, Socket, Type};

on_both_daemons!(
    guessing_a_password_does_not_lock_out_who_knows_it,
    an_address_has_its_share_and_its_failures_are_its_own,
);

const REFUSED: &str = "too many failed logins, try again later";
const WRONG: &str = "authentication failed";

/// What is answered to a login.
fn told(stream: TcpStream, user: &str, password: &str) -> String {
    match Client::greet(stream).and_then(|(mut client, _)| client.authenticate(user, password)) {
        Ok(()) => "OK".into(),
        Err(ClientError::Refused { text, .. } | ClientError::Bye(text)) => text,
        Err(error) => panic!("{error}"),
    }
}

/// On this host: the user is known here by its first login, so guesses are counted apart from the rest of the world, and
/// logins that are remembered go on.
fn guessing_a_password_does_not_lock_out_who_knows_it(kind: Kind) {
    let daemon = Daemon::start(kind, "limits.login_refuse_after = 3\nlimits.login_delay_ms = 0");
    let (user, password) = LOGIN;
    assert_eq!(told(daemon.connect(), user, password), "OK");
    for name in [user, "nobody"] {
        let answers: Vec<String> =
            (0..5).map(|guess| told(daemon.connect(), name, &format!("guess {guess}"))).collect();
        assert_eq!(
            answers,
            [WRONG, WRONG, WRONG, REFUSED, REFUSED],
            "the same, whether there is such a user"
        );
    }
    daemon.wait_for_log("logins are refused as this user from this address, but for those remembered");
    daemon.wait_for_log("logins are refused as this user from addresses unknown");
    assert_eq!(told(daemon.connect(), user, password), "OK");
}

/// A daemon on a network of its own, in which whole networks are this host.
struct Elsewhere(Daemon);

impl Elsewhere {
    /// `None` where we may not make networks.
    fn start(kind: Kind, toml: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("SKIPPED: only root can make a network");
            return None;
        }
        let script = "ip link set lo up && ip address add 192.0.2.0/24 dev lo && for host in 7::1 7::2 7::3 f::1; do \
                      ip address add 2001:db8:0:$host dev lo nodad; done && exec \"$@\" --listen '[::]:3905'";
        let through = ["unshare", "--net", "sh", "-c", script, "sh"].map(Into::into).to_vec();
        Some(Self(Daemon::start_as(kind, toml, Launch { through, ..Launch::default() }, |_| {})))
    }

    /// A connection from this address, which stands for another host's.
    fn connect(&self, address: &str) -> TcpStream {
        let network = File::open(format!("/proc/{}/ns/net", self.0.process())).expect("it runs");
        let from: IpAddr = address.parse().expect("an address");
        let to = match from {
            IpAddr::V4(_) => "192.0.2.200:3905",
            IpAddr::V6(_) => "[2001:db8:0:f::1]:3905",
        };
        let to: SocketAddr = to.parse().expect("an address");
        // The network is the thread's.
        let connect = thread::spawn(move || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("we are root");
            let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).expect("a socket");
            socket.bind(&SocketAddr::new(from, 0).into()).expect("an address of this network");
            socket.connect(&to.into()).expect("the daemon listens");
            socket.into()
        });
        let stream: TcpStream = connect.join().expect("no panic");
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        stream
    }
}

fn an_address_has_its_share_and_its_failures_are_its_own(kind: Kind) {
    let settings = "allow_plaintext = true\n[limits]\nconnections_per_address = 2\nlogin_refuse_after = 3\n\
                    login_delay_ms = 0\n";
    let Some(daemon) = Elsewhere::start(kind, settings) else { return };
    let (user, password) = LOGIN;
    let crowded = |address: &str| match Client::greet(daemon.connect(address)) {
        Err(ClientError::Bye(text)) => text,
        other => panic!("{:?}", other.err()),
    };
    let mut inside = [Client::login(daemon.connect("192.0.2.1")), Client::login(daemon.connect("192.0.2.1"))]
        .map(|client| client.expect("there is room"));
    assert_eq!(crowded("192.0.2.1"), "too many connections from your address");
    daemon.0.wait_for_log("refused: too many connections (limits.connections_per_address)");
    let network = ["2001:db8:0:7::1", "2001:db8:0:7::2"].map(|address| daemon.connect(address));
    assert_eq!(
        crowded("2001:db8:0:7::3"),
        "too many connections from your address",
        "a network is an address"
    );
    drop(network);

    // One host tries many users, and then the one that there is.
    for name in ["a", "b", "c"] {
        assert_eq!(told(daemon.connect("192.0.2.66"), name, "guess"), WRONG);
    }
    assert_eq!(told(daemon.connect("192.0.2.66"), user, password), REFUSED, "and remembered it is, too");
    // Many hosts try that one.
    for last in 70..73 {
        assert_eq!(told(daemon.connect(&format!("192.0.2.{last}")), user, "guess"), WRONG);
    }
    assert_eq!(told(daemon.connect("192.0.2.80"), user, password), REFUSED);
    for client in &mut inside {
        client.noop().expect("who is in stays in");
    }
    drop(inside);
    daemon.0.wait_for_log("logins are refused from this address address=192.0.2.66");
    let home = || daemon.connect("192.0.2.1");
    // A connection's place is given back when nothing is left of it, and nothing tells when that is.
    let answer = std::iter::repeat_with(|| told(home(), user, password))
        .find(|answer| !answer.contains("connections"));
    assert_eq!(answer.as_deref(), Some("OK"), "whoever is known at an address is not locked out");
}
