//! The binaries: the daemons and the operator's tool. They belong to other packages, so nothing has built them when a test
//! starts.

use std::{env, path::PathBuf, process::Command, sync::OnceLock};

use super::Kind;

/// Whose binaries they are.
const PACKAGES: [&str; 3] = ["mupdate-smol", "mupdate-sync", "mupdate-ctl"];

/// The profile that the daemons are built with, if not that of the tests.
const PROFILE: &str = "MUPDATE_TESTS_PROFILE";

/// The binary of a daemon, built by the cargo that runs these tests, with its profile or that of
/// `MUPDATE_TESTS_PROFILE`, into its target directory. What is up to date is not built again.
///
/// # Panics
/// The build fails.
pub fn binary(kind: Kind) -> PathBuf {
    folder().join(kind.program())
}

/// The operator's tool, built in the same way.
///
/// # Panics
/// The build fails.
pub fn tool() -> PathBuf {
    folder().join("mupdatectl")
}

fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build)
}

fn build() -> PathBuf {
    // TARGET/PROFILE/deps/this-test
    let test = env::current_exe().expect("a running program has a path");
    let of_the_tests = test.ancestors().nth(2).expect("cargo puts tests into deps");
    let target = of_the_tests.parent().expect("profiles have folders of their own");
    let profile = env::var(PROFILE).ok();
    let folder = profile.map_or_else(|| of_the_tests.to_owned(), |profile| target.join(profile));
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let mut build = Command::new(cargo);
    // What cargo tells this test of its own package: build scripts that ask for it would run anew with each test, and all
    // that depends on them be built anew.
    for (name, _) in env::vars_os() {
        let of_the_test = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];
        if name.to_str().is_some_and(|name| of_the_test.iter().any(|start| name.starts_with(start))) {
            build.env_remove(name);
        }
    }
    let status = build
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet"])
        .args(PACKAGES.iter().flat_map(|package| ["--package", package]))
        .args(["--profile", profile, "--target-dir"])
        .arg(target)
        .status()
        .expect("cargo is there, as it runs this test");
    assert!(status.success(), "the programs cannot be built");
    folder
}
