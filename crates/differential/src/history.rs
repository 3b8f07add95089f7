//! What the sessions of a history do, one step after the other.

use bytes::Bytes;
use oxherd_proto::*;

use crate::dice::Dice;

/// Sessions of one history.
pub(crate) const SESSIONS: usize = 3;
/// Stands for the history's own folder until it is sent.
pub(crate) const ROOT: &str = "/ROOT";

/// One thing a client does.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Opens a connection with a new session, if there is none.
    Connect { session: usize, timeout_ms: i32 },
    /// Opens a connection with the session and password of the last one.
    Reconnect { session: usize, right_password: bool },
    /// Cuts the connection without a word.
    Drop { session: usize },
    /// Sends a request and waits for its reply.
    Request { session: usize, op: i32, body: Body },
}

/// A request's body as it is shown and sent.
#[derive(Clone)]
pub(crate) struct Body {
    /// How it reads.
    pub(crate) text: String,
    /// What is sent, with [`ROOT`] in place of the folder.
    pub(crate) bytes: Vec<u8>,
    /// Asks to write the bytes again for a folder.
    pub(crate) with_root: fn(&Self, &str) -> Vec<u8>,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// The folder has as many bytes as [`ROOT`], so that lengths stay right.
fn replace_root(body: &Body, root: &str) -> Vec<u8> {
    let mut bytes = body.bytes.clone();
    let mut at = 0;
    while at + ROOT.len() <= bytes.len() {
        if bytes[at..at + ROOT.len()] == *ROOT.as_bytes() {
            bytes[at..at + ROOT.len()].copy_from_slice(root.as_bytes());
        }
        at += 1;
    }
    bytes
}

fn body(record: &(impl Jute + std::fmt::Debug)) -> Body {
    Body { text: format!("{record:?}"), bytes: record.to_vec(), with_root: replace_root }
}

fn raw(text: &str, bytes: Vec<u8>) -> Body {
    Body { text: text.to_owned(), bytes, with_root: replace_root }
}

/// The history of a seed: the same on every machine.
pub(crate) fn generate(seed: u64, steps: usize) -> Vec<Step> {
    let mut maker = Maker { dice: Dice::new(seed) };
    let mut history = vec![Step::Connect { session: 0, timeout_ms: 30_000 }];
    let root = CreateRequest { path: ROOT.into(), data: None, acl: open(), flags: 0 };
    history.push(Step::Request { session: 0, op: OpCode::Create.code(), body: body(&root) });
    for session in 1..SESSIONS {
        history.push(Step::Connect { session, timeout_ms: maker.dice.pick(&[30_000, 40_000, 100_000]) });
    }
    while history.len() < steps {
        let step = maker.step();
        history.push(step);
    }
    history
}

fn acl(perms: i32, scheme: &str, id: &str) -> Acl {
    Acl { perms, id: Id { scheme: scheme.into(), id: id.into() } }
}

fn open() -> Vec<Acl> {
    vec![acl(31, "world", "anyone")]
}

struct Maker {
    dice: Dice,
}

impl Maker {
    fn step(&mut self) -> Step {
        let session = self.dice.below(SESSIONS);
        match self.dice.below(60) {
            0 => Step::Drop { session },
            1 | 2 => Step::Reconnect { session, right_password: !self.dice.once_in(4) },
            3 | 4 => {
                Step::Connect { session, timeout_ms: self.dice.pick(&[25_000, 30_000, 40_000, 100_000]) }
            }
            5 => Step::Request { session, op: OpCode::CloseSession.code(), body: raw("", Vec::new()) },
            6 if self.dice.once_in(3) => self.odd(session),
            _ => {
                let (op, body) = self.request();
                Step::Request { session, op: op.code(), body }
            }
        }
    }

    /// Requests that no well-behaved client sends.
    fn odd(&mut self, session: usize) -> Step {
        let path = ExistsRequest { path: self.path(), watch: false };
        // Two are left out, see CHANGELOG.md: operation 20 (deleteContainer), which clients may not ask for
        // here, and a write whose body cannot be read, to which the original gives the last zxid once more.
        let (op, body) = match self.dice.below(4) {
            0 => (999, raw("(unknown operation)", Vec::new())),
            1 => (OpCode::GetData.code(), raw("(cut short)", path.to_vec()[..3].to_vec())),
            2 => (OpCode::Check.code(), body(&CheckVersionRequest { path: path.path, version: -1 })),
            _ => (OpCode::Exists.code(), raw("(huge length)", vec![0x7f, 0xff, 0xff, 0xff, 1, 2])),
        };
        Step::Request { session, op, body }
    }

    fn request(&mut self) -> (OpCode, Body) {
        match self.dice.below(40) {
            0..=7 => self.create(),
            8..=10 => (OpCode::Delete, body(&DeleteRequest { path: self.path(), version: self.version() })),
            11..=14 => (OpCode::SetData, body(&self.set_data())),
            15..=16 => (OpCode::Multi, self.multi()),
            17 => (OpCode::MultiRead, self.multi_read()),
            18 => (OpCode::SetAcl, body(&self.set_acl())),
            19..=22 => self.watch(),
            23 => self.auth(),
            24 => self.set_watches(),
            25 => self.rare(),
            _ => self.read(),
        }
    }

    fn create(&mut self) -> (OpCode, Body) {
        let flags = if self.dice.once_in(12) {
            self.dice.pick(&[-1, 7, 8, 100])
        } else {
            self.dice.pick(&[0, 0, 0, 1, 1, 2, 3, 4, 5])
        };
        let request = CreateRequest { path: self.path(), data: self.data(), acl: self.acl(), flags };
        match self.dice.below(8) {
            0 => (OpCode::CreateContainer, body(&CreateRequest { flags: 4, ..request })),
            1 => {
                let CreateRequest { path, data, acl, .. } = request;
                let ttl = self.dice.pick(&[60_000, 600_000, 0, -1, 0xff_ffff_ffff, 0x100_0000_0000]);
                // A mode without a ttl and ttl -1 is left out: the original logs a txn that it can never apply, and dies.
                let flags = self.dice.pick(if ttl < 0 { &[5, 6] } else { &[5, 6, 5, 6, 0, 4] });
                (OpCode::CreateTtl, body(&CreateTTLRequest { path, data, acl, flags, ttl }))
            }
            2..=4 => (OpCode::Create2, body(&request)),
            _ => (OpCode::Create, body(&request)),
        }
    }

    fn set_data(&mut self) -> SetDataRequest {
        SetDataRequest { path: self.path(), data: self.data(), version: self.version() }
    }

    fn set_acl(&mut self) -> SetACLRequest {
        SetACLRequest { path: self.path(), acl: self.acl(), version: self.version() }
    }

    fn multi(&mut self) -> Body {
        let count = self.dice.below(5);
        let ops: Vec<MultiOp> = (0..count).map(|_| self.multi_op()).collect();
        let mut bytes = Vec::new();
        encode_multi(&ops, &mut bytes);
        raw(&format!("{ops:?}"), bytes)
    }

    fn multi_op(&mut self) -> MultiOp {
        match self.dice.below(6) {
            0 | 1 => {
                let op = self.dice.pick(&[OpCode::Create, OpCode::Create2]);
                let flags = self.dice.pick(&[0, 0, 1, 2, 3]);
                MultiOp::Create(
                    op,
                    CreateRequest { path: self.path(), data: self.data(), acl: self.acl(), flags },
                )
            }
            2 => MultiOp::Delete(DeleteRequest { path: self.path(), version: self.version() }),
            3 | 4 => MultiOp::SetData(self.set_data()),
            _ => MultiOp::Check(CheckVersionRequest { path: self.path(), version: self.version() }),
        }
    }

    fn multi_read(&mut self) -> Body {
        let count = self.dice.below(4);
        let ops: Vec<MultiOp> = (0..count)
            .map(|_| {
                let (path, watch) = (self.path(), false);
                if self.dice.once_in(2) {
                    MultiOp::GetData(GetDataRequest { path, watch })
                } else {
                    MultiOp::GetChildren(GetChildrenRequest { path, watch })
                }
            })
            .collect();
        let mut bytes = Vec::new();
        encode_multi(&ops, &mut bytes);
        raw(&format!("{ops:?}"), bytes)
    }

    fn read(&mut self) -> (OpCode, Body) {
        let (path, watch) = (self.path(), self.dice.once_in(2));
        match self.dice.below(8) {
            0 | 1 => (OpCode::Exists, body(&ExistsRequest { path, watch })),
            2 | 3 => (OpCode::GetData, body(&GetDataRequest { path, watch })),
            4 => (OpCode::GetChildren, body(&GetChildrenRequest { path, watch })),
            5 => (OpCode::GetChildren2, body(&GetChildren2Request { path, watch })),
            6 => (OpCode::GetAcl, body(&GetACLRequest { path })),
            _ => (OpCode::GetAllChildrenNumber, body(&GetAllChildrenNumberRequest { path })),
        }
    }

    fn watch(&mut self) -> (OpCode, Body) {
        let path = self.path();
        match self.dice.below(5) {
            0 | 1 => {
                let mode = if self.dice.once_in(10) { 2 } else { self.dice.pick(&[0, 1]) };
                (OpCode::AddWatch, body(&AddWatchRequest { path, mode }))
            }
            2 | 3 => {
                let kind = self.dice.pick(&[1, 2, 3, 3, 4, 5]);
                (OpCode::RemoveWatches, body(&RemoveWatchesRequest { path, kind }))
            }
            _ => {
                let kind = self.dice.pick(&[1, 2, 3, 4, 5]);
                (OpCode::CheckWatches, body(&CheckWatchesRequest { path, kind }))
            }
        }
    }

    fn auth(&mut self) -> (OpCode, Body) {
        let (scheme, auth) = self.dice.pick(&[
            ("digest", "bob:secret"),
            ("digest", "bob:secret"),
            ("digest", "eve:other"),
            ("world", "anyone"),
            ("ip", ""),
            ("nonsense", "x"),
        ]);
        let auth = Some(Bytes::from_static(auth.as_bytes()));
        (OpCode::Auth, body(&AuthPacket { kind: 0, scheme: scheme.into(), auth }))
    }

    fn set_watches(&mut self) -> (OpCode, Body) {
        let relative_zxid = Zxid(self.dice.pick(&[0, i64::MAX]));
        let mut paths = |count| (0..self.dice.below(count)).map(|_| self.good_path()).collect::<Vec<_>>();
        let (data_watches, exist_watches, child_watches) = (paths(3), paths(3), paths(3));
        let persistent_watches = paths(2);
        let persistent_recursive_watches = paths(2);
        if self.dice.once_in(2) {
            let request = SetWatches { relative_zxid, data_watches, exist_watches, child_watches };
            return (OpCode::SetWatches, body(&request));
        }
        let request = SetWatches2 {
            relative_zxid,
            data_watches,
            exist_watches,
            child_watches,
            persistent_watches,
            persistent_recursive_watches,
        };
        (OpCode::SetWatches2, body(&request))
    }

    fn rare(&mut self) -> (OpCode, Body) {
        match self.dice.below(5) {
            0 => (OpCode::WhoAmI, raw("", Vec::new())),
            1 | 2 => {
                let prefix_path = if self.dice.once_in(3) { None } else { Some(ROOT.into()) };
                (OpCode::GetEphemerals, body(&GetEphemeralsRequest { prefix_path }))
            }
            3 => {
                let request = ReconfigRequest { leaving_servers: Some("3".into()), ..Default::default() };
                (OpCode::Reconfig, body(&request))
            }
            _ => (OpCode::Sync, body(&SyncRequest { path: self.path() })),
        }
    }

    fn good_path(&mut self) -> Str {
        const NAMES: [&str; 12] = [
            "",
            "/a",
            "/b",
            "/a/x",
            "/a/y",
            "/b/x",
            "/c",
            "/a/x/deep",
            "/s-",
            "/a/s-0000000000",
            "/e",
            "/c/x",
        ];
        Str::from(format!("{ROOT}{}", self.dice.pick(&NAMES)))
    }

    fn path(&mut self) -> Str {
        if !self.dice.once_in(25) {
            return self.good_path();
        }
        let odd = self.dice.pick(&[
            "",
            "relative",
            "/ROOT/",
            "/ROOT//x",
            "/ROOT/../x",
            "/ROOT/.",
            "/ROOT/\u{0}",
            "/ROOT/\u{1f}x",
            "/ROOT/é",
            "/zookeeper/quota",
            "/zookeeper/config",
            "/ROOT/\u{fffd}",
        ]);
        Str::from(odd)
    }

    fn version(&mut self) -> i32 {
        self.dice.pick(&[-1, -1, -1, 0, 0, 1, 2, 3, -2])
    }

    fn data(&mut self) -> Option<Bytes> {
        let length = self.dice.pick(&[0, 1, 5, 100]);
        (!self.dice.once_in(4)).then(|| Bytes::from(vec![b'd'; length]))
    }

    fn acl(&mut self) -> Vec<Acl> {
        if !self.dice.once_in(5) {
            return open();
        }
        let one = |perms, scheme, id| vec![acl(perms, scheme, id)];
        match self.dice.below(11) {
            0 => Vec::new(),
            1 => one(1, "world", "anyone"),
            2 => one(31, "auth", ""),
            3 => one(31, "digest", "bob:T8YHrVHZpmHa1cRDwTEB7nU0DjI="),
            4 => one(31, "digest", "nonsense"),
            5 => one(31, "ip", "127.0.0.1"),
            6 => one(15, "ip", "10.0.0.0/8"),
            7 => one(31, "ip", "300.1.1.1"),
            8 => one(31, "nonsense", "x"),
            9 => one(31, "world", "someone"),
            _ => vec![acl(31, "world", "anyone"), acl(1, "auth", ""), acl(31, "world", "anyone")],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_makes_the_same_history() {
        let text = |seed| format!("{:?}", generate(seed, 300));
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
    }

    #[test]
    fn the_folder_takes_the_place_of_the_word() {
        let body = body(&ExistsRequest { path: format!("{ROOT}/a").as_str().into(), watch: true });
        let sent = ExistsRequest::from_bytes((body.with_root)(&body, "/h001").into());
        assert_eq!(sent.map(|request| request.path.to_text().into_owned()), Ok("/h001/a".to_owned()));
    }
}
