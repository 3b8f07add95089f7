//! What a command answers: text as the Java shell prints it, and the same as JSON.

use oxherd_client::{Client, ClientError};
use oxherd_proto::ErrorCode;
use serde_json::{Value, json};

/// Exit code of a failed command.
pub(crate) const EXIT_FAILED: u8 = 1;
/// Exit code of an invocation that cannot be understood.
pub(crate) const EXIT_INVOCATION: u8 = 2;
/// Exit code of an unknown command.
pub(crate) const EXIT_UNKNOWN: u8 = 127;

/// A command's result.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// For stdout, lines ended.
    pub(crate) out: String,
    /// For stderr, lines ended.
    pub(crate) err: String,
    /// The whole answer for scripts.
    pub(crate) json: Value,
}

impl Answer {
    /// No text; scripts read that it worked.
    pub(crate) fn done() -> Self {
        Self::json(json!({ "ok": true }))
    }

    /// No text yet.
    pub(crate) fn json(json: Value) -> Self {
        Self { json, ..Self::default() }
    }

    /// Adds a line for stdout.
    pub(crate) fn line(mut self, text: impl AsRef<str>) -> Self {
        self.out.push_str(text.as_ref());
        self.out.push('\n');
        self
    }

    /// Adds a line for stderr.
    pub(crate) fn note(mut self, text: impl AsRef<str>) -> Self {
        self.err.push_str(text.as_ref());
        self.err.push('\n');
        self
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Lines for stderr; the last says why.
    pub(crate) message: String,
    /// The server's code, where it was the server.
    pub(crate) code: Option<ErrorCode>,
    /// What lies behind it, where more is known than the message says.
    pub(crate) cause: Option<String>,
    /// Exit code of a one-shot run.
    pub(crate) exit: u8,
}

impl Failure {
    /// A command that was used wrongly.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: None, cause: None, exit: EXIT_FAILED }
    }

    /// The failure for scripts.
    pub(crate) fn json(&self) -> Value {
        let code = self.code.map(|code| json!({ "name": code.name(), "number": code.code() }));
        let mut error = json!({ "message": self.message, "code": code });
        if let Some(cause) = &self.cause {
            error["cause"] = json!(cause);
        }
        json!({ "error": error })
    }

    /// The failure for people: the cause has a line of its own.
    pub(crate) fn text(&self) -> String {
        let cause = self.cause.as_ref().map(|cause| format!("{cause}\n")).unwrap_or_default();
        format!("{}\n{cause}", self.message)
    }

    /// Adds why no server was reached, when that is what went wrong.
    pub(crate) fn explained(mut self, client: &Client) -> Self {
        if self.code == Some(ErrorCode::ConnectionLoss)
            && let Some(reason) = client.unreachable()
        {
            self.cause = Some(format!("cannot reach {reason}; is a server running there?"));
        }
        self
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let (message, code) = match &error {
            ClientError::Keeper { code, path } => (keeper_message(*code, path), Some(*code)),
            other => (other.to_string(), None),
        };
        Self { message, code, cause: None, exit: EXIT_FAILED }
    }
}

/// The phrase that scripts look for.
// Java: CliWrapperException.getMessage
fn keeper_message(code: ErrorCode, path: &str) -> String {
    let phrase = match code {
        ErrorCode::NoNode => "Node does not exist: ",
        ErrorCode::NoChildrenForEphemerals => "Ephemerals cannot have children: ",
        ErrorCode::NodeExists => "Node already exists: ",
        ErrorCode::NotEmpty => "Node not empty: ",
        ErrorCode::NotReadOnly => "Not a read-only call: ",
        ErrorCode::InvalidAcl => "Acl is not valid : ",
        ErrorCode::NoAuth => "Insufficient permission : ",
        ErrorCode::BadArguments => "Arguments are not valid : ",
        ErrorCode::BadVersion => "version No is not valid : ",
        ErrorCode::QuotaExceeded => "Quota has exceeded : ",
        ErrorCode::ReconfigInProgress => return "Another reconfiguration is in progress".to_owned(),
        ErrorCode::NewConfigNoQuorum => {
            return "No quorum of the new configuration is connected and up to date".to_owned();
        }
        other => return code_message(other, path),
    };
    format!("{phrase}{path}")
}

/// The code's own name, with the path.
// Java: KeeperException.getMessage
pub(crate) fn code_message(code: ErrorCode, path: &str) -> String {
    let name = match code {
        ErrorCode::SystemError => "SystemError",
        ErrorCode::RuntimeInconsistency => "RuntimeInconsistency",
        ErrorCode::DataInconsistency => "DataInconsistency",
        ErrorCode::ConnectionLoss => "ConnectionLoss",
        ErrorCode::MarshallingError => "MarshallingError",
        ErrorCode::Unimplemented => "Unimplemented",
        ErrorCode::OperationTimeout => "OperationTimeout",
        ErrorCode::ApiError => "APIError",
        ErrorCode::InvalidAcl => "InvalidACL",
        ErrorCode::AuthFailed => "AuthFailed",
        ErrorCode::SessionExpired => "Session expired",
        ErrorCode::SessionMoved => "Session moved",
        ErrorCode::EphemeralOnLocalSession => "Ephemeral node on local session",
        ErrorCode::NoWatcher => "No such watcher",
        ErrorCode::ReconfigDisabled => "Reconfig is disabled",
        ErrorCode::ThrottledOp => "Op throttled due to high load",
        other => other.name(),
    };
    let place = if path.is_empty() { String::new() } else { format!(" for {path}") };
    format!("KeeperErrorCode = {name}{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_by_which_scripts_tell_errors() {
        let message =
            |code, path: &str| Failure::from(ClientError::Keeper { code, path: path.to_owned() }).message;
        assert_eq!(message(ErrorCode::NoNode, "/a"), "Node does not exist: /a");
        assert_eq!(message(ErrorCode::BadVersion, "/a"), "version No is not valid : /a");
        assert_eq!(message(ErrorCode::ReconfigDisabled, ""), "KeeperErrorCode = Reconfig is disabled");
        assert_eq!(message(ErrorCode::ConnectionLoss, "/a"), "KeeperErrorCode = ConnectionLoss for /a");
    }

    #[test]
    fn a_failure_for_scripts_names_the_code() {
        let failure = Failure::from(ClientError::Keeper { code: ErrorCode::NoNode, path: "/a".to_owned() });
        let expected =
            r#"{"error":{"message":"Node does not exist: /a","code":{"name":"NONODE","number":-101}}}"#;
        assert_eq!(failure.json().to_string(), expected);
    }
}
