//! What the process may open and call from here on: Landlock and seccomp, as far as the kernel has them.
//!
//! Both count for the calling thread and those it starts, and cost nothing that can be measured: Landlock looks at files
//! as they are opened, and the kernel remembers of each system call that the filter always allows it.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use tracing::{info, warn};

use crate::config::Config;

/// The newest Landlock that this knows how to use; of older ones it uses what there is.
const NEWEST: ABI = ABI::V5;

/// What nobody here calls, and whoever has broken in would like to: other programs, other processes, the machine.
const CALLS: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_acct,
];

/// What the resolver of the system reads to find the address of a name.
const RESOLVER: [&str; 5] =
    ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf"];

/// Where name servers answer what does not fit into a datagram.
const DNS_PORT: u16 = 53;

/// Which files a daemon needs once it serves, and where it connects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The data directory: everything but programs.
    data_dir: PathBuf,
    /// Folders of the configuration and of TLS: reading.
    read: BTreeSet<PathBuf>,
    /// Folders of Unix sockets: removing them at the end.
    remove: BTreeSet<PathBuf>,
    /// Files of the resolver, each by itself: reading.
    look: Vec<PathBuf>,
    /// Ports that it connects to.
    connect: Vec<u16>,
}

impl Reach {
    /// What this configuration, from this file, needs.
    pub fn of<'a>(config: &Config, file: Option<&Path>, sockets: impl IntoIterator<Item = &'a Path>) -> Self {
        let tls = &config.tls;
        let upstream = &config.upstream;
        let files = [
            file,
            tls.certificate.as_deref(),
            tls.key.as_deref(),
            tls.client_ca.as_deref(),
            upstream.password_file.as_deref(),
            upstream.ca.as_deref(),
        ];
        let mut connect: Vec<u16> = upstream.host.iter().map(|host| host.port).collect();
        let mut look = Vec::new();
        if upstream.host.as_ref().is_some_and(|host| host.name.parse::<IpAddr>().is_err()) {
            connect.push(DNS_PORT);
            look.extend(RESOLVER.map(PathBuf::from));
        }
        Self {
            look,
            connect,
            data_dir: config.data_dir.clone(),
            read: files.into_iter().flatten().flat_map(folders).collect(),
            remove: sockets.into_iter().map(folder).collect(),
        }
    }

    /// A folder that `other` has to read and this one does not reach.
    pub fn beyond<'a>(&self, other: &'a Self) -> Option<&'a Path> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let ours: Vec<_> = self.read.iter().chain([&self.data_dir]).map(|path| real(path)).collect();
        let reached = |path: &Path| ours.iter().any(|ours| real(path).starts_with(ours));
        other.read.iter().map(PathBuf::as_path).find(|path| !reached(path))
    }
}

/// Where a file is, and where the file is that it is a link to: certificates are renewed by changing links.
fn folders(path: &Path) -> impl Iterator<Item = PathBuf> {
    let real = path.canonicalize().ok();
    [Some(folder(path)), real.as_deref().map(folder)].into_iter().flatten()
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Reach no further than this, and call nothing of `CALLS`. What the kernel does not have is left out, and logged.
pub fn confine(reach: &Reach) {
    let files = match restrict(reach) {
        Ok(status) => match status.ruleset {
            RulesetStatus::FullyEnforced => "confined",
            RulesetStatus::PartiallyEnforced => "confined as far as this kernel can",
            RulesetStatus::NotEnforced => "not confined: this kernel has no Landlock",
        },
        Err(error) => {
            warn!(%error, "files cannot be confined by Landlock");
            "not confined"
        }
    };
    let calls = match filter()
        .and_then(|filter| seccompiler::apply_filter(&filter).map_err(|error| error.to_string()))
    {
        Ok(()) => "confined",
        Err(error) => {
            warn!(error, "system calls cannot be confined by seccomp");
            "not confined"
        }
    };
    info!(files, calls, "sandbox");
}

fn restrict(reach: &Reach) -> Result<RestrictionStatus, RulesetError> {
    let nothing_of = AccessFs::Execute
        | AccessFs::MakeChar
        | AccessFs::MakeBlock
        | AccessFs::MakeFifo
        | AccessFs::MakeSock
        | AccessFs::MakeSym
        | AccessFs::IoctlDev;
    let all = AccessFs::from_all(NEWEST);
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // Addresses are bound by now, and only a replica connects to any.
    let mut rules =
        Ruleset::default().handle_access(all)?.handle_access(AccessNet::from_all(NEWEST))?.create()?;
    let mut allow = |path: &Path, access: BitFlags<AccessFs>| -> Result<(), RulesetError> {
        // A folder that is not there now cannot be named; nothing in it can be opened.
        if let Ok(folder) = PathFd::new(path) {
            (&mut rules).add_rule(PathBeneath::new(folder, access))?;
        }
        Ok(())
    };
    allow(&reach.data_dir, all & !nothing_of)?;
    for folder in &reach.read {
        allow(folder, read)?;
    }
    for file in &reach.look {
        allow(file, AccessFs::ReadFile.into())?;
    }
    for folder in &reach.remove {
        allow(folder, AccessFs::RemoveFile.into())?;
    }
    for port in &reach.connect {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    rules.restrict_self()
}

fn filter() -> Result<BpfProgram, String> {
    let rules = CALLS.iter().map(|call| (*call, Vec::new())).collect();
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().map_err(|_| "not for this processor".to_owned())?;
    SeccompFilter::new(rules, SeccompAction::Allow, refused, arch)
        .and_then(BpfProgram::try_from)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::{fs, net::TcpListener, os::unix::fs::symlink, process::Command, thread};

    use super::*;

    #[test]
    fn a_thread_that_is_confined_gets_at_its_data_and_nothing_else() {
        let (dir, other) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("another"));
        let (data, tls, real) = (dir.path().join("data"), dir.path().join("tls"), other.path().join("real"));
        for folder in [&data, &tls, &real] {
            fs::create_dir(folder).expect("ours");
        }
        fs::write(real.join("key.1"), "key").expect("ours");
        symlink(real.join("key.1"), tls.join("key.pem")).expect("ours");
        let text = format!("tls.certificate = '{0}/key.pem'\ntls.key = '{0}/key.pem'", tls.display());
        let config = Config { data_dir: data.clone(), ..Config::parse(&text).expect("settings") };
        let reach = Reach::of(&config, None, []);
        let moved = format!("tls.certificate = '{0}/c.pem'\ntls.key = '{0}/c.pem'", other.path().display());
        let moved = Reach::of(&Config::parse(&moved).expect("settings"), None, []);
        assert_eq!((reach.beyond(&reach), reach.beyond(&moved)), (None, Some(other.path())));
        fs::write(other.path().join("secret"), "secret").expect("ours");
        // What it may do is the thread's own affair.
        let confined = thread::spawn(move || {
            // As the daemon does before.
            rustix::thread::set_no_new_privs(true).expect("always allowed");
            match restrict(&reach) {
                Ok(status) if status.ruleset == RulesetStatus::NotEnforced => {
                    println!("SKIPPED: no Landlock here")
                }
                status => {
                    status.expect("rules");
                    fs::write(data.join("new"), "x").expect("its own");
                    fs::rename(data.join("new"), data.join("users")).expect("its own");
                    fs::remove_file(data.join("users")).expect("its own");
                    assert_eq!(fs::read_to_string(tls.join("key.pem")).expect("allowed"), "key");
                    fs::write(real.join("key.2"), "x").expect_err("only to be read");
                    fs::read_to_string(other.path().join("secret")).expect_err("nothing of its");
                    fs::read_dir("/").expect_err("nothing of its");
                }
            }
            seccompiler::apply_filter(&filter().expect("a filter")).expect("the kernel has it");
            Command::new("/bin/true").status().expect_err("it becomes no other program");
            let root = rustix::process::chroot("/").expect_err("it has no other root");
            assert_eq!(root, rustix::io::Errno::PERM);
        });
        confined.join().expect("no panic");
        TcpListener::bind("127.0.0.1:0").expect("others are as free as they were");
    }
}
