//! What a server says of itself when it is asked with `srvr`, the one word that is always answered.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// `standalone`, `leader`, `follower`, `observer` or `read-only` of the server at `host:port`; `None` when it does not
/// answer, or does not serve. Blocks for at most two seconds; not for use within a runtime.
///
/// Errors: no runtime can be made.
pub fn server_mode(place: &str) -> std::io::Result<Option<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mode = runtime.block_on(mode_of(place));
    // A look-up of a name that takes long is not waited for.
    runtime.shutdown_background();
    Ok(mode)
}

/// `standalone`, `leader`, `follower`, `observer` or `read-only` of the server at `host:port`; `None` when it does not
/// answer, or does not serve.
pub(crate) async fn mode_of(place: &str) -> Option<String> {
    let answer = async {
        let mut link = TcpStream::connect(place).await.ok()?;
        link.write_all(b"srvr").await.ok()?;
        let mut text = Vec::new();
        link.read_to_end(&mut text).await.ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    };
    let text = timeout(PATIENCE, answer).await.ok().flatten()?;
    text.lines().find_map(|line| line.strip_prefix("Mode: ")).map(|mode| mode.trim().to_owned())
}
