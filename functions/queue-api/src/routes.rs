//! Method and path as a route.

use lambda_http::http::Method;
use millrace_domain::{PlayerId, TaskId};

/// A route of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `GET /health`
    Health,
    /// `GET /players/{playerId}/queue`
    Queue(PlayerId),
    /// `GET /players/{playerId}/tasks/{taskId}`
    Task(PlayerId, TaskId),
    /// `GET /players/{playerId}/stats`
    Stats(PlayerId),
    /// `GET /players/{playerId}/history`
    History(PlayerId),
    /// `GET /players/{playerId}/rejections`
    Rejections(PlayerId),
    /// `GET /players/{playerId}/events`.
    Events(PlayerId),
    /// `POST /players/{playerId}/commands`
    Commands(PlayerId),
    /// `GET /admin/performance`
    Performance,
    /// `GET /admin/players`
    Players,
    /// `GET /admin/players/recent`
    RecentPlayers,
    /// `POST /admin/cache/{action}`
    Cache(&'static str),
}

/// Why a request has no route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoRoute {
    /// The path does not exist.
    Unknown,
    /// The path exists, but only for these methods.
    Method(&'static str),
    /// `OPTIONS`: the methods of the path.
    Options(&'static str),
    /// An id in the path is not allowed.
    Id {
        /// The name of the id.
        field: &'static str,
        /// Its value.
        value: String,
    },
}

/// The actions of `POST /admin/cache/{action}`.
const CACHE_ACTIONS: [&str; 4] = ["warm", "clear", "rebuild", "emergency-mode"];

const READ: &str = "GET, HEAD, OPTIONS";
const WRITE: &str = "POST, OPTIONS";

impl Route {
    /// The route of a request.
    ///
    /// # Errors
    /// [`NoRoute`] if there is none.
    pub fn of(method: &Method, segments: &[String]) -> Result<Self, NoRoute> {
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (methods, route) = match segments.as_slice() {
            ["health"] => (READ, Ok(Self::Health)),
            ["players", id, "queue"] => (READ, player(id).map(Self::Queue)),
            ["players", id, "tasks", task_id] => {
                (READ, player(id).and_then(|player| Ok(Self::Task(player, task(task_id)?))))
            }
            ["players", id, "stats"] => (READ, player(id).map(Self::Stats)),
            ["players", id, "history"] => (READ, player(id).map(Self::History)),
            ["players", id, "rejections"] => (READ, player(id).map(Self::Rejections)),
            ["players", id, "events"] => (READ, player(id).map(Self::Events)),
            ["players", id, "commands"] => (WRITE, player(id).map(Self::Commands)),
            ["admin", "performance"] => (READ, Ok(Self::Performance)),
            ["admin", "players"] => (READ, Ok(Self::Players)),
            ["admin", "players", "recent"] => (READ, Ok(Self::RecentPlayers)),
            ["admin", "cache", name] => {
                let action = CACHE_ACTIONS.into_iter().find(|action| action == name);
                (WRITE, Ok(Self::Cache(action.ok_or(NoRoute::Unknown)?)))
            }
            _ => return Err(NoRoute::Unknown),
        };
        match *method {
            Method::OPTIONS => Err(NoRoute::Options(methods)),
            Method::GET | Method::HEAD if methods == READ => route,
            Method::POST if methods == WRITE => route,
            _ => Err(NoRoute::Method(methods)),
        }
    }

    /// Whether the path needs no authentication.
    pub fn is_public(segments: &[String]) -> bool {
        segments == ["health"]
    }

    /// The name in logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Queue(_) => "queue",
            Self::Task(..) => "task",
            Self::Stats(_) => "stats",
            Self::History(_) => "history",
            Self::Rejections(_) => "rejections",
            Self::Events(_) => "events",
            Self::Commands(_) => "commands",
            Self::Performance => "performance",
            Self::Players => "players",
            Self::RecentPlayers => "recent-players",
            Self::Cache(action) => action,
        }
    }

    /// The player whose queue the route concerns.
    pub fn player(&self) -> Option<&PlayerId> {
        match self {
            Self::Queue(player)
            | Self::Task(player, _)
            | Self::Stats(player)
            | Self::History(player)
            | Self::Rejections(player)
            | Self::Events(player)
            | Self::Commands(player) => Some(player),
            Self::Health | Self::Performance | Self::Players | Self::RecentPlayers | Self::Cache(_) => None,
        }
    }
}

fn player(id: &str) -> Result<PlayerId, NoRoute> {
    PlayerId::new(id).map_err(|_| NoRoute::Id { field: "playerId", value: id.to_owned() })
}

fn task(id: &str) -> Result<TaskId, NoRoute> {
    TaskId::new(id).map_err(|_| NoRoute::Id { field: "taskId", value: id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: Method, path: &str) -> Result<Route, NoRoute> {
        let segments: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
        Route::of(&method, &segments)
    }

    #[test]
    fn each_path_has_its_methods() {
        for path in [
            "/health",
            "/players/p/queue",
            "/players/p/tasks/t",
            "/players/p/stats",
            "/players/p/events",
            "/admin/performance",
            "/admin/players",
            "/admin/players/recent",
        ] {
            assert_eq!(of(Method::GET, path), of(Method::HEAD, path));
            assert!(of(Method::GET, path).is_ok(), "{path}");
            for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
                assert_eq!(of(method, path), Err(NoRoute::Method("GET, HEAD, OPTIONS")));
            }
        }
        assert!(of(Method::POST, "/players/p/commands").is_ok());
        for action in CACHE_ACTIONS {
            let path = format!("/admin/cache/{action}");
            assert_eq!(of(Method::POST, &path), Ok(Route::Cache(action)));
            assert_eq!(of(Method::GET, &path), Err(NoRoute::Method("POST, OPTIONS")));
        }
        assert_eq!(of(Method::GET, "/players/p/commands"), Err(NoRoute::Method("POST, OPTIONS")));
        assert_eq!(of(Method::OPTIONS, "/players/p/commands"), Err(NoRoute::Options("POST, OPTIONS")));
    }

    #[test]
    fn unknown_paths_and_bad_ids_are_told_apart() {
        for path in [
            "/",
            "/players",
            "/players/p",
            "/players/p/queue/",
            "/players/p/wings",
            "/Health",
            "//health",
            "/admin/cache/statistics",
        ] {
            assert_eq!(of(Method::GET, path), Err(NoRoute::Unknown), "{path}");
        }
        let bad = |field, value: &str| Err(NoRoute::Id { field, value: value.to_owned() });
        assert_eq!(of(Method::GET, "/players//queue"), bad("playerId", ""));
        assert_eq!(of(Method::GET, "/players/a b/queue"), bad("playerId", "a b"));
        assert_eq!(of(Method::GET, "/players/p/tasks/ä"), bad("taskId", "ä"));
    }
}
