//! Releases of Cyrus: this system's, and others, each in a root of its own, which is the smallest Debian system that has it.
//!
//! `scripts/cyrus-roots` makes the roots, where there is a network. What is not there is not tested.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A release.
#[derive(Debug)]
pub struct Release {
    /// As in `3.2`.
    pub version: &'static str,
    /// Debian's suite that has it; `None`: this system.
    suite: Option<&'static str>,
    /// It is older than 3.6: its lists are text, and its mailboxes in the order of octets. A server that does not know this
    /// lists them in another, and then it activates some of them anew, in vain.
    pub old: bool,
    /// How `ctl_mboxlist` of it writes lists, in words of `mupdatectl diff` and `import`.
    pub reading: &'static [&'static str],
    /// The same, in words of `mupdatectl export`.
    pub writing: &'static [&'static str],
}

const JSON: &[&str] = &["--format", "cyrus-json"];

/// This system's.
pub static OWN: Release = Release { version: "3.6", suite: None, old: false, reading: JSON, writing: JSON };

/// Those that have their roots.
pub static OTHERS: [Release; 3] = [
    Release {
        version: "3.2",
        suite: Some("bullseye"),
        old: true,
        reading: &["--format", "cyrus-text", "--from-version", "3.2"],
        writing: &["--format", "cyrus-text", "--to-version", "3.2"],
    },
    Release { version: "3.10", suite: Some("trixie"), old: false, reading: JSON, writing: JSON },
    Release { version: "3.12", suite: Some("sid"), old: false, reading: JSON, writing: JSON },
];

/// What a root needs to see of this system, and a folder of this test's. All of it is mounted in the sandbox alone.
const MOUNT: &str = r#"
set -e
root=$1 folder=$2
if [ ! -e "$root/run/interop" ]; then
    for place in tmp var/tmp run; do mount -t tmpfs none "$root/$place"; done
    mount --rbind /dev "$root/dev"
    mount --bind /proc "$root/proc"
    for file in /etc/hosts /etc/services; do
        touch "$root$file"
        mount --bind "$file" "$root$file"
    done
    touch "$root/run/interop"
fi
mkdir -p "$root$folder"
mount --bind "$folder" "$root$folder"
"#;

impl Release {
    /// Is it here?
    pub fn is_there(&self) -> bool {
        self.root().is_none_or(|root| root.join("usr/lib/cyrus/bin/mupdate").exists())
    }

    /// A program of it, or of the system that it is in.
    pub fn command(&self, program: &str) -> Command {
        let Some(root) = self.root() else { return Command::new(program) };
        let mut command = Command::new("/usr/sbin/chroot");
        command.arg(root).arg(program).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        command
    }

    fn root(&self) -> Option<PathBuf> {
        let roots = env::var_os("CYRUS_ROOTS").map(PathBuf::from).or_else(|| {
            let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
            Some(cache.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cache")))?.join("cyrus-roots"))
        });
        self.suite.map(|suite| roots.unwrap_or_default().join(suite))
    }
}

/// Where installations of a release live. They find its folder at the same path.
pub struct Site {
    /// Of which release they are.
    pub release: &'static Release,
    folder: TempDir,
}

impl Site {
    /// An empty one.
    pub fn new(release: &'static Release) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        // Cyrus comes here as a user of its own.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).expect("the folder is ours");
        if let Some(root) = release.root() {
            let mounted = Command::new("sh").args(["-c", MOUNT, "sh"]).arg(root).arg(folder.path()).status();
            assert!(
                mounted.expect("sh is there").success(),
                "the root of {} cannot be used",
                release.version
            );
        }
        Self { release, folder }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
