//! Servers end with the process that started them, even when it is killed.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

#[test]
fn the_servers_and_directories_of_a_killed_process_are_removed() {
    let temporary = TempDir::new().unwrap();
    let mut holder = Command::new(env!("CARGO_BIN_EXE_hold-servers"))
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let ports: Vec<u16> = lines
        .map(|line| line.unwrap().split_once(' ').unwrap().1.parse().unwrap())
        .take_while(|&port| port != 0)
        .collect();
    assert_eq!(ports.len(), 3);
    assert!(ports.iter().all(|&port| answers(port)));
    let directories = || std::fs::read_dir(temporary.path()).unwrap().count();
    assert!(directories() >= 3);

    holder.kill().unwrap();
    holder.wait().unwrap();
    let begin = Instant::now();
    while ports.iter().any(|&port| answers(port)) || directories() > 0 {
        assert!(begin.elapsed() < Duration::from_secs(20), "servers outlive their process");
        thread::sleep(Duration::from_millis(20));
    }
}

fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}
