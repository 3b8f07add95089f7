//! What a server refuses to start with because it could not keep what the configuration promises.

use std::path::Path;

use oxherd_config::{Parsed, Severity, Sources, explain};

const ENSEMBLE: &str = "initLimit=5\nsyncLimit=2\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";

fn load(dir: &Path, text: &str, environment: &[(&str, &str)]) -> Parsed {
    let file = dir.join("zoo.cfg");
    std::fs::write(dir.join("myid"), "1\n").expect("a file for the test");
    std::fs::write(&file, format!("dataDir={}\n{text}", dir.display())).expect("a file for the test");
    let environment = environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let sources = Sources { file: Some(file), environment: environment.collect(), ..Sources::default() };
    Parsed::load(&sources).expect("a readable file")
}

/// Findings of a severity as `key: text`.
fn found(text: &str, environment: &[(&str, &str)], severity: Severity) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let parsed = load(dir.path(), text, environment);
    let those = parsed.findings.iter().filter(|finding| finding.severity == severity);
    those.map(|finding| format!("{}: {}", finding.key.as_deref().unwrap_or("-"), finding.text)).collect()
}

fn errors(text: &str) -> Vec<String> {
    found(text, &[], Severity::Error)
}

#[test]
fn protection_that_does_not_exist_here_is_an_error_that_names_key_and_way_out() {
    let sasl = "quorum.auth.enableSasl=true\nquorum.auth.learnerRequireSasl=true\n";
    let cases = [
        ("secureClientPort", format!("{ENSEMBLE}secureClientPort=2\n")),
        ("sslQuorum", format!("clientPort=1\n{ENSEMBLE}sslQuorum=true\n")),
        ("quorum.auth.learnerRequireSasl", format!("clientPort=1\n{ENSEMBLE}{sasl}")),
        (
            "quorum.auth.serverRequireSasl",
            format!("clientPort=1\n{ENSEMBLE}{sasl}quorum.auth.serverRequireSasl=true\n"),
        ),
    ];
    for (key, text) in cases {
        let told = errors(&text);
        let about = told.iter().find(|line| line.starts_with(&format!("{key}: ")));
        let about = about.unwrap_or_else(|| panic!("{key}: {told:?}"));
        assert!(about.contains("OXHERD_ALLOW_PLAIN=true"), "{about}");
        for way in ["allowPlain=true\n", "allowPlain=TRUE\n"] {
            assert_eq!(errors(&format!("{text}{way}")), [""; 0], "{key}");
        }
        let allowed = [("OXHERD_ALLOW_PLAIN", "true")];
        assert_eq!(found(&text, &allowed, Severity::Error), [""; 0], "{key}");
        let warned = found(&text, &allowed, Severity::Warning);
        assert!(warned.iter().any(|line| line.starts_with(key)), "{key}: {warned:?}");
    }
}

#[test]
fn what_turns_clients_away_or_only_prefers_protection_is_a_warning() {
    let cases = [
        ("client.portUnification", "clientPort=1\nclient.portUnification=true\n".to_owned()),
        ("quorum.auth.enableSasl", format!("clientPort=1\n{ENSEMBLE}quorum.auth.enableSasl=true\n")),
    ];
    for (key, text) in cases {
        assert_eq!(errors(&text), [""; 0], "{key}");
        let warned = found(&text, &[], Severity::Warning);
        let wanted = format!("{key}: not in effect yet: ");
        assert!(warned.len() == 1 && warned[0].starts_with(&wanted), "{warned:?}");
    }
}

#[test]
fn a_port_with_tls_beside_a_plain_one_is_not_served_and_said_aloud() {
    let text = "clientPort=7\nsecureClientPort=8\n";
    assert_eq!(errors(text), [""; 0]);
    let want = "secureClientPort: not served: TLS is not there yet; plain port 7 only";
    assert_eq!(found(text, &[], Severity::Warning), [want]);
}

#[test]
fn protection_that_is_switched_off_or_has_nothing_to_protect_is_no_error() {
    let off = "clientPort=1\nsecureClientPort=0\nclient.portUnification=false\nsslQuorum=false\n";
    assert_eq!(errors(&format!("{off}{ENSEMBLE}")), [""; 0]);
    assert_eq!(errors("clientPort=1\nsslQuorum=true\nquorum.auth.enableSasl=true\n"), [""; 0], "no peers");
}

#[test]
fn a_leader_must_be_allowed_to_bring_somebody_up_to_date() {
    for key in ["leader.maxConcurrentSnapSyncs", "leader.maxConcurrentDiffSyncs"] {
        for max in ["0", "-1"] {
            let want = format!(
                "{key}: expected at least 1, found {max}: no observer could ever be brought up to date"
            );
            assert_eq!(errors(&format!("{ENSEMBLE}{key}={max}\n")), [want]);
            assert_eq!(
                errors(&format!("clientPort=1\n{key}={max}\n")),
                [""; 0],
                "a server alone leads nobody"
            );
        }
        assert_eq!(errors(&format!("{ENSEMBLE}{key}=1\n")), [""; 0]);
    }
}

#[test]
fn a_server_alone_needs_a_port_and_a_member_does_not() {
    let want = "clientPort: required: a server alone without it serves nobody";
    assert_eq!(errors(""), [want]);
    assert_eq!(errors("secureClientPort=2\nallowPlain=true\n"), [want]);
    assert_eq!(errors(ENSEMBLE), [""; 0]);
}

#[test]
fn a_scheme_that_clients_need_must_be_offered() {
    let sasl = "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n";
    let cases = [
        (
            "enforce.auth.enabled=true\n".to_owned(),
            "enforce.auth.enabled: true needs enforce.auth.schemes beside it, a comma list such as digest,x509",
        ),
        (
            "enforce.auth.enabled=true\nenforce.auth.schemes=digest,magic\n".to_owned(),
            "enforce.auth.schemes: magic is no scheme of this server",
        ),
        (
            "enforce.auth.enabled=true\nenforce.auth.schemes=digest\nDigestAuthenticationProvider.enabled=false\n"
                .to_owned(),
            "enforce.auth.schemes: the scheme digest is not offered: DigestAuthenticationProvider.enabled is false",
        ),
        (
            "sessionRequireClientSASLAuth=true\n".to_owned(),
            "sessionRequireClientSASLAuth: the scheme sasl is not offered: expected an authProvider.N with its \
             class beside it",
        ),
        (
            "DigestAuthenticationProvider.digestAlg=ROT13\n".to_owned(),
            "DigestAuthenticationProvider.digestAlg: expected SHA1, SHA-256 or SHA-512, found \"ROT13\"",
        ),
    ];
    for (text, want) in cases {
        assert_eq!(errors(&format!("clientPort=1\n{text}")), [want], "{text}");
    }
    for text in [
        "enforce.auth.enabled=true\nenforce.auth.schemes= ip , digest\n".to_owned(),
        "enforce.auth.schemes=magic\n".to_owned(),
        format!("{sasl}sessionRequireClientSASLAuth=true\n"),
        "DigestAuthenticationProvider.digestAlg=sha-512/256\n".to_owned(),
    ] {
        assert_eq!(errors(&format!("clientPort=1\n{text}")), [""; 0], "{text}");
    }
    let warned =
        found(&format!("clientPort=1\n{sasl}sessionRequireClientSASLAuth=true\n"), &[], Severity::Warning);
    assert!(warned[0].contains("no client can come in"), "{warned:?}");
}

#[test]
fn a_provider_is_told_by_what_its_class_does_here() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let text = "clientPort=1\nsessionRequireClientSASLAuth=false\n\
                authProvider.1=org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider\n\
                authProvider.2=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n\
                authProvider.3=com.example.OwnAuthenticationProvider\n";
    let parsed = load(dir.path(), text, &[]);
    let status = |key: &str| explain(&parsed).iter().find(|row| row.key == key).map(|row| row.status);
    assert_eq!(status("sessionRequireClientSASLAuth"), Some("honoured"));
    assert_eq!(status("authProvider.1"), Some("honoured"));
    assert_eq!(status("authProvider.2"), Some("accepted, not in effect: waits for TLS and SASL"));
    assert_eq!(status("authProvider.3"), Some("accepted, without effect (unknown class)"));
    let warned: Vec<_> =
        parsed.findings.iter().filter(|finding| finding.severity == Severity::Warning).collect();
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert_eq!(warned[0].key.as_deref(), Some("authProvider.3"));
    assert!(warned[0].text.contains("com.example.OwnAuthenticationProvider is unknown"), "{}", warned[0]);
}

#[test]
fn what_only_the_start_script_reads_is_told_with_the_way_to_give_it() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let script = "# export JVMFLAGS=\"-Dzookeeper.maxCnxns=5\"\n\
                  export SERVER_JVMFLAGS=\"-Xmx1g -Dzookeeper.snapCount=7 -Djute.maxbuffer=0x200000 $SERVER_JVMFLAGS\"\n\
                  JVMFLAGS='-Dzookeeper.authProvider.x=y -Dzookeeper.watchManagerName=z -DmyOwn=1'\n";
    std::fs::write(dir.path().join("java.env"), script).expect("a file for the test");
    let warned = |environment: &[(&str, &str)]| -> Vec<String> {
        let parsed = load(dir.path(), "clientPort=1\n", environment);
        let those = parsed.findings.iter().filter(|finding| finding.text.contains("java.env"));
        those.map(|finding| finding.to_string()).collect()
    };
    let told = warned(&[]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("warning: "), "{}", told[0]);
    for named in ["-Dzookeeper.snapCount, ", "-Djute.maxbuffer", "OXHERD_SNAP_COUNT, OXHERD_JUTE_MAXBUFFER"] {
        assert!(told[0].contains(named), "{}", told[0]);
    }
    assert!(told[0].contains("OXHERD_AUTH_PROVIDER_x"), "{}", told[0]);
    for silent in ["maxCnxns", "watchManagerName", "myOwn"] {
        assert!(!told[0].contains(silent), "{}", told[0]);
    }
    let flags = "-Dzookeeper.snapCount=7 -Djute.maxbuffer=0x200000 -Dzookeeper.authProvider.x=y";
    assert_eq!(warned(&[("SERVER_JVMFLAGS", flags)]), [""; 0], "the process has them");
}

#[test]
fn an_oracle_that_nobody_asks_is_a_warning() {
    let warned = found(&format!("clientPort=1\n{ENSEMBLE}oraclePath=/o\n"), &[], Severity::Warning);
    assert_eq!(warned, ["oraclePath: /o is not asked: two servers tolerate no failure here"]);
}
