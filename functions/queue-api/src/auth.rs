//! Who asks, by the request's authorizer context, and what that allows.
//!
//! Only `requestContext.authorizer` counts. API Gateway fills it after it has checked a token or a
//! signature; path, query, headers and body are the sender's own. Without it nothing is allowed.
//!
//! | context | who |
//! |---|---|
//! | `jwt` | the player that the claim `sub` names, with the scopes of `scopes` and of the claim `scope` |
//! | `iam` with a Cognito identity | the player of that identity id, without scopes |
//! | `iam` of a Cognito session without its identity | a player, but nobody says which: nothing is allowed |
//! | `iam` otherwise | no player, both scopes: an IAM policy has let this principal in |
//! | `lambda` | nobody: what an authorizer function answers has no form that could be relied on |

use lambda_http::aws_lambda_events::apigw::ApiGatewayRequestAuthorizer;
use millrace_domain::{Command, PlayerId};
use millrace_lambda::settings::Authentication;

/// The scope for whatever could make something out of nothing.
pub const COMMANDS: &str = "millrace/commands";
/// The scope for other players' queues, and for `/admin`.
pub const ADMIN: &str = "millrace/admin";

/// How Cognito names the sessions of the players that it lets assume a role. A function URL leaves out whose
/// session it is, and without that a player would look like a server.
const COGNITO_SESSION: &str = "/CognitoIdentityCredentials";

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    subject: Option<String>,
    commands: bool,
    admin: bool,
}

impl Caller {
    /// Who asks; none where nobody has vouched for anybody.
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
            // Whoever API Gateway lets in with a signature has an ARN.
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

    /// Whether the caller may look into this queue, and send it commands at all.
    ///
    /// # Errors
    /// The scope that is missing.
    pub fn may_use(&self, player: &PlayerId) -> Result<(), &'static str> {
        let own = self.subject.as_deref() == Some(player.as_str());
        if own || self.admin { Ok(()) } else { Err(ADMIN) }
    }

    /// Whether the caller may send this command to a queue that it may use.
    ///
    /// # Errors
    /// The scope that is missing.
    pub fn may_send(&self, command: &Command) -> Result<(), &'static str> {
        // What is not listed here may make something out of nothing.
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
    fn a_token_is_its_subject_with_its_scopes() {
        let plain = caller(json!({"jwt": {"claims": {"sub": "p-1"}, "scopes": null}})).unwrap();
        assert_eq!(plain.may_use(&player("p-1")), Ok(()));
        assert_eq!(plain.may_use(&player("p-2")), Err(ADMIN));
        assert_eq!(plain.may_administer(), Err(ADMIN));
        assert_eq!(plain.may_send(&Command::ClearQueue), Ok(()));
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
    fn a_token_without_a_subject_owns_nothing() {
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
            assert_eq!(caller(context), Some(Caller::default()), "whose session it is, nobody says");
        }
        assert_eq!(caller(json!({"iam": {}})), None);
        assert_eq!(caller(json!({"iam": {"userArn": ""}})), None);
    }

    #[test]
    fn nobody_is_nobody() {
        assert_eq!(Caller::of(None, Authentication::Authorizer), None);
        assert_eq!(caller(json!({})), None);
        assert_eq!(caller(json!({"lambda": {"sub": "p-1", "scope": "millrace/admin", "iam": {"userArn": "x"}}})), None);
        let anybody = Caller::of(None, Authentication::None).unwrap();
        assert_eq!((anybody.may_administer(), anybody.may_use(&player("p"))), (Ok(()), Ok(())));
    }
}
