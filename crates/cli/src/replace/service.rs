//! What to type on a member's machine, for each way of running servers.

use std::path::Path;

use super::facts::Kind;

/// How servers are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Units `zookeeper` and `oxherd`.
    Systemd,
    /// Containers `zookeeper` and `oxherd`.
    Container,
    /// `zkServer.sh`, and the program itself.
    Plain,
}

/// What the lines are about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Files<'a> {
    /// The member's `zoo.cfg`.
    pub(crate) config: &'a Path,
    /// Name of the image with this program, when it is known.
    pub(crate) image: Option<&'a str>,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Systemd, Self::Container, Self::Plain];

    /// The word for it on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Container => "container",
            Self::Plain => "plain",
        }
    }

    /// The lines that stop the one and start the other on the same files.
    pub(crate) fn lines(self, to: Kind, files: Files<'_>) -> Vec<String> {
        vec![self.stop(to.other(), files.config), self.start(to, files)]
    }

    fn stop(self, kind: Kind, config: &Path) -> String {
        let name = name(kind);
        match (self, kind) {
            (Self::Systemd, _) => format!("sudo systemctl disable --now {name}"),
            // A container that restarts by itself would be back after a reboot, beside the other one on the same files.
            (Self::Container, _) => {
                format!("docker update --restart=no {name} && docker stop -t 60 {name}")
            }
            // `zkServer.sh stop` and `kill` return before the process is gone, and two must not share the files. The
            // brackets keep the line from finding the shell that it runs in.
            (Self::Plain, Kind::Java) => format!(
                "zkServer.sh stop {}; while pgrep -f {} >/dev/null; do sleep 1; done",
                quoted(config),
                process("[Q]uorumPeerMain", config)
            ),
            (Self::Plain, Kind::Oxherd) => {
                let process = process("[o]xherd serve", config);
                format!("pkill -TERM -f {process}; while pgrep -f {process} >/dev/null; do sleep 1; done")
            }
        }
    }

    /// The line that starts one of them.
    pub(crate) fn start(self, kind: Kind, files: Files<'_>) -> String {
        let (config, image) = (quoted(files.config), files.image.unwrap_or("IMAGE"));
        match (self, kind) {
            (Self::Systemd, _) => format!("sudo systemctl enable --now {}", name(kind)),
            (Self::Container, Kind::Java) => {
                "docker start zookeeper && docker update --restart=unless-stopped zookeeper".to_owned()
            }
            (Self::Container, Kind::Oxherd) => format!(
                "docker start oxherd && docker update --restart=unless-stopped oxherd || docker run -d --name oxherd \
                 --restart unless-stopped --network host --volumes-from zookeeper {image} serve {config}"
            ),
            (Self::Plain, Kind::Java) => format!("zkServer.sh start {config}"),
            (Self::Plain, Kind::Oxherd) => format!("nohup oxherd serve {config} >>oxherd.log 2>&1 &"),
        }
    }

    /// What has to be there for the lines to work; empty when nothing has to.
    pub(crate) fn needs(self, files: Files<'_>) -> String {
        match self {
            Self::Systemd => format!(
                "a unit oxherd.service with the User= and the limits of zookeeper.service and \
                 ExecStart=/usr/bin/oxherd serve {}",
                quoted(files.config)
            ),
            Self::Container => {
                let image = files.image.unwrap_or("IMAGE (--image names it)");
                format!("{image} with the oxherd binary as entry point, and the user of the Java one")
            }
            Self::Plain => {
                "the user that ran the other server, and its JVMFLAGS and SERVER_JVMFLAGS".to_owned()
            }
        }
    }
}

/// A path as a shell, or a unit, takes it for one word.
fn quoted(path: &Path) -> String {
    one_word(&path.display().to_string())
}

/// What `pgrep -f` finds a server by: its command line, with this file for a whole word.
fn process(program: &str, config: &Path) -> String {
    let special = |c: char| r"\.[](){}*+?^$|".contains(c);
    let path = config.display().to_string();
    let path: String = path.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect();
    one_word(&format!("{program} {path}( |$)"))
}

fn one_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Java => "zookeeper",
        Kind::Oxherd => "oxherd",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(config: &str) -> Files<'_> {
        Files { config: Path::new(config), image: None }
    }

    #[test]
    fn a_path_with_spaces_stays_one_word() {
        let lines = Service::Plain.lines(Kind::Oxherd, files("/srv/our zk/it's.cfg"));
        assert!(lines[0].starts_with(r"zkServer.sh stop '/srv/our zk/it'\''s.cfg'; "), "{}", lines[0]);
        assert!(
            lines[0].contains(r"pgrep -f '[Q]uorumPeerMain /srv/our zk/it'\''s\.cfg( |$)' >"),
            "{}",
            lines[0]
        );
        assert!(lines[1].contains(r"serve '/srv/our zk/it'\''s.cfg' >>"), "{}", lines[1]);
    }

    #[test]
    fn the_way_back_undoes_the_way_there() {
        let config = files("/etc/zookeeper/zoo.cfg");
        let there = Service::Plain.lines(Kind::Oxherd, config);
        assert!(there[0].starts_with("zkServer.sh stop /etc/zookeeper/zoo.cfg; while pgrep"), "{}", there[0]);
        assert!(there[1].contains("oxherd serve /etc/zookeeper/zoo.cfg"));
        let back = Service::Plain.lines(Kind::Java, config);
        assert_eq!(
            back[0],
            r"pkill -TERM -f '[o]xherd serve /etc/zookeeper/zoo\.cfg( |$)'; while pgrep -f '[o]xherd serve /etc/zookeeper/zoo\.cfg( |$)' >/dev/null; do sleep 1; done",
            "it must be gone"
        );
        assert_eq!(back[1], "zkServer.sh start /etc/zookeeper/zoo.cfg");
        // Of two units that are both enabled, a reboot would start both on the same files.
        assert_eq!(
            Service::Systemd.lines(Kind::Java, config),
            ["sudo systemctl disable --now oxherd", "sudo systemctl enable --now zookeeper"]
        );
        assert_eq!(
            Service::Container.lines(Kind::Java, config),
            [
                "docker update --restart=no oxherd && docker stop -t 60 oxherd",
                "docker start zookeeper && docker update --restart=unless-stopped zookeeper"
            ]
        );
    }

    #[test]
    fn an_image_that_has_a_name_is_named() {
        let named = Files { image: Some("registry.example/oxherd:0.1"), ..files("/conf/zoo.cfg") };
        let line = Service::Container.start(Kind::Oxherd, named);
        assert!(
            line.ends_with("--volumes-from zookeeper registry.example/oxherd:0.1 serve /conf/zoo.cfg"),
            "{line}"
        );
        assert!(Service::Container.needs(named).starts_with("registry.example/oxherd:0.1 with the"));
        assert!(Service::Container.needs(files("/conf/zoo.cfg")).contains("--image"));
    }
}
