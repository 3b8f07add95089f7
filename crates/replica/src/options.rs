//! What the operator set, as the core needs it.

use crate::auth::AuthOptions;
use crate::limits::LimitOptions;

/// Settings that concern client links.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Largest frame taken, in bytes (`jute.maxbuffer`).
    pub frame_len_max: usize,
    /// Least session timeout granted, in ms (`minSessionTimeout`).
    pub session_timeout_ms_min: i32,
    /// Largest session timeout granted, in ms (`maxSessionTimeout`).
    pub session_timeout_ms_max: i32,
    /// Unanswered requests of all links at which reading stops (`globalOutstandingLimit`).
    pub outstanding_limit: i64,
    /// Whose server it is, if changes are logged (`audit.enable`).
    pub audit: Option<String>,
    /// Throttles of handshakes and requests.
    pub limits: LimitOptions,
    /// Whether permissions go unchecked (`skipACL=yes`).
    pub skip_acl: bool,
    /// Identities and who must have them.
    pub auth: AuthOptions,
}

impl ClientOptions {
    /// The session timeout granted to a client that asks for `asked_ms`.
    pub fn clamp_timeout(&self, asked_ms: i32) -> i32 {
        asked_ms.max(self.session_timeout_ms_min).min(self.session_timeout_ms_max)
    }
}
