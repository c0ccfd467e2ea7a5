//! Faults on demand under a daemon: the other side of `shim.c`, which is built here.

use std::{
    env,
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
    SettleDelay,
    Offset,
    Phase,
    Settling,
    Syncs,
    Settled,
    Failed,
    End,
}

/// Calls that can fail, on the data file where nothing else is said.
#[derive(Debug, Clone, Copy)]
#[repr(i64)]
pub enum Call {
    /// Writing pages.
    Write = 1,
    /// Writing the first two pages, which makes a transaction the current one.
    Meta = 2,
    /// fdatasync and fsync.
    Sync = 4,
    /// Starting a thread.
    Thread = 8,
    /// Writing to the redo log.
    LogWrite = 16,
    /// fdatasync and fsync of the redo log.
    LogSync = 32,
}

/// What the writer is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing has been written since the last commit.
    Idle,
    /// A record or pages are written.
    Writing,
    /// What was written is on its way to the disk.
    Syncing,
    /// The transaction becomes the current one.
    Committing,
}

/// A shim for one program.
pub struct Shim {
    /// `None` if it is under this program itself.
    folder: Option<TempDir>,
    control: File,
}

/// The variable that names the shared numbers.
const CONTROL: &str = "MUPDATE_SHIM";

/// The variable that names the journal.
const JOURNAL: &str = "MUPDATE_SHIM_JOURNAL";

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
        Self { folder: Some(folder), control }
    }

    /// The one that is under this program, and its journal, if it keeps one.
    ///
    /// # Panics
    /// What its variables name cannot be opened.
    pub fn under_us() -> Option<(Self, Option<File>)> {
        let control = OpenOptions::new().read(true).write(true).open(env::var_os(CONTROL)?);
        let journal = env::var_os(JOURNAL)
            .map(|path| OpenOptions::new().append(true).open(path).expect("the shim has made it"));
        Some((Self { folder: None, control: control.expect("the shim has mapped it") }, journal))
    }

    /// Puts it under the daemon of this data directory.
    ///
    /// # Panics
    /// It cannot be compiled.
    pub fn under(&self, launch: &mut Launch, data_dir: &Path) {
        let ours =
            |name: &OsString| !name.to_string_lossy().starts_with("MUPDATE_SHIM") && name != "LD_PRELOAD";
        launch.environment.retain(|(name, _)| ours(name));
        launch.environment.extend(self.environment(data_dir).map(|(name, value)| (name.into(), value)));
    }

    /// The variables of a program that it is put under, with the data directory whose files it looks at.
    ///
    /// # Panics
    /// It cannot be compiled.
    pub fn environment(&self, data_dir: &Path) -> [(&'static str, OsString); 3] {
        [
            ("LD_PRELOAD", library().into()),
            (CONTROL, self.folder().join("control").into()),
            ("MUPDATE_SHIM_DIR", data_dir.into()),
        ]
    }

    /// Where the journal is, if the program is told to keep one.
    pub fn journal(&self) -> PathBuf {
        self.folder().join("journal")
    }

    /// Has a program keep a new journal: one more variable.
    pub fn new_journal(&self) -> (&'static str, OsString) {
        let _ = fs::remove_file(self.journal());
        (JOURNAL, self.journal().into())
    }

    /// Has the daemon keep a new journal from its next start on.
    pub fn keep_journal(&self, launch: &mut Launch) {
        let (name, value) = self.new_journal();
        launch.environment.retain(|(other, _)| other != name);
        launch.environment.push((name.into(), value));
    }

    fn folder(&self) -> &Path {
        self.folder.as_ref().expect("it is not under us").path()
    }

    /// The calls after the next `skip` fail with this error, `times` of them or (negative) all.
    pub fn fail(&self, call: Call, skip: i64, times: i64, error: rustix::io::Errno) {
        self.set(Slot::Skip, skip);
        self.set(Slot::Times, times);
        self.set(Slot::Error, error.raw_os_error().into());
        self.set(Slot::Fail, call as i64);
    }

    /// The next write of this kind comes to an early end, as on a disk that has become full.
    pub fn write_short(&self, call: Call) {
        self.set(Slot::Skip, 0);
        self.set(Slot::Times, 1);
        self.set(Slot::Error, 0);
        self.set(Slot::Fail, call as i64);
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

    /// Syncs of anybody but the writer take longer by this.
    ///
    /// # Panics
    /// The time is some thousand years.
    pub fn delay_settling(&self, time: Duration) {
        self.set(Slot::SettleDelay, i64::try_from(time.as_micros()).expect("short"));
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

    /// Is somebody else syncing: pages that the log need not have any more?
    pub fn is_settling(&self) -> bool {
        self.get(Slot::Settling) != 0
    }

    /// Nothing is under way any more.
    pub fn forget_phase(&self) {
        self.set(Slot::Phase, 0);
        self.set(Slot::Settling, 0);
    }

    /// How many syncs of the writer there were.
    pub fn syncs(&self) -> i64 {
        self.get(Slot::Syncs)
    }

    /// How many syncs of others there were.
    pub fn settled(&self) -> i64 {
        self.get(Slot::Settled)
    }

    /// How many calls were made to fail.
    pub fn failed(&self) -> i64 {
        self.get(Slot::Failed)
    }

    /// Looks until the writer is at something; false: it does not within this time.
    pub fn await_phase(&self, wanted: impl Fn(Phase) -> bool, time: Duration) -> bool {
        Self::look_until(|| wanted(self.phase()), time)
    }

    /// Looks until somebody else syncs; false: nobody does within this time.
    pub fn await_settling(&self, time: Duration) -> bool {
        Self::look_until(|| self.is_settling(), time)
    }

    /// There is no event to wait for: the shim shares a page of memory and nothing else.
    fn look_until(happens: impl Fn() -> bool, time: Duration) -> bool {
        let until = Instant::now() + time.min(DEADLINE);
        while !happens() {
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
