//! Builds the function that a test runs, so that none runs a stale one.

use std::{
    collections::HashMap,
    env,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
};

/// The path of the binary `name`, built from the sources as they are now: once in each test process,
/// in the profile and target directory of the test itself. With `MILLRACE_BIN_DIR` set, nothing is
/// built and the binary of that directory is taken.
///
/// # Panics
/// Where the build fails, with what cargo said.
pub fn path(name: &str) -> PathBuf {
    static BUILT: OnceLock<Mutex<HashMap<String, PathBuf>>> = OnceLock::new();
    if let Some(dir) = env::var_os("MILLRACE_BIN_DIR") {
        let path = PathBuf::from(dir).join(name);
        assert!(path.is_file(), "MILLRACE_BIN_DIR is set, and there is no {}", path.display());
        return path;
    }
    // Whoever panicked in here said why; the next one tries again.
    let mut built = BUILT.get_or_init(Mutex::default).lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    built.entry(name.to_owned()).or_insert_with(|| build(name)).clone()
}

fn build(name: &str) -> PathBuf {
    let test = env::current_exe().expect("the test has a path");
    let (target_dir, profile) = location(&test);
    let run = escargot::CargoBuild::new()
        .manifest_path(workspace().join("Cargo.toml"))
        // The package has the binary's name. Chosen by `--bin` alone, over the whole workspace, its
        // dependencies keep the features that `cargo test --workspace` has built them with.
        .arg("--workspace")
        .bin(name)
        .target_dir(target_dir)
        .profile(profile)
        .run();
    match run {
        Ok(run) => run.path().to_owned(),
        Err(error) => panic!("{name} does not build:\n{error}"),
    }
}

/// Target directory and profile of a test at `target/<profile directory>/deps/<test>`.
fn location(test: &Path) -> (&Path, &str) {
    let profile_dir = test.parent().and_then(Path::parent).expect("a test lies in target/<profile>/deps");
    let target_dir = profile_dir.parent().expect("a profile lies in the target directory");
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        // The one profile whose directory has another name.
        Some("debug") => "dev",
        Some(profile) => profile,
        None => panic!("{} is no profile directory", profile_dir.display()),
    };
    (target_dir, profile)
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in the workspace")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_follows_from_the_directory() {
        let at = |path: &'static str| location(Path::new(path));
        assert_eq!(at("/x/target/debug/deps/kill-1f"), (Path::new("/x/target"), "dev"));
        assert_eq!(at("/x/target/release/deps/kill-1f"), (Path::new("/x/target"), "release"));
        assert_eq!(at("/t/ci/deps/kill-1f"), (Path::new("/t"), "ci"));
    }
}
