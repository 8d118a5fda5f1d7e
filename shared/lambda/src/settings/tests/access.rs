//! Who gets access: authentication, origins, and what errors and logs show.

use std::path::PathBuf;

use super::{error, read};
use crate::settings::{Authentication, CorsOrigins, Settings};

#[test]
fn authentication_is_switched_off_only_outside_aws() {
    let none = ("MILLRACE_AUTH", "none");
    let dynamodb = ("MILLRACE_STORE", "dynamodb");
    assert_eq!(read(&[none]).unwrap().authentication, Authentication::None);
    for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"] {
        let settings = read(&[none, dynamodb, (name, "http://localhost:8000")]).unwrap();
        assert_eq!(settings.authentication, Authentication::None);
    }
    for vars in [
        vec![none, dynamodb],
        vec![none, dynamodb, ("AWS_ENDPOINT_URL", "")],
        vec![none, dynamodb, ("AWS_ENDPOINT_URL_SQS", "http://localhost:8000")],
        vec![none, dynamodb, ("AWS_ENDPOINT_URL", "http://l"), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")],
    ] {
        let error = read(&vars).unwrap_err().to_string();
        assert!(
            error.starts_with("MILLRACE_AUTH=none is not allowed; allowed: unset, or none with AWS_ENDPOINT"),
            "{error}"
        );
    }
    assert_eq!(read(&[("MILLRACE_AUTH", ""), dynamodb]).unwrap().authentication, Authentication::Authorizer);
    for value in ["None", "iam", "off"] {
        assert!(
            error("MILLRACE_AUTH", value).starts_with(&format!("MILLRACE_AUTH={value} is not allowed; allowed: none"))
        );
    }
}

#[test]
fn a_clock_file_is_used_only_outside_aws() {
    let file = ("MILLRACE_CLOCK_FILE", "/tmp/clock");
    let dynamodb = ("MILLRACE_STORE", "dynamodb");
    let read_path = |vars: &[(&str, &str)]| read(vars).unwrap().clock_file;
    assert_eq!(read_path(&[file]), Some(PathBuf::from("/tmp/clock")));
    assert_eq!(read_path(&[file, dynamodb, ("AWS_ENDPOINT_URL", "http://l")]), Some(PathBuf::from("/tmp/clock")));
    assert_eq!(read_path(&[dynamodb, ("MILLRACE_CLOCK_FILE", "")]), None);
    for vars in [vec![file, dynamodb], vec![file, dynamodb, ("AWS_ENDPOINT_URL_SQS", "http://l")]] {
        let error = read(&vars).unwrap_err().to_string();
        let expected = "MILLRACE_CLOCK_FILE=/tmp/clock is not allowed; allowed: unset, or the path of a file with AWS_";
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let settings = read(&[("MILLRACE_REDIS_URL", "redis://app:hunter2@cache:6379/1?password=hunter2")]).unwrap();
    for shown in [format!("{settings:?}"), format!("{settings:#?}"), settings.redis.unwrap().url.to_string()] {
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("redis://***@cache:6379/1"), "{shown}");
    }
    for url in [
        "redis://app:hunter2@",
        "redis://app:hunter2@cache:port",
        "redis://app:hunter2@cache:0",
        "redis://app:hunter2@cache/first",
        "redis://:hunter2",
        "redis:hunter2@cache",
        "http://app:hunter2@cache",
        "hunter2",
        "hunter2://cache",
        "redis://app:hunter2 @cache",
    ] {
        let error = error("MILLRACE_REDIS_URL", url);
        assert!(!error.contains("hunter2"), "{error}");
        assert!(error.starts_with("MILLRACE_REDIS_URL=") && error.contains("*** is not allowed; allowed: redis://"));
    }
    for (name, value) in
        [("MILLRACE_STORE", "redis://app:hunter2@cache"), ("MILLRACE_TICKS_QUEUE_URL", "https://app:hunter2@sqs/1/q")]
    {
        let error = error(name, value);
        assert!(!error.contains("hunter2"), "{error}");
    }
    let unknown = read(&[("MILLRACE_REDIS_PASSWORD", "hunter2")]).unwrap();
    assert!(!format!("{unknown:?}").contains("hunter2"), "{unknown:?}");
}

#[test]
fn origins_are_listed_as_a_browser_sends_them() {
    let origins = |value: &str| {
        let vars = [("MILLRACE_STORE", "dynamodb"), ("MILLRACE_CORS_ORIGINS", value)];
        Settings::from_vars(vars.map(|(name, value)| (name.into(), value.into()))).map(|settings| settings.cors_origins)
    };
    assert_eq!(origins(""), Ok(CorsOrigins::Listed(Vec::new())));
    assert_eq!(origins("*"), Ok(CorsOrigins::Any));
    let listed = ["https://game.example", "http://localhost:5173"].map(str::to_owned).to_vec();
    assert_eq!(origins("https://game.example, http://localhost:5173"), Ok(CorsOrigins::Listed(listed)));
    let others = ["https://a:80", "http://a:443", "https://a:8443"].map(str::to_owned).to_vec();
    assert_eq!(origins("https://a:80,http://a:443,https://a:8443"), Ok(CorsOrigins::Listed(others)));
    // Browsers do not send these.
    for bad in ["https://game.example:443", "http://x:80", "http://a,http://x:80", "https://x:08443"] {
        let error = origins(bad).unwrap_err().to_string();
        assert!(error.starts_with(&format!("MILLRACE_CORS_ORIGINS={bad} is not allowed")), "{error}");
        assert!(error.contains("without the default port of the scheme"), "{error}");
    }
    for bad in
        ["game.example", "https://game.example/", "https://Game.example", "https://a,*", "ftp://a", "https://u@a", "a,"]
    {
        let error = origins(bad).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("MILLRACE_CORS_ORIGINS={bad} is not allowed")) || bad.contains('@'),
            "{error}"
        );
    }
}

#[test]
fn a_base_path_has_segments_that_begin_with_a_slash() {
    let segments = |value: &str| read(&[("MILLRACE_HTTP_BASE_PATH", value)]).unwrap().http_base_path;
    for none in ["", "/"] {
        assert!(segments(none).is_empty());
    }
    assert!(read(&[]).unwrap().http_base_path.is_empty());
    for (value, expected) in [("/game", vec!["game"]), ("/game/", vec!["game"]), ("/prod/v1.0", vec!["prod", "v1.0"])] {
        assert_eq!(segments(value), expected);
    }
    for bad in
        ["game", "game/", "//", "//game", "/game//", "/a//b", "/a/..", "/.", "/a?b=c", "/a#b", "/a b", "/a%20b", "/ä"]
    {
        let error = error("MILLRACE_HTTP_BASE_PATH", bad);
        let expected = format!("MILLRACE_HTTP_BASE_PATH={bad} is not allowed; allowed: /, or segments that each begin");
        assert!(error.starts_with(&expected), "{error}");
    }
}
