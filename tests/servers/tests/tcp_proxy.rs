//! The TCP proxy in front of Redis.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use millrace_servers::{Cut, Redis, TcpProxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"+PONG\r\n";
const SOON: Duration = Duration::from_millis(300);

async fn started() -> (Redis, TcpProxy) {
    let redis = Redis::start().await;
    let proxy = TcpProxy::start(redis.address()).await;
    (redis, proxy)
}

async fn ping(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(PING).await?;
    let mut answer = [0; PONG.len()];
    stream.read_exact(&mut answer).await?;
    assert_eq!(answer, PONG);
    Ok(())
}

async fn connected(proxy: &TcpProxy) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    ping(&mut stream).await.unwrap();
    stream
}

#[tokio::test]
async fn bytes_are_forwarded_and_counted() {
    let (_redis, proxy) = started().await;
    let mut first = connected(&proxy).await;
    let second = connected(&proxy).await;
    ping(&mut first).await.unwrap();
    assert_eq!(proxy.connections(), 2);
    assert_eq!(proxy.open_connections(), 2);
    assert_eq!(proxy.bytes_sent(), 3 * PING.len() as u64);
    assert_eq!(proxy.bytes_received(), 3 * PONG.len() as u64);
    drop(second);
    while proxy.open_connections() != 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn every_chunk_is_delayed() {
    let (_redis, proxy) = started().await;
    let mut stream = connected(&proxy).await;
    proxy.delay(Duration::from_millis(400));
    let begin = Instant::now();
    ping(&mut stream).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(800));
    proxy.normal();
    let begin = Instant::now();
    ping(&mut stream).await.unwrap();
    assert!(begin.elapsed() < Duration::from_millis(400));
}

#[tokio::test]
async fn connections_are_cut_with_a_reset_or_a_regular_end() {
    let (_redis, proxy) = started().await;
    let mut stream = connected(&proxy).await;
    proxy.cut(Cut::Reset);
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    let mut stream = connected(&proxy).await;
    proxy.cut(Cut::Fin);
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(proxy.open_connections(), 0);
    connected(&proxy).await;
}

#[tokio::test]
async fn new_connections_are_refused_and_old_ones_stay() {
    let (_redis, proxy) = started().await;
    let mut stream = connected(&proxy).await;
    proxy.refuse();
    let error = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    ping(&mut stream).await.unwrap();
    proxy.normal();
    connected(&proxy).await;
}

#[tokio::test]
async fn connections_that_lost_bytes_stay_dead() {
    let (_redis, proxy) = started().await;
    let mut old = connected(&proxy).await;
    proxy.swallow();
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(timeout(SOON, ping(&mut old)).await.is_err());
    assert!(timeout(SOON, ping(&mut new)).await.is_err());
    proxy.normal();
    assert!(timeout(SOON, ping(&mut old)).await.is_err());
    assert!(timeout(SOON, ping(&mut new)).await.is_err());
    connected(&proxy).await;
    proxy.cut(Cut::Reset);
    assert!(old.read_u8().await.is_err());
    assert!(new.read_u8().await.is_err());
}

#[tokio::test]
async fn a_killed_server_is_an_error() {
    let (redis, proxy) = started().await;
    let mut stream = connected(&proxy).await;
    redis.kill();
    assert!(ping(&mut stream).await.is_err());
    // The reset may be there before the connection is known to be made.
    match TcpStream::connect(proxy.address()).await {
        Ok(mut stream) => assert!(ping(&mut stream).await.is_err()),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    redis.restart().await;
    connected(&proxy).await;
}

#[tokio::test]
async fn a_dropped_proxy_closes_its_connections() {
    let (_redis, proxy) = started().await;
    let mut stream = connected(&proxy).await;
    let address = proxy.address();
    drop(proxy);
    assert!(ping(&mut stream).await.is_err());
    // The task that has the listener ends a moment later.
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(5), refused).await.unwrap();
}
