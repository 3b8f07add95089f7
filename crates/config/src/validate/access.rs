//! Who may log in, and how: schemes, their providers and hashes.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::report::{Report, Severity};
use crate::settings::Settings;
use crate::table::{self, Provider};

/// Names of the hashes that the digest scheme may use, in capitals; case does not matter in a setting.
pub const DIGEST_ALGORITHMS: [&str; 13] = [
    "SHA",
    "SHA1",
    "SHA-1",
    "SHA224",
    "SHA-224",
    "SHA256",
    "SHA-256",
    "SHA384",
    "SHA-384",
    "SHA512",
    "SHA-512",
    "SHA512/256",
    "SHA-512/256",
];

/// Names of the schemes that this server knows.
pub const SCHEMES: [&str; 5] = ["ip", "digest", "x509", "sasl", "ensemble"];

pub(super) fn check(config: &Config, settings: &Settings, report: &mut Report) {
    algorithm(config, report);
    providers(&config.auth.providers, settings, report);
    enforced(config, report);
}

fn algorithm(config: &Config, report: &mut Report) {
    let name = &config.auth.digest_algorithm;
    if !DIGEST_ALGORITHMS.contains(&name.to_ascii_uppercase().as_str()) {
        let text = format!("expected SHA1, SHA-256 or SHA-512, found \"{name}\"");
        report.error("DigestAuthenticationProvider.digestAlg", text);
    }
}

fn providers(given: &BTreeMap<String, String>, settings: &Settings, report: &mut Report) {
    let family = table::find("authProvider.*").expect("a row of the table");
    for (id, class) in given.iter().filter(|(_, class)| Provider::of_class(class).is_none()) {
        let name = format!("authProvider.{id}");
        let about = settings.get(family, &name).map(|setting| (name.as_str(), &setting.origin));
        report.add(
            Severity::Warning,
            about,
            format!("the class {class} is unknown here and is not loaded; its scheme does not exist"),
        );
    }
}

/// The schemes of which a client needs one must be offered, or nobody could come in.
// Java: AuthenticationHelper.validateConfiguredProperties
fn enforced(config: &Config, report: &mut Report) {
    let auth = &config.auth;
    if auth.require_sasl {
        return offered(config, "sessionRequireClientSASLAuth", &["sasl"], report);
    }
    if !auth.enforce {
        return;
    }
    let text = auth.enforce_schemes.as_deref().unwrap_or_default();
    let names: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        let text = "true needs enforce.auth.schemes beside it, a comma list such as digest,x509";
        return report.error("enforce.auth.enabled", text);
    }
    offered(config, "enforce.auth.schemes", &names, report);
}

fn offered(config: &Config, key: &str, names: &[&str], report: &mut Report) {
    for name in names {
        if !SCHEMES.contains(name) {
            report.error(key, format!("{name} is no scheme of this server"));
        } else if !is_offered(config, name) {
            report.error(key, format!("the scheme {name} is not offered: {}", missing(name)));
        }
    }
    if names.iter().all(|name| matches!(*name, "sasl" | "x509")) {
        report.warning(key, "no client can come in: neither SASL nor TLS exists here yet");
    }
}

fn missing(scheme: &str) -> &'static str {
    match scheme {
        "digest" => "DigestAuthenticationProvider.enabled is false",
        _ => "expected an authProvider.N with its class beside it",
    }
}

// Java: ProviderRegistry.initialize, QuorumPeerConfig.configureSSLAuth
fn is_offered(config: &Config, scheme: &str) -> bool {
    let has = |wanted| config.auth.providers.values().any(|class| Provider::of_class(class) == Some(wanted));
    match scheme {
        "ip" => true,
        "digest" => config.auth.digest_enabled || has(Provider::Digest),
        "x509" => config.client_port.secure_port.is_some() || has(Provider::X509),
        "sasl" => has(Provider::Sasl),
        _ => has(Provider::Ensemble),
    }
}
