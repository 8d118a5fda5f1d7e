//! Builds the function that a test runs, so that no test runs an outdated binary.

use std::{
    collections::HashMap,
    env,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
};

/// The path of the binary `name`. Each test process builds it once from the current sources, with
/// the profile and the target directory of the test. If `MILLRACE_BIN_DIR` is set, nothing is built
/// and the binary in that directory is used.
///
/// # Panics
/// If the build fails, with the output of cargo.
pub fn path(name: &str) -> PathBuf {
    static BUILT: OnceLock<Mutex<HashMap<String, PathBuf>>> = OnceLock::new();
    if let Some(dir) = env::var_os("MILLRACE_BIN_DIR") {
        let path = PathBuf::from(dir).join(name);
        assert!(path.is_file(), "MILLRACE_BIN_DIR is set, but {} does not exist", path.display());
        return path;
    }
    // A failed build panics with the lock held. The next caller builds again.
    let mut built = BUILT.get_or_init(Mutex::default).lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    built.entry(name.to_owned()).or_insert_with(|| build(name)).clone()
}

fn build(name: &str) -> PathBuf {
    let test = env::current_exe().expect("the path of the test is known");
    let (target_dir, profile) = location(&test);
    let run = escargot::CargoBuild::new()
        .manifest_path(workspace().join("Cargo.toml"))
        // `--workspace` gives the dependencies the features that `cargo test --workspace` gives
        // them. Without it cargo would build the dependencies a second time.
        .arg("--workspace")
        .bin(name)
        .target_dir(target_dir)
        .profile(profile)
        .run();
    match run {
        Ok(run) => run.path().to_owned(),
        Err(error) => panic!("{name} cannot be built:\n{error}"),
    }
}

/// The target directory and the profile of a test at `target/<profile directory>/deps/<test>`.
fn location(test: &Path) -> (&Path, &str) {
    let profile_dir = test.parent().and_then(Path::parent).expect("a test is in target/<profile>/deps");
    let target_dir = profile_dir.parent().expect("a profile directory is in the target directory");
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        // The only profile whose directory has a different name.
        Some("debug") => "dev",
        Some(profile) => profile,
        None => panic!("{} is not a profile directory", profile_dir.display()),
    };
    (target_dir, profile)
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is in the workspace")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_a_test_determines_the_profile() {
        let at = |path: &'static str| location(Path::new(path));
        assert_eq!(at("/x/target/debug/deps/kill-1f"), (Path::new("/x/target"), "dev"));
        assert_eq!(at("/x/target/release/deps/kill-1f"), (Path::new("/x/target"), "release"));
        assert_eq!(at("/t/ci/deps/kill-1f"), (Path::new("/t"), "ci"));
    }
}
