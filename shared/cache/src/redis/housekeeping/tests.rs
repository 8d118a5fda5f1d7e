use millrace_domain::{PlayerId, Queue};
use millrace_performance::Counter;

use super::*;

const ASK: &str = "GET t-upkeep:emergency";

fn moment(seconds: u64) -> Moment {
    Moment { monotonic: Duration::from_secs(seconds), wall: Duration::from_secs(1_000_000 + seconds) }
}

fn copies(players: &[&str]) -> Vec<Arc<CachedQueue>> {
    let queue = |player: &&str| Queue::new(PlayerId::new(player).unwrap(), Timestamp::from_millis(0));
    players.iter().map(|player| Arc::new(CachedQueue { queue: queue(player), progress_known: true })).collect()
}

fn due(housekeeping: &Housekeeping, traffic: Traffic<'_>, now: Moment) -> Vec<String> {
    housekeeping.due(traffic, now).iter().map(|(_, command)| words(command)).collect()
}

fn put(housekeeping: &Housekeeping, players: &[&str], now: Moment) -> Vec<String> {
    due(housekeeping, Traffic::Put(&copies(players)), now)
}

fn words(command: &Cmd) -> String {
    let words = command.args_iter().map(|word| match word {
        redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => "?".to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn lost() -> Answer {
    let error = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    Err(error.into())
}

#[test]
fn gets_read_the_emergency_flag_every_two_seconds() {
    let housekeeping = Housekeeping::new("t-");
    assert_eq!(due(&housekeeping, Traffic::Get, moment(0)), [ASK]);
    assert!(due(&housekeeping, Traffic::Get, moment(1)).is_empty());
    assert_eq!(due(&housekeeping, Traffic::Get, moment(2)), [ASK]);
    housekeeping.take_answer(Task::Emergency, lost());
    assert_eq!(due(&housekeeping, Traffic::Get, moment(2)), [ASK]);
    assert!(due(&housekeeping, Traffic::Other, moment(100)).is_empty());
}

#[test]
fn puts_ask_the_servers_once_a_minute() {
    let housekeeping = Housekeeping::new("t-");
    let asks = |now| put(&housekeeping, &["a"], now).first().is_some_and(|first| first == "INFO");
    assert!(asks(moment(0)) && !asks(moment(59)));
    assert!(asks(moment(60)) && !asks(moment(60)));
    let thawed = Moment { wall: moment(3_600).wall, ..moment(61) };
    assert!(asks(thawed), "although its monotonic clock stood still");
    assert!(!asks(thawed));
    housekeeping.take_answer(Task::ServerInformation, lost());
    assert!(asks(thawed), "the answer was lost");
}

#[test]
fn a_user_who_may_not_ask_the_servers_does_not_ask_again() {
    let node = |answer| Value::Map(vec![(Value::SimpleString("h:1".to_owned()), answer)]);
    for refusal in ["-NOPERM this user has no permissions\r\n", "-ERR unknown command 'INFO'\r\n"] {
        let refusal = redis::parse_redis_value(refusal.as_bytes()).unwrap();
        for answer in [refusal.clone(), node(refusal)] {
            let housekeeping = Housekeeping::new("t-");
            housekeeping.take_answer(Task::ServerInformation, Ok(answer));
            assert!(!put(&housekeeping, &["a"], moment(1_000)).contains(&"INFO".to_owned()));
            assert_eq!(housekeeping.server_statistics(), None);
        }
    }
}

#[test]
fn an_answer_without_figures_changes_nothing() {
    let housekeeping = Housekeeping::new("t-");
    let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
    let take = |answer| {
        housekeeping.take_answer(Task::ServerInformation, Ok(answer));
        housekeeping.server_statistics().map(|servers| servers.evictions)
    };
    assert_eq!(take(bulk("evicted_keys:5\r\nexpired_keys:1\r\n")), Some(5));
    let loading = redis::parse_redis_value(b"-LOADING Redis is loading the dataset in memory\r\n").unwrap();
    for answer in [Value::Nil, Value::Int(1), bulk("evicted_keys:many\r\nexpired_keys:1\r\n"), bulk(""), loading] {
        assert_eq!(take(answer), Some(5));
    }
    assert_eq!(put(&housekeeping, &["a"], moment(0))[0], "INFO", "none of the answers was a refusal");
}

#[test]
fn puts_add_active_players_and_trim_the_list_once_a_minute() {
    let housekeeping = Housekeeping::new("t-");
    let add = |second: u64| format!("ZADD t-upkeep:active {0} a {0} b", 1_000_000_000 + 1_000 * second);
    let trim = "ZREMRANGEBYRANK t-upkeep:active 0 -10001";
    let expire = "PEXPIRE t-upkeep:active 3600000";
    let both = ["a", "b"];
    assert_eq!(put(&housekeeping, &both, moment(0)), ["INFO", ASK, &add(0), trim, expire]);
    assert_eq!(put(&housekeeping, &both, moment(1)), [add(1)]);
    assert_eq!(put(&housekeeping, &both, moment(60))[2..], [&add(60), trim, expire]);
    let refusal = redis::parse_redis_value(b"-NOPERM no\r\n").unwrap();
    housekeeping.take_answer(Task::ActivePlayers, Ok(refusal));
    assert!(put(&housekeeping, &both, moment(61)).is_empty(), "a forbidden command is not sent again");
}

fn applied(count: u64) -> Figures {
    let mut figures = Figures::default();
    figures.add(Counter::Applied, count);
    figures
}

#[test]
fn figures_are_sent_with_gets_and_puts_at_most_once_a_second() {
    let housekeeping = Housekeeping::new("t-");
    let add = |count: u64| format!("BITFIELD t-performance:7 OVERFLOW SAT INCRBY u32 #2837 0 INCRBY i64 #2 {count}");
    let expire = "PEXPIRE t-performance:7 90000000";
    housekeeping.add_figures(Minute(7), &applied(1));
    assert!(due(&housekeeping, Traffic::Other, moment(0)).is_empty());
    assert_eq!(due(&housekeeping, Traffic::Get, moment(0)), [ASK, &add(1), expire]);
    housekeeping.take_answer(Task::Figures, Ok(Value::Array(Vec::new())));
    housekeeping.take_answer(Task::Figures, Ok(Value::Int(1)));
    housekeeping.add_figures(Minute(7), &applied(2));
    assert!(due(&housekeeping, Traffic::Get, moment(0)).is_empty());
    assert_eq!(put(&housekeeping, &["a"], moment(1))[1..3], [&add(2), expire]);
    housekeeping.take_answer(Task::Figures, lost());
    housekeeping.take_answer(Task::Figures, lost());
    assert_eq!(due(&housekeeping, Traffic::Get, moment(1)), [&add(2), expire], "the answer was lost");
}

#[test]
fn figures_that_the_user_may_not_add_do_not_pile_up() {
    let housekeeping = Housekeeping::new("t-");
    let answer = |reply: &str| Ok(redis::parse_redis_value(reply.as_bytes()).unwrap());
    housekeeping.add_figures(Minute(7), &applied(1));
    assert_eq!(due(&housekeeping, Traffic::Get, moment(0)).len(), 3);
    housekeeping.take_answer(Task::Figures, answer("-OOM command not allowed\r\n"));
    assert_eq!(due(&housekeeping, Traffic::Get, moment(1)).len(), 2, "they were not added");
    housekeeping.take_answer(Task::Figures, answer("-NOPERM no\r\n"));
    housekeeping.add_figures(Minute(7), &applied(1));
    assert_eq!(due(&housekeeping, Traffic::Get, moment(1)), [""; 0]);
    assert!(housekeeping.take_unsent_figures().is_empty());
}

#[test]
fn the_latest_switch_of_emergency_mode_counts() {
    let housekeeping = Housekeeping::new("t-");
    let read = |text: &str| {
        housekeeping.take_answer(Task::Emergency, Ok(Value::BulkString(text.as_bytes().to_vec())));
        housekeeping.emergency().map(|emergency| (emergency.enabled, emergency.switched_at.as_millis()))
    };
    assert_eq!(read("nonsense"), None);
    assert_eq!(read("on 10 99"), Some((true, 10)));
    assert_eq!(read("off 9 99"), Some((true, 10)), "an earlier switch");
    housekeeping.take_answer(Task::Emergency, Ok(Value::Nil));
    assert_eq!(read("nonsense"), Some((true, 10)));
    assert_eq!(read("off 11 99"), Some((false, 11)));
}
