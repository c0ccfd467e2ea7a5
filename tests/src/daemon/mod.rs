//! The daemons as processes: started on data directories of their own, watched through their logs, ended by signals.

mod build;
mod launch;
mod log;
mod stage;

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpStream},
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use mupdate_host::config::Config;
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

use self::log::Log;
pub use self::{
    build::{binary, tool},
    launch::{Launch, Refusal},
    stage::DaemonStage,
};
use crate::{
    client::Client,
    http::Http,
    player::{self, LOGIN},
};
pub use rustix::process::Signal;

/// How long anything may take before a test gives up. Nothing is expected to take a fraction of it.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `mupdated`, a task per connection.
    Smol,
    /// `mupdated-sync`, a thread per connection.
    Sync,
}

impl Kind {
    /// Both.
    pub const ALL: [Kind; 2] = [Kind::Smol, Kind::Sync];

    /// The program's name.
    pub fn program(self) -> &'static str {
        match self {
            Kind::Smol => "mupdated",
            Kind::Sync => "mupdated-sync",
        }
    }
}

/// A running daemon with the user of [`LOGIN`], and those who have a role in its settings; killed when dropped.
pub struct Daemon {
    kind: Kind,
    child: Child,
    log: Log,
    folder: TempDir,
    listen: String,
    launch: Launch,
    address: SocketAddr,
}

/// A port that is free.
const ANYWHERE: &str = "127.0.0.1:0";

impl Daemon {
    /// Starts a daemon with these settings, on a port of its own and `socket` in its folder, and waits until it serves.
    ///
    /// # Panics
    /// It does not come up.
    pub fn start(kind: Kind, toml: &str) -> Self {
        Self::new(kind, toml, ANYWHERE, Launch::default(), |_| {})
    }

    /// As [`start`](Self::start), at this address and port.
    ///
    /// # Panics
    /// It does not come up.
    pub fn start_at(kind: Kind, toml: &str, listen: &str) -> Self {
        Self::new(kind, toml, listen, Launch::default(), |_| {})
    }

    /// As [`start`](Self::start), on a data directory that `prepare` has filled.
    ///
    /// # Panics
    /// It does not come up.
    pub fn start_on(kind: Kind, toml: &str, prepare: impl FnOnce(&Path)) -> Self {
        Self::new(kind, toml, ANYWHERE, Launch::default(), prepare)
    }

    /// As [`start_on`](Self::start_on), with the process run as `launch` says, now and at every new start.
    ///
    /// # Panics
    /// It does not come up.
    pub fn start_as(kind: Kind, toml: &str, launch: Launch, prepare: impl FnOnce(&Path)) -> Self {
        Self::new(kind, toml, ANYWHERE, launch, prepare)
    }

    /// As [`start_at`](Self::start_at), on a data directory that `prepare` has filled.
    ///
    /// # Panics
    /// It does not come up.
    pub fn start_at_on(kind: Kind, toml: &str, listen: &str, prepare: impl FnOnce(&Path)) -> Self {
        Self::new(kind, toml, listen, Launch::default(), prepare)
    }

    fn new(kind: Kind, toml: &str, listen: &str, launch: Launch, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let data = folder.path().join("data");
        fs::DirBuilder::new().mode(0o700).create(&data).expect("the folder is ours");
        let users_file = data.join("users");
        fs::write(&users_file, users(toml)).expect("the folder is ours");
        fs::set_permissions(&users_file, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        prepare(&data);
        let config = folder.path().join("mupdated.toml");
        // A sanitizer looks and writes where a daemon does not.
        let unconfined = std::env::var_os("MUPDATE_TESTS_UNCONFINED").map_or("", |_| "sandbox = false\n");
        fs::write(&config, format!("{unconfined}{toml}")).expect("the folder is ours");
        let (child, log) = launch.spawn(kind, folder.path(), listen);
        let address = launch::address(&log).unwrap_or_else(|| panic!("it does not serve:\n{}", log.text()));
        Self { kind, child, log, folder, listen: listen.into(), launch, address }
    }

    /// Starts it again after its end, with what it left behind; the port is another one, unless it was chosen.
    ///
    /// # Panics
    /// It does not come up.
    pub fn start_again(&mut self) {
        if let Err(refusal) = self.try_start_again() {
            panic!("it does not serve: {refusal}");
        }
    }

    /// As [`start_again`](Self::start_again), if it wants to.
    ///
    /// # Errors
    /// How it ended instead.
    ///
    /// # Panics
    /// It neither serves nor ends.
    pub fn try_start_again(&mut self) -> Result<(), Refusal> {
        self.start_without_waiting();
        if let Some(address) = launch::address(&self.log) {
            self.address = address;
            return Ok(());
        }
        let status = self.wait();
        Err(Refusal { status, said: self.log.text() })
    }

    /// Starts it again and does not wait until it serves: where it listens is not known then.
    pub fn start_without_waiting(&mut self) {
        (self.child, self.log) = self.launch.spawn(self.kind, self.folder.path(), &self.listen);
    }

    /// How it is run from the next start on.
    pub fn launch(&mut self) -> &mut Launch {
        &mut self.launch
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has said.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for connections that begin with TLS; `listen_tls` has to have an address.
    ///
    /// # Panics
    /// It does not listen for them.
    pub fn tls_address(&self) -> SocketAddr {
        let line = self.log.wait_for(" serves as ");
        let address = line.split([' ', '"']).find_map(|word| word.strip_suffix("/tls"));
        address.and_then(|address| address.parse().ok()).expect("listen_tls has an address")
    }

    /// Its unix socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("mupdated.toml")
    }

    /// A connection to it.
    ///
    /// # Panics
    /// It does not listen.
    pub fn connect(&self) -> TcpStream {
        self.connect_to(self.address)
    }

    /// A connection that begins with TLS; without TLS yet.
    ///
    /// # Panics
    /// It does not listen for them.
    pub fn connect_tls(&self) -> TcpStream {
        self.connect_to(self.tls_address())
    }

    fn connect_to(&self, address: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(address).expect("the daemon listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        stream.set_write_timeout(Some(DEADLINE)).expect("not zero");
        stream.set_nodelay(true).expect("a socket");
        stream
    }

    /// A connection to its unix socket.
    ///
    /// # Panics
    /// It does not listen.
    pub fn connect_unix(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).expect("the daemon listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        stream
    }

    /// A connection to its admin interface in the data directory.
    ///
    /// # Panics
    /// It does not listen.
    pub fn connect_admin(&self) -> UnixStream {
        let stream = UnixStream::connect(self.data_dir().join("admin.sock")).expect("the daemon listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        stream
    }

    /// A connection that is logged in as [`LOGIN`].
    ///
    /// # Panics
    /// It does not serve.
    pub fn login(&self) -> Client<TcpStream> {
        Client::login(self.connect()).expect("the daemon serves")
    }

    /// A connection that is logged in as this user; [everybody](player::users) has the password of [`LOGIN`].
    ///
    /// # Panics
    /// It does not serve, or does not know the user.
    pub fn login_as(&self, user: &str) -> Client<TcpStream> {
        let (mut client, _) = Client::greet(self.connect()).expect("the daemon serves");
        client.authenticate(user, LOGIN.1).expect("the user is known");
        client
    }

    /// Requests to its admin interface, on a connection to the socket in the data directory.
    ///
    /// # Panics
    /// It does not listen.
    pub fn admin(&self) -> Http<UnixStream> {
        Http::new(self.connect_admin())
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// It is no more.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a child has a number");
        kill_process(pid, signal).expect("the daemon runs");
    }

    /// Kills it at once, as a power cut would, and waits for its end.
    ///
    /// # Panics
    /// It cannot be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("the daemon runs");
        self.child.wait().expect("a child can be waited for");
    }

    /// Ends it in good order and waits for that.
    ///
    /// # Panics
    /// It does not end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It does not end.
    pub fn wait(&mut self) -> ExitStatus {
        // Its log ends when it does.
        self.log.wait_for_end();
        self.child.wait().expect("a child can be waited for")
    }

    /// Is it running?
    ///
    /// # Panics
    /// It was waited for before.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// Runs one of its program's commands on its data; the exit code, and all that it said.
    ///
    /// # Panics
    /// It cannot be run.
    pub fn tell(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(binary(self.kind))
            .args(arguments)
            .arg("--data-dir")
            .arg(self.data_dir())
            .stdin(Stdio::null())
            .output()
            .expect("the daemon was built");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Has it read its configuration and its users again, and waits for that.
    ///
    /// # Panics
    /// It does not.
    pub fn reload(&self) {
        let done = "reloaded the configuration";
        let before = self.log.text().matches(done).count();
        self.signal(Signal::HUP);
        self.wait_for_logs(done, before + 1);
    }

    /// Waits for a line of its log that holds this text.
    ///
    /// # Panics
    /// None comes.
    pub fn wait_for_log(&self, text: &str) -> String {
        self.log.wait_for(text)
    }

    /// Waits until so many lines of its log hold this text.
    ///
    /// # Panics
    /// They do not come.
    pub fn wait_for_logs(&self, text: &str, lines: usize) -> String {
        let found = self.log.find(text, lines);
        found.unwrap_or_else(|| panic!("no {lines} times \"{text}\" in the log:\n{}", self.log.text()))
    }

    /// Open files of the process.
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).map_or(0, Iterator::count)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the log of {}:\n{}", self.kind.program(), self.log.text());
        }
    }
}

/// The users file of a daemon with these settings: everybody has the password of [`LOGIN`], and what is kept of it, made
/// once by the daemon itself, says nothing of whose it is.
fn users(toml: &str) -> String {
    static RECORD: OnceLock<String> = OnceLock::new();
    let record = RECORD.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary directory");
        add_user(Kind::Smol, folder.path(), LOGIN.0, LOGIN.1);
        let file = fs::read_to_string(folder.path().join("users")).expect("it was made");
        let line = file.lines().find_map(|line| line.strip_prefix(LOGIN.0)).expect("the user has a line");
        line.to_owned()
    });
    // Settings that are wrong have nobody to log in.
    let settings = Config::parse(toml).unwrap_or_default();
    player::users(&settings).iter().map(|user| format!("{user}{record}\n")).collect()
}

/// `user add`.
///
/// # Panics
/// It fails.
pub fn add_user(kind: Kind, data_dir: &Path, name: &str, password: &str) {
    let mut child = Command::new(binary(kind))
        .args(["user", "add", name, "--data-dir"])
        .arg(data_dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the daemon was built");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(password.as_bytes()).expect("it is read");
    drop(stdin);
    assert!(child.wait().expect("a child can be waited for").success(), "user add failed");
}

/// Runs a daemon that is expected to end by itself; the exit code and what it said on standard error.
///
/// # Panics
/// It goes on running.
pub fn run_to_its_end(kind: Kind, arguments: &[&std::ffi::OsStr]) -> (Option<i32>, String) {
    let mut child = Command::new(binary(kind))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the daemon was built");
    let log = Log::follow(child.stderr.take().expect("it is piped"));
    let started = Instant::now();
    if !log.ends_within(DEADLINE) {
        let _ = child.kill();
        panic!("still running after {:?}:\n{}", started.elapsed(), log.text());
    }
    (child.wait().expect("a child can be waited for").code(), log.text())
}
