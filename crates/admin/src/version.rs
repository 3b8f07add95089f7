//! The version that tools read.

/// Release whose behaviour is matched, the crate's own version, and a date, in the shape tools parse: they take the
/// digits up to the first hyphen, and some expect a date after `built on`.
///
/// The date is that of the matched release and not of the build: a build has no clock, so that equal sources give
/// equal binaries.
pub const FULL_VERSION: &str =
    concat!("3.9.5-oxherd-", env!("CARGO_PKG_VERSION"), ", built on 2026-02-11 20:18 UTC");

/// What a server says about its process and system, in the order of the original; names of the JVM that tools look
/// for are kept, with this program's own values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Name of the machine.
    pub host: String,
    /// Path of the program.
    pub program: String,
    /// Directory for temporary files.
    pub temporary_dir: String,
    /// Name of the system, such as `Linux`.
    pub os_name: String,
    /// Machine architecture, such as `amd64`.
    pub os_arch: String,
    /// Version of the system.
    pub os_version: String,
    /// User that runs the server.
    pub user: String,
    /// Home of the user.
    pub home: String,
    /// Working directory.
    pub working_dir: String,
    /// Free memory in megabytes.
    pub memory_free_mb: u64,
    /// Memory the process may use, in megabytes.
    pub memory_max_mb: u64,
    /// Memory of the process, in megabytes.
    pub memory_total_mb: u64,
}

const NOT_APPLICABLE: &str = "<NA>";

/// The lines of envi, in the original's order.
// Java: Environment.list
pub fn environment(environment: &Environment) -> Vec<(&'static str, String)> {
    let own = |text: &str| text.to_owned();
    let megabytes = |number: u64| format!("{number}MB");
    vec![
        ("zookeeper.version", own(FULL_VERSION)),
        ("host.name", own(&environment.host)),
        ("java.version", own(NOT_APPLICABLE)),
        ("java.vendor", own(NOT_APPLICABLE)),
        ("java.home", own(NOT_APPLICABLE)),
        ("java.class.path", own(&environment.program)),
        ("java.library.path", own(NOT_APPLICABLE)),
        ("java.io.tmpdir", own(&environment.temporary_dir)),
        ("java.compiler", own(NOT_APPLICABLE)),
        ("os.name", own(&environment.os_name)),
        ("os.arch", own(&environment.os_arch)),
        ("os.version", own(&environment.os_version)),
        ("user.name", own(&environment.user)),
        ("user.home", own(&environment.home)),
        ("user.dir", own(&environment.working_dir)),
        ("os.memory.free", megabytes(environment.memory_free_mb)),
        ("os.memory.max", megabytes(environment.memory_max_mb)),
        ("os.memory.total", megabytes(environment.memory_total_mb)),
    ]
}
