//! Every transcript on every stage: the bare core and both daemons have to say the same, octet for octet.
//!
//! `cargo test --test transcripts pair` runs those that have `pair` in their names; `INSTA_UPDATE=always` writes the
//! snapshots anew, to be read before they are committed.

use std::{fs, path::Path, process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Failed, Trial};
use mupdate_tests::{
    daemon::{DaemonStage, Kind},
    player::{Stage, play},
    script::Script,
    world::{Pace, WorldStage},
};

/// A stage and how to set it up with some settings.
type Setting = (&'static str, fn(&str) -> Result<Box<dyn Stage>, String>);

const STAGES: [Setting; 5] = [
    ("core", |config| Ok(Box::new(WorldStage::new(config, Pace::Eager)?))),
    ("core-lazy", |config| Ok(Box::new(WorldStage::new(config, Pace::Lazy)?))),
    ("core-dawdling", |config| Ok(Box::new(WorldStage::new(config, Pace::Dawdling)?))),
    ("mupdated", |config| Ok(Box::new(DaemonStage::new(Kind::Smol, config)))),
    ("mupdated-sync", |config| Ok(Box::new(DaemonStage::new(Kind::Sync, config)))),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the transcripts are beside the sources")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    let mut trials = Vec::new();
    for file in files {
        let name = file.file_stem().expect("it has an extension").to_string_lossy().into_owned();
        let text: Arc<str> = fs::read_to_string(&file).expect("a transcript is text").into();
        for (stage, setting) in STAGES {
            let (name, text) = (name.clone(), Arc::clone(&text));
            trials.push(Trial::test(format!("{stage}::{name}"), move || run(&name, &text, setting)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn run(name: &str, text: &str, setting: fn(&str) -> Result<Box<dyn Stage>, String>) -> Result<(), Failed> {
    let script = Script::parse(text)?;
    let mut stage = setting(&format!("server_name = \"mupdate.test\"\n{}", script.config))?;
    let seen = play(&script, &mut *stage)?;
    let seen = seen.replace(concat!("\"", env!("CARGO_PKG_VERSION"), "\""), "\"VERSION\"");
    let mut insta = insta::Settings::new();
    insta.set_snapshot_path("../snapshots");
    insta.set_prepend_module_to_snapshot(false);
    insta.set_omit_expression(true);
    insta.bind(|| insta::assert_snapshot!(name, seen));
    Ok(())
}
