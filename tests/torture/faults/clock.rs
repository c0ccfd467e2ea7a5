//! A wall clock that jumps. The daemons measure time with the monotonic clock and only write dates with the other.

use mupdate_tests::{
    client::{Client, Row, activate},
    daemon::{Kind, Signal},
};

use super::{login, shimmed};

/// Seconds that the clock jumps by: a day, years, and back to before 1970.
const JUMPS: [i64; 6] = [86_400, 500_000_000, -86_400, -1_000_000_000, -3_000_000_000, 0];

/// Nobody is cut off, no answer changes, and the log goes on.
pub fn jumps(kind: Kind) {
    let settings = "limits.login_seconds = 60\nlimits.idle_seconds = 60\nlimits.stall_seconds = 60\n";
    let (mut daemon, shim) = shimmed(kind, settings);
    let (mut waiting, _) = Client::greet(daemon.connect()).expect("it serves");
    let mut idle = login(&daemon);
    let mut stream = login(&daemon);
    stream.update(&[]).expect("UPDATE works");
    let mut writer = login(&daemon);
    for (number, seconds) in JUMPS.into_iter().enumerate() {
        shim.shift_clock(seconds);
        let name = format!("user.{number}");
        writer.activate(&name, "be1!default", "a").expect("it serves");
        assert_eq!(stream.streamed().expect("it is sent"), Row::mailbox(&name, "be1!default", "a"));
        assert!(login(&daemon).find(&name).expect("FIND works").is_some());
        daemon.signal(Signal::HUP);
        daemon.wait_for_logs("reloaded", number + 1);
    }
    waiting.authenticate("murder", "secret").expect("there was time left");
    idle.send(activate("user.idle", "be1!default", "a"));
    idle.answer().expect("it was not idle for long");
    assert!(daemon.terminate().success());
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
    // A clock that is wrong from the start on is no reason not to start.
    shim.shift_clock(-3_000_000_000);
    daemon.start_again();
    assert_eq!(login(&daemon).list(None).expect("LIST works").len(), JUMPS.len() + 1);
}
