//! The example of `dist/keepalived`, with two real keepalived on two machines: the address follows whoever is the master.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use mupdate_tests::{
    daemon::{Daemon, Kind},
    player::LOGIN,
    tool::{ctl, run},
};

use super::murder::eventually;

/// What a failover needs beside the daemons.
const PROGRAM: &str = "/usr/sbin/keepalived";

/// Is it here?
pub fn is_there() -> bool {
    Path::new(PROGRAM).exists()
}

/// The address of the example.
const ADDRESS: &str = "192.0.2.10";

/// Where scripts lie that nobody but root can write: keepalived asks for that, of all folders above too.
const SCRIPTS: &str = "/mnt";

/// A machine: a network of its own, which ends with its process.
struct Machine {
    holder: Child,
    keepalived: Option<Child>,
}

impl Machine {
    fn new() -> Self {
        let mut holder = Command::new("unshare");
        holder.args(["--net", "--", "sh", "-c", "ip link set lo up; echo; exec sleep infinity"]);
        let mut holder = holder.stdout(Stdio::piped()).spawn().expect("unshare is there");
        let mut line = String::new();
        let out = holder.stdout.as_mut().expect("piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("it says so");
        Self { holder, keepalived: None }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.holder.id().to_string(), "--", program]);
        command
    }

    /// Runs keepalived, in the foreground.
    fn run(&mut self, configuration: &Path) {
        let folder = configuration.parent().expect("it is in a folder");
        let mut command = self.command(PROGRAM);
        command.args(["--dont-fork", "--log-console", "--use-file"]).arg(configuration);
        command.arg("--pid").arg(folder.join("pid")).arg("--vrrp_pid").arg(folder.join("vrrp.pid"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // It has children of its own, and ends them when it is told to end.
        self.keepalived = Some(command.process_group(0).spawn().expect("nsenter is there"));
    }

    fn has_the_address(&self) -> bool {
        let shown = self.command("ip").args(["-4", "address", "show", "dev", "eth0"]).output();
        String::from_utf8_lossy(&shown.expect("ip is there").stdout).contains(&format!("inet {ADDRESS}/"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for child in self.keepalived.iter_mut().chain([&mut self.holder]) {
            let group = rustix::process::Pid::from_child(child);
            let _ = rustix::process::kill_process(group, rustix::process::Signal::TERM);
            let _ = child.wait();
        }
    }
}

/// Two machines with a cable between them, each with a daemon: the address is at the master's, goes when that takes no
/// changes any more, and comes where somebody is promoted.
pub fn the_address_follows_the_master(kind: Kind) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/keepalived");
    must(Command::new("mount").args(["-t", "tmpfs", "none", SCRIPTS]));
    let script = format!("{SCRIPTS}/mupdate-is-master");
    fs::copy(example.join("mupdate-is-master"), &script).expect("it is ours");
    let text = fs::read_to_string(example.join("keepalived.conf")).expect("it is there");

    let other = "127.0.0.1:3906";
    let [first, second] =
        [("local", "127.0.0.1:3905", other), ("upstream", other, "127.0.0.1:3905")].map(|(is, at, master)| {
            let toml = format!(
                "authority = \"{is}\"\n[upstream]\nhost = \"{master}\"\nuser = \"{}\"\npassword_file = \"password\"\n\
                 retry_max_ms = 500\n",
                LOGIN.0
            );
            Daemon::start_at_on(kind, &toml, at, |data| {
                let folder = data.parent().expect("the data has a folder");
                fs::write(folder.join("password"), LOGIN.1).expect("the folder is ours");
            })
        });
    second.wait_for_log("in sync with the master");

    let mut machines = [Machine::new(), Machine::new()];
    let ends = machines.each_ref().map(|machine| machine.holder.id().to_string());
    let link =
        ["link", "add", "eth0", "netns", &ends[0], "type", "veth", "peer", "name", "eth0", "netns", &ends[1]];
    must(Command::new("ip").args(link));
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
    for (number, (machine, daemon)) in machines.iter_mut().zip([&first, &second]).enumerate() {
        must(machine.command("ip").args([
            "address",
            "add",
            &format!("198.51.100.{}/24", number + 1),
            "dev",
            "eth0",
        ]));
        must(machine.command("ip").args(["link", "set", "eth0", "up"]));
        // As whom, and which daemon: the tests' run as root, and both on this machine.
        let socket = daemon.data_dir().join("admin.sock");
        let configuration = text
            .replace("script_user mupdate ", "script_user root ")
            .replace("/usr/local/libexec/mupdate-is-master", &format!("{script} {}", socket.display()));
        let file = folders[number].path().join("keepalived.conf");
        fs::write(&file, configuration).expect("the folder is ours");
        must(machine.command(PROGRAM).arg("--config-test").arg("--use-file").arg(&file));
        machine.run(&file);
    }
    let [here, there] = &machines;
    eventually("the address is where the master is", || here.has_the_address() && !there.has_the_address());

    let ask = |daemon: &Daemon, words: &[&str]| {
        let said = run(ctl(&daemon.data_dir()).args(words).args(["--data-dir", "."]));
        assert_eq!(said.code, Some(0), "{said:?}");
    };
    ask(&first, &["demote", "--yes"]);
    eventually("nobody has the address where nobody decides", || !here.has_the_address());
    ask(&second, &["promote"]);
    eventually("the address is where the new master is", || there.has_the_address());
    assert!(!here.has_the_address());
    drop(machines);
    must(Command::new("umount").arg(SCRIPTS));
}

fn must(command: &mut Command) {
    let output = command.output().expect("the program is there");
    assert!(output.status.success(), "{command:?}: {output:?}");
}
