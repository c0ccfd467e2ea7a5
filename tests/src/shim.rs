//! Faults on demand under a daemon: the other side of `shim.c`, which is built here.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::daemon::{DEADLINE, Launch};

/// The numbers that the shim shares with us: the same list is in `shim.c`.
#[derive(Debug, Clone, Copy)]
enum Slot {
    Fail,
    Skip,
    Times,
    Error,
    Delay,
    Offset,
    Phase,
    Syncs,
    Failed,
    End,
}

/// Calls that can fail.
#[derive(Debug, Clone, Copy)]
#[repr(i64)]
pub enum Call {
    /// Writing pages of the data file.
    Write = 1,
    /// Writing its first two pages, which makes a transaction the current one.
    Meta = 2,
    /// fdatasync and fsync of the data file.
    Sync = 4,
    /// Starting a thread.
    Thread = 8,
}

/// What the writer is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing has been written since the last commit.
    Idle,
    /// Pages are written.
    Writing,
    /// Pages are written and on their way to the disk.
    Syncing,
    /// The transaction becomes the current one.
    Committing,
}

/// A shim for one daemon.
pub struct Shim {
    folder: TempDir,
    control: File,
}

impl Shim {
    /// One that lets everything pass.
    ///
    /// # Panics
    /// The system refuses.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("control");
        let control = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let control = control.expect("the folder is ours");
        control.set_len(8 * Slot::End as u64).expect("the folder is ours");
        Self { folder, control }
    }

    /// Puts it under the daemon of this data directory.
    ///
    /// # Panics
    /// It cannot be compiled.
    pub fn under(&self, launch: &mut Launch, data_dir: &Path) {
        let pairs: [(&str, PathBuf); 3] = [
            ("LD_PRELOAD", library().to_owned()),
            ("MUPDATE_SHIM", self.folder.path().join("control")),
            ("MUPDATE_SHIM_DATA", data_dir.join("data.mdb")),
        ];
        let ours =
            |name: &OsString| !name.to_string_lossy().starts_with("MUPDATE_SHIM") && name != "LD_PRELOAD";
        launch.environment.retain(|(name, _)| ours(name));
        launch.environment.extend(pairs.map(|(name, path)| (name.into(), path.into())));
    }

    /// Where the journal is, if the daemon is told to keep one.
    pub fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// Has the daemon keep a journal from its next start on.
    pub fn keep_journal(&self, launch: &mut Launch) {
        let _ = fs::remove_file(self.journal());
        launch.environment.push(("MUPDATE_SHIM_JOURNAL".into(), self.journal().into()));
    }

    /// The calls after the next `skip` fail with this error, `times` of them or (negative) all.
    pub fn fail(&self, call: Call, skip: i64, times: i64, error: rustix::io::Errno) {
        self.set(Slot::Skip, skip);
        self.set(Slot::Times, times);
        self.set(Slot::Error, error.raw_os_error().into());
        self.set(Slot::Fail, call as i64);
    }

    /// The next write comes to an early end, as on a disk that has become full.
    pub fn write_short(&self) {
        self.set(Slot::Times, 1);
        self.set(Slot::Error, 0);
        self.set(Slot::Fail, Call::Write as i64);
    }

    /// Nothing fails any more.
    pub fn mend(&self) {
        self.set(Slot::Fail, 0);
    }

    /// Every sync takes longer by this.
    ///
    /// # Panics
    /// The time is some thousand years.
    pub fn delay(&self, time: Duration) {
        self.set(Slot::Delay, i64::try_from(time.as_micros()).expect("short"));
    }

    /// The wall clock is wrong by so many seconds.
    pub fn shift_clock(&self, seconds: i64) {
        self.set(Slot::Offset, seconds);
    }

    /// What the writer is at, or was when it was killed.
    pub fn phase(&self) -> Phase {
        match self.get(Slot::Phase) {
            1 => Phase::Writing,
            2 => Phase::Syncing,
            3 => Phase::Committing,
            _ => Phase::Idle,
        }
    }

    /// Nothing is under way any more.
    pub fn forget_phase(&self) {
        self.set(Slot::Phase, 0);
    }

    /// How many syncs there were.
    pub fn syncs(&self) -> i64 {
        self.get(Slot::Syncs)
    }

    /// How many calls were made to fail.
    pub fn failed(&self) -> i64 {
        self.get(Slot::Failed)
    }

    /// Looks until the writer is at something; false: it does not within this time. There is no event to wait for: the
    /// shim shares a page of memory and nothing else.
    pub fn await_phase(&self, wanted: impl Fn(Phase) -> bool, time: Duration) -> bool {
        let until = Instant::now() + time.min(DEADLINE);
        while !wanted(self.phase()) {
            if Instant::now() > until {
                return false;
            }
            thread::yield_now();
        }
        true
    }

    fn set(&self, slot: Slot, number: i64) {
        self.control.write_all_at(&number.to_ne_bytes(), 8 * slot as u64).expect("the file is ours");
    }

    fn get(&self, slot: Slot) -> i64 {
        let mut octets = [0; 8];
        self.control.read_exact_at(&mut octets, 8 * slot as u64).expect("the file is ours");
        i64::from_ne_bytes(octets)
    }
}

impl Default for Shim {
    fn default() -> Self {
        Self::new()
    }
}

/// The shim as a library, compiled once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = LIBRARY.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/shim.c");
        let status = Command::new("cc")
            .args(["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o"])
            .args([&path, &source])
            .arg("-ldl")
            .status()
            .expect("a C compiler is there, as LMDB needs one");
        assert!(status.success(), "the shim cannot be compiled");
        (folder, path)
    });
    path
}
