//! The environment as a whole, and the documentation.

use std::ffi::OsString;

use super::{error, read};
use crate::settings::{Settings, markdown, reference::table};

#[test]
fn logs_take_a_level_or_directives() {
    for value in ["off", "error", "WARN", "info", "trace", "info,millrace_store=debug", "info, hyper=off,"] {
        assert!(read(&[("MILLRACE_LOG", value)]).is_ok(), "{value}");
    }
    for value in ["", " ", ",", "inof", "loud", "info,hyper", "hyper=loud", "a=b=c", "[span]"] {
        let expected = format!(
            "MILLRACE_LOG={value} is not allowed; allowed: off, error, warn, info, debug, trace, or directives such as info,millrace_store=debug"
        );
        assert_eq!(error("MILLRACE_LOG", value), expected);
    }
}

#[test]
fn unknown_settings_are_listed_and_do_not_stop_the_start() {
    let settings = read(&[("MILLRACE_BATCH_MAX_ITEM", "3"), ("MILLRACES", "x"), ("OTHER", "x")]).unwrap();
    let unknown: Vec<_> = settings.unknown.iter().map(ToString::to_string).collect();
    assert_eq!(unknown.len(), 1, "variables without the prefix are ignored: {unknown:?}");
    let expected =
        "MILLRACE_BATCH_MAX_ITEM is not a setting and has no effect; the nearest ones: MILLRACE_BATCH_MAX_ITEMS, ";
    assert!(unknown[0].starts_with(expected), "{unknown:?}");
    assert_eq!(settings.batch_writer.max_items, 25);
}

#[test]
#[cfg(unix)]
fn values_that_are_not_utf8_are_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    let vars = [("MILLRACE_STORE".into(), OsString::from_vec(b"sqlite:\xff.db".to_vec()))];
    let error = Settings::from_vars(vars).unwrap_err().to_string();
    assert_eq!(error, "MILLRACE_STORE=sqlite:\u{fffd}.db is not allowed; allowed: UTF-8 text");
    let vars = [
        ("MILLRACE_STORE".into(), "dynamodb".into()),
        (OsString::from_vec(b"\xff".to_vec()), OsString::from_vec(b"\xff".to_vec())),
    ];
    assert!(Settings::from_vars(vars).is_ok(), "variables without the prefix are ignored");
}

#[test]
fn the_first_error_is_always_the_same() {
    let vars = [("MILLRACE_LOG", "loud"), ("MILLRACE_BATCH_MAX_ITEMS", "26"), ("MILLRACE_CONFLICT_RETRIES", "51")];
    let expected = "MILLRACE_BATCH_MAX_ITEMS=26 is not allowed; allowed: a whole number from 1 to 25";
    for rotation in 0..vars.len() {
        let mut vars = vars;
        vars.rotate_left(rotation);
        assert_eq!(read(&vars).unwrap_err().to_string(), expected);
    }
}

#[test]
fn the_reference_has_a_row_for_each_setting() {
    let markdown = markdown();
    assert_eq!(markdown.lines().count(), 2 + table::ALL.len());
    for line in markdown.lines() {
        assert_eq!(line.matches('|').count(), 5, "{line}");
    }
    assert!(markdown.contains("| `MILLRACE_BATCH_MAX_ITEMS` | `25` | a whole number from 1 to 25 | "), "{markdown}");
    assert!(markdown.contains("| `MILLRACE_STORE` | unset | dynamodb, sqlite:\\<path of a file> | "), "{markdown}");
}

#[test]
fn the_documentation_has_the_same_table() {
    let documented = include_str!("../../../../../docs/settings.md");
    assert!(documented.contains(&markdown()), "docs/settings.md is not what examples/settings_reference.rs prints");
}
