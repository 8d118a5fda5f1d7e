//! Crates depend only on the crates of lower layers. Dependencies for tests are not restricted.

use crate::violation::Violation;

const RULE: &str = "layers";

const DOMAIN: &str = "millrace-domain";
const STORE: &str = "millrace-store";
const CACHE: &str = "millrace-cache";
const PIPELINE: &str = "millrace-pipeline";
const QUERIES: &str = "millrace-queries";
const DUE: &str = "millrace-due";
const UPKEEP: &str = "millrace-upkeep";
const LAMBDA: &str = "millrace-lambda";

/// Each crate under `shared/`, and the crates of the workspace that it may depend on.
const SHARED: [(&str, &[&str]); 8] = [
    (DOMAIN, &[]),
    (STORE, &[DOMAIN]),
    (CACHE, &[DOMAIN]),
    (PIPELINE, &[DOMAIN, STORE, CACHE]),
    (QUERIES, &[DOMAIN, STORE, CACHE, PIPELINE]),
    (DUE, &[DOMAIN, STORE, CACHE, PIPELINE]),
    (UPKEEP, &[DOMAIN, STORE, CACHE, PIPELINE]),
    (LAMBDA, &[DOMAIN, STORE, CACHE, PIPELINE, QUERIES, DUE, UPKEEP]),
];

/// The crates of the workspace that one crate depends on, those for tests left out.
#[derive(Debug, Clone)]
pub struct Dependencies {
    /// The crate.
    pub package: String,
    /// Its manifest, relative to the root of the workspace.
    pub manifest: String,
    /// The crates that it depends on.
    pub names: Vec<String>,
}

/// One violation for each dependency that does not go down.
pub fn check(packages: &[Dependencies]) -> Vec<Violation> {
    packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Dependencies) -> Vec<Violation> {
    let violation = |message| Violation { file: package.manifest.clone(), line: 1, rule: RULE, message };
    let all_shared: Vec<&str> = SHARED.iter().map(|(name, _)| *name).collect();
    let allowed = if package.manifest.starts_with("shared/") {
        let layer = SHARED.iter().find(|(name, _)| *name == package.package);
        let Some((_, allowed)) = layer else {
            return vec![violation(format!("{} has no layer in tests/structure/src/rules/layers.rs", package.package))];
        };
        *allowed
    } else if package.manifest.starts_with("functions/") {
        all_shared.as_slice()
    } else {
        return Vec::new();
    };
    let refused = package.names.iter().filter(|name| !allowed.contains(&name.as_str()));
    refused.map(|name| violation(format!("{} must not depend on {name}", package.package))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(package: &str, manifest: &str, names: &[&str]) -> Vec<String> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let package = Dependencies { package: package.to_owned(), manifest: manifest.to_owned(), names };
        check(&[package]).into_iter().map(|violation| violation.message).collect()
    }

    #[test]
    fn a_dependency_on_a_crate_of_the_same_or_a_higher_layer_is_refused() {
        assert_eq!(
            messages(STORE, "shared/store/Cargo.toml", &[DOMAIN, CACHE]),
            ["millrace-store must not depend on millrace-cache"]
        );
        assert_eq!(
            messages("process-tasks", "functions/process-tasks/Cargo.toml", &[LAMBDA, "millrace-tests"]),
            ["process-tasks must not depend on millrace-tests"]
        );
    }

    #[test]
    fn a_shared_crate_without_a_layer_is_refused() {
        assert_eq!(messages("millrace-new", "shared/new/Cargo.toml", &[]).len(), 1);
    }

    #[test]
    fn dependencies_that_go_down_are_allowed() {
        assert_eq!(messages(PIPELINE, "shared/pipeline/Cargo.toml", &[DOMAIN, STORE, CACHE]), [""; 0]);
        assert_eq!(messages("millrace-tests", "tests/Cargo.toml", &["millrace-servers"]), [""; 0]);
    }
}
