//! What the log tells of passwords: nothing, however much it is told to tell.

use std::io::{Read, Write};

use mupdate_proto::encode_base64;
use mupdate_tests::{
    daemon::{Daemon, Kind, Signal, add_user},
    on_both_daemons,
};

on_both_daemons!(no_password_gets_into_the_log);

const USER: &str = "backend";
const PASSWORD: &str = "Xq7-korrekt-Pferd";
const WRONG: &str = "Yr8-falsch-Batterie";

fn no_password_gets_into_the_log(kind: Kind) {
    let daemon =
        Daemon::start(kind, "log = \"trace\"\nlimits.login_delay_ms = 0\nlogin_cache.entries = 10\n");
    add_user(kind, &daemon.data_dir(), USER, PASSWORD);
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("reloaded");
    let plain = |password: &str| encode_base64(format!("\0{USER}\0{password}").as_bytes());
    let (user, password) = (encode_base64(USER.as_bytes()), encode_base64(PASSWORD.as_bytes()));
    let dialogues = [
        format!("A AUTHENTICATE \"PLAIN\" \"{}\"\r\nQ LOGOUT\r\n", plain(WRONG)),
        format!("A AUTHENTICATE \"PLAIN\" \"{}\"\r\nQ LOGOUT\r\n", plain(PASSWORD)),
        // Once more, from what is remembered, and in a line of its own.
        format!("A AUTHENTICATE \"PLAIN\"\r\n{}\r\nQ LOGOUT\r\n", plain(PASSWORD)),
        format!("A AUTHENTICATE \"LOGIN\"\r\n{user}\r\n{password}\r\nQ LOGOUT\r\n"),
        // Where it does not belong.
        format!(
            "A AUTHENTICATE \"PLAIN\" {PASSWORD}\r\n{PASSWORD}\r\nB LOGIN \"{USER}\" \"{PASSWORD}\"\r\nQ LOGOUT\r\n"
        ),
    ];
    let mut said = String::new();
    for dialogue in dialogues {
        let mut stream = daemon.connect();
        stream.write_all(dialogue.as_bytes()).expect("it reads");
        stream.read_to_string(&mut said).expect("it closes");
    }
    assert_eq!(said.matches("A OK \"Authenticated\"").count(), 3, "{said}");
    daemon.login().logout().expect("it serves");
    let log = daemon.log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "it tells much: {log}");
    let secrets = [PASSWORD.into(), WRONG.into(), plain(PASSWORD), plain(WRONG), password];
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} is in the log:\n{log}");
    }
}
