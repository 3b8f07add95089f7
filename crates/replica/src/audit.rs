//! The audit log: a line for every change that clients asked for, and for what went with a session.
//!
//! A line is `key=value` pairs with tabs between, in a fixed order; values that are not there are left out.
//! Lines are written in the order of the changes, in the step that applies them: where they go must not block.
// Java: AuditHelper, ZKAuditProvider, AuditEvent

use std::fmt::Write as _;
use std::net::IpAddr;

use bytes::Bytes;
use oxherd_proto::{
    Acl, CreateMode, CreateRequest, CreateTTLRequest, DeleteRequest, Id, Jute, MultiOp, MultiResult, OpCode,
    SessionId, SetACLRequest, SetDataRequest, Str, decode_multi,
};
use oxherd_tree::Outcome;

use crate::auth;

/// Target of the lines among other log lines.
pub const AUDIT_TARGET: &str = "audit";
/// What only one place in the tree holds: the membership.
const CONFIG_PATH: &str = "/zookeeper/config";

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditResult {
    /// It was done.
    Success,
    /// It was refused.
    Failure,
    /// It was begun; how it ends cannot be told any more.
    Invoked,
}

/// One line of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Event {
    operation: &'static str,
    znode: Option<Str>,
    mode: Option<&'static str>,
    acl: Option<String>,
}

/// Who asked.
pub(crate) struct Asker<'a> {
    pub(crate) session: SessionId,
    pub(crate) ids: &'a [Id],
    pub(crate) address: IpAddr,
}

/// Logs that the server of `user` starts or stops.
// Java: ZKAuditProvider.addZKStartStopAuditLog
pub fn audit_server(user: &str, operation: &str, result: AuditResult) {
    let mut line = String::new();
    push(&mut line, "user", user);
    push(&mut line, "operation", operation);
    write_out(line, result);
}

/// Logs a node that went with its session, here as on every server.
// Java: DataTree.deleteNodes
pub(crate) fn ephemeral_gone(user: &str, session: SessionId, path: &Str) {
    let mut line = String::new();
    push(&mut line, "session", &hex(session));
    push(&mut line, "user", user);
    push(&mut line, "operation", "ephemeralZNodeDeletionOnSessionCloseOrExpire");
    push(&mut line, "znode", &path.to_string());
    write_out(line, AuditResult::Success);
}

/// Logs what became of a client's write, if it is of a kind that is logged.
pub(crate) fn write(asker: &Asker<'_>, op: OpCode, body: &Bytes, outcome: &Outcome) {
    for (event, result) in events(op, body, outcome) {
        write_out(line_of(asker, &event), result);
    }
}

// Java: AuditHelper.addAuditLog
fn events(op: OpCode, body: &Bytes, outcome: &Outcome) -> Vec<(Event, AuditResult)> {
    if let (OpCode::Multi, Outcome::Multi(results)) = (op, outcome) {
        return events_of_multi(body, results);
    }
    let failed = matches!(outcome, Outcome::Error(_));
    let result = if failed { AuditResult::Failure } else { AuditResult::Success };
    let Some(mut event) = event_of(op, body) else { return Vec::new() };
    match (outcome, op) {
        (Outcome::Created { path, .. }, _) => event.znode = Some(path.clone()),
        (Outcome::DataSet(_), OpCode::Reconfig) => event.znode = Some(Str::from_static(CONFIG_PATH)),
        _ => {}
    }
    vec![(event, result)]
}

fn event_of(op: OpCode, body: &Bytes) -> Option<Event> {
    let event = |operation, path| Event { operation, znode: Some(path), ..Event::default() };
    let body = body.clone();
    Some(match op {
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer => {
            let request = CreateRequest::from_bytes(body).ok()?;
            Event { mode: Some(mode(request.flags)?), ..event("create", request.path) }
        }
        OpCode::CreateTtl => {
            let request = CreateTTLRequest::from_bytes(body).ok()?;
            Event { mode: Some(mode(request.flags)?), ..event("create", request.path) }
        }
        OpCode::Delete => event("delete", DeleteRequest::from_bytes(body).ok()?.path),
        OpCode::SetData => event("setData", SetDataRequest::from_bytes(body).ok()?.path),
        OpCode::SetAcl => {
            let request = SetACLRequest::from_bytes(body).ok()?;
            Event { acl: Some(acl(&request.acl)), ..event("setAcl", request.path) }
        }
        OpCode::Multi => Event { operation: "multiOperation", ..Event::default() },
        OpCode::Reconfig => Event { operation: "reconfig", ..Event::default() },
        _ => return None,
    })
}

/// Each operation that was done, or one line for all when none was.
// Java: AuditHelper.logMultiOperation
fn events_of_multi(body: &Bytes, results: &[MultiResult]) -> Vec<(Event, AuditResult)> {
    if results.iter().any(|result| matches!(result, MultiResult::Error(_))) {
        let event = Event { operation: "multiOperation", ..Event::default() };
        return vec![(event, AuditResult::Failure)];
    }
    let ops = decode_multi(body.clone()).unwrap_or_default();
    ops.iter()
        .zip(results)
        .filter_map(|(op, result)| Some((event_of_part(op, result)?, AuditResult::Success)))
        .collect()
}

fn event_of_part(op: &MultiOp, result: &MultiResult) -> Option<Event> {
    let created = || match result {
        MultiResult::Create(path) | MultiResult::Create2(path, _) => Some(path.clone()),
        _ => None,
    };
    Some(match op {
        // The kind of node is looked up by path, so that of a sequential one is not found.
        MultiOp::Create(_, request) => {
            let (znode, asked) = (created(), Some(&request.path));
            let mode = if znode.as_ref() == asked { mode(request.flags) } else { None };
            Event { operation: "create", znode, mode, acl: None }
        }
        MultiOp::CreateTtl(_) => Event { operation: "create", znode: created(), ..Event::default() },
        MultiOp::Delete(request) => {
            Event { operation: "delete", znode: Some(request.path.clone()), ..Event::default() }
        }
        MultiOp::SetData(request) => {
            Event { operation: "setData", znode: Some(request.path.clone()), ..Event::default() }
        }
        _ => return None,
    })
}

fn mode(flags: i32) -> Option<&'static str> {
    Some(match CreateMode::from_flags(flags)? {
        CreateMode::Persistent => "persistent",
        CreateMode::Ephemeral => "ephemeral",
        CreateMode::PersistentSequential => "persistent_sequential",
        CreateMode::EphemeralSequential => "ephemeral_sequential",
        CreateMode::Container => "container",
        CreateMode::PersistentTtl => "persistent_with_ttl",
        CreateMode::PersistentSequentialTtl => "persistent_sequential_with_ttl",
    })
}

// Java: ZKUtil.aclToString
fn acl(list: &[Acl]) -> String {
    const LETTERS: [(char, i32); 5] = [('c', 4), ('d', 8), ('r', 1), ('w', 2), ('a', 16)];
    let mut text = String::new();
    for Acl { perms, id } in list {
        let letters: String =
            LETTERS.iter().filter(|(_, bit)| perms & bit != 0).map(|(letter, _)| letter).collect();
        let _ = write!(text, "{}:{}:{letters}", id.scheme, id.id);
    }
    text
}

fn line_of(asker: &Asker<'_>, event: &Event) -> String {
    let names = asker.ids.iter().map(|id| auth::user_name(id).to_string());
    let users: Vec<String> = names.filter(|name| !name.trim().is_empty()).collect();
    let mut line = String::new();
    push(&mut line, "session", &hex(asker.session));
    if !users.is_empty() {
        push(&mut line, "user", &users.join(","));
    }
    push(&mut line, "ip", &asker.address.to_string());
    push(&mut line, "operation", event.operation);
    let znode = event.znode.as_ref().map(ToString::to_string);
    let rest = [("znode", znode.as_deref()), ("znode_type", event.mode), ("acl", event.acl.as_deref())];
    for (key, value) in rest {
        if let Some(value) = value {
            push(&mut line, key, value);
        }
    }
    line
}

/// What a client chose cannot end a pair or a line.
fn push(line: &mut String, key: &str, value: &str) {
    if !line.is_empty() {
        line.push('\t');
    }
    line.push_str(key);
    line.push('=');
    line.extend(value.chars().map(|letter| if letter.is_control() { '?' } else { letter }));
}

fn hex(session: SessionId) -> String {
    format!("0x{:x}", session.0)
}

// Java: Slf4jAuditLogger.logAuditEvent
fn write_out(line: String, result: AuditResult) {
    match result {
        AuditResult::Failure => tracing::error!(target: AUDIT_TARGET, "{line}\tresult=failure"),
        AuditResult::Success => tracing::info!(target: AUDIT_TARGET, "{line}\tresult=success"),
        AuditResult::Invoked => tracing::info!(target: AUDIT_TARGET, "{line}\tresult=invoked"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use oxherd_proto::{ErrorCode, Stat, encode_multi};

    use super::*;

    fn lines(op: OpCode, body: &[u8], outcome: &Outcome) -> Vec<String> {
        let ids = [("ip", "10.0.0.7"), ("digest", "ann:hash"), ("world", "")];
        let ids = ids.map(|(scheme, id)| Id { scheme: scheme.into(), id: id.into() });
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));
        let asker = Asker { session: SessionId(0x1f), ids: &ids, address };
        let events = events(op, &Bytes::copy_from_slice(body), outcome);
        events.iter().map(|(event, result)| format!("{}|{result:?}", line_of(&asker, event))).collect()
    }

    fn create(path: &str, flags: i32) -> CreateRequest {
        CreateRequest { path: path.into(), data: None, acl: Vec::new(), flags }
    }

    const WHO: &str = "session=0x1f\tuser=10.0.0.7,ann\tip=10.0.0.7\toperation=";

    #[test]
    fn a_create_shows_the_path_it_came_to_and_a_failed_one_the_path_it_asked_for() {
        let body = create("/s-", 3).to_vec();
        let created = Outcome::Created { path: "/s-0000000004".into(), stat: Stat::default() };
        assert_eq!(
            lines(OpCode::Create, &body, &created),
            [format!("{WHO}create\tznode=/s-0000000004\tznode_type=ephemeral_sequential|Success")]
        );
        assert_eq!(
            lines(OpCode::Create, &body, &Outcome::Error(ErrorCode::NoNode)),
            [format!("{WHO}create\tznode=/s-\tznode_type=ephemeral_sequential|Failure")]
        );
    }

    #[test]
    fn an_acl_is_shown_whole_and_a_session_not_at_all() {
        let entry =
            |scheme: &str, id: &str, perms| Acl { perms, id: Id { scheme: scheme.into(), id: id.into() } };
        let acl = vec![entry("world", "anyone", 1), entry("digest", "a:b", 31)];
        let body = SetACLRequest { path: "/a".into(), acl, version: -1 }.to_vec();
        assert_eq!(
            lines(OpCode::SetAcl, &body, &Outcome::AclSet(Stat::default())),
            [format!("{WHO}setAcl\tznode=/a\tacl=world:anyone:rdigest:a:b:cdrwa|Success")]
        );
        assert_eq!(lines(OpCode::CloseSession, b"", &Outcome::SessionClosed), [] as [&str; 0]);
    }

    #[test]
    fn a_multi_is_told_by_its_parts_or_as_one_failure() {
        let ops = [
            MultiOp::Create(OpCode::Create, create("/m", 0)),
            MultiOp::Create(OpCode::Create, create("/m/s", 2)),
            MultiOp::Delete(DeleteRequest { path: "/old".into(), version: -1 }),
        ];
        let mut body = Vec::new();
        encode_multi(&ops, &mut body);
        let done = [
            MultiResult::Create("/m".into()),
            MultiResult::Create("/m/s0000000000".into()),
            MultiResult::Delete,
        ];
        assert_eq!(
            lines(OpCode::Multi, &body, &Outcome::Multi(done.to_vec())),
            [
                format!("{WHO}create\tznode=/m\tznode_type=persistent|Success"),
                format!("{WHO}create\tznode=/m/s0000000000|Success"),
                format!("{WHO}delete\tznode=/old|Success"),
            ]
        );
        let failed = vec![MultiResult::Error(ErrorCode::NoNode); 3];
        assert_eq!(
            lines(OpCode::Multi, &body, &Outcome::Multi(failed)),
            [format!("{WHO}multiOperation|Failure")]
        );
    }

    #[test]
    fn a_name_cannot_make_up_another_line() {
        let mut line = String::new();
        push(&mut line, "user", "ann\nuser=eve\tx");
        assert_eq!(line, "user=ann?user=eve?x");
    }
}
