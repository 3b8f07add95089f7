//! Session ids and the passwords that go with them.
//!
//! A password is worked out from the id, so every server of an ensemble can check the password of a
//! session that another one made. Both numbers have to be those of the original: sessions survive a
//! change from one to the other.

use oxherd_proto::{PASSWORD_LEN, ServerId, SessionId};

// Java: ZooKeeperServer.superSecret
const SECRET: i64 = 0xb341_5c00;

/// The password of a session.
// Java: ZooKeeperServer.generatePasswd
pub(crate) fn of_session(session: SessionId) -> [u8; PASSWORD_LEN] {
    let mut random = Random::new(session.0 ^ SECRET);
    let mut password = [0; PASSWORD_LEN];
    for chunk in password.chunks_exact_mut(4) {
        chunk.copy_from_slice(&random.next_int().to_le_bytes());
    }
    password
}

/// Whether a client that names the session may have it. Session 0 is nobody's.
// Java: ZooKeeperServer.checkPasswd
pub(crate) fn admits(session: SessionId, password: &[u8]) -> bool {
    session != SessionId(0) && password == of_session(session)
}

/// The first session id a server gives out after a start at `start_ms`.
///
/// The server's number fills the top byte, so that servers never collide; 40 bits of the time keep ids of
/// one start apart from those of the one before.
// Java: SessionTrackerImpl.initializeNextSessionId
pub(crate) fn first_session_id(start_ms: i64, server: ServerId) -> SessionId {
    let time = ((start_ms << 24).cast_unsigned() >> 8).cast_signed();
    let id = SessionId(time | (server.0 << 56));
    if id == SessionId::CONTAINER { SessionId(id.0 + 1) } else { id }
}

/// The 48-bit linear congruential generator that passwords are drawn from.
// Java: java.util.Random
struct Random {
    state: u64,
}

impl Random {
    const MULTIPLIER: u64 = 0x5_deec_e66d;
    const INCREMENT: u64 = 0xb;
    const MASK: u64 = (1 << 48) - 1;

    fn new(seed: i64) -> Self {
        Self { state: (seed.cast_unsigned() ^ Self::MULTIPLIER) & Self::MASK }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the state has 48 bits, the upper 32 are wanted")]
    fn next_int(&mut self) -> u32 {
        self.state = self.state.wrapping_mul(Self::MULTIPLIER).wrapping_add(Self::INCREMENT) & Self::MASK;
        (self.state >> 16) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn passwords_are_those_a_java_server_gives() {
        let made_by_java = [
            (0x1, "054cc74a37327db215e702e20c73f005"),
            (0x0100_0000_0000_0001, "054cc74a37327db215e702e20c73f005"),
            (0x0100_0abc_def1_2345, "e7702c0c2452d662998db73ba0a4f013"),
            (-2, "0dd532b5c441e3927c04b55e50fd9421"),
            (0x72d5_a1c3_e8f0_0001, "f581861b67c99c3785668bf2bc55cd4d"),
            (0, "f22acd4a97e69d6d20a49bb638eadb38"),
        ];
        for (session, password) in made_by_java {
            assert_eq!(hex(&of_session(SessionId(session))), password, "session {session:x}");
        }
    }

    #[test]
    fn a_session_is_had_with_its_password_only() {
        let session = SessionId(0x1_0000_0007);
        let mut password = of_session(session);
        assert!(admits(session, &password));
        password[15] ^= 1;
        assert!(!admits(session, &password));
        assert!(!admits(session, b""));
        assert!(!admits(SessionId(0), &of_session(SessionId(0))), "session 0 asks for a new one");
    }

    #[test]
    fn first_ids_are_those_a_java_server_begins_with() {
        let made_by_java = [
            (1, 1_234_567_890_123, 0x011f_71fb_04cb_0000),
            (0, 5, 0x0005_0000),
            (255, 1 << 41, 0xff00_0000_0000_0000_u64.cast_signed()),
            (128, 0, 0x8000_0000_0000_0001_u64.cast_signed()),
            (3, -77, 0x03ff_ffff_ffb3_0000),
        ];
        for (server, start_ms, id) in made_by_java {
            assert_eq!(first_session_id(start_ms, ServerId(server)), SessionId(id), "server {server}");
        }
    }
}
