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

use lambda_http::aws_lambda_events::apigw::ApiGatewayRequestAuthorizer;
use millrace_domain::{Command, PlayerId, Sender};
use millrace_lambda::settings::Authentication;

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
    /// The caller; none if the request is not authenticated.
    pub fn of(authorizer: Option<&ApiGatewayRequestAuthorizer>, authentication: Authentication) -> Option<Self> {
        if authentication == Authentication::None {
            return Some(Self { subject: None, commands: true, admin: true });
        }
        let authorizer = authorizer?;
        if let Some(jwt) = &authorizer.jwt {
            let claimed = jwt.claims.get("scope").map(String::as_str).unwrap_or_default().split_ascii_whitespace();
            let mut scopes: Vec<&str> = jwt.scopes.iter().flatten().map(String::as_str).collect();
            scopes.extend(claimed);
            return Some(Self {
                subject: jwt.claims.get("sub").cloned(),
                commands: scopes.contains(&COMMANDS),
                admin: scopes.contains(&ADMIN),
            });
        }
        let iam = authorizer.iam.as_ref()?;
        match &iam.cognito_identity {
            Some(identity) => Some(Self { subject: identity.identity_id.clone(), ..Self::default() }),
            // Every principal with a signature has an ARN.
            None => iam.user_arn.as_ref().filter(|arn| !arn.is_empty()).map(|arn| {
                let trusted = !arn.ends_with(COGNITO_SESSION);
                Self { subject: None, commands: trusted, admin: trusted }
            }),
        }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn caller(authorizer: Value) -> Option<Caller> {
        let authorizer: ApiGatewayRequestAuthorizer = serde_json::from_value(authorizer).unwrap();
        Caller::of(Some(&authorizer), Authentication::Authorizer)
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
    fn a_caller_with_a_scope_is_a_trusted_sender() {
        for scope in [COMMANDS, ADMIN] {
            let caller = caller(json!({"jwt": {"claims": {"sub": "p-1", "scope": scope}}})).unwrap();
            assert_eq!(caller.sender(), Sender::Trusted, "{scope}");
        }
    }

    #[test]
    fn a_token_without_a_subject_has_no_queue() {
        for claims in [json!({"jwt": {"claims": {}}}), json!({"jwt": {"claims": null}}), json!({"jwt": {}})] {
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
        for identity in [json!({}), json!({"cognitoIdentity": null})] {
            let mut context = json!({"iam": identity});
            context["iam"]["userArn"] =
                "arn:aws:sts::123456789012:assumed-role/players/CognitoIdentityCredentials".into();
            assert_eq!(caller(context), Some(Caller::default()), "the identity of the session is unknown");
        }
        assert_eq!(caller(json!({"iam": {}})), None);
        assert_eq!(caller(json!({"iam": {"userArn": ""}})), None);
    }

    #[test]
    fn without_authentication_there_is_no_caller() {
        assert_eq!(Caller::of(None, Authentication::Authorizer), None);
        assert_eq!(caller(json!({})), None);
        assert_eq!(caller(json!({"lambda": {"sub": "p-1", "scope": "millrace/admin", "iam": {"userArn": "x"}}})), None);
        let caller = Caller::of(None, Authentication::None).unwrap();
        assert_eq!((caller.may_administer(), caller.may_use(&player("p"))), (Ok(()), Ok(())));
    }
}
