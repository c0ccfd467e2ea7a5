use super::*;

struct Listener {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Listener {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("the folder is ours");
        socket.set_nonblocking(true).expect("a socket");
        Self { socket, folder }
    }

    fn manager(&self) -> Manager {
        Manager::at(&self.folder.path().join("notify"), None).expect("it is there")
    }

    fn heard(&self) -> Option<String> {
        let mut octets = [0; 1000];
        let length = self.socket.recv(&mut octets).ok()?;
        Some(String::from_utf8_lossy(&octets[..length]).into_owned())
    }
}

#[test]
fn a_status_is_one_line_and_said_once() {
    let listener = Listener::new();
    let manager = listener.manager();
    manager.status("one\ntwo");
    assert_eq!(listener.heard().as_deref(), Some("STATUS=one two\n"));
    manager.clone().status("one\ntwo");
    assert_eq!(listener.heard(), None);
    manager.ready("one two");
    assert_eq!(listener.heard().as_deref(), Some("READY=1\n"));
    manager.alive("three");
    assert_eq!(listener.heard().as_deref(), Some("WATCHDOG=1\nSTATUS=three\n"));
    manager.stopping();
    assert_eq!(listener.heard().as_deref(), Some("STOPPING=1\nSTATUS=saying goodbye\n"));
}

#[test]
fn progress_is_told_now_and_then_and_at_the_end() {
    let listener = Listener::new();
    let progress = listener.manager().progress();
    for done in 0..100 {
        progress.tell(done, 100);
    }
    progress.tell(100, 100);
    let more = "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=checking the database:";
    assert_eq!(listener.heard(), Some(format!("{more} 0%\n")));
    assert_eq!(listener.heard(), Some(format!("{more} 100%\n")));
    assert_eq!(listener.heard(), None);
}

#[test]
fn nobody_is_told_nothing() {
    let manager = Manager::default();
    assert!(!manager.is_there());
    manager.ready("ready");
    manager.progress().tell(1, 2);
    // A manager that is gone does no harm.
    let listener = Listener::new();
    let manager = listener.manager();
    drop(listener);
    manager.ready("ready");
}

#[test]
fn an_address_is_a_path_or_a_name() {
    assert!(Manager::at(Path::new("/run/systemd/notify"), None).is_ok());
    assert!(Manager::at(Path::new("@name"), None).is_ok_and(|manager| manager.is_there()));
    for wrong in ["notify", "vsock:2:1234", ""] {
        assert!(Manager::at(Path::new(wrong), None).is_err(), "{wrong}");
    }
}
