//! Mounts that nobody else sees and that do not outlive us, and groups of processes with limits.

use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{self, Command},
};

/// Set inside of the mount namespace.
const INSIDE: &str = "MUPDATE_TORTURE_INSIDE";

/// Becomes this program again in a mount namespace of its own, where that is allowed.
pub fn enter() {
    if can_mount() || !rustix::process::geteuid().is_root() {
        return;
    }
    // It returns only if it fails; then there are no mounts, and tests that need them say so.
    let _failed = Command::new("unshare")
        .args(["--mount", "--"])
        .arg(env::current_exe().expect("a running program has a path"))
        .args(env::args_os().skip(1))
        .env(INSIDE, "yes")
        .exec();
}

/// Are we where mounts can be made?
pub fn can_mount() -> bool {
    env::var_os(INSIDE).is_some()
}

/// A mount, undone when dropped.
pub struct Mount(PathBuf);

impl Mount {
    /// A small disk in memory with what is in this directory.
    pub fn small_disk(at: &Path, octets: u64) -> Self {
        let files = contents(at);
        mount(&["-t", "tmpfs", "-o", &format!("size={octets},mode=0700"), "tmpfs"], at);
        for (name, octets) in files {
            fs::write(at.join(name), octets).expect("there is room");
        }
        Self(at.to_owned())
    }

    /// This directory, as it is, where nothing can be written.
    pub fn read_only(at: &Path) -> Self {
        let path = at.to_str().expect("text");
        mount(&["--bind", path], at);
        mount(&["-o", "remount,ro,bind"], at);
        Self(at.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str], at: &Path) {
    let status = Command::new("mount").args(arguments).arg(at).status().expect("mount is there");
    assert!(status.success(), "mount {arguments:?} {} failed", at.display());
}

fn contents(folder: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let entries =
        fs::read_dir(folder).expect("a folder of ours").map(|entry| entry.expect("a folder of ours"));
    entries.map(|entry| (entry.file_name(), fs::read(entry.path()).expect("a file of ours"))).collect()
}

/// A control group, removed when dropped.
pub struct Group {
    folder: PathBuf,
    one_tree: bool,
}

impl Group {
    /// One for this controller; `None` where there is none to be had.
    pub fn new(controller: &str) -> Option<Self> {
        let name = format!("mupdate-torture-{}", process::id());
        let own_tree = Path::new("/sys/fs/cgroup").join(controller);
        let one_tree = !own_tree.is_dir();
        let folder = if one_tree { Path::new("/sys/fs/cgroup").join(name) } else { own_tree.join(name) };
        fs::create_dir(&folder).ok()?;
        let group = Self { folder, one_tree };
        let limit = if one_tree { format!("{controller}.max") } else { group.file(controller).into() };
        group.folder.join(limit).exists().then_some(group)
    }

    /// How many threads there may be, or how many octets of memory.
    pub fn limit(&self, controller: &str, most: u64) {
        let file = if self.one_tree { format!("{controller}.max") } else { self.file(controller).into() };
        fs::write(self.folder.join(file), most.to_string()).expect("the group is ours");
    }

    /// Puts a process into it with all of its threads.
    pub fn take(&self, process: u32) {
        fs::write(self.folder.join("cgroup.procs"), process.to_string()).expect("the group is ours");
    }

    fn file(&self, controller: &str) -> &'static str {
        if controller == "memory" { "memory.limit_in_bytes" } else { "pids.max" }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}
