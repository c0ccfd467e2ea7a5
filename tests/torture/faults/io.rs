//! Disks that fail. When nobody can know what is on the disk, nobody is answered and the process ends.

use mupdate_tests::{
    daemon::Kind,
    history::History,
    load::{Load, compare},
    shim::Call,
};
use rustix::io::Errno;

use super::{SHAPE, broken_under_load, login, shimmed};

/// Exits with 74 (`EX_IOERR`) and says why, when such a call fails amid load.
pub(super) fn ends_with_its_reason(kind: Kind, call: Call, error: Errno, words: &str) {
    // Not always at the same write of a commit.
    for skip in [0, 7] {
        let (mut daemon, shim) = shimmed(kind, "streams.hold_ms = 0\n");
        let (code, said) = broken_under_load(
            &mut daemon,
            200 + usize::try_from(skip).expect("small"),
            || shim.fail(call, skip, -1, error),
            || shim.mend(),
        );
        assert_eq!(code, Some(74), "{said}");
        // Not always the last line: another thread may say meanwhile that it cannot read either.
        let reason = said.lines().find(|line| line.starts_with(kind.program()));
        assert!(reason.is_some_and(|reason| reason.contains(words)), "{said}");
        assert!(shim.failed() > 0);
        login(&daemon).activate("user.after", "be1!default", "a").expect("it is mended");
        assert!(daemon.terminate().success());
    }
}

/// A page cannot be written.
pub fn write_fails(kind: Kind) {
    ends_with_its_reason(kind, Call::Write, Errno::IO, "Input/output error");
}

/// Pages cannot be synced: they may be on the disk, or never come there.
pub fn sync_fails(kind: Kind) {
    ends_with_its_reason(kind, Call::Sync, Errno::IO, "Input/output error");
}

/// The page that makes a transaction the current one cannot be written, for whatever reason.
pub fn meta_page_fails(kind: Kind) {
    ends_with_its_reason(kind, Call::Meta, Errno::IO, "Input/output error");
    ends_with_its_reason(kind, Call::Meta, Errno::NOSPC, "what is on the disk is unknown");
}

/// The file system has become read-only, as some do after an error.
pub fn read_only_disk(kind: Kind) {
    ends_with_its_reason(kind, Call::Write, Errno::ROFS, "Read-only file system");
}

/// A write comes to an early end though the disk is not full: that is a broken disk.
pub fn write_cut_short(kind: Kind) {
    let (mut daemon, shim) = shimmed(kind, "");
    let (code, said) = broken_under_load(&mut daemon, 200, || shim.write_short(Call::Write), || shim.mend());
    assert_eq!(code, Some(74), "{said}");
}

/// What was answered OK is in the log, but its pages found no room on the disk. The next start tries again.
pub fn settling_finds_no_space(kind: Kind) {
    ends_with_its_reason(kind, Call::Sync, Errno::NOSPC, "No space left on device");
}

/// There is room for the record and then none for the pages, or for the record neither. It is taken back, so the changes are
/// answered NO, and the next ones are tried.
pub fn no_space_reported_late(kind: Kind) {
    let (mut daemon, shim) = shimmed(kind, "streams.hold_ms = 0\n");
    let mut history = History::default();
    let load = Load::start(&daemon, SHAPE, 0, &mut fastrand::Rng::with_seed(5));
    // A record that cannot be taken back ends the daemon: the log's write fails no more than once.
    for (call, times, error) in
        [(Call::LogWrite, 1, Errno::NOSPC), (Call::Write, 5, Errno::DQUOT), (Call::Write, 5, Errno::NOSPC)]
    {
        assert_eq!(load.wait_for(200), 200, "the writers gave up");
        let wanted = shim.failed() + times;
        shim.fail(call, 3, times, error);
        while shim.failed() < wanted {
            assert_eq!(load.wait_for(10), 10, "the writers gave up");
        }
    }
    assert_eq!(load.wait_for(200), 200, "the writers gave up");
    daemon.wait_for_log("the disk is full");
    daemon.wait_for_log("changes are written again");
    daemon.kill();
    let told = load.finish(&mut history);
    daemon.start_again();
    compare(&daemon, &mut history, &told);
}
