//! Thousands of power cuts through what a store did, each at a moment of its own and with luck of its own. What is left has
//! to open as a whole, with every commit that anybody was told of, none that was refused, and the one under way or not.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use fastrand::Rng;
use mupdate_host::store::Store;
use tempfile::TempDir;

use super::{
    changes::{Changes, Directory, options},
    disk::{Disk, Files},
    journal::{Event, Record, Remark, parse},
};
use crate::shim::Shim;

/// Cuts through one run of the program.
const CUTS: usize = 80;

/// Commits that the first run of the program tries, and those that come after a cut.
const ATTEMPTS: (u64, u64) = (160, 40);

/// A run, a cut, a run on what that left, and so on: so often.
const RUNS: usize = 4;

/// A store of the first format, which the program brings into that of today.
const OLDER: &[u8] = include_bytes!("../../../mupdate-host/tests/data/format-1.mdb");

/// What all of it came to.
#[derive(Debug, Default, Clone, Copy)]
pub struct Totals {
    /// Runs of the program, and those that began with a store of an older format.
    pub runs: (usize, usize),
    /// Commits that were made, and refused.
    pub commits: (usize, usize),
    /// Power cuts, all of them.
    pub cuts: usize,
    /// Those while the store was being opened.
    pub opening: usize,
    /// Those with a commit under way, and of these the ones after which it was there.
    pub under_way: (usize, usize),
    /// Sectors that were not there.
    pub missing: usize,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} power cuts through {} runs, {} of them of older stores ({} while opening; {} with a commit under way, \
             which was there after {}), {} sectors gone, {} commits made, {} refused; 0 lost, 0 invented",
            self.cuts,
            self.runs.0,
            self.runs.1,
            self.opening,
            self.under_way.0,
            self.under_way.1,
            self.missing,
            self.commits.0,
            self.commits.1,
        )
    }
}

/// Cuts the power so often, with what is drawn from this seed. `program` is [`writer`](super::writer)'s.
///
/// # Panics
/// A store does not open, or does not hold what it has to. What was left of it is kept.
pub fn power_cuts(program: &Path, cuts: usize, seed: u64) -> Totals {
    let mut totals = Totals::default();
    let mut rng = Rng::with_seed(seed);
    let mut number = 0;
    while totals.cuts < cuts {
        number += 1;
        let mut trial = Trial {
            folder: folder(),
            program,
            rng: rng.fork(),
            name: format!("seed {seed}, history {number}"),
            totals: &mut totals,
        };
        trial.history();
    }
    totals
}

/// A folder in memory, where there is one.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).expect("a temporary directory")
}

struct Trial<'a> {
    folder: TempDir,
    program: &'a Path,
    rng: Rng,
    name: String,
    totals: &'a mut Totals,
}

/// What a store may hold after a cut.
struct Expected {
    /// What everybody was told of.
    made: Directory,
    /// What is there if the commit that is under way came through.
    under_way: Option<Directory>,
    opened: bool,
    changes: Changes,
}

impl Trial<'_> {
    /// A store that is new at first, or of an older format, and what becomes of it.
    fn history(&mut self) {
        let (mut files, mut directory) = Default::default();
        if self.rng.u8(..4) == 0 {
            (files, directory) = self.older();
            self.totals.runs.1 += 1;
        }
        for run in 0..RUNS {
            let seed = self.rng.u64(..);
            let attempts = if run == 0 { ATTEMPTS.0 } else { self.rng.u64(..ATTEMPTS.1) };
            let journal = self.run(&files, seed, attempts);
            (files, directory) = self.cuts(&files, directory, &parse(&journal), seed);
        }
    }

    /// A store of an older format, and what it holds.
    fn older(&self) -> (Files, Directory) {
        let dir = self.folder.path().join("older");
        let files = Files::of_data(OLDER);
        fs::create_dir(&dir).expect("a folder of ours");
        files.write(&dir);
        let store = Store::open(&dir, options()).expect("it is taken over");
        (files, Directory::read(&store).expect("it is whole"))
    }

    /// Has the program change a store that has these files: the journal of that.
    fn run(&mut self, files: &Files, seed: u64, attempts: u64) -> Vec<u8> {
        let dir = self.folder.path().join("run");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).expect("a folder of ours");
        files.write(&dir);
        let shim = Shim::new();
        // Long enough for commits to come meanwhile, or not.
        shim.delay_settling(Duration::from_micros(*self.rng.choice([0, 500, 5000].iter()).expect("three")));
        let output = Command::new(self.program)
            .arg(&dir)
            .args([seed.to_string(), attempts.to_string()])
            .args((self.rng.u8(..4) == 0).then_some("--quiet"))
            .envs(shim.environment(&dir))
            .envs([shim.new_journal()])
            .output()
            .expect("the program was built");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {} {said}", self.name, output.status);
        self.totals.runs.0 += 1;
        fs::read(shim.journal()).expect("the shim has written it")
    }

    /// Cuts a run at some of its moments. What one of the cuts left, and what was in that.
    fn cuts(
        &mut self,
        files: &Files,
        from: Directory,
        records: &[Record<'_>],
        seed: u64,
    ) -> (Files, Directory) {
        let mut cuts: Vec<usize> = (0..CUTS).map(|_| self.rng.usize(..=records.len())).collect();
        // To open a store takes a few moments only, and each of them matters.
        let opened = |record: &Record<'_>| matches!(record.event, Event::Remark(Remark::Opened(_)));
        let opening = records.iter().position(opened).expect("it was opened");
        cuts.extend((0..CUTS / 3).map(|_| self.rng.usize(..=opening)));
        cuts.sort_unstable();
        let goes_on = self.rng.usize(..cuts.len());
        let mut left = None;
        let mut disk = Disk::new(files.clone());
        let mut expected = Expected::new(from, seed);
        let mut followed = 0;
        for (number, cut) in cuts.into_iter().enumerate() {
            for record in &records[followed..cut] {
                disk.follow(record);
                if let Event::Remark(remark) = record.event {
                    expected.hear(remark, self.totals);
                }
            }
            followed = cut;
            let now = disk.cut(&mut self.rng);
            self.totals.cuts += 1;
            self.totals.missing += now.missing;
            self.totals.opening += usize::from(!expected.opened);
            let found = self.check(&now.files, &expected).unwrap_or_else(|wrong| {
                let kept = self.keep(&now.files);
                panic!("{}: cut at record {cut} of {}: {wrong}; {}", self.name, records.len(), kept.display())
            });
            if number == goes_on {
                left = Some((now.files, found));
            }
        }
        left.expect("one of the cuts")
    }

    /// Opens what is left: what it holds.
    fn check(&mut self, files: &Files, expected: &Expected) -> Result<Directory, String> {
        let dir = self.folder.path().join(format!("cut{}", self.totals.cuts));
        fs::create_dir(&dir).expect("a folder of ours");
        files.write(&dir);
        let store = Store::open(&dir, options()).map_err(|error| format!("it does not open: {error}"))?;
        let mut found = Directory::read(&store)?;
        let result = found.clone();
        if expected.under_way.is_some() {
            self.totals.under_way.0 += 1;
        }
        if expected.under_way.as_ref() == Some(&found) {
            self.totals.under_way.1 += 1;
        } else if found != expected.made {
            let under_way = expected.under_way.as_ref().map(Directory::summary);
            let made = expected.made.summary();
            return Err(format!("there is {}, not {made} or {under_way:?}", found.summary()));
        }
        // It is as good as any other store.
        if self.rng.u8(..4) == 0 {
            let batch = Changes::new(self.rng.u64(..)).next(&found);
            batch.commit(&store).map_err(|error| format!("it takes nothing: {error}"))?;
            found = found.after(&batch);
            drop(store);
            let store = Store::open(&dir, options()).map_err(|error| format!("not once more: {error}"))?;
            if Directory::read(&store)? != found {
                return Err("a change that was made afterwards is not there".into());
            }
        }
        fs::remove_dir_all(&dir).expect("a folder of ours");
        Ok(result)
    }

    /// Keeps the files of a store for whoever looks for the mistake.
    fn keep(&self, files: &Files) -> PathBuf {
        let dir =
            tempfile::Builder::new().prefix("power-cut-").tempdir().expect("a temporary directory").keep();
        files.write(&dir);
        dir
    }
}

impl Expected {
    fn new(made: Directory, seed: u64) -> Self {
        Self { made, under_way: None, opened: false, changes: Changes::new(seed) }
    }

    /// The program has said something.
    fn hear(&mut self, remark: Remark, totals: &mut Totals) {
        match remark {
            Remark::Opened(revision) => {
                assert_eq!(revision, self.made.revision, "it found the same as we did");
                self.opened = true;
            }
            Remark::Began(attempt) => {
                let batch = self.changes.next(&self.made);
                assert_eq!(batch.attempt, attempt, "it does what we think");
                self.under_way = Some(self.made.after(&batch));
            }
            Remark::Made(_) => {
                totals.commits.0 += 1;
                self.made = self.under_way.take().expect("it has begun");
            }
            Remark::Refused(_) => {
                totals.commits.1 += 1;
                self.under_way = None;
            }
        }
    }
}
