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
    pub(crate) fn lines(self, to: Kind, config: &Path) -> Vec<String> {
        vec![self.stop(to.other(), config), self.start(to, config)]
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
                one_word(&format!("[Q]uorumPeerMain {}", config.display()))
            ),
            (Self::Plain, Kind::Oxherd) => {
                "kill -TERM PID; while kill -0 PID 2>/dev/null; do sleep 1; done".to_owned()
            }
        }
    }

    /// The line that starts one of them.
    pub(crate) fn start(self, kind: Kind, config: &Path) -> String {
        let config = quoted(config);
        match (self, kind) {
            (Self::Systemd, _) => format!("sudo systemctl enable --now {}", name(kind)),
            (Self::Container, Kind::Java) => {
                "docker start zookeeper && docker update --restart=unless-stopped zookeeper".to_owned()
            }
            (Self::Container, Kind::Oxherd) => format!(
                "docker start oxherd && docker update --restart=unless-stopped oxherd || docker run -d --name oxherd \
                 --restart unless-stopped --network host --volumes-from zookeeper IMAGE serve {config}"
            ),
            (Self::Plain, Kind::Java) => format!("zkServer.sh start {config}"),
            (Self::Plain, Kind::Oxherd) => format!("nohup oxherd serve {config} >>oxherd.log 2>&1 &"),
        }
    }

    /// What has to be there for the lines to work; empty when nothing has to.
    pub(crate) fn needs(self, config: &Path) -> String {
        match self {
            Self::Systemd => format!(
                "a unit oxherd.service with the User= and the limits of zookeeper.service and \
                 ExecStart=/usr/bin/oxherd serve {}",
                quoted(config)
            ),
            Self::Container => {
                "IMAGE with the oxherd binary as entry point, and the user of the Java one".to_owned()
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

    #[test]
    fn a_path_with_spaces_stays_one_word() {
        let lines = Service::Plain.lines(Kind::Oxherd, Path::new("/srv/our zk/it's.cfg"));
        assert!(lines[0].starts_with(r"zkServer.sh stop '/srv/our zk/it'\''s.cfg'; "), "{}", lines[0]);
        assert!(lines[0].contains(r"pgrep -f '[Q]uorumPeerMain /srv/our zk/it'\''s.cfg' >"), "{}", lines[0]);
        assert!(lines[1].contains(r"serve '/srv/our zk/it'\''s.cfg' >>"), "{}", lines[1]);
    }

    #[test]
    fn the_way_back_undoes_the_way_there() {
        let config = Path::new("/etc/zookeeper/zoo.cfg");
        let there = Service::Plain.lines(Kind::Oxherd, config);
        assert!(there[0].starts_with("zkServer.sh stop /etc/zookeeper/zoo.cfg; while pgrep"), "{}", there[0]);
        assert!(there[1].contains("oxherd serve /etc/zookeeper/zoo.cfg"));
        let back = Service::Plain.lines(Kind::Java, config);
        assert!(back[0].starts_with("kill -TERM PID; while kill -0 PID"), "it must be gone: {}", back[0]);
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
}
