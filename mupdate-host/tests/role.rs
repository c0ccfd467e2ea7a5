//! Promotion and demotion: what is refused, what is durable, and what becomes of changes.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use mupdate_core::{
    directory::Action,
    server::{Reply, Ticket},
};
use mupdate_host::{
    admin::api::UpstreamState,
    config::Config,
    inbox::Inbox,
    service::Service,
    store::Progress,
    writer::{Job, Origin},
};
use mupdate_proto::{Location, MailboxName, Role};

const PATIENCE: Duration = Duration::from_secs(30);

fn open(folder: &Path, authority: &str, port: u16) -> Arc<Service> {
    fs::write(folder.join("password"), "secret").expect("ours");
    let text = format!(
        "data_dir = '{0}/data'\nauthority = '{authority}'\nstore.map_size = '64MiB'\n[upstream]\n\
         host = '127.0.0.1:{port}'\nuser = 'u'\npassword_file = '{0}/password'\nnoop_ms = 50\nretry_ms = 10\nretry_max_ms = 20",
        folder.display()
    );
    let config = Config::parse(&text).expect("settings");
    Service::open(&config, 10, Box::new(|text| panic!("{text}")), Progress::default()).expect("a service").0
}

fn close(service: &Arc<Service>) {
    service.stop_following();
    service.writer.stop();
}

/// Whether a change is taken.
fn reserve(service: &Service, name: &str) -> Reply {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let inbox = Inbox::new(Box::new(move || {
        let _ = tell.lock().expect("no panic").send(());
    }));
    let action = Action::Reserve {
        mailbox: MailboxName::new(name.to_owned()).expect("legal"),
        location: Location::new("be1!p").expect("legal"),
    };
    let origin = Origin { principal: "test".into(), peer: "test".into() };
    let ticket: Ticket = 1.into();
    service.writer.submit(Job::Action { action, origin, ticket, inbox: Arc::clone(&inbox) });
    told.recv_timeout(PATIENCE).expect("an answer");
    inbox.take().replies.pop().expect("an answer").1
}

const TAKEN: Reply = Reply::Submitted(Ok(()));

/// Waits until the replica has everything.
fn in_sync(service: &Service) {
    let started = std::time::Instant::now();
    while service.upstream().expect("there is one").status().state != UpstreamState::Following {
        assert!(started.elapsed() < PATIENCE, "{:?}", service.upstream().expect("there is one").status());
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// A master that has one mailbox and answers whatever it is asked, with this role, until the connection ends.
fn serve(stream: &mut TcpStream, role: &str) {
    let greeted = write!(stream, "* AUTH \"PLAIN\"\r\n* OK MUPDATE \"m\" \"Cyrus\" \"3\" \"{role}\"\r\n");
    if greeted.is_err() {
        return;
    }
    let lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
    for line in lines.map_while(Result::ok) {
        let mut words = line.split(' ');
        let (Some(tag), Some(verb)) = (words.next(), words.next()) else { continue };
        let answer = match verb {
            "AUTHENTICATE" | "NOOP" => String::new(),
            "UPDATE" => format!("{tag} RESERVE \"user.a\" \"be1!p\"\r\n"),
            _ => continue,
        };
        if write!(stream, "{answer}{tag} OK \"done\"\r\n").is_err() {
            return;
        }
    }
}

/// Serves everybody; the port, and what it says to be from the next connection on. It ends when told to be nothing.
fn master() -> (u16, Arc<Mutex<&'static str>>) {
    let role = Arc::new(Mutex::new("(master)"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (port, says) = (listener.local_addr().expect("bound").port(), Arc::clone(&role));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let says = *says.lock().expect("no panic");
            if says.is_empty() {
                return;
            }
            thread::spawn(move || serve(&mut stream.expect("a connection"), says));
        }
    });
    (port, role)
}

#[test]
fn a_replica_is_promoted_when_that_makes_no_second_master() {
    let folder = tempfile::tempdir().expect("a folder");
    let nobody =
        TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let service = open(folder.path(), "upstream", nobody);
    assert_eq!(service.role(), Role::Replica("mupdate://127.0.0.1".into()));
    assert!(service.promote(false).is_err_and(|reason| reason.contains("never had everything")));
    assert_eq!(reserve(&service, "user.x"), Reply::Failed("read-only session".into()));
    close(&service);
    drop(service);

    let (port, says) = master();
    let service = open(folder.path(), "upstream", port);
    in_sync(&service);
    assert!(service.promote(false).is_err_and(|reason| reason.contains("is a master and takes changes")));
    assert_eq!(
        reserve(&service, "user.x"),
        Reply::Failed("read-only session".into()),
        "it goes on as it was"
    );
    // The master is demoted: its last changes are had, on the open connection or on a new one.
    *says.lock().expect("no panic") = "mupdate://here";
    service.promote(false).expect("nothing is in the way");
    assert_eq!((service.role(), reserve(&service, "user.x")), (Role::Master, TAKEN));
    assert!(service.promote(false).is_err_and(|reason| reason.contains("already")));
    close(&service);
    drop(service);

    // A restart changes nothing of that, and neither does the master that is there still.
    let service = open(folder.path(), "upstream", port);
    assert_eq!((service.role(), reserve(&service, "user.y")), (Role::Master, TAKEN));
    // Until the configuration says something else, and then the old word again: that is a new word.
    *says.lock().expect("no panic") = "(master)";
    service.demote().expect("there is a master to follow");
    assert_eq!(reserve(&service, "user.z"), Reply::Failed("read-only session".into()));
    in_sync(&service);
    close(&service);
    drop(service);
    let service = open(folder.path(), "local", port);
    assert_eq!((service.role(), reserve(&service, "user.z")), (Role::Master, TAKEN));
    close(&service);
}

/// A former master whose configuration makes it a replica again must not come up as a master.
#[test]
fn what_the_configuration_has_overruled_does_not_count_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let nobody =
        TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let service = open(folder.path(), "upstream", nobody);
    service.promote(true).expect("forced");
    close(&service);
    drop(service);
    for (authority, is) in [
        ("upstream", Role::Master),
        ("local", Role::Master),
        ("upstream", Role::Replica("mupdate://127.0.0.1".into())),
    ] {
        let service = open(folder.path(), authority, nobody);
        assert_eq!(service.role(), is, "{authority}");
        close(&service);
    }
}

#[test]
fn a_master_is_demoted_and_comes_back_by_force() {
    let folder = tempfile::tempdir().expect("a folder");
    let (port, says) = master();
    *says.lock().expect("no panic") = "mupdate://here";
    let service = open(folder.path(), "local", port);
    assert_eq!(reserve(&service, "user.mine"), TAKEN);
    service.demote().expect("there is somebody to follow");
    assert!(service.demote().is_err_and(|reason| reason.contains("replica already")));
    close(&service);
    drop(service);
    let service = open(folder.path(), "local", port);
    assert_eq!(service.role(), Role::Replica("mupdate://127.0.0.1".into()), "a restart changes nothing");
    // Nobody else has become the master meanwhile, and what it had it has.
    service.promote(true).expect("forced");
    assert_eq!((service.role(), reserve(&service, "user.mine")), (Role::Master, TAKEN));
    assert_eq!(
        service.store.census().expect("readable").all().reserved,
        1,
        "nothing was taken over from a replica"
    );
    close(&service);
}
