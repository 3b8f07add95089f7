//! A configuration as users write it: files, flags, environment and arguments together.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use oxherd_config::{Config, ConfigError, Mode, Parsed, Severity, Sources, explain, to_json, to_text};

static DIRECTORIES: AtomicU32 = AtomicU32::new(0);

/// A directory of its own for a test, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let number = DIRECTORIES.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("oxherd-config-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text.replace("DIR", &self.0.display().to_string()))
            .expect("a file for the test");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn load(path: &Path) -> Parsed {
    Parsed::load(&Sources { file: Some(path.to_owned()), ..Sources::default() }).expect("a readable file")
}

/// Findings of a severity as `key: text`.
fn found(parsed: &Parsed, severity: Severity) -> Vec<String> {
    let those = parsed.findings.iter().filter(|finding| finding.severity == severity);
    those.map(|finding| format!("{}: {}", finding.key.as_deref().unwrap_or("-"), finding.text)).collect()
}

fn errors(text: &str) -> Vec<String> {
    let directory = Directory::new();
    found(&load(&directory.write("zoo.cfg", text)), Severity::Error)
}

fn variable(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

#[test]
fn without_anything_a_server_listens_on_2181_and_keeps_three_snapshots() {
    let config = Config::default();
    assert_eq!(config.client_port.port, Some(2181));
    assert_eq!(config.storage.data_dir, Path::new("./oxherd-data"));
    assert_eq!((config.session.timeout_ms_min, config.session.timeout_ms_max), (6000, 60000));
    assert_eq!((config.purge.retain, config.purge.interval_hours), (3, 1));
    assert_eq!(config.client_port.per_address_max, 60);
    assert_eq!(config.limits.frame_bytes_max, 1_048_575);
    assert_eq!(config.limits.extra_bytes, Some(1_048_575));
    assert!(config.storage.force_sync && config.storage.digest && !config.auth.skip_acl);
    assert_eq!(config.mode, Mode::Standalone);
}

#[test]
fn a_file_needs_a_data_directory_and_a_client_port() {
    assert_eq!(errors("clientPort=1\n"), ["dataDir: required: the directory of snapshots and myid"]);
    assert_eq!(errors("dataDir=DIR\n"), ["clientPort: required: a server alone without it serves nobody"]);
    let directory = Directory::new();
    let config = Config::from_file(&directory.write("zoo.cfg", "dataDir=DIR\nclientPort=1\n")).unwrap();
    assert_eq!(config.client_port.port, Some(1));
    assert_eq!(config.log_dir(), directory.0);
    assert!(config.initial_text.starts_with("dataDir="));
}

#[test]
fn each_source_overrides_the_one_before() {
    let directory = Directory::new();
    let file = directory.write("zoo.cfg", "dataDir=DIR\nclientPort=1\ntickTime=5\nsnapCount=20\n");
    let environment = vec![
        variable(
            "SERVER_JVMFLAGS",
            "-Xmx1g -Dzookeeper.snapCount=10 -Djute.maxbuffer=0x1000 -Dzookeeper.maxCnxns=3",
        ),
        variable("JVMFLAGS", "-Dzookeeper.maxCnxns=4 -Dreadonlymode.enabled=true"),
        variable("OXHERD_TICK_TIME", "6"),
        variable("OXHERD_CLIENT_PORT", "2"),
        variable("OXHERD_JUTE_MAXBUFFER", "8192"),
    ];
    let mut sources = Sources { file: Some(file), environment, ..Sources::default() };
    let config = Config::from_sources(&sources).unwrap();
    assert_eq!(config.storage.snap_count, 20, "the file sets the property after the flag");
    assert_eq!(config.client_port.connections_max, 4, "JVMFLAGS come last on the command line");
    assert_eq!((config.session.tick_time_ms, config.client_port.port), (6, Some(2)));
    assert_eq!(config.limits.frame_bytes_max, 8192);
    assert!(config.client_port.read_only_mode);
    sources.client_port = Some(3);
    sources.data_dir = Some(directory.0.join("elsewhere"));
    let config = Config::from_sources(&sources).unwrap();
    assert_eq!((config.client_port.port, config.storage.data_dir), (Some(3), directory.0.join("elsewhere")));
}

#[test]
fn a_wrong_number_names_line_key_and_expectation() {
    let directory = Directory::new();
    let file = directory.write("zoo.cfg", "dataDir=DIR\n\nclientPort=21x\nlocalSessionsEnabled=yes\n");
    let error = Config::from_file(&file).unwrap_err().to_string();
    let file = file.display();
    let want = format!(
        "{file}:3: error: clientPort: expected a port from 0 to 65535, found \"21x\"\n\
         {file}:4: error: localSessionsEnabled: expected true or false, found \"yes\""
    );
    assert_eq!(error, want);
}

#[test]
fn a_property_that_cannot_be_read_keeps_its_default_with_a_warning() {
    let directory = Directory::new();
    let parsed = load(
        &directory
            .write("zoo.cfg", "dataDir=DIR\nglobalOutstandingLimit=many\ndigest.enabled=no\nforceSync=no\n"),
    );
    assert_eq!(parsed.config.request_throttle.outstanding_max, 1000);
    assert!(!parsed.config.storage.digest && !parsed.config.storage.force_sync);
    let warnings = found(&parsed, Severity::Warning);
    assert!(warnings[0].contains("found \"many\"; the default holds: 1000"), "{warnings:?}");
    assert!(warnings[1].starts_with("forceSync: "), "{warnings:?}");
}

#[test]
fn unknown_keys_are_tolerated_and_the_closest_is_offered() {
    let directory = Directory::new();
    let text = "dataDir=DIR\nclientport=5\nmy.own.thing=1\njute.maxbuffer=5\ntickTime=1\ntickTime=2\n";
    let parsed = load(&directory.write("zoo.cfg", text));
    assert_eq!((parsed.config.client_port.port, parsed.config.session.tick_time_ms), (None, 2));
    assert_eq!(parsed.config.limits.frame_bytes_max, 1_048_575, "as in the original, the file cannot set it");
    let want = [
        "tickTime: given again in line 6, which counts",
        "clientport: unknown key, without effect; did you mean clientPort?",
        "jute.maxbuffer: takes effect only as -Djute.maxbuffer or OXHERD_JUTE_MAXBUFFER",
        "my.own.thing: unknown key, without effect",
    ];
    assert_eq!(found(&parsed, Severity::Warning), want);
}

#[test]
fn values_must_agree_with_each_other() {
    let cases = [
        (
            "minSessionTimeout=9\nmaxSessionTimeout=8",
            "minSessionTimeout: 9 is more than maxSessionTimeout, 8",
        ),
        ("tickTime=0", "tickTime: expected a length of more than 0 ms"),
        ("clientPortAddress=::1", "clientPortAddress: expected clientPort beside it"),
        ("electionAlg=2", "electionAlg: expected 3, found 2"),
        ("peerType=king", "peerType: expected participant or observer, found \"king\""),
        (
            "quorum.auth.learnerRequireSasl=true",
            "quorum.auth.learnerRequireSasl: expected quorum.auth.enableSasl=true beside it",
        ),
        ("server.1=a:1:1", "server.1: quorum port and election port must differ, found 1 twice"),
        ("server.1=a:1:2:observer", "server.*: observers need an ensemble to observe"),
        ("server.1=a:1:2|b:1:2", "server.1: several addresses need multiAddress.enabled=true"),
        ("standaloneEnabled=false", "standaloneEnabled: false needs at least one participant"),
    ];
    for (text, want) in cases {
        let errors = errors(&format!("dataDir=DIR\n{text}\n"));
        assert_eq!(errors.first().map(String::as_str), Some(want), "{text}");
    }
}

#[test]
fn an_ensemble_needs_its_limits_and_a_number() {
    let servers = "dataDir=DIR\nserver.1=a:1:2;7\nserver.2=b:1:2\nserver.3=[::1]:1:2:observer\n";
    let missing = errors(servers);
    assert_eq!(missing.len(), 3, "{missing:?}");
    let directory = Directory::new();
    directory.write("myid", "1\n");
    let config =
        Config::from_file(&directory.write("zoo.cfg", &format!("{servers}initLimit=5\nsyncLimit=2\n")))
            .unwrap();
    assert_eq!(config.mode, Mode::Ensemble);
    assert_eq!(config.server_id.map(|id| id.0), Some(1));
    assert_eq!(config.client_port.port, Some(7), "the list of servers gives the client port");
    directory.write("myid", "one\n");
    let parsed = load(&directory.0.join("zoo.cfg"));
    assert!(found(&parsed, Severity::Error)[0].contains("found \"one\""));
}

#[test]
fn members_may_lie_in_a_dynamic_file_and_only_there() {
    let directory = Directory::new();
    directory.write("myid", "2");
    directory.write("zoo.cfg.dynamic.1a", "server.1=a:1:2\nserver.2=b:1:2;3\n");
    let text = "dataDir=DIR\ninitLimit=5\nsyncLimit=2\nclientPort=3\n\
                dynamicConfigFile=DIR/zoo.cfg.dynamic.1a\n";
    let config = Config::from_file(&directory.write("zoo.cfg", text)).unwrap();
    assert_eq!((config.membership.version, config.membership.members.len()), (0x1a, 2));
    let parsed = load(&directory.write("zoo.cfg", &format!("{text}server.1=a:1:2\n")));
    assert_eq!(
        found(&parsed, Severity::Error),
        ["server.1: belongs into the file that dynamicConfigFile names"]
    );
    directory.write("zoo.cfg.dynamic.1a", "version=1\ntickTime=5\nserver.1=a:1:2\n");
    let parsed = load(&directory.write("zoo.cfg", text));
    assert_eq!(found(&parsed, Severity::Error).len(), 2);
}

/// A configuration that could not be followed up on its own disk does not bring back an ensemble of the past.
#[test]
fn members_kept_with_the_data_are_preferred_when_they_are_newer() {
    let directory = Directory::new();
    directory.write("myid", "2");
    directory.write("zoo.cfg.dynamic.1a", "server.1=a:1:2\nserver.2=b:1:2;3\n");
    let kept =
        "server.2=b:1:2:participant;3\nserver.4=d:1:2:participant\nserver.5=e:1:2:participant\nversion=1b";
    directory.write("membership.active", kept);
    let text = "dataDir=DIR\ninitLimit=5\nsyncLimit=2\nclientPort=3\nreconfigEnabled=true\n\
                dynamicConfigFile=DIR/zoo.cfg.dynamic.1a\n";
    let parsed = load(&directory.write("zoo.cfg", text));
    assert_eq!(found(&parsed, Severity::Error), [""; 0]);
    assert_eq!((parsed.config.membership.version, parsed.config.membership.members.len()), (0x1b, 3));
    let warned = found(&parsed, Severity::Warning);
    assert!(warned[0].starts_with("dynamicConfigFile: the members are those of version 1b"), "{warned:?}");

    // Nor do those that may not change any more go back, and a client port that moved with them does not either.
    let fixed = text.replace("reconfigEnabled=true", "reconfigEnabled=false");
    assert_eq!(load(&directory.write("zoo.cfg", &fixed)).config.membership.version, 0x1b);
    directory.write("membership.active", &kept.replace(";3", ";7"));
    let moved = load(&directory.write("zoo.cfg", text));
    assert_eq!((found(&moved, Severity::Error), moved.config.client_port.port), (vec![], Some(7)));
    std::fs::write(directory.0.join("membership.active"), [0xff]).unwrap();
    assert!(found(&load(&directory.0.join("zoo.cfg")), Severity::Error)[0].contains("kept with the data"));
    directory.write("membership.active", &kept.replace("1b", "19"));
    assert_eq!(load(&directory.write("zoo.cfg", text)).config.membership.version, 0x1a);
}

#[test]
fn one_participant_runs_standalone_unless_told_otherwise() {
    let directory = Directory::new();
    directory.write("myid", "1");
    let text = "dataDir=DIR\ninitLimit=5\nsyncLimit=2\nserver.1=a:1:2;3\n";
    assert_eq!(Config::from_file(&directory.write("zoo.cfg", text)).unwrap().mode, Mode::Standalone);
    let text = format!("{text}standaloneEnabled=false\n");
    assert_eq!(Config::from_file(&directory.write("zoo.cfg", &text)).unwrap().mode, Mode::Ensemble);
}

#[test]
fn the_positional_form_lifts_the_limit_of_connections() {
    let positional = |arguments: &[&str]| {
        let positional = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Config::from_sources(&Sources { positional, ..Sources::default() })
    };
    let config = positional(&["5", "data"]).unwrap();
    assert_eq!((config.client_port.port, config.client_port.per_address_max), (Some(5), 0));
    let config = positional(&["5", "data", "100", "9"]).unwrap();
    assert_eq!((config.session.tick_time_ms, config.client_port.per_address_max), (100, 9));
    assert!(matches!(positional(&["1", "2", "3", "4", "5"]), Err(ConfigError::Arguments(5))));
}

/// The keys and flags that the harness of the Python client kazoo writes for each of its servers.
#[test]
fn a_test_harness_with_tls_netty_and_sasl_is_accepted() {
    let directory = Directory::new();
    directory.write("myid", "1\n");
    let text = "tickTime=2000\ndataDir=DIR\nclientPort=20000\nsecureClientPort=20003\nmaxClientCnxns=0\nadmin.serverPort=20004\n\
        serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n\
        authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n\
        ssl.keyStore.location=DIR/keystore.jks\nssl.keyStore.password=apassword\n\
        ssl.trustStore.location=DIR/truststore.jks\nssl.trustStore.password=apassword\n\
        initLimit=4\nsyncLimit=2\nserver.1=localhost:20001:20002:participant\nserver.2=localhost:20011:20012:participant\n\
        server.3=localhost:20021:20022:participant\npeerType=participant\n";
    let flags = "-Dfile.encoding=UTF-8 -Dreadonlymode.enabled=true -Dzookeeper.log.dir=/log -Dzookeeper.root.logger=INFO,CONSOLE \
        -Dlog4j.configuration=file:/l -Djava.awt.headless=true -Djava.security.auth.login.config=/jaas.conf";
    let environment = vec![variable("SERVER_JVMFLAGS", flags)];
    let sources = Sources { file: Some(directory.write("zoo.cfg", text)), environment, ..Sources::default() };
    let parsed = Parsed::load(&sources).unwrap();
    assert_eq!(found(&parsed, Severity::Error), [""; 0]);
    let warned = found(&parsed, Severity::Warning);
    assert!(
        warned.len() == 1
            && warned[0] == "secureClientPort: not served: TLS is not there yet; plain port 20000 only",
        "{warned:?}"
    );
    assert_eq!(parsed.config.tls_client.key_store, Some(directory.0.join("keystore.jks")));
    assert_eq!(parsed.config.limits.jaas_file, Some(PathBuf::from("/jaas.conf")));
    assert_eq!(parsed.config.client_port.secure_port, Some(20003));
}

#[test]
fn the_explanation_shows_every_key_with_its_origin_and_hides_secrets() {
    let directory = Directory::new();
    let file = directory.write(
        "zoo.cfg",
        "dataDir=DIR\nsnapCount=7\nclientPort=1\nssl.keyStore.password=hush\nwatchManagerName=x\n",
    );
    let environment = vec![variable("OXHERD_TICK_TIME", "9"), variable("OXHERD_TICK_TIMES", "9")];
    let parsed = Parsed::load(&Sources { file: Some(file), environment, ..Sources::default() }).unwrap();
    let rows = explain(&parsed);
    let origin =
        |key: &str| rows.iter().find(|row| row.key == key).map(|row| row.origin.to_string()).unwrap();
    assert!(origin("snapCount").ends_with("zoo.cfg:2"));
    assert_eq!(
        (origin("tickTime"), origin("maxCnxns")),
        ("OXHERD_TICK_TIME".to_owned(), "default".to_owned())
    );
    let text = to_text(&parsed);
    assert!(
        !text.contains("hush") && text.contains("The server would start: 0 errors, 1 warnings, 2 notes."),
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_str(&to_json(&parsed)).unwrap();
    assert_eq!(json["ok"], true);
    assert!(json["keys"].as_array().unwrap().len() > 240);
}

#[test]
fn a_missing_file_and_a_broken_escape_are_said() {
    let directory = Directory::new();
    let missing = Config::from_file(&directory.0.join("none.cfg")).unwrap_err();
    assert!(missing.to_string().contains("none.cfg"));
    let broken = Config::from_file(&directory.write("zoo.cfg", "a=1\nb=\\u00")).unwrap_err();
    assert!(broken.to_string().contains(":2: error: expected four hexadecimal digits"));
}

#[test]
fn the_explanation_adds_the_value_in_effect_where_the_text_is_another() {
    let directory = Directory::new();
    let text = "dataDir=DIR\nclientPort=1\ntickTime=2000\nsnapCount=abc\nautopurge.snapRetainCount=1\nforceSync=maybe\n\
                reconfigEnabled=TRUE\nskipACL=on\nsnapshotSizeFactor=.50\n";
    let environment = vec![variable("JVMFLAGS", "-Djute.maxbuffer=0x1000")];
    let file = directory.write("zoo.cfg", text);
    let parsed = Parsed::load(&Sources { file: Some(file), environment, ..Sources::default() }).unwrap();
    let rows = explain(&parsed);
    let in_effect: Vec<(&str, &str)> =
        rows.iter().filter_map(|row| Some((row.key.as_str(), row.in_effect.as_deref()?))).collect();
    let want = [
        ("minSessionTimeout", "4000"),
        ("maxSessionTimeout", "40000"),
        ("jute.maxbuffer", "4096"),
        ("jute.maxbuffer.extrasize", "4096"),
        ("snapCount", "100000"),
        ("forceSync", "yes"),
        ("autopurge.snapRetainCount", "3"),
        ("skipACL", "no"),
    ];
    assert_eq!(in_effect, want);
    let shown = to_text(&parsed);
    for line in
        ["snapCount = abc -> 100000  [", "minSessionTimeout = -1 -> 4000  [", "reconfigEnabled = TRUE  ["]
    {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let json: serde_json::Value = serde_json::from_str(&to_json(&parsed)).unwrap();
    let keys = json["keys"].as_array().unwrap();
    let retained = keys.iter().find(|row| row["key"] == "autopurge.snapRetainCount").unwrap();
    assert_eq!((&retained["value"], &retained["in_effect"]), (&"1".into(), &"3".into()));
    assert!(keys.iter().find(|row| row["key"] == "tickTime").unwrap().get("in_effect").is_none());
}
