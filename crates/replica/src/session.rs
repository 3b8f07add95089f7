//! Sessions: who is alive, who owns them, when they expire.
//!
//! Every packet of a client touches its session. That is one store into a shared [`Pulse`], without
//! the replica: the deadline is worked out only when the bucket in which the session waits comes due.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use oxherd_proto::{ErrorCode, SessionId};
use oxherd_tree::ClientId;

use crate::clock::Clock;

/// When a session's client was last heard, shared with the connection that carries it.
#[derive(Debug, Default)]
pub struct Pulse {
    heard_ms: AtomicU64,
    timeout_ms: AtomicU64,
}

impl Pulse {
    /// Notes that a packet came. The timeout is that of the connection, which a reconnect may change.
    // Java: ZooKeeperServer.touch
    pub fn touch(&self, heard_ms: u64, timeout_ms: u64) {
        self.heard_ms.store(heard_ms, Ordering::Relaxed);
        self.timeout_ms.store(timeout_ms, Ordering::Relaxed);
    }

    fn deadline_ms(&self) -> u64 {
        self.heard_ms.load(Ordering::Relaxed) + self.timeout_ms.load(Ordering::Relaxed)
    }
}

/// One session as the leader or a standalone server tracks it.
#[derive(Debug)]
struct Session {
    /// As agreed when it was made; this is what snapshots keep.
    timeout_ms: i32,
    pulse: Arc<Pulse>,
    /// The bucket in which it waits; buckets are moved to lazily.
    bucket_ms: u64,
    client: Option<ClientId>,
    /// Set once a close is proposed; nothing brings the session back from there.
    closing: bool,
    /// Whether its createSession txn is applied.
    committed: bool,
}

/// All sessions of the server, in buckets of one tick.
// Java: SessionTrackerImpl, ExpiryQueue
#[derive(Debug)]
pub struct Sessions {
    clock: Clock,
    tick_ms: u64,
    next_id: SessionId,
    by_id: BTreeMap<SessionId, Session>,
    buckets: BTreeMap<u64, Vec<SessionId>>,
}

impl Sessions {
    /// No sessions yet; `next_id` is the first id given out.
    pub fn new(clock: Clock, tick_ms: u64, next_id: SessionId) -> Self {
        Self { clock, tick_ms: tick_ms.max(1), next_id, by_id: BTreeMap::new(), buckets: BTreeMap::new() }
    }

    /// Makes an id and tracks it; it counts as a session once its txn is applied.
    pub fn create(&mut self, now: Instant, timeout_ms: i32, client: ClientId) -> SessionId {
        let id = self.next_id();
        self.adopt(now, id, timeout_ms, client);
        id
    }

    /// Makes an id for a session that the leader is asked to make.
    pub(crate) fn next_id(&mut self) -> SessionId {
        let id = self.next_id;
        self.next_id = SessionId(id.0.wrapping_add(1));
        if self.next_id == SessionId::CONTAINER {
            self.next_id.0 += 1;
        }
        id
    }

    /// Tracks a session whose id another server made; it counts once its txn is applied.
    pub(crate) fn announced(&mut self, now: Instant, id: SessionId, timeout_ms: i32) {
        self.track(now, id, timeout_ms);
    }

    /// Hands a session that is not about to end over to another table, with its link; its timeout in ms.
    // Java: UpgradeableSessionTracker.upgradeSession
    pub(crate) fn hand_over(&mut self, now: Instant, id: SessionId, to: &mut Self) -> Option<i32> {
        self.check(id).ok()?;
        let session = self.by_id.remove(&id)?;
        to.track(now, id, session.timeout_ms);
        let there = to.by_id.get_mut(&id)?;
        there.pulse = session.pulse;
        there.client = session.client;
        Some(session.timeout_ms)
    }

    /// A session that lives, as the leader says, is carried by this link from now on.
    pub(crate) fn adopt(&mut self, now: Instant, id: SessionId, timeout_ms: i32, client: ClientId) {
        self.track(now, id, timeout_ms);
        if let Some(session) = self.by_id.get_mut(&id) {
            session.client = Some(client);
        }
    }

    /// A learner has heard of the session; whether it lives.
    // Java: SessionTrackerImpl.touchSession
    pub(crate) fn touch(&mut self, now: Instant, id: SessionId, timeout_ms: i32) -> bool {
        let now_ms = self.clock.ms(now);
        let alive = self.by_id.get(&id).filter(|session| !session.closing);
        if let Some(session) = alive {
            session.pulse.touch(now_ms, timeout_of(timeout_ms));
        }
        alive.is_some()
    }

    /// Sessions of this server's links that were heard of since `since`, with their timeouts in ms.
    pub(crate) fn heard_since(&self, since: Instant) -> Vec<(SessionId, i32)> {
        let carried = self.by_id.iter().filter(|(_, session)| session.client.is_some());
        carried.filter_map(|(id, _)| Some((*id, self.heard(*id, since)?))).collect()
    }

    /// The timeout of a session that was heard of since `since`, in ms.
    pub(crate) fn heard(&self, id: SessionId, since: Instant) -> Option<i32> {
        let pulse = &self.by_id.get(&id)?.pulse;
        let timeout_ms = i32::try_from(pulse.timeout_ms.load(Ordering::Relaxed)).unwrap_or(i32::MAX);
        (pulse.heard_ms.load(Ordering::Relaxed) >= self.clock.ms(since)).then_some(timeout_ms)
    }

    /// The role has changed: what counts is what is committed, nobody is connected, and every session
    /// has its full time again.
    pub(crate) fn restart(&mut self, now: Instant) {
        let committed = self.persistent();
        self.replace(now, &committed);
    }

    /// Another history: these are the sessions.
    pub(crate) fn replace(&mut self, now: Instant, sessions: &[(SessionId, i32)]) {
        self.by_id.clear();
        self.buckets.clear();
        for (id, timeout_ms) in sessions {
            self.committed(now, *id, *timeout_ms);
        }
    }

    /// The session's txn is applied, here or by replay.
    pub fn committed(&mut self, now: Instant, id: SessionId, timeout_ms: i32) {
        self.track(now, id, timeout_ms);
        if let Some(session) = self.by_id.get_mut(&id) {
            session.committed = true;
            session.timeout_ms = timeout_ms;
        }
    }

    fn track(&mut self, now: Instant, id: SessionId, timeout_ms: i32) {
        if self.by_id.contains_key(&id) {
            return;
        }
        let pulse = Arc::new(Pulse::default());
        pulse.touch(self.clock.ms(now), timeout_of(timeout_ms));
        let bucket_ms = self.bucket_of(pulse.deadline_ms());
        self.buckets.entry(bucket_ms).or_default().push(id);
        let session =
            Session { timeout_ms, pulse, bucket_ms, client: None, closing: false, committed: false };
        self.by_id.insert(id, session);
    }

    /// The session's closeSession txn is applied; its connection, if any.
    pub fn remove(&mut self, id: SessionId) -> Option<ClientId> {
        self.by_id.remove(&id).and_then(|session| session.client)
    }

    /// Lets a reconnecting client carry on; the connection that carried the session before, if any.
    pub fn resume(&mut self, id: SessionId, client: ClientId) -> Result<Option<ClientId>, ErrorCode> {
        let session =
            self.by_id.get_mut(&id).filter(|session| !session.closing).ok_or(ErrorCode::SessionExpired)?;
        Ok(session.client.replace(client).filter(|old| *old != client))
    }

    /// The connection that carries the session.
    pub fn client(&self, id: SessionId) -> Option<ClientId> {
        self.by_id.get(&id).and_then(|session| session.client)
    }

    /// The connection is gone; the session lives on until it expires.
    pub fn detach(&mut self, id: SessionId, client: ClientId) {
        if let Some(session) = self.by_id.get_mut(&id)
            && session.client == Some(client)
        {
            session.client = None;
        }
    }

    /// The pulse a connection touches.
    pub fn pulse(&self, id: SessionId) -> Option<Arc<Pulse>> {
        self.by_id.get(&id).map(|session| Arc::clone(&session.pulse))
    }

    /// Whether writes of the session may go on.
    // Java: SessionTrackerImpl.checkSession
    pub fn check(&self, id: SessionId) -> Result<(), ErrorCode> {
        match self.by_id.get(&id) {
            None => Err(ErrorCode::SessionExpired),
            Some(session) if session.closing => Err(ErrorCode::SessionExpired),
            Some(_) => Ok(()),
        }
    }

    /// Whether the session's txn is applied.
    pub(crate) fn is_committed(&self, id: SessionId) -> bool {
        self.by_id.get(&id).is_some_and(|session| session.committed)
    }

    /// Whether the session is known at all.
    pub fn contains(&self, id: SessionId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// A close is on its way: from here on the session only ends.
    pub fn set_closing(&mut self, id: SessionId) {
        if let Some(session) = self.by_id.get_mut(&id) {
            session.closing = true;
        }
    }

    /// When the next bucket comes due.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.buckets.keys().next().map(|ms| self.clock.at(*ms))
    }

    /// Sessions whose time is over; they are closing from here on.
    pub fn expire(&mut self, now: Instant) -> Vec<SessionId> {
        let now_ms = self.clock.ms(now);
        let mut expired = Vec::new();
        while let Some(bucket) = self.buckets.first_entry().filter(|bucket| *bucket.key() <= now_ms) {
            for id in bucket.remove() {
                self.expire_or_move(id, now_ms, &mut expired);
            }
        }
        expired
    }

    fn expire_or_move(&mut self, id: SessionId, now_ms: u64, expired: &mut Vec<SessionId>) {
        let tick_ms = self.tick_ms;
        let Some(session) = self.by_id.get_mut(&id) else { return };
        if session.closing {
            return;
        }
        let due_ms = round_up(session.pulse.deadline_ms(), tick_ms);
        if due_ms > now_ms {
            session.bucket_ms = due_ms;
            self.buckets.entry(due_ms).or_default().push(id);
        } else {
            session.closing = true;
            expired.push(id);
        }
    }

    fn bucket_of(&self, deadline_ms: u64) -> u64 {
        round_up(deadline_ms, self.tick_ms)
    }

    /// Committed sessions and their timeouts, as a snapshot keeps them.
    pub fn persistent(&self) -> Vec<(SessionId, i32)> {
        self.by_id
            .iter()
            .filter(|(_, session)| session.committed)
            .map(|(id, s)| (*id, s.timeout_ms))
            .collect()
    }

    /// Every session by the time at which it would expire if nothing more came, in ms from `now`.
    pub fn by_deadline(&self, now: Instant) -> BTreeMap<i64, Vec<SessionId>> {
        let now_ms = self.clock.ms(now);
        let mut dump: BTreeMap<i64, Vec<SessionId>> = BTreeMap::new();
        for (id, session) in &self.by_id {
            let due_ms = round_up(session.pulse.deadline_ms(), self.tick_ms);
            dump.entry(due_ms.cast_signed() - now_ms.cast_signed()).or_default().push(*id);
        }
        dump
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Gives every session its full time again, as after a start or a change of leader.
    pub fn refresh(&mut self, now: Instant) {
        let now_ms = self.clock.ms(now);
        for session in self.by_id.values() {
            session.pulse.touch(now_ms, timeout_of(session.timeout_ms));
        }
    }
}

fn timeout_of(timeout_ms: i32) -> u64 {
    u64::try_from(timeout_ms).unwrap_or(0)
}

/// The end of the tick in which `ms` lies; always a step forward.
// Java: ExpiryQueue.roundToNextInterval
fn round_up(ms: u64, tick_ms: u64) -> u64 {
    (ms / tick_ms + 1) * tick_ms
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sessions() -> (Sessions, Instant) {
        let start = crate::clock::test_instant();
        (Sessions::new(Clock::new(start), 1000, SessionId(7)), start)
    }

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_silent_session_expires_at_the_end_of_its_tick_and_not_before() {
        let (mut sessions, start) = sessions();
        let id = sessions.create(start, 4500, ClientId(1));
        assert_eq!(sessions.expire(after(start, 4999)), []);
        assert_eq!(sessions.expire(after(start, 5000)), [id]);
        assert_eq!(sessions.check(id), Err(ErrorCode::SessionExpired));
        assert_eq!(sessions.expire(after(start, 9000)), [], "it expires once");
    }

    #[test]
    fn a_touch_moves_the_deadline_and_a_closing_session_stays_closing() {
        let (mut sessions, start) = sessions();
        let id = sessions.create(start, 4000, ClientId(1));
        let pulse = sessions.pulse(id).expect("just made");
        pulse.touch(3000, 4000);
        assert_eq!(sessions.expire(after(start, 5000)), []);
        assert_eq!(sessions.next_expiry(), Some(after(start, 8000)));
        assert_eq!(sessions.expire(after(start, 8000)), [id]);
        pulse.touch(8000, 4000);
        assert_eq!(sessions.resume(id, ClientId(2)), Err(ErrorCode::SessionExpired));
    }

    #[test]
    fn a_reconnect_names_the_connection_it_replaces() {
        let (mut sessions, start) = sessions();
        let id = sessions.create(start, 4000, ClientId(1));
        assert_eq!(sessions.resume(id, ClientId(2)), Ok(Some(ClientId(1))));
        sessions.detach(id, ClientId(1));
        assert_eq!(sessions.client(id), Some(ClientId(2)), "an old connection's end changes nothing");
    }
}
