//! The store, the shared cache, the queue for ticks.

use std::path::PathBuf;

use millrace_cache::redis::RedisMode;

use super::{error, read};
use crate::settings::{CacheKind, Settings, StoreChoice};

#[test]
fn the_store_is_dynamodb_or_a_file() {
    assert_eq!(read(&[("MILLRACE_STORE", "dynamodb")]).unwrap().store, StoreChoice::DynamoDb);
    let path = read(&[("MILLRACE_STORE", "sqlite:/a/b:c.db")]).unwrap().store;
    assert_eq!(path, StoreChoice::Sqlite(PathBuf::from("/a/b:c.db")));
    for value in ["", "DynamoDB", "dynamodb:", "sqlite", "sqlite:", "sqlite::memory:", "postgres:x", "x.db"] {
        let expected = format!("MILLRACE_STORE={value} is not allowed; allowed: dynamodb, sqlite:<path of a file>");
        assert_eq!(error("MILLRACE_STORE", value), expected);
    }
    let missing = Settings::from_vars([]).unwrap_err().to_string();
    assert_eq!(missing, "MILLRACE_STORE is not set; allowed: dynamodb, sqlite:<path of a file>");
}

#[test]
fn a_table_prefix_has_the_characters_of_a_table_name() {
    for value in ["", "a", "A-Za-z0-9_.-", &"x".repeat(200)] {
        assert_eq!(read(&[("MILLRACE_TABLE_PREFIX", value)]).unwrap().table_prefix, value);
    }
    for value in ["a b", "ä", "a/b", "a:b"] {
        let expected =
            format!("MILLRACE_TABLE_PREFIX={value} is not allowed; allowed: 0 to 200 characters of A-Z a-z 0-9 _ . -");
        assert_eq!(error("MILLRACE_TABLE_PREFIX", value), expected);
    }
    assert!(error("MILLRACE_TABLE_PREFIX", &"x".repeat(201)).contains("0 to 200 characters"));
    assert!(error("MILLRACE_TABLE_PREFIX", &"x/".repeat(100_000)).len() < 500, "a long value is clipped");
    assert!(error("MILLRACE_TABLE_PREFIX", "a\nb\tc").contains("=a\u{fffd}b\u{fffd}c is"));
}

#[test]
fn the_shared_cache_has_a_url_and_a_mode() {
    for url in [
        "redis://localhost",
        "rediss://cache.example.com:6380",
        "redis://:pa%40ss@10.0.0.1:6379/2",
        "redis://user:password@[::1]:6379/0?protocol=resp3",
    ] {
        let settings = read(&[("MILLRACE_REDIS_URL", url), ("MILLRACE_REDIS_MODE", "cluster")]).unwrap();
        let redis = settings.redis.unwrap();
        assert_eq!((redis.url.expose(), redis.mode), (url, RedisMode::Cluster));
    }
    assert_eq!(read(&[("MILLRACE_REDIS_URL", "")]).unwrap().redis, None, "empty is unset");
    let redis = read(&[("MILLRACE_REDIS_URL", "redis://h")]).unwrap().redis.unwrap();
    assert_eq!(redis.mode, RedisMode::Standalone);
    for mode in ["", "Cluster", "sentinel"] {
        let expected = format!("MILLRACE_REDIS_MODE={mode} is not allowed; allowed: standalone, cluster");
        assert_eq!(error("MILLRACE_REDIS_MODE", mode), expected);
    }
}

#[test]
fn a_serverless_cache_is_a_cluster() {
    let url = ("MILLRACE_REDIS_URL", "rediss://app@cache.example.com");
    let name = ("MILLRACE_REDIS_IAM_CACHE_NAME", "millrace");
    let kind = ("MILLRACE_REDIS_IAM_CACHE_KIND", "serverless");
    let redis = read(&[url, name, kind, ("MILLRACE_REDIS_MODE", "cluster")]).unwrap().redis.unwrap();
    assert_eq!(redis.iam_cache.unwrap().kind, CacheKind::Serverless);
    let standalone = read(&[url, name, kind]).unwrap_err().to_string();
    let expected = "MILLRACE_REDIS_IAM_CACHE_KIND=serverless is not allowed; allowed: nodes, or serverless with \
                    MILLRACE_REDIS_MODE=cluster";
    assert_eq!(standalone, expected);
    let unknown = error("MILLRACE_REDIS_IAM_CACHE_KIND", "cluster");
    assert_eq!(unknown, expected.replace("KIND=serverless", "KIND=cluster"));
}

#[test]
fn the_shared_cache_takes_certificates_and_iam_tokens() {
    let url = ("MILLRACE_REDIS_URL", "rediss://app@cache.example.com");
    let redis = read(&[url]).unwrap().redis.unwrap();
    assert_eq!((redis.ca_file, redis.iam_cache, redis.url.token_user()), (None, None, Some("app")));
    let vars = [url, ("MILLRACE_REDIS_CA_FILE", "/etc/ca.pem"), ("MILLRACE_REDIS_IAM_CACHE_NAME", "Millrace-1")];
    let redis = read(&vars).unwrap().redis.unwrap();
    assert_eq!(redis.ca_file, Some(PathBuf::from("/etc/ca.pem")));
    let cache = redis.iam_cache.unwrap();
    assert_eq!(cache.name, "millrace-1", "ElastiCache knows it in lower case");
    assert_eq!(cache.kind, CacheKind::Nodes);
    for name in ["a b", "a/b", &"x".repeat(41)] {
        let error = error("MILLRACE_REDIS_IAM_CACHE_NAME", name);
        assert!(error.contains("is not allowed; allowed: the name of an ElastiCache cache"), "{error}");
    }
    for url in ["redis://app@cache", "rediss://cache", "rediss://app:secret@cache", "rediss://:secret@cache"] {
        let vars = [("MILLRACE_REDIS_URL", url), ("MILLRACE_REDIS_IAM_CACHE_NAME", "millrace")];
        let error = read(&vars).unwrap_err().to_string();
        assert!(error.starts_with("MILLRACE_REDIS_IAM_CACHE_NAME=millrace is not allowed; allowed: the name"));
        assert!(error.ends_with("MILLRACE_REDIS_URL=rediss://user@host"), "{error}");
    }
}

#[test]
fn the_ticks_queue_is_a_url() {
    for url in ["https://sqs.eu-west-1.amazonaws.com/123456789012/ticks", "http://localhost:4566/000000000000/ticks"] {
        let settings = read(&[("MILLRACE_TICKS_QUEUE_URL", url)]).unwrap();
        assert_eq!(settings.ticks_queue_url.as_deref(), Some(url));
    }
    assert_eq!(read(&[("MILLRACE_TICKS_QUEUE_URL", "")]).unwrap().ticks_queue_url, None, "empty is unset");
    for url in [
        "ticks",
        "arn:aws:sqs:eu-west-1:123456789012:ticks",
        "https://",
        "https://sqs",
        "ftp://sqs/1/q",
        "https://sqs:x/1/q",
    ] {
        let expected = format!(
            "MILLRACE_TICKS_QUEUE_URL={url} is not allowed; allowed: the http:// or https:// URL of an SQS queue"
        );
        assert_eq!(error("MILLRACE_TICKS_QUEUE_URL", url), expected);
    }
}
