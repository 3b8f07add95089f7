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
    field_of(place, "srvr", "Mode: ").await
}

/// The number of the server at `host:port`, if its whitelist of words lets it say so.
pub(crate) async fn number_of(place: &str) -> Option<i64> {
    field_of(place, "conf", "serverId=").await?.parse().ok()
}

async fn field_of(place: &str, word: &str, name: &str) -> Option<String> {
    let answer = async {
        let mut link = TcpStream::connect(place).await.ok()?;
        link.write_all(word.as_bytes()).await.ok()?;
        let mut text = Vec::new();
        link.read_to_end(&mut text).await.ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    };
    let text = timeout(PATIENCE, answer).await.ok().flatten()?;
    text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
}
