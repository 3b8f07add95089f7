//! Protection that was asked for and does not exist here yet: better no server than an open one.

use crate::config::{Config, Mode};
use crate::report::{Report, Severity};
use crate::settings::Settings;
use crate::table;

/// How to serve all the same.
const WAY: &str = "take the key out, or stay with Java until it does; allowPlain=true (OXHERD_ALLOW_PLAIN=true) \
                   serves without it";

/// A key that asks for protection.
struct Asked {
    key: &'static str,
    on: bool,
    /// Whether somebody who relies on it would be unprotected, rather than merely not served.
    relied_on: bool,
    /// What goes without protection.
    missing: &'static str,
}

/// Errors for every such key that is switched on and relied on; warnings when it is not, or `allowPlain` is on.
pub(super) fn check(config: &Config, settings: &Settings, report: &mut Report) {
    for asked in asked(config).iter().filter(|asked| asked.on) {
        let key = table::find(asked.key).expect("a row of the table");
        let origin = settings.get(key, key.name).map(|setting| &setting.origin);
        let about = origin.map(|origin| (key.name, origin));
        let missing = asked.missing;
        report.findings.retain(|finding| {
            finding.severity != Severity::Note || finding.key.as_deref() != Some(asked.key)
        });
        if let ("secureClientPort", Some(port)) = (asked.key, config.client_port.port) {
            let text = format!("not served: TLS is not there yet; plain port {port} only");
            report.add(Severity::Warning, about, text);
        } else if !asked.relied_on {
            report.add(Severity::Warning, about, format!("not in effect yet: {missing}"));
        } else if config.auth.allow_plain {
            report.add(Severity::Warning, about, format!("not in effect: {missing} (allowPlain)"));
        } else {
            report.add(
                Severity::Error,
                about,
                format!("{missing}, which this server does not have yet: {WAY}"),
            );
        }
    }
}

/// A server alone has no peers that could talk plain. Clients that want TLS are turned away, not deceived.
fn asked(config: &Config) -> [Asked; 6] {
    let (auth, port) = (&config.quorum_auth, &config.client_port);
    let peers = config.mode == Mode::Ensemble;
    let sasl = peers && auth.enabled;
    let one = |key, on, relied_on, missing| Asked { key, on, relied_on, missing };
    let tls_port = port.secure_port.is_some_and(|port| port > 0);
    let (taken, met) = ("peers would be taken without SASL", "servers would be taken without SASL");
    [
        one("secureClientPort", tls_port, port.port.is_none(), "clients find no port with TLS"),
        one("client.portUnification", port.port_unification, false, "the client port is plain, without TLS"),
        one("sslQuorum", peers && config.quorum.tls, true, "peers would talk plain, without TLS"),
        one("quorum.auth.enableSasl", sasl, false, "peers are taken in without SASL"),
        one("quorum.auth.serverRequireSasl", sasl && auth.server_required, true, taken),
        one("quorum.auth.learnerRequireSasl", sasl && auth.learner_required, true, met),
    ]
}
