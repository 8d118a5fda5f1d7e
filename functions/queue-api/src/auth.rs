//! The caller, by the authorizer context of the request, and what it may do.
//!
//! Only `requestContext.authorizer` counts: API Gateway sets it after it has checked a token or a
//! signature. Path, query, headers and body come from the sender. Without the context nothing is
//! allowed.
//!
//! | context | caller |
//! |---|---|
//! | `jwt` | the player of the claim `sub`, with the scopes of `scopes` and the claim `scope` |
//! | `iam` with a Cognito identity | the player of the identity id, without scopes |
//! | `iam` with a Cognito session but no identity | an unknown player: nothing is allowed |
//! | `iam` otherwise | no player, both scopes: an IAM policy allows this principal |
//! | `lambda` | none: answers of authorizer functions have no standard format |
//!
//! Identity providers put any JSON into claims. Only the fields above are read.

use millrace_domain::{Command, PlayerId, Sender, ids::clip};
use millrace_lambda::settings::Authentication;
use serde_json::Value;

use crate::problem::{MAX_SHOWN, Problem};

/// The scope for commands that could create value.
pub const COMMANDS: &str = "millrace/commands";
/// The scope for `/admin` and the queues of other players.
pub const ADMIN: &str = "millrace/admin";

/// The end of the ARN of a Cognito session. A function URL leaves out the identity of the session,
/// so that a player would look like a server.
const COGNITO_SESSION: &str = "/CognitoIdentityCredentials";

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    subject: Option<String>,
    commands: bool,
    admin: bool,
}

impl Caller {
    /// The caller of a request with this authorizer context.
    ///
    /// # Errors
    /// [`Problem`] if the request is not authenticated.
    pub fn of(authorizer: &Value, authentication: Authentication) -> Result<Self, Problem> {
        if authentication == Authentication::None {
            return Ok(Self { subject: None, commands: true, admin: true });
        }
        if authorizer["jwt"].is_object() {
            Self::of_token(&authorizer["jwt"])
        } else {
            Self::of_iam(&authorizer["iam"])
        }
    }

    fn of_token(jwt: &Value) -> Result<Self, Problem> {
        let claims = &jwt["claims"];
        let subject = match &claims["sub"] {
            Value::Null => None,
            Value::String(subject) => Some(subject.clone()),
            other => {
                let shown = clip(&other.to_string(), MAX_SHOWN);
                let detail = format!("the claim sub of the token: `{shown}` is not allowed; allowed: text");
                return Err(Problem::unauthorized(detail));
            }
        };
        let scopes: Vec<&str> = scopes(&jwt["scopes"]).chain(scopes(&claims["scope"])).collect();
        Ok(Self { subject, commands: scopes.contains(&COMMANDS), admin: scopes.contains(&ADMIN) })
    }

    fn of_iam(iam: &Value) -> Result<Self, Problem> {
        let identity = &iam["cognitoIdentity"];
        if !identity.is_null() {
            let subject = identity["identityId"].as_str().map(str::to_owned);
            return Ok(Self { subject, ..Self::default() });
        }
        // Every principal with a signature has an ARN.
        let arn = iam["userArn"].as_str().filter(|arn| !arn.is_empty());
        let arn = arn.ok_or_else(|| {
            Problem::unauthorized(
                "the request has no authorizer context; allowed: a token or a signature that API Gateway has checked",
            )
        })?;
        let trusted = !arn.ends_with(COGNITO_SESSION);
        Ok(Self { subject: None, commands: trusted, admin: trusted })
    }

    /// Whether the caller may use `/admin`.
    ///
    /// # Errors
    /// The scope that is missing.
    pub fn may_administer(&self) -> Result<(), &'static str> {
        if self.admin { Ok(()) } else { Err(ADMIN) }
    }

    /// Whether the caller may read this queue and send it commands.
    ///
    /// # Errors
    /// The scope that is missing.
    pub fn may_use(&self, player: &PlayerId) -> Result<(), &'static str> {
        let own = self.subject.as_deref() == Some(player.as_str());
        if own || self.admin { Ok(()) } else { Err(ADMIN) }
    }

    /// In which memory the commands of the caller are remembered: those of a player with its own
    /// token and no scope are kept apart from those of all others.
    pub fn sender(&self) -> Sender {
        if self.commands || self.admin { Sender::Trusted } else { Sender::Player }
    }

    /// Whether the caller may send this command, given that it may use the queue.
    ///
    /// # Errors
    /// The scope that is missing.
    pub fn may_send(&self, command: &Command) -> Result<(), &'static str> {
        // All other commands could create value.
        let harmless = matches!(
            command,
            Command::CancelTask { .. }
                | Command::SetPriority { .. }
                | Command::MoveToFront { .. }
                | Command::PauseQueue
                | Command::ResumeQueue
                | Command::ClearQueue
        );
        if harmless || self.commands { Ok(()) } else { Err(COMMANDS) }
    }
}

/// The scopes in a list, or in text that separates them by spaces. API Gateway passes a claim that
/// is a list on as the text `[a b]`.
fn scopes(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    let text =
        value.as_str().map(|text| text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text));
    list.chain(text).flat_map(str::split_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn caller(authorizer: Value) -> Option<Caller> {
        Caller::of(&authorizer, Authentication::Authorizer).ok()
    }

    fn player(id: &str) -> PlayerId {
        PlayerId::new(id).unwrap()
    }

    #[test]
    fn a_token_has_its_subject_and_scopes() {
        let plain = caller(json!({"jwt": {"claims": {"sub": "p-1"}, "scopes": null}})).unwrap();
        assert_eq!(plain.may_use(&player("p-1")), Ok(()));
        assert_eq!(plain.may_use(&player("p-2")), Err(ADMIN));
        assert_eq!(plain.may_administer(), Err(ADMIN));
        assert_eq!(plain.may_send(&Command::ClearQueue), Ok(()));
        assert_eq!(plain.sender(), Sender::Player);
        assert_eq!(plain.may_send(&Command::ConfigureQueue { slots: None, max_tasks: None }), Err(COMMANDS));
        let both = Some(Caller { subject: Some("g".to_owned()), commands: true, admin: true });
        assert_eq!(caller(json!({"jwt": {"claims": {"sub": "g"}, "scopes": [COMMANDS, ADMIN]}})), both);
        assert_eq!(
            caller(json!({"jwt": {"claims": {"sub": "g", "scope": "openid millrace/admin millrace/commands"}}})),
            both
        );
        let near =
            caller(json!({"jwt": {"claims": {"sub": "g", "scope": "millrace/administrator xmillrace/commands"}}}));
        assert_eq!(near, Some(Caller { subject: Some("g".to_owned()), ..Caller::default() }));
    }

    #[test]
    fn scopes_come_as_text_or_as_a_list() {
        let admin = Some(Caller { admin: true, ..Caller::default() });
        for (scope, scopes) in [
            (json!("openid millrace/admin"), json!(null)),
            (json!(["openid", 5, "millrace/admin"]), json!({})),
            (json!("[openid millrace/admin]"), json!(7)),
            (json!(null), json!([null, "openid millrace/admin"])),
            (json!(true), json!("millrace/admin")),
        ] {
            assert_eq!(
                caller(json!({"jwt": {"claims": {"scope": scope}, "scopes": scopes}})),
                admin,
                "{scope}, {scopes}"
            );
        }
    }

    #[test]
    fn claims_of_any_type_are_accepted_except_for_the_subject() {
        let token = |sub: Value| {
            json!({"jwt": {"scopes": null, "claims": {"sub": sub, "exp": 1_795_784_400, "email_verified": true,
                "groups": ["a", 1, null], "nickname": null, "address": {"country": {"code": 49}}, "scope": 1.5}}})
        };
        assert_eq!(caller(token(json!("p-1"))).unwrap().may_use(&player("p-1")), Ok(()));
        for sub in [json!(12), json!(true), json!(["p-1"]), json!({"id": "p-1"})] {
            let problem = Caller::of(&token(sub.clone()), Authentication::Authorizer).unwrap_err();
            assert_eq!(problem.status(), 401, "{sub}");
        }
    }

    #[test]
    fn a_caller_with_a_scope_is_a_trusted_sender() {
        for scope in [COMMANDS, ADMIN] {
            let caller = caller(json!({"jwt": {"claims": {"sub": "p-1", "scope": scope}}})).unwrap();
            assert_eq!(caller.sender(), Sender::Trusted, "{scope}");
        }
    }

    #[test]
    fn a_token_without_a_subject_has_no_queue() {
        for claims in [
            json!({"jwt": {"claims": {}}}),
            json!({"jwt": {"claims": null}}),
            json!({"jwt": {}}),
            json!({"jwt": {"claims": {"sub": null}, "scopes": "none"}}),
            json!({"jwt": {"claims": ["p-1"]}}),
        ] {
            assert_eq!(caller(claims).unwrap(), Caller::default());
        }
        assert_eq!(Caller::default().may_use(&player("p")), Err(ADMIN));
    }

    #[test]
    fn a_cognito_identity_is_a_player_and_any_other_principal_is_trusted() {
        let arn = "arn:aws:iam::123456789012:role/game-server";
        let identity = json!({"iam": {"userArn": arn, "cognitoIdentity":
            {"amr": ["authenticated"], "identityId": "eu-central-1:1-2", "identityPoolId": "x"}}});
        let player_of = caller(identity).unwrap();
        assert_eq!(player_of.may_use(&player("eu-central-1:1-2")), Ok(()));
        assert_eq!((player_of.may_administer(), player_of.may_use(&player("p"))), (Err(ADMIN), Err(ADMIN)));
        let role = caller(json!({"iam": {"userArn": arn, "cognitoIdentity": null}})).unwrap();
        assert_eq!((role.may_administer(), role.may_use(&player("p"))), (Ok(()), Ok(())));
        for odd in [json!(true), json!("eu-central-1:1-2"), json!({"identityId": 12}), json!({"amr": null})] {
            let context = json!({"iam": {"userArn": arn, "cognitoIdentity": odd, "accountId": 123456789012_u64}});
            assert_eq!(caller(context), Some(Caller::default()), "a Cognito session is no trusted principal");
        }
        for identity in [json!({}), json!({"cognitoIdentity": null})] {
            let mut context = json!({"iam": identity});
            context["iam"]["userArn"] =
                "arn:aws:sts::123456789012:assumed-role/players/CognitoIdentityCredentials".into();
            assert_eq!(caller(context), Some(Caller::default()), "the identity of the session is unknown");
        }
        assert_eq!(caller(json!({"iam": {}})), None);
        assert_eq!(caller(json!({"iam": {"userArn": ""}})), None);
        assert_eq!(caller(json!({"iam": {"userArn": 12}})), None);
    }

    #[test]
    fn without_authentication_there_is_no_caller() {
        for none in [json!(null), json!({}), json!("p-1"), json!({"jwt": "p-1"}), json!({"iam": ["x"], "jwt": [1]})] {
            assert_eq!(caller(none.clone()), None, "{none}");
        }
        assert_eq!(caller(json!({"lambda": {"sub": "p-1", "scope": "millrace/admin", "iam": {"userArn": "x"}}})), None);
        let caller = Caller::of(&Value::Null, Authentication::None).unwrap();
        assert_eq!((caller.may_administer(), caller.may_use(&player("p"))), (Ok(()), Ok(())));
    }
}
