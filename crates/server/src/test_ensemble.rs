//! A whole ensemble inside one process, for tests of programs that use ZooKeeper.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use oxherd_config::Config;
use oxherd_zab::Role;

use crate::driver::Driver;
use crate::server::{Handle, IN_USE_ADVICE, Purpose, Server, StartError};
use crate::test_ports;
use crate::witness::Witness;

/// Longest time in which a member is expected to serve.
const SERVE_TIMEOUT: Duration = Duration::from_secs(30);

/// Servers on free ports of 127.0.0.1, with data in a temporary directory that goes with them.
///
/// ```
/// use oxherd_server::TestEnsemble;
///
/// let mut ensemble = TestEnsemble::start(3)?;
/// println!("clients connect to {}", ensemble.connect_string());
/// let leader = ensemble.leader().expect("all members serve");
/// ensemble.stop(leader);
/// assert!(ensemble.wait_for_leader(), "the other two go on");
/// ensemble.start_again(leader)?;
/// # Ok::<(), oxherd_server::StartError>(())
/// ```
#[derive(Debug)]
pub struct TestEnsemble {
    members: Vec<TestMember>,
    dir: PathBuf,
    witness: Option<Arc<dyn Witness>>,
}

#[derive(Debug)]
struct TestMember {
    config: Config,
    ports: Ports,
    handle: Option<Handle>,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    client: SocketAddr,
    learners: SocketAddr,
    votes: SocketAddr,
}

struct Listeners {
    client: TcpListener,
    learners: TcpListener,
    votes: TcpListener,
}

impl Listeners {
    fn free() -> io::Result<Self> {
        let bind = || test_ports::listener("127.0.0.1");
        Ok(Self { client: bind()?, learners: bind()?, votes: bind()? })
    }

    fn at(ports: Ports) -> io::Result<Self> {
        let bind = |address: SocketAddr| crate::server::bind(Some("127.0.0.1"), address.port(), 128);
        Ok(Self { client: bind(ports.client)?, learners: bind(ports.learners)?, votes: bind(ports.votes)? })
    }

    fn ports(&self) -> io::Result<Ports> {
        Ok(Ports {
            client: self.client.local_addr()?,
            learners: self.learners.local_addr()?,
            votes: self.votes.local_addr()?,
        })
    }
}

impl TestEnsemble {
    /// Starts so many members, and waits until all of them serve.
    ///
    /// Errors: as of [`crate::ServerBuilder::start`], or when the members do not find together in 30 s.
    pub fn start(count: usize) -> Result<Self, StartError> {
        Self::start_with(count, |_, _| {})
    }

    /// As [`Self::start`], with settings changed: `change` gets each member's index and configuration.
    pub fn start_with(count: usize, change: impl Fn(usize, &mut Config)) -> Result<Self, StartError> {
        Self::start_before(count, change, None)
    }

    /// As [`Self::start_with`], with somebody who hears what the members take and do.
    pub fn start_before(
        count: usize,
        change: impl Fn(usize, &mut Config),
        witness: Option<Arc<dyn Witness>>,
    ) -> Result<Self, StartError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("oxherd-ensemble-{}-{number}", std::process::id()));
        let mut ensemble = Self { members: Vec::new(), dir, witness };
        let listeners: Vec<Listeners> =
            (0..count).map(|_| Listeners::free()).collect::<io::Result<_>>().map_err(StartError::Threads)?;
        let ports: Vec<Ports> =
            listeners.iter().map(Listeners::ports).collect::<io::Result<_>>().map_err(StartError::Threads)?;
        for (index, listeners) in listeners.into_iter().enumerate() {
            let path = write_config(&ensemble.dir, index, &ports)
                .map_err(|error| unusable(&ensemble.dir, &error))?;
            let mut config =
                Config::from_file(&path).map_err(|error| StartError::Setting(error.to_string()))?;
            change(index, &mut config);
            let handle = start(&config, listeners, ensemble.witness.as_ref())?;
            ensemble.members.push(TestMember { config, ports: ports[index], handle: Some(handle) });
        }
        for member in &ensemble.members {
            member.wait_until_serving()?;
        }
        Ok(ensemble)
    }

    /// Where the clients of every member connect, running or not, in order.
    pub fn client_addrs(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|member| member.ports.client).collect()
    }

    /// Where a member listens for learners and for votes.
    pub fn peer_addrs(&self, index: usize) -> Option<(SocketAddr, SocketAddr)> {
        self.members.get(index).map(|member| (member.ports.learners, member.ports.votes))
    }

    /// All addresses as clients take them: `host:port,host:port…`.
    pub fn connect_string(&self) -> String {
        self.client_addrs().iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    /// A running member.
    pub fn member(&self, index: usize) -> Option<&Handle> {
        self.members.get(index).and_then(|member| member.handle.as_ref())
    }

    /// The member that leads, if one does at the moment.
    pub fn leader(&self) -> Option<usize> {
        let leads = |index: &usize| {
            let role = self.member(*index).and_then(Handle::role);
            matches!(role, Some(Role::Leading { .. }))
        };
        (0..self.members.len()).find(leads)
    }

    /// Waits for a leader, at most 30 s; whether there is one.
    pub fn wait_for_leader(&self) -> bool {
        let end = Driver::now().instant + SERVE_TIMEOUT;
        while self.leader().is_none() {
            if Driver::now().instant > end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Stops a member as SIGTERM would; a leader hands over.
    pub fn stop(&mut self, index: usize) {
        if let Some(handle) = self.members.get_mut(index).and_then(|member| member.handle.take()) {
            handle.shutdown();
        }
    }

    /// Starts a stopped member on its data and its ports, and waits until it serves.
    pub fn start_again(&mut self, index: usize) -> Result<(), StartError> {
        self.start_stopped(|other| other == index)
    }

    /// Starts all that are stopped, and waits until they serve.
    pub fn start_all_again(&mut self) -> Result<(), StartError> {
        self.start_stopped(|_| true)
    }

    fn start_stopped(&mut self, wanted: impl Fn(usize) -> bool) -> Result<(), StartError> {
        let witness = self.witness.clone();
        let stopped = |(index, member): &(usize, &mut TestMember)| wanted(*index) && member.handle.is_none();
        let mut started = Vec::new();
        for (index, member) in self.members.iter_mut().enumerate().filter(stopped) {
            let address = member.ports.client.to_string();
            let listeners = Listeners::at(member.ports).map_err(|source| StartError::Listen {
                purpose: Purpose::Clients,
                address,
                source,
                advice: IN_USE_ADVICE.to_owned(),
            })?;
            member.handle = Some(start(&member.config, listeners, witness.as_ref())?);
            started.push(index);
        }
        started.into_iter().try_for_each(|index| self.members[index].wait_until_serving())
    }
}

impl TestMember {
    fn wait_until_serving(&self) -> Result<(), StartError> {
        let serves =
            |role| matches!(role, Role::Leading { .. } | Role::Following { .. } | Role::Observing { .. });
        match &self.handle {
            Some(handle) if !handle.wait_for_role(serves, SERVE_TIMEOUT) => {
                let dir = self.config.storage.data_dir.display();
                let reason = format!("{dir}: no leader was found in {SERVE_TIMEOUT:?}");
                Err(StartError::Recovery(reason))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for TestEnsemble {
    fn drop(&mut self) {
        self.members.clear();
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "cannot remove the data of a test ensemble");
        }
    }
}

fn unusable(path: &Path, error: &io::Error) -> StartError {
    StartError::DataDirectory { path: path.to_owned(), reason: error.to_string() }
}

fn write_config(dir: &Path, index: usize, ports: &[Ports]) -> io::Result<PathBuf> {
    use std::fmt::Write as _;
    let data = dir.join(format!("{}", index + 1));
    std::fs::create_dir_all(&data)?;
    std::fs::write(data.join("myid"), format!("{}\n", index + 1))?;
    let mut text = format!(
        "tickTime=500\ninitLimit=20\nsyncLimit=10\nstandaloneEnabled=false\nmaxClientCnxns=0\n\
         4lw.commands.whitelist=*\npreAllocSize=1024\ndataDir={}\nclientPort={}\n",
        data.display(),
        ports[index].client.port()
    );
    for (number, ports) in ports.iter().enumerate() {
        let (learners, votes) = (ports.learners.port(), ports.votes.port());
        let _ = writeln!(text, "server.{}=127.0.0.1:{learners}:{votes}", number + 1);
    }
    let path = data.join("zoo.cfg");
    std::fs::write(&path, text)?;
    Ok(path)
}

fn start(
    config: &Config,
    listeners: Listeners,
    witness: Option<&Arc<dyn Witness>>,
) -> Result<Handle, StartError> {
    let mut builder = Server::builder(config.clone()).worker_threads(1).client_listener(listeners.client);
    if let Some(witness) = witness {
        builder = builder.witness(Arc::clone(witness));
    }
    builder.peer_listeners(listeners.learners, listeners.votes).start()
}
