//! The hostile peers: a process of its own, with the lowest priority that there is.

mod crowd;
mod floods;
mod lingerers;
mod storms;

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio, exit},
    thread,
};

use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};

use crate::scenario::SCENARIOS;

/// What makes this program the peers: `--peers NAME ADDRESS`.
pub const FLAG: &str = "--peers";

/// What the peers do, for ever. They say that all of them are there by calling what they are given.
pub type Act = fn(SocketAddr, &mut dyn FnMut()) -> !;

pub use self::{floods::*, lingerers::*, storms::*};

/// The peers at work; killed when dropped.
pub struct Peers(Child);

impl Peers {
    /// Starts them, and waits until all of them are there.
    pub fn start(name: &str, address: SocketAddr) -> Self {
        let program = env::current_exe().expect("a running program has a path");
        let mut child = Command::new(program)
            .args([FLAG, name, &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started");
        let stdout = child.stdout.take().expect("it is piped");
        let peers = Self(child);
        let said = BufReader::new(stdout).lines().next();
        assert!(said.is_some_and(|line| line.is_ok()), "the peers did not come");
        peers
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Become the peers of a scenario.
pub fn be(name: &str, address: &str) -> ! {
    nice(19).expect("less is always allowed");
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .expect("up to the maximum");
    // No peer outlives whoever measures.
    thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        exit(0);
    });
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).expect("a scenario");
    let mut present = || {
        println!("present");
        std::io::stdout().flush().expect("somebody listens");
    };
    (scenario.peers)(address.parse().expect("an address"), &mut present)
}
