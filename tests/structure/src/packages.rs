//! The packages of a workspace, as `cargo metadata` lists them.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

/// A package of the workspace. The fields are those of `cargo metadata`.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its `Cargo.toml`.
    pub manifest_path: PathBuf,
    /// Its library, binaries, tests, benchmarks and examples.
    pub targets: Vec<Target>,
    /// The dependencies in its manifest.
    pub dependencies: Vec<Dependency>,
}

/// A library, binary, test, benchmark or example.
#[derive(Debug, Deserialize)]
pub struct Target {
    /// The root file.
    pub src_path: PathBuf,
}

/// A dependency.
#[derive(Debug, Deserialize)]
pub struct Dependency {
    /// The name of the package.
    pub name: String,
    /// `dev` or `build`. None for a normal dependency.
    pub kind: Option<String>,
    /// The folder of the package. None for a package from a registry.
    pub path: Option<PathBuf>,
}

/// Why the packages cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum PackagesError {
    /// Cargo cannot be started.
    #[error("cargo cannot be started: {0}")]
    Spawn(#[from] io::Error),
    /// Cargo refused, with what it wrote to its standard error.
    #[error("cargo metadata failed: {0}")]
    Cargo(String),
    /// Its answer has another form.
    #[error("the answer of cargo metadata cannot be read: {0}")]
    Format(#[from] serde_json::Error),
}

/// The packages of the workspace at `root`.
///
/// # Errors
/// [`PackagesError`] if cargo does not list them.
pub fn list(root: &Path) -> Result<Vec<Package>, PackagesError> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .output()?;
    if !output.status.success() {
        return Err(PackagesError::Cargo(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    Ok(metadata.packages)
}
