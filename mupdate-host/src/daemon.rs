//! From a command line to a daemon that serves, and to its end: the same for every runtime.
//!
//! The order matters. What can be refused is looked at before anything is made: first the configuration (by
//! [`cli`](crate::cli)), then the addresses, then the data directory, and the first user last. Whatever needs root comes
//! before root is given up, and no thread is started before that.

use std::{
    io,
    num::NonZero,
    process,
    sync::{Arc, OnceLock},
    thread::available_parallelism,
    time::{Duration, SystemTime},
};

use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};
use tracing::{error, info, warn};

use crate::{
    admin::{Admin, AdminListeners, AdminServer, Board},
    cli::Serve,
    config::Config,
    exit::{Code, Fatal},
    listen::{Listener, Listeners, SocketFiles},
    manager::{Ask, Manager, Pulse},
    privileges::{self, Account, Reach},
    service::{Service, unopened, unreadable},
    store,
    tls::Tls,
    users::Users,
};

/// How long connections may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(10);

/// How long those of the admin interface may take, when all others have left.
const ADMIN_FAREWELL: Duration = Duration::from_secs(2);

/// What the process exits with at the second SIGTERM or SIGINT: `EX_TEMPFAIL` of sysexits(3), as what was in flight
/// may not have been answered.
pub const IMPATIENT: i32 = 75;

/// Files that are open beside those of connections: the store, signals, logs, listeners, the admin interface.
const OTHER_FILES: u64 = 64;

/// What an operator sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: end in good order.
    Stop,
    /// SIGHUP: read configuration and users again.
    Reload,
}

/// How connections are waited for.
pub trait Runtime {
    /// Open files that a connection costs.
    const FILES: u64;

    /// Accept and serve connections from now on, in the background.
    ///
    /// # Errors
    /// The system has no means for it.
    fn serve(&mut self, service: &Arc<Service>, listeners: Vec<Listener>) -> io::Result<()>;

    /// How to find out whether those who accept connections live. Once [`stop_accepting`](Self::stop_accepting) was called,
    /// there is nobody to be asked.
    fn ask(&self) -> Ask;

    /// Wait for the next signal. From the making of the runtime on none is lost, and the second [`Signal::Stop`]
    /// ends the process at once with [`IMPATIENT`].
    ///
    /// # Errors
    /// The system has no means for it.
    fn wait(&mut self) -> io::Result<Signal>;

    /// Accept nobody else.
    fn stop_accepting(&mut self);
}

/// Serve until a signal says stop.
///
/// # Errors
/// What keeps the daemon from starting.
pub fn run<R: Runtime>(serve: Serve, runtime: impl FnOnce() -> io::Result<R>) -> Result<(), Fatal> {
    let manager = Manager::of_environment();
    let ended = serve_until_stopped(serve, runtime, &manager);
    if let Err(fatal) = &ended {
        manager.status(&fatal.message);
    }
    ended
}

fn serve_until_stopped<R: Runtime>(
    mut serve: Serve,
    runtime: impl FnOnce() -> io::Result<R>,
    manager: &Manager,
) -> Result<(), Fatal> {
    manager.status("starting");
    let config = &serve.config;
    let account = Account::to_become(config)?;
    privileges::make_nothing_for_others();
    let files_allowed = raise_open_files();
    let Listeners { sockets, addresses, mut files } =
        Listeners::bind(&config.listen, &config.listen_tls, &mut serve.passed)?;
    store::make_dir(&config.data_dir).map_err(|error| unopened(&error))?;
    let admin = AdminListeners::bind(config, &mut files, &mut serve.passed)?;
    give_up_root(account.as_ref(), config, &files)?;
    for warning in privileges::data_dir_warnings(&config.data_dir) {
        warn!("{warning}");
    }
    // Asked for before the files are out of reach that tell.
    processors();
    let reach = config.sandbox.then(|| Reach::of(config, serve.source.file.as_deref(), files.paths()));
    if let Some(reach) = &reach {
        privileges::confine(reach);
    }
    let mut runtime = runtime().map_err(|error| no_means("wait for signals", &error))?;
    let files = Arc::new(files);
    let capacity = capacity(files_allowed, R::FILES);
    let (service, first_user) =
        Service::open(config, capacity, dying(serve.program, Arc::clone(&files)), manager.progress())?;
    service.metrics.set_program(serve.program);
    let names = service.store.census().map_err(|error| unreadable(&error))?.all();
    runtime.serve(&service, sockets).map_err(|error| no_means("start serving", &error))?;
    let about = Admin {
        service: Arc::clone(&service),
        program: serve.program,
        data_dir: config.data_dir.clone(),
        started: SystemTime::now(),
        board: Board::default(),
    };
    if !admin.sockets.is_empty() {
        info!(at = admin.addresses.join(" "), "the admin interface is there");
    }
    let admin = AdminServer::start(about, admin.sockets)
        .map_err(|error| no_means("serve the admin interface", &error))?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        listen = addresses.join(" "),
        data_dir = %config.data_dir.display(),
        mailboxes = names.active,
        reservations = names.reserved,
        policy = %config.policy,
        "{} serves as {}", serve.program, config.server_name
    );
    if let Some(tls) = &service.settings().tls {
        tls.log_remarks();
    }
    if capacity < config.limits.connections {
        warn!(
            capacity,
            files_allowed, "fewer connections than limits.connections: raise the limit of open files"
        );
    }
    if let Some(warning) = privileges::config_warning(serve.source.file.as_deref()) {
        warn!("{warning}");
    }
    if let Some(user) = first_user {
        user.announce(&config.server_name, serve.passed.with(config).port());
    }
    let pulse = Pulse::start(manager, &service, runtime.ask())
        .map_err(|error| no_means("prove that it lives", &error))?;
    while runtime.wait().map_err(|error| no_means("wait for signals", &error))? == Signal::Reload {
        manager.reloading();
        reload(&mut serve, &service, reach.as_ref());
        pulse.reloaded();
    }
    manager.stopping();
    info!(connections = service.connections.count(), "stopping");
    runtime.stop_accepting();
    service.connections.shutdown();
    // What was said before it came to this is answered still; who only listens has heard everything.
    admin.close();
    let left = service.connections.wait_until_empty(FAREWELL);
    if left > 0 {
        warn!(connections = left, "some connections take no farewell and are dropped");
    }
    pulse.stop();
    service.stop_following();
    service.writer.stop();
    admin.stop(ADMIN_FAREWELL);
    files.remove();
    info!("stopped");
    Ok(())
}

/// Become whom the configuration names, if it names somebody, and let nobody look into what this process keeps.
fn give_up_root(account: Option<&Account>, config: &Config, sockets: &SocketFiles) -> Result<(), Fatal> {
    match account {
        Some(account) => {
            privileges::hand_over(&config.data_dir, sockets.paths(), account)?;
            account.become_for_good()?;
        }
        None if geteuid().is_root() => {
            warn!("running as root, which nothing here needs: set `user`, or start it as another user");
        }
        None => {}
    }
    privileges::keep_secrets();
    Ok(())
}

/// All or nothing: a mistake in one file leaves everything as it was.
fn reload(serve: &mut Serve, service: &Service, reach: Option<&Reach>) {
    match try_reload(serve, service, reach) {
        Ok(waiting) if waiting.is_empty() => {}
        Ok(waiting) => {
            warn!(settings = waiting.join(", "), "changed, but kept as they are until a restart");
        }
        Err(error) => error!("nothing was reloaded: {error}"),
    }
}

/// Everything is read before anything is taken over. Returns the settings that wait for a restart.
fn try_reload(
    serve: &mut Serve,
    service: &Service,
    reach: Option<&Reach>,
) -> Result<Vec<&'static str>, Fatal> {
    let users = Users::load(&serve.config.data_dir)?;
    let (config, waiting) = serve.reread()?;
    let needed = Reach::of(&config, serve.source.file.as_deref(), []);
    if let Some(folder) = reach.and_then(|reach| reach.beyond(&needed)) {
        let text = format!("{} is out of reach since the start (sandbox); restart instead", folder.display());
        return Err(Fatal::new(Code::NoPerm, text));
    }
    let tls = Tls::load(&config, service.settings().tls.as_ref())?;
    if let Some(tls) = &tls {
        tls.log_remarks();
    }
    let count = users.len();
    service.reload(&config, users, tls);
    serve.adopt(config);
    // Only now: who waits for this line counts on what it says.
    info!(users = count, "reloaded the configuration and the users");
    Ok(waiting)
}

/// What the writer calls when nobody knows what is on the disk. Nobody may be answered any more, so the process ends
/// without goodbye.
fn dying(program: &'static str, files: Arc<SocketFiles>) -> Box<dyn FnOnce(&str) + Send> {
    Box::new(move |text| {
        files.remove();
        eprintln!("{program}: {text}");
        process::exit(Code::IoErr.number().into());
    })
}

/// Have as many open files as the system allows, and say how many that is; `None` is without limit. The
/// traditional limit of 1024 is less than a large murder needs.
fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// How many processors this process may use. The first answer is kept: part of it stands in files.
pub fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| available_parallelism().map_or(1, NonZero::get))
}

/// How many connections the open files suffice for, at `each` files a connection.
fn capacity(files_allowed: Option<u64>, each: u64) -> usize {
    let files = files_allowed.unwrap_or(u64::MAX).saturating_sub(OTHER_FILES);
    usize::try_from(files / each).unwrap_or(usize::MAX).max(1)
}

fn no_means(what: &str, error: &io::Error) -> Fatal {
    Fatal::new(
        Code::OsErr,
        format!("cannot {what}: {error}; are there enough threads, open files and memory?"),
    )
}
