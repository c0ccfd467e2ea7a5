//! The configuration, whatever stands in it: what fuzz targets and property tests both call.

use super::Config;

/// Read `data` as a configuration file, and panic at the first broken promise:
///
/// - what is wrong is told in the order of the lines, each complaint with a line that is there, and on one line itself;
/// - what was read is printed so that the same is read again;
/// - a reload to what is in force already changes nothing, and nothing waits for a restart.
pub fn file(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let config = match Config::parse(text) {
        Ok(config) => config,
        Err(problems) => {
            let lines = text.matches('\n').count() + 1;
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|problem| problem.line <= lines));
            assert!(problems.is_sorted_by_key(|problem| problem.line));
            for problem in &problems {
                assert!(!problem.text.contains(['\n', '\r', '\x1b']), "more than a line: {:?}", problem.text);
            }
            return;
        }
    };
    assert!(!config.listen.is_empty());
    let printed = config.to_string();
    assert_eq!(Config::parse(&printed).as_ref(), Ok(&config), "printed and read: {printed}");
    assert_eq!(config.reloaded(config.clone()), (config.clone(), Vec::new()));
    let _ = (config.warnings(), config.readers(), config.port());
}
